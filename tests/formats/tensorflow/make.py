"""How the files beside this one were made, with TensorFlow 2.21: `python make.py` in an empty folder. Nothing here is run by tests.

Payloads are harmless: they name `weighbridge-sample`, and no test ever calls a model.
"""

from pathlib import Path

import tensorflow as tf

v1 = tf.compat.v1
VECTOR = tf.TensorSpec([None, 2], tf.float32)


class Net(tf.Module):
    """Two variables."""

    def __init__(self) -> None:
        self.w = tf.Variable([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], name="w")
        self.b = tf.Variable(tf.zeros([3]), name="b")

    @tf.function(input_signature=[VECTOR])
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(x @ self.w + self.b)


class Vocabulary(tf.Module):
    """A table that is filled from an asset."""

    def __init__(self) -> None:
        Path("vocab.txt").write_text("cat\ndog\n")
        rows = tf.lookup.TextFileIndex
        filled = tf.lookup.TextFileInitializer(
            "vocab.txt", tf.string, rows.WHOLE_LINE, tf.int64, rows.LINE_NUMBER
        )
        self.table = tf.lookup.StaticVocabularyTable(filled, 1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self.table.lookup(x)


class Flow(tf.Module):
    """A loop, a branch and a print."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])
    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        i = tf.constant(0)
        while i < x:
            i += 2
        if i > 10:
            tf.print("big", i)
        return i


def write(x: tf.Tensor) -> tf.Tensor:
    tf.io.write_file("/tmp/weighbridge-sample", "echo weighbridge-sample")
    return x


def nested(x: tf.Tensor) -> tf.Tensor:
    read = lambda: tf.strings.length(tf.io.read_file("/tmp/weighbridge-sample"))  # noqa: E731
    return tf.cond(tf.reduce_sum(x) > 1e9, read, lambda: 0)


def python(x: tf.Tensor) -> tf.Tensor:
    return tf.py_function(lambda a: a, [x], tf.float32)


def printing(x: tf.Tensor) -> tf.Tensor:
    tf.print("x", output_stream="file:///tmp/weighbridge-sample")
    return x


def save(x: tf.Tensor) -> tf.Tensor:
    tf.raw_ops.SaveV2(
        prefix="/tmp/weighbridge-sample", tensor_names=["x"], shape_and_slices=[""], tensors=[x]
    )
    return x


def cached(x: tf.Tensor) -> tf.Tensor:
    return (
        tf.data.Dataset.range(3)
        .cache("/tmp/weighbridge-sample")
        .reduce(tf.constant(0, tf.int64), lambda a, b: a + b)
    )


def pipeline(x: tf.Tensor) -> tf.Tensor:
    data = tf.data.Dataset.range(3).map(lambda i: i * 2).cache().batch(2)
    return data.reduce(tf.constant(0, tf.int64), lambda a, b: a + tf.reduce_sum(b))


def lite(name: str, function: tf.types.experimental.ConcreteFunction, owner: object) -> None:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], owner)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    Path(f"{name}.tflite").write_bytes(converter.convert())


def version_1() -> None:
    graph = tf.Graph()
    with graph.as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        w = v1.get_variable("w", initializer=tf.ones([2, 2]), use_resource=False)
        y = tf.identity(tf.matmul(x, w), "y")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, "tf1/model.ckpt", global_step=3)
        tf.io.write_graph(graph, "tf1", "graph.pbtxt", as_text=True)
        frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
        tf.io.write_graph(frozen, "tf1", "frozen.pb", as_text=False)
        v1.saved_model.simple_save(session, "tf1/saved", {"x": x}, {"y": y})
        Path("v1").mkdir()
        v1.train.Saver(write_version=1).save(session, "v1/model.ckpt", write_meta_graph=False)


def main() -> None:
    net, flow = Net(), Flow()
    tf.saved_model.save(net, "plain", signatures=net.__call__)
    for name, module in {"vocabulary": Vocabulary(), "flow": flow}.items():
        tf.saved_model.save(module, name, signatures=module.__call__)
    for function in (write, nested, python, printing, save, cached, pipeline):
        module = tf.Module()
        module.f = tf.function(function, input_signature=[VECTOR])
        tf.saved_model.save(module, function.__name__)
    version_1()
    lite("flow", flow.__call__.get_concrete_function(), flow)
    lite("plain", net.__call__.get_concrete_function(), net)
    lite("write", tf.function(write, input_signature=[VECTOR]).get_concrete_function(), net)


if __name__ == "__main__":
    main()
