"""The contracts as data, and what lies just inside and just outside of them."""

import re
from pathlib import Path

import pytest

from tests.formats.pickles import call, data, dictionary, integer, name, new, pack, proto, stack_name, text
from weighbridge.core.artifact import Member
from weighbridge.core.budget import Budget
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.formats.pickle import run
from weighbridge.scan.contracts import Judged, Level, compiled, harm, judge, shapes
from weighbridge.scan.contracts.book import files, find, find_named, page
from weighbridge.scan.engine import Scanner
from weighbridge.scan.rules import (
    pickle_carries_code,
    pickle_state_set,
    pickle_unproved_call,
    pickle_unsafe_call,
)

SAMPLES = Path(__file__).parents[1] / "formats" / "data" / "pickle"
ALL = {contract.name: contract for file in files() for contract in page(file).values()}


def proved(program: bytes, protocol: int = 4) -> bool:
    found = run(proto(protocol) + program + b".", Budget())
    assert found.broken is None, found.broken
    return judge(found).proved


def level(program: bytes) -> Level | None:
    items = judge(run(proto() + program + b".", Budget())).items
    return max((item.level for item in items), key=lambda found: found is Level.HARMFUL, default=None)


# ---- the data


def test_every_contract_has_a_reason_and_an_exact_name() -> None:
    assert len(ALL) > 1000
    for contract in ALL.values():
        assert re.fullmatch(r"[\w.]+:[\w.]+", contract.name), contract.name
        assert len(contract.why) > 5
        assert set(contract.items) <= {"list", "dict", "set", "members"}
        assert set(contract.checks) <= set(shapes.CHECKS)


def test_every_shape_is_known_and_names_in_shapes_have_contracts() -> None:
    for contract in ALL.values():
        words = [word for signature in (*contract.call, *contract.new) for word in signature] + list(
            contract.state
        )
        for word in words:
            shapes._words(word.removesuffix("...").removesuffix("?"))
            for part in word.removesuffix("...").removesuffix("?").split("|"):
                if part.startswith("="):
                    assert find_named(part[1:]) is not None, (contract.name, part)


def test_every_contract_is_found_by_its_own_name() -> None:
    for contract in ALL.values():
        module, _, qualname = contract.name.partition(":")
        assert find(module, qualname) == contract


def test_no_contract_lets_a_harmful_function_be_called() -> None:
    allowed = {
        "builtins:getattr",
        "torch.storage:_load_from_bytes",
        "socket:AddressFamily",
        "socket:SocketKind",
        "ssl:TLSVersion",
        "array:array",
        "dill._dill:_load_type",
        "dill._dill:_create_array",
        "dill._dill:_eval_repr",
        "lightgbm.basic:Booster",
        "numpy:vectorize",
        "numpy.lib.function_base:vectorize",
        "numpy.lib._function_base_impl:vectorize",
        "types:MethodType",
    }
    listed = {c.name for c in ALL.values() if (c.call or c.new) and harm.harm_of(c.name.replace(":", "."))}
    assert listed <= allowed | {
        c for c in listed if c.startswith(("transformers.", "accelerate.", "xgboost.", "sklearn.datasets."))
    }


def test_unknown_names_have_none() -> None:
    assert find("os", "system") is None
    assert find(None, None) is None
    assert find("numpy", "ndarray.__class__") is None
    assert find("sklearn.linear_model._logistic", "LogisticRegression.fit") is None


# ---- benign files


@pytest.mark.parametrize(
    "path", sorted(p for p in SAMPLES.iterdir() if p.suffix != ".py"), ids=lambda path: path.name
)
def test_ordinary_files_pass(path: Path) -> None:
    content = path.read_bytes()
    found = Scanner().examine(Member(path.name, len(content)), MemorySource(content))
    assert found.result.outcome is Outcome.PASS, (found.findings, found.unread)


# ---- inside and outside

FLOATS = (
    call(name("numpy", "dtype"), text("f8"), b"\x89", b"\x88")
    + b"(K\x03"
    + text("<")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)
