"""Programs whose names all have contracts, and which still call, overwrite or exhaust something: no contract may be used so.

Each was run by the real libraries (pandas 3.1, scipy 1.17, lightgbm 4.7): the first group opened a file for writing or
killed the process, with nothing but names that fitted models contain.
"""

import struct

import pytest

from tests.formats.pickles import ECHO, call, data, dictionary, integer, name, new, pack, system, text
from tests.formats.pickles import proto as start
from tests.scan.samples import scan
from weighbridge.core.evidence import Outcome


def outcome(program: bytes, protocol: int = 4) -> Outcome:
    return scan({"model.pkl": start(protocol) + program + b"."}).files[0].outcome


def rules(program: bytes) -> set[str]:
    return {finding.rule for finding in scan({"model.pkl": start() + program + b"."}).findings}


def state(target: bytes, **attributes: bytes) -> bytes:
    items = [item for key, value in attributes.items() for item in (text(key), value)]
    return target + dictionary(*items) + b"b"


def partial(function: bytes, *args: bytes) -> bytes:
    return call(name("functools", "partial"), function) + pack(function, pack(*args), b"}", b"N") + b"b"


def array(dtype: str, shape: bytes, content: bytes) -> bytes:
    kind = call(name("numpy", "dtype"), text(dtype), b"\x89", b"\x88")
    order = text("|" if dtype.startswith("S") else "<")
    kind += (
        pack(
            b"K\x03",
            order,
            b"N",
            b"N",
            b"N",
            integer(1 if dtype == "S1" else -1),
            integer(1 if dtype == "S1" else -1),
            b"K\x00",
        )
        + b"b"
    )
    made = call(
        name("numpy._core.multiarray", "_reconstruct"), name("numpy", "ndarray"), b"K\x00\x85", data(b"b")
    )
    return made + pack(b"K\x01", shape, kind, b"\x89", data(content)) + b"b"


WRITES = partial(name("numpy", "memmap"), text("sample"), text("u1"), text("w+"), b"K\x00", b"K\x08\x85")
"""Creates or empties a file as soon as anybody calls it."""
RESULT = new(name("scipy.optimize._optimize", "OptimizeResult"))
FRAME = new(name("pandas", "DataFrame"))
COUNT = call(name("itertools", "count"))
NAMESPACE = new(name("types", "SimpleNamespace"))

