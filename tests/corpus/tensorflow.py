"""TensorFlow's formats: SavedModels, graphs, checkpoints, TensorFlow Lite and TensorFlow.js."""

import json

from tests.corpus.case import ECHO, Cases, Expect, benign, fail, folder, unknown
from tests.tensorflowfiles import (
    REAL,
    call,
    entry,
    function,
    graph,
    index,
    keras_metadata,
    lite,
    meta_graph,
    model,
    node,
    number,
    operator_code,
    saved_model,
    string,
    text,
)

X = node("x", "Placeholder")
PATH = string("path", "/tmp/weighbridge")
SAVED = "saved_model.pb"


def cases() -> Cases:
    """All of them."""
    yield from _graphs()
    yield from _around()
    yield from _lite()
    yield from _javascript()
    yield from _real()


def _graphs() -> Cases:
    for operator in (
        "WriteFile",
        "ReadFile",
        "PyFunc",
        "EagerPyFunc",
        "MatchingFiles",
        "ImmutableConst",
        "TFRecordDataset",
    ):
        yield fail("savedmodel", operator, SAVED, model(X, PATH, node("n", operator, "path", "x")))
        yield fail("graphdef", operator, "frozen.pb", graph(X, PATH, node("n", operator, "path", "x")))
    inside = function("f", PATH, node("r", "ReadFile", "path"))
    yield fail(
        "savedmodel",
        "in-a-function",
        SAVED,
        model(X, node("c", "PartitionedCall", f=call("f")), functions=[inside]),
    )
    second = meta_graph(graph(PATH, node("w", "WriteFile", "path", "path")))
    yield fail("savedmodel", "in-the-second-meta-graph", SAVED, saved_model(meta_graph(graph(X)), second))
    yield fail("metagraph", "write", "model.ckpt.meta", second)
    yield fail(
        "savedmodel",
        "print",
        SAVED,
        model(X, node("p", "PrintV2", "x", output_stream=text("file:///tmp/weighbridge"))),
    )
    yield fail("savedmodel", "save", SAVED, model(PATH, node("s", "SaveV2", "path")))
    yield fail("savedmodel", "custom-shell", SAVED, model(X, node("s", "ShellCommandOp", "x")))
    yield fail(
        "savedmodel",
        "text-form",
        "saved_model.pbtxt",
        b'meta_graphs { graph_def { node { name: "r" op: "ReadFile" } } }',
    )
    itself = function("f", node("c", "PartitionedCall", f=call("f")))
    yield fail("savedmodel", "recursion", SAVED, model(X, functions=[itself]))
    yield fail("savedmodel", "constant-bomb", SAVED, model(number("w", 1, [2**20, 2**20], b"")))
    yield unknown("savedmodel", "own-operator", SAVED, model(X, node("s", "SampleOwnOperator", "x")))


def _around() -> Cases:
    yield fail("savedmodel", "asset", SAVED, model(X, assets=[("../../weighbridge", "x:0")]))
    layer = {
        "class_name": "Lambda",
        "config": {"function": ["4wEAAAAAAAAAAAAAAAEAAAACAAAAQwAAAHMEAAAA", None, None]},
    }
    yield fail("savedmodel", "lambda", "keras_metadata.pb", keras_metadata(layer))
    yield fail(
        "savedmodel", "collection", SAVED, model(X, collection=b"cos\nsystem\n(V" + ECHO.encode() + b"\ntR.")
    )
    yield fail("checkpoint", "state", "checkpoint", b'model_checkpoint_path: "../../weighbridge"\n')
    yield fail("checkpoint", "absolute", "checkpoint", b'model_checkpoint_path: "/tmp/weighbridge/model"\n')
    yield fail("checkpoint", "shape", "w.index", index({"w": entry(1, [2**40, 2**40], 0, 8)}))
    elf = b"\x7fELF\x02\x01\x01".ljust(64, b"\0")
    shard = "w.data-00000-of-00001"
    yield folder(
        "checkpoint", "program", {"w.index": index({"w": entry(4, [64], 0, 64)}), shard: elf}, Expect.FAIL
    )
    yield folder(
        "checkpoint", "short", {"w.index": index({"w": entry(1, [2], 0, 8)}), shard: b"\xfe"}, Expect.FAIL
    )


def _lite() -> Cases:
    for operator in ("FlexPyFunc", "FlexWriteFile", "FlexReadFile", "ExecShell"):
        yield fail("tflite", operator, "model.tflite", lite([operator_code(32, operator)]))
    yield fail("tflite", "tensor-out-of-range", "model.tflite", lite(inputs=[1000]))
    yield fail("tflite", "offset-out-of-file", "model.tflite", b"\xff\xff\xff\x7fTFL3" + bytes(100))
    yield fail("tflite", "shape-overflow", "model.tflite", lite(dims=[2**31 - 1] * 4))
    yield fail(
        "tflite",
        "program",
        "model.tflite",
        lite(data=b"\x7fELF\x02\x01\x01".ljust(64, b"\0"), dims=[64], dtype=3),
    )
    yield fail("tflite", "own-operator", "model.tflite", lite([operator_code(32, "SampleOp")]))
    yield benign("tflite", "plain", "model.tflite", lite())


def _javascript() -> Cases:
    def document(path: str, *nodes: object) -> bytes:
        weights = [{"name": "w", "shape": [2], "dtype": "float32"}]
        manifest = [{"paths": [path], "weights": weights}]
        return json.dumps({"modelTopology": {"node": nodes}, "weightsManifest": manifest}).encode()

    for name, path in {
        "parent": "../../w.bin",
        "absolute": "/etc/passwd",
        "address": "https://example.com/w.bin",
    }.items():
        yield fail("tfjs", name, "model.json", document(path))
    yield fail("tfjs", "write", "model.json", document("w.bin", {"name": "w", "op": "WriteFile"}))
    good = {
        "model.json": document("w.bin", {"name": "x", "op": "Relu"}),
        "w.bin": b"\x9a\x99\x99\x3e\x00\x00\x80\xbf",
    }
    yield folder("tfjs", "plain", good, Expect.PASS)
    yield benign("tfjs", "weights-in-a-script", "w.js", b'module.exports = "mpmZPgAAgL8=";\n')
    yield unknown("tfjs", "script", "w.js", b"module.exports = require('./w').load();\n")


def _real() -> Cases:
    for name in ("plain", "vocabulary", "flow", "tf1/saved"):
        found = {
            path.relative_to(REAL / name).as_posix(): path.read_bytes()
            for path in (REAL / name).rglob("*")
            if path.is_file()
        }
        yield folder("real-tensorflow", name, found, Expect.PASS)
    for name in (
        "pipeline.pb",
        "plain.tflite",
        "flow.tflite",
        "tf1/frozen.pb",
        "tf1/graph.pbtxt",
        "tf1/model.ckpt-3.meta",
        "tf1/checkpoint",
    ):
        yield benign("real-tensorflow", name, name.rpartition("/")[2], (REAL / name).read_bytes())
    for name in ("write.pb", "nested.pb", "python.pb", "printing.pb", "save.pb", "cached.pb", "write.tflite"):
        yield fail("real-tensorflow", name, name, (REAL / name).read_bytes())