OBJECTS = (
    call(name("numpy", "dtype"), text("O8"), b"\x89", b"\x88")
    + b"(K\x03"
    + text("|")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb"
)
EMPTY = call(
    name("numpy._core.multiarray", "_reconstruct"), name("numpy", "ndarray"), b"K\x00\x85", text("b")
)
HOOKS = call(name("collections", "OrderedDict"))


def array(dtype: bytes, content: bytes, count: int = 1) -> bytes:
    return EMPTY + pack(b"K\x01", integer(count) + b"\x85", dtype, b"\x89", content) + b"b"


def storage(kind: bytes = name("torch", "FloatStorage"), elements: int = 6) -> bytes:
    return pack(text("storage"), kind, text("0"), text("cpu"), integer(elements)) + b"Q"


def view(stored: bytes, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    shape, steps = (pack(*(integer(n) for n in numbers)) for numbers in (size, stride))
    return call(
        name("torch._utils", "_rebuild_tensor_v2"), stored, integer(offset), shape, steps, b"\x89", HOOKS
    )


CLASSIC = name("sklearn.linear_model._logistic", "LogisticRegression")

INSIDE = {
    "ordered dict": call(name("collections", "OrderedDict")) + b"(" + text("a") + b"K\x01u",
    "defaultdict": call(name("collections", "defaultdict"), name("builtins", "list")),
    "counter": call(name("collections", "Counter"), dictionary(text("a"), b"K\x01")),
    "set": call(name("builtins", "set"), b"](K\x01K\x02e"),
    "bytes of text": call(name("_codecs", "encode"), text("a\xe9"), text("latin1")),
    "type of none": call(name("builtins", "type"), b"N"),
    "array of numbers": array(FLOATS, data(bytes(8))),
    "array of objects": array(OBJECTS, b"](Ne"),
    "scalar": call(name("numpy._core.multiarray", "scalar"), FLOATS, data(bytes(8))),
    "from a buffer": call(name("numpy._core.numeric", "_frombuffer"), data(bytes(8)), FLOATS, b"K\x01\x85", text("C")),
    "estimator": new(CLASSIC) + dictionary(text("C"), b"K\x01", text("coef_"), array(FLOATS, data(bytes(8)))) + b"b",
    "estimator, protocol 1": call(name("copyreg", "_reconstructor"), CLASSIC, name("builtins", "object"), b"N") + dictionary(text("C"), b"K\x01") + b"b",
    "tensor": view(storage(), 0, (2, 3), (3, 1)),
    "transposed tensor": view(storage(), 0, (3, 2), (1, 3)),
    "expanded tensor": view(storage(), 5, (1000,), (0,)),
    "empty tensor": view(storage(elements=0), 0, (0, 5), (5, 1)),
    "parameter": call(name("torch._utils", "_rebuild_parameter"), view(storage(), 0, (6,), (1,)), b"\x88", HOOKS),
    "tensor over bytes": call(name("torch._utils", "_rebuild_tensor_v3"), storage(name("torch", "UntypedStorage"), 24), b"K\x00", b"K\x06\x85", b"K\x01\x85", b"\x89", HOOKS, name("torch", "float32")),
    "tensor of a type": call(name("torch._tensor", "_rebuild_from_type_v2"), name("torch._utils", "_rebuild_tensor_v2"), name("torch.nn.parameter", "Parameter"), pack(storage(), b"K\x00", b"K\x06\x85", b"K\x01\x85", b"\x89", HOOKS), b"}"),
    "module": new(name("torch.nn.modules.linear", "Linear")) + dictionary(text("training"), b"\x88", text("_parameters"), HOOKS) + b"b",
    "size and device": call(name("torch", "Size"), b"K\x02K\x03\x86") + call(name("torch", "device"), text("cpu")) + b"\x86",
    "namespace": new(name("argparse", "Namespace")) + dictionary(text("epochs"), b"K\x03") + b"b",
    "enumeration": call(name("builtins", "getattr"), name("http", "HTTPStatus"), text("OK")),
    "distribution": new(name("scipy.stats._continuous_distns", "norm_gen")) + dictionary(text("a"), b"K\x01") + b"b",
}  # fmt: skip

OUTSIDE = {
    "factory with arguments": call(name("collections", "defaultdict"), name("numpy", "memmap")),
    "allocation": call(name("builtins", "bytearray"), b"J\xff\xff\xff\x7f"),
    "another codec": call(name("_codecs", "encode"), text("x"), text("zlib")),
    "class by type": call(name("builtins", "type"), text("X"), b")", b"}"),
    "object's text": call(name("builtins", "str"), new(name("argparse", "Namespace"))),
    "objects from bytes": array(OBJECTS, data(bytes(8))),
    "fewer objects than the shape": array(OBJECTS, b"](Ne", 2),
    "objects added afterwards": array(OBJECTS, b"]q\x07") + b"h\x07Na\x86",
    "array filled twice": array(FLOATS, data(bytes(8))) + pack(b"K\x01", b"K\x01\x85", FLOATS, b"\x89", data(bytes(8))) + b"b",
    "array made large at once": call(name("numpy._core.multiarray", "_reconstruct"), name("numpy", "ndarray"), b"J\xff\xff\xff\x7f\x85", text("b")),
    "array of no array class": call(name("numpy._core.multiarray", "_reconstruct"), name("builtins", "dict"), b"K\x00\x85", text("b")),
    "scalar of objects": call(name("numpy._core.multiarray", "scalar"), OBJECTS, data(bytes(8))),
    "scalar that is too short": call(name("numpy._core.multiarray", "scalar"), FLOATS, data(bytes(4))),
    "buffer of objects": call(name("numpy._core.numeric", "_frombuffer"), data(bytes(8)), OBJECTS, b"K\x01\x85", text("C")),
    "dtype changed after use": FLOATS[:-1].replace(b"(K\x03", b"q\x09(K\x03", 1) + b"b" + b"0" + EMPTY + pack(b"K\x01", b"K\x01\x85", b"h\x09", b"\x89", data(bytes(8))) + b"b" + b"h\x09" + pack(b"K\x03", text("<"), *[b"N"] * 3, integer(-1), integer(-1), b"K\x00") + b"b\x86",
    "estimator called": call(CLASSIC),
    "estimator with arguments": new(CLASSIC, b"K\x01"),
    "dunder attribute": new(CLASSIC) + dictionary(text("__setstate__"), name("builtins", "len")) + b"b",
    "state is no dict": new(CLASSIC) + b"](K\x01eb",
    "items on an estimator": new(CLASSIC) + b"K\x01a",
    "method replaced": new(name("sklearn.isotonic", "IsotonicRegression")) + dictionary(text("_build_f"), name("builtins", "len")) + b"b",
    "reader replaced": new(name("joblib.numpy_pickle", "NumpyArrayWrapper")) + dictionary(text("read"), name("builtins", "len")) + b"b",
    "model text with a method": new(name("lightgbm.basic", "Booster")) + dictionary(text("_handle"), new(name("argparse", "Namespace"))) + b"b",
    "tree with more outputs than classes": call(name("sklearn.tree._tree", "Tree"), b"K\x02", array(FLOATS, data(bytes(8))), b"K\x05"),
    "tensor outside": view(storage(), 1, (2, 3), (3, 1)),
    "tensor with hooks": call(name("torch._utils", "_rebuild_tensor_v2"), storage(), b"K\x00", b"K\x06\x85", b"K\x01\x85", b"\x89", HOOKS + b"(" + text("a") + name("builtins", "len") + b"u"),
    "tensor over nothing": view(b"N", 0, (1,), (1,)),
    "tensor over another id": view(text("x") + b"Q", 0, (1,), (1,)),
    "tensor over too few bytes": call(name("torch._utils", "_rebuild_tensor_v3"), storage(name("torch", "UntypedStorage"), 23), b"K\x00", b"K\x06\x85", b"K\x01\x85", b"\x89", HOOKS, name("torch", "float32")),
    "type with another function": call(name("torch._tensor", "_rebuild_from_type_v2"), name("torch", "device"), name("torch", "Tensor"), pack(b"K\x00"), b"}"),
    "getattr of a function": call(name("builtins", "getattr"), name("builtins", "len"), text("__self__")),
    "loader handed on": call(name("functools", "partial"), name("torch.storage", "_load_from_bytes")),
    "getattr handed on": call(name("functools", "partial"), name("builtins", "getattr")),
    "method by name": call(name("operator", "methodcaller"), text("to_csv"), text("x")),
    "keyword arguments": CLASSIC + b")" + dictionary(text("C"), b"K\x01") + b"\x92",
    "arguments in a list": name("collections", "OrderedDict") + b"]R",
    "distribution with a method": new(name("scipy.stats._continuous_distns", "norm_gen")) + dictionary(text("_attach_methods"), name("builtins", "len")) + b"b",
    "a private member": call(name("builtins", "getattr"), name("http", "HTTPStatus"), text("_missing_")),
    "storage of another type": view(storage(name("builtins", "dict")), 0, (1,), (1,)),
}  # fmt: skip


@pytest.mark.parametrize("case", INSIDE)
def test_inside(case: str) -> None:
    assert proved(INSIDE[case])


@pytest.mark.parametrize("case", OUTSIDE)
def test_outside(case: str) -> None:
    program = run(proto() + OUTSIDE[case] + b".", Budget())
    assert not judge(program).proved


def test_a_name_from_an_object_that_is_no_text_ends_the_program() -> None:
    """Every loader breaks there, so that what follows is not held against the file, and the file does not pass."""
    program = run(
        proto()
        + new(name("argparse", "Namespace"))
        + text("x")
        + b"\x93"
        + call(name("os", "system"), text("x"))
        + b".",
        Budget(),
    )
    found = judge(program)
    assert found.ends_at is not None
    assert not found.proved
    assert found.items == ()


def test_equal_items_stand_once_with_their_count() -> None:
    (item,) = judge(run(proto() + b"(" + (stack_name("m", "f") + b")R") * 5 + b"t.", Budget())).items
    assert (item.name, item.times, item.level) == ("m.f", 5, Level.UNPROVED)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("os.system", "runs a shell command"), ("posix.system", "runs a shell command"), ("shutil.os.system", "runs a shell command"), ("torch._utils.os.system", "runs a shell command"),
        ("subprocess.Popen", "starts a process"), ("builtins.eval", "runs Python code"), ("socket.socket", "opens a network connection"), ("pickle.loads", "loads another pickle or model without any check"),
        ("ctypes.CDLL", "loads native code or reaches raw memory"), ("builtins.open", "reads or writes files"), ("x.y.__globals__", "reaches into the interpreter's own attributes"),
        ("mymodel.net.Net", ""), ("transformers.models.bert.BertModel", ""), ("mymodel.system", ""),
    ],
)  # fmt: skip
def test_harm_is_named(path: str, expected: str) -> None:
    assert harm.harm_of(path) == expected


def test_resolving_names_ends() -> None:
    deep = name("os", "system")
    for _ in range(200):
        deep = call(name("functools", "partial"), deep)
    assert level(call(deep)) is not None


def test_the_compiled_files_are_those_that_are_reviewed() -> None:
    for file in compiled.NAMES:
        path = compiled.HERE / "compiled" / f"{file}.json"
        assert path.read_bytes() == compiled.compiled(file), "run python -m weighbridge.scan.contracts"


def test_every_kind_of_judgement_belongs_to_exactly_one_rule() -> None:
    """Nothing that is judged may fall between the rules."""
    rules = (pickle_unsafe_call, pickle_unproved_call, pickle_carries_code, pickle_state_set)
    for level in Level:
        for kind in ("call", "lookup", "state", "persistent", "extension", "buffer", "code"):
            item = Judged(level=level, what=None, name="x", does="y", kind=kind)  # type: ignore[arg-type]
            assert sum(rule._wanted(item) for rule in rules) == 1, (level, kind)