CALLED = {
    "an item that the loader finds as a method": RESULT + b"(" + text("__setstate__") + WRITES + b"u}b",
    "the same of a function without harm": RESULT + b"(" + text("__setstate__") + name("builtins", "len") + b"u}b",
    "an item that numpy takes for memory": RESULT + b"(" + text("__array_interface__") + dictionary() + b"u",
    "a method that is called when it is collected": state(new(name("lightgbm.basic", "Booster")), _network=b"\x88", free_network=name("builtins", "len")),
    "what overwrites a file, handed on": WRITES,
    "what overwrites a file, as an attribute": state(NAMESPACE, kind=name("numpy", "memmap")),
    "a setter of a frame": state(FRAME, _typ=text("dataframe"), _set_axis=WRITES, columns=b"](" + text("a") + b"e"),
    "an array with a method of its own": new(name("scipy.spatial.transform._rotation", "Rotation")) + pack(state(NAMESPACE, copy=WRITES), b"\x88") + b"b",
    "arguments of an exception without end": state(call(name("builtins", "ValueError")), args=COUNT),
    "a logger of the process": state(call(name("logging", "getLogger")), handlers=b"]"),
    "a class made at load time": call(name("builtins", "type"), text("X"), b")", b"}"),
    "an attribute of the interpreter": call(name("operator", "attrgetter"), text("__class__.__mro__")),
    "memory for nothing": call(name("builtins", "bytearray"), integer(2**31 - 1)),
    "a function that is only ever named": call(name("builtins", "max"), b"](K\x01e"),
    "model text from a file": call(name("lightgbm.basic", "Booster"), b"}", b"N", text("/sample")),
    "an old wrapper of another file": state(new(name("joblib.numpy_pickle", "NDArrayWrapper")), filename=text("../sample.npy"), subclass=name("numpy", "ndarray")),
}  # fmt: skip
UNPROVED = {
    "a setter of a frame, without harm": state(FRAME, _typ=text("dataframe"), columns=b"]"),
    "a seed without end": new(name("random", "Random")) + pack(b"K\x02", COUNT, b"N") + b"b",
    "a dict of something without end": call(name("builtins", "dict"), b"](" + COUNT + b"e"),
    "a key that is only equal to a text": RESULT + b"(" + call(name("numpy._core.multiarray", "scalar"), call(name("numpy", "dtype"), text("S1"), b"\x89", b"\x88"), data(b"x")) + b"K\x01u",
    "an old wrapper of a file beside": state(new(name("joblib.numpy_pickle", "NDArrayWrapper")), filename=text("model_01.npy"), subclass=name("numpy", "ndarray")),
    "a tensor's maker, handed on": partial(name("torch._utils", "_rebuild_tensor_v2"), b"K\x01"),
    "layers without end": state(new(name("torch.nn.modules.rnn", "LSTM")), num_layers=integer(2**31 - 1), bias=b"\x88"),
    "an optimizer over something without end": state(new(name("torch.optim.adam", "Adam")), param_groups=b"](" + dictionary(text("params"), COUNT) + b"e", state=b"}", defaults=b"}"),
}  # fmt: skip
PROVED = {
    "a result": RESULT + b"(" + text("x") + b"K\x01u",
    "an array of a mapped file": call(name("numpy._core.multiarray", "_reconstruct"), name("numpy", "memmap"), b"K\x00\x85", data(b"b")),
    "a model text": state(new(name("lightgbm.basic", "Booster")), _handle=text("tree")),
    "a partial function": partial(name("numpy", "mean"), b"K\x01"),
    "pairs": call(name("collections", "OrderedDict"), b"](" + pack(text("a"), b"K\x01") + b"e"),
}  # fmt: skip


@pytest.mark.parametrize("title", CALLED)
def test_a_name_with_a_contract_is_no_way_to_harm(title: str) -> None:
    assert outcome(CALLED[title]) == Outcome.FAIL


@pytest.mark.parametrize("title", UNPROVED)
def test_what_may_be_harmless_stays_unknown(title: str) -> None:
    assert outcome(UNPROVED[title]) == Outcome.UNKNOWN


@pytest.mark.parametrize("title", PROVED)
def test_what_fitted_models_hold_passes(title: str) -> None:
    assert outcome(PROVED[title]) == Outcome.PASS


# ---- numbers that native code believes


def nodes(less: int, greater: int, end: int = 4) -> bytes:
    """Three nodes of a k-d tree of four points: a root and two leaves."""
    root = struct.pack("<qqdqqqqqq", 0, 4, 0.5, 0, end, 0, 0, less, greater)
    leaf = struct.pack("<qqdqqqqqq", -1, 2, 0.0, 0, 2, 0, 0, -1, -1)
    return root + leaf + leaf


def tree(content: bytes) -> bytes:
    points = array("f8", pack(b"K\x04", b"K\x01"), bytes(32))
    order = array("i8", b"K\x04\x85", struct.pack("<4q", 0, 1, 2, 3))
    table = array("S1", pack(integer(len(content))), content)
    ends = array("f8", b"K\x01\x85", bytes(8))
    parts = (table, points, b"K\x04", b"K\x01", b"K\x02", ends, ends, order, b"N", b"N")
    return new(name("scipy.spatial._ckdtree", "cKDTree")) + pack(*parts) + b"b"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (nodes(1, 2), Outcome.PASS),
        (nodes(10**9, 2), Outcome.FAIL),
        (nodes(1, -5), Outcome.FAIL),
        (nodes(0, 2), Outcome.FAIL),
        (nodes(1, 2, end=5), Outcome.FAIL),
        (nodes(1, 2)[:-1], Outcome.UNKNOWN),
    ],
)
def test_nodes_of_a_search_tree_are_linked_inside_their_table(content: bytes, expected: Outcome) -> None:
    assert outcome(tree(content)) == expected


def manager(first: int, end: int) -> bytes:
    axis = call(
        name("pandas.core.indexes.base", "_new_Index"),
        name("pandas", "RangeIndex"),
        dictionary(
            text("name"), b"N", text("start"), b"K\x00", text("stop"), b"K\x01", text("step"), b"K\x01"
        ),
    )
    places = call(name("builtins", "slice"), integer(first), integer(end), b"K\x01")
    values = array("f8", pack(b"K\x01", b"K\x01"), bytes(8))
    block = dictionary(text("values"), values, text("mgr_locs"), places)
    axes = b"](" + axis + axis + b"e"
    newer = dictionary(text("0.14.1"), dictionary(text("axes"), axes, text("blocks"), b"](" + block + b"e"))
    made = new(name("pandas.core.internals.managers", "BlockManager"))
    return made + pack(axes, b"]", b"]", newer) + b"b"


@pytest.mark.parametrize(
    ("first", "end", "expected"),
    [(0, 1, Outcome.PASS), (10**9, 10**9 + 1, Outcome.FAIL), (0, 2, Outcome.FAIL), (-1, 0, Outcome.FAIL)],
)
def test_blocks_of_a_table_stand_on_its_axis(first: int, end: int, expected: Outcome) -> None:
    assert outcome(manager(first, end)) == expected


def arrow(count: int, offsets: tuple[int, ...], content: bytes, kind: str = "large_string") -> bytes:
    def buffer(held: bytes) -> bytes:
        return call(name("pyarrow.lib", "py_buffer"), call(name("builtins", "bytearray"), data(held)))

    table = struct.pack(f"<{len(offsets)}q", *offsets)
    made = call(name("pyarrow.lib", "type_for_alias"), text(kind))
    buffers = b"](N" + buffer(table) + buffer(content) + b"e"
    parts = pack(made, integer(count), b"K\x00", b"K\x00", buffers, b"]", b"N")
    restored = call(name("pyarrow.lib", "_restore_array"), parts)
    return state(new(name("pandas.arrays", "ArrowStringArray")), _pa_array=restored, _cache=b"}")


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (arrow(2, (0, 1, 2), b"ab"), Outcome.PASS),
        (arrow(2, (0, 1, 3), b"ab"), Outcome.UNKNOWN),
        (arrow(3, (0, 1, 2), b"ab"), Outcome.UNKNOWN),
        (arrow(2, (0, 2, 1), b"ab"), Outcome.UNKNOWN),
        (arrow(2, (0, 1, 2), b"ab", "list"), Outcome.UNKNOWN),
    ],
)
def test_texts_of_arrow_lie_inside_their_buffers(program: bytes, expected: Outcome) -> None:
    assert outcome(program) == expected


def test_a_nested_argument_of_an_index_is_no_way_to_crash() -> None:
    deep = b"]" * 3000 + b"a" * 2999
    index = call(
        name("pandas.core.indexes.base", "_new_Index"),
        name("pandas", "Index"),
        dictionary(text("data"), deep),
    )
    result = scan({"model.pkl": start() + index + b"."})
    assert [item.code for item in result.unread] == []
    assert result.files[0].outcome == Outcome.UNKNOWN


# ---- a shelf, and TorchScript's own names


def shelf(*records: bytes) -> bytes:
    """As `dbm.dumb` lays them out: each in blocks of its own."""
    return (
        b"".join(record.ljust(-(-len(record) // 512) * 512, b"\0") for record in records[:-1]) + records[-1]
    )


HARMLESS = start() + b"}."


def test_every_record_of_a_shelf_is_judged() -> None:
    assert scan({"x.dat": shelf(HARMLESS, HARMLESS, HARMLESS)}).files[0].outcome == Outcome.PASS
    bad = scan({"x.dat": shelf(HARMLESS, HARMLESS, start() + system(ECHO) + b".")})
    assert bad.files[0].outcome == Outcome.FAIL
    assert {finding.rule for finding in bad.findings} == {"pickle-unsafe-call"}


def test_what_is_set_on_an_object_is_named() -> None:
    assert rules(CALLED["the same of a function without harm"]) >= {"pickle-state-set"}
    assert rules(tree(nodes(10**9, 2))) == {"pickle-state-set"}
