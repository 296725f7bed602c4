"""The symbolic machine: opcodes, values, marks, names, state, and what the program says of them."""

import pickle
from collections import OrderedDict

import pytest

from tests.formats import pickles as p
from weighbridge.core.budget import Budget
from weighbridge.core.source import MemorySource
from weighbridge.formats.pickle import (
    Blob,
    Buffer,
    Call,
    Dict,
    Extension,
    FrozenSet,
    Global,
    List,
    Persistent,
    PickleProgram,
    Set,
    described,
    pairs_of,
    run,
    walk,
)
from weighbridge.formats.pickle.opcodes import OPCODES


def machine(data: bytes) -> PickleProgram:
    return run(data, Budget())


def value(data: bytes) -> object:
    found = machine(data)
    assert found.broken is None
    return found.value


def why(data: bytes) -> str:
    found = machine(data)
    assert found.broken is not None
    return found.broken.why


def notes(data: bytes) -> list[str]:
    return [anomaly.code for anomaly in machine(data).anomalies]


def test_all_68_opcodes_have_the_names_that_pickle_gives_them() -> None:
    assert len(OPCODES) == 68
    theirs = {
        name: getattr(pickle, name)
        for name in dir(pickle)
        if name.isupper() and isinstance(getattr(pickle, name), bytes)
    }
    assert {name: code for code, name, _ in OPCODES} == {
        n: c for n, c in theirs.items() if n not in ("TRUE", "FALSE")
    }


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"N.", None), (b"\x88.", True), (b"\x89.", False), (b"I01\n.", True), (b"I00\n.", False), (b"I42\n.", 42), (b"I-42\n.", -42),
        (b"I0x1f\n.", 31), (b"L123456789012345678901L\n.", 123456789012345678901), (b"J\xff\xff\xff\xff.", -1), (b"K\xff.", 255), (b"M\x01\x02.", 513),
        (b"\x8a\x02\xff\x7f.", 32767), (b"\x8a\0.", 0), (b"\x8b\x01\0\0\0\x80.", -128), (b"F1.5\n.", 1.5), (b"G?\xf8\0\0\0\0\0\0.", 1.5),
        (b"S'a\\x62'\n.", "ab"), (b"U\x02ab.", "ab"), (b"T\x02\0\0\0ab.", "ab"), (b"Va\\u00e9\n.", "aé"), (p.text("é") + b".", "é"), (p.short("s") + b".", "s"),
        (b"\x8d\x01" + bytes(7) + b"x.", "x"), (b"C\x01x.", b"x"), (p.data(b"xy") + b".", b"xy"), (b"\x8e\x01" + bytes(7) + b"x.", b"x"),
        (b").", ()), (b"N\x85.", (None,)), (b"NN\x86.", (None, None)), (b"NNN\x87.", (None, None, None)), (b"(NNNNt.", (None,) * 4), (b"N2\x86.", (None, None)),
        (b"NN0.", None), (b"N(NN1.", None), (b"N(0.", None), (b"Nq\x07\x88h\x07\x86.", (True, None)), (b"N\x94\x88\x94h\0h\x01\x86\x86.", (True, (None, True))),
        (b"Np3\n0g3\n.", None), (b"Nr\x05\0\0\0" + b"0j\x05\0\0\0.", None), (b"\x80\x04N.", None), (b"\x80\x04" + p.frame(b"N.") , None),
    ],
)  # fmt: skip
def test_constants_tuples_stack_and_memo(data: bytes, expected: object) -> None:
    found = value(data)
    assert found == expected
    assert type(found) is type(expected)


def test_containers_keep_what_is_put_in() -> None:
    for data in (b"](K\x01K\x02e.", b"(K\x01K\x02l.", b"]K\x01aK\x02a."):
        found = value(data)
        assert type(found) is List
        assert list(found) == [1, 2]
    for data in (b"}(K\x01K\x02u.", b"(K\x01K\x02d.", b"}K\x01K\x02s."):
        found = value(data)
        assert type(found) is Dict
        assert list(found.pairs()) == [(1, 2)]
    assert [*value(b"\x8f(K\x01K\x02\x90.")] == [1, 2]  # type: ignore[misc]
    assert type(value(b"\x8f.")) is Set
    assert type(value(b"(K\x01\x91.")) is FrozenSet


def test_shared_nodes_stay_shared_and_cycles_do_no_harm() -> None:
    found = value(b"]q\0h\0a.")
    assert isinstance(found, List)
    assert found[0] is found
    assert found == found
    assert len(list(walk(found))) == 1
    assert described(found) == "[[[…]]]"


def test_names_calls_and_state_in_order() -> None:
    found = machine(
        p.proto()
        + p.call(p.stack_name("m", "f"), b"K\x01")
        + b"}b"
        + p.new(p.name("m", "C"))
        + b"K\x02a\x86."
    )
    assert [(g.module, g.qualname) for g in found.globals] == [("m", "f"), ("m", "C")]
    function, made = found.calls
    assert (function.how, function.args, made.how, made.args) == ("REDUCE", (1,), "NEWOBJ", ())
    assert [(c.how, c.target) for c in found.changes] == [("BUILD", function), ("APPEND", made)]
    assert isinstance(function.state(), Dict)
    assert found.value == (function, made)
    indexes = [function.index, found.changes[0].index, made.index, found.changes[1].index]
    assert indexes == sorted(indexes)


@pytest.mark.parametrize(
    ("data", "how", "args"),
    [
        (b"(K\x01im\nC\n.", "INST", (1,)),
        (b"(" + p.name("m", "C") + b"K\x01o.", "OBJ", (1,)),
        (p.name("m", "C") + b")}\x92.", "NEWOBJ_EX", ()),
        (p.name("m", "C") + b")\x81.", "NEWOBJ", ()),
        (p.name("m", "C") + b")R.", "REDUCE", ()),
    ],
)
def test_every_way_to_call(data: bytes, how: str, args: tuple[int, ...]) -> None:
    (found,) = machine(data).calls
    assert (found.how, found.args) == (how, args)
    assert isinstance(found.callable, Global)
    assert found.callable.name == "m.C"


def test_python_2_names_are_renamed_as_loaders_do_below_protocol_3() -> None:
    assert [g.name for g in machine(p.name("__builtin__", "eval") + b".").globals] == ["builtins.eval"]
    assert [g.name for g in machine(p.name("commands", "getoutput") + b".").globals] == [
        "subprocess.getoutput"
    ]
    assert [g.name for g in machine(b"\x80\x03" + p.name("__builtin__", "eval") + b".").globals] == [
        "__builtin__.eval"
    ]
    assert [g.name for g in machine(b"\x80\x04\x80\x00" + p.name("__builtin__", "eval") + b".").globals] == [
        "builtins.eval"
    ]


def test_outside_objects_are_nodes() -> None:
    assert isinstance(value(p.text("x") + b"Q."), Persistent)
    assert isinstance(value(b"Pabc\n."), Persistent)
    assert isinstance(value(b"\x82\x05."), Extension)
    assert isinstance(value(b"\x97\x98."), Buffer)
    found = value(b"\x96\x03" + bytes(7) + b"abc.")
    assert isinstance(found, Blob)
    assert (found.read(), found.mutable) == (b"abc", True)


def test_extension_codes_that_the_stream_registers() -> None:
    registered = p.call(p.name("copyreg", "add_extension"), p.text("m"), p.text("f"), b"K\x07")
    assert [g.name for g in machine(registered + b"0\x82\x07.").globals] == ["copyreg.add_extension", "m.f"]
    filled = p.name("copyreg", "_extension_cache") + b"K\x07" + p.name("m", "g") + b"s0\x82\x07."
    found = value(filled)
    assert isinstance(found, Global)
    assert found.name == "m.g"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (p.call(p.name("_codecs", "encode"), p.text("\xe9\x01"), p.text("latin1")), b"\xe9\x01"),
        (p.call(p.name("_codecs", "encode"), p.text("flfgrz"), p.text("rot13")), "system"),
        (p.call(p.name("_codecs", "decode"), p.data(b"73797374656d"), p.text("hex")), b"system"),
        (p.call(p.name("__builtin__", "str"), p.data(b"abc"), p.text("ascii")), "abc"),
        (p.call(p.name("operator", "add"), p.text("a"), p.text("b")), "ab"),
        (p.call(p.name("base64", "b64decode"), p.text("c3lzdGVt")), b"system"),
        (p.call(p.name("__builtin__", "chr"), b"K\x61"), "a"),
        (
            p.call(p.name("builtins", "str.join"), p.text("-"), b"](" + p.text("a") + p.text("b") + b"e"),
            "a-b",
        ),
        (p.call(p.name("builtins", "str.upper"), p.text("ab")), "AB"),
    ],
)
def test_constant_calls_are_folded_and_still_recorded(made: bytes, expected: object) -> None:
    found = machine(made + b".")
    assert found.value == expected
    assert len(found.calls) == 1


@pytest.mark.parametrize(
    "made",
    [
        p.call(p.name("_codecs", "encode"), p.text("x"), p.text("zlib")),
        p.call(p.name("_codecs", "decode"), p.data(b"x"), p.text("utf-8"), p.text("own-handler")),
        p.call(p.name("builtins", "bytes"), b"J\xff\xff\xff\x7f"),
        p.call(p.name("operator", "add"), p.text("a"), b"K\x01"),
        p.call(p.name("random", "choice"), b"]"),
    ],
)
def test_other_calls_are_not_followed(made: bytes) -> None:
    assert isinstance(machine(made + b".").value, Call)


def test_a_name_that_is_computed_beyond_following_is_no_name() -> None:
    computed = p.call(p.name("random", "choice"), b"]")
    found = value(p.proto() + computed + p.text("system") + b"\x93.")
    assert isinstance(found, Global)
    assert (found.module, found.qualname, found.name) == (None, None, "?")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "the stream ends before STOP"), (b"N", "the stream ends before STOP"), (b"K", "the stream ends before STOP"), (b"X\xff\0\0\0abc.", "the stream ends before STOP"),
        (b".", "there is nothing to return"), (b"(.", "there is nothing to return"), (b"\xff", "0xff is no opcode"), (b"R", "the stream ends before STOP"), (b"RN.", "the stack is empty, or there is no mark"),
        (b"t.", "there is no mark"), (b"h\x05.", "memo entry 5 was never stored"), (b"\x80\x06N.", "protocol 6 is unknown"), (b"NNR.", "a nonetype cannot be called"), (b"}NR.", "a dict cannot be called"),
        (b"](NNNd.", "an odd number of items for a dict"), (b"}]Ns.", "a list is no key"), (b"}}Ns.", "a dict is no key"), (b"}]\x85Ns.", "a list is no key"), (b"NNa.", "items are appended to a nonetype"),
        (b"](K\x01K\x02db.", "state is set on a list"), (b"\x84\xff\xff\xff\xff.", "an extension code is not positive"), (b"Sx\n.", "a string is not quoted"),
        (b"Ix\n.", "a number cannot be read"), (b"X\x01\0\0\0\xff.", "text is not valid in its encoding"), (b"\x8b\xff\xff\xff\xff.", "a number has a negative length"), (b"NN\x93.", "a name is no text"),
        (b"p-1\n.", "the stack is empty, or there is no mark"), (b"Np-1\n.", "a memo index cannot be read"),
    ],
)  # fmt: skip
def test_breaks(data: bytes, expected: str) -> None:
    assert why(data) == expected


def test_what_was_called_before_a_break_is_kept() -> None:
    found = machine(p.system() + b"\xff")
    assert found.broken is not None
    assert found.broken.offset == len(p.system())
    assert [call.callable.name for call in found.calls if isinstance(call.callable, Global)] == [
        "posix.system"
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (p.proto() + p.frame(b"N.", 500), ["frame-too-long", "frame-past-stop"]),
        (p.proto() + p.frame(p.frame(b"N."), 11), ["frame-in-frame"]),
        (p.proto() + p.frame(p.text("abcdef"), 8) + b".", ["frame-crossed"]),
        (p.name("m", "f") + b"]R.", ["arguments-not-a-tuple"]),
        (p.name("m", "f") + b")" + p.name("m", "g") + b"\x92.", ["keywords-computed"]),
        (b"I010\n.", ["number-differs"]),
        (b"I1\0junk\n.", ["number-differs"]),
        (b"F1_0.5\n.", ["number-odd"]),
        (b"I" + b"9" * 5000 + b"\n.", ["number-too-long"]),
        (b"im\nC\n.", ["inst-without-mark"]),
        (b"cm\n\n.", ["name-missing"]),
        (b"]}b.", ["empty-state"]),
        (b"U\x01\xff.", ["python2-string"]),
        (b"Nr\xff\xff\xff\x7f.", ["memo-index"]),
        (p.call(p.name("m", "f")) + b"(e.", ["nothing-added"]),
        (p.call(p.name("m", "f")) + b"(NNNu.", ["odd-items"]),
    ],
)
def test_where_loaders_differ(data: bytes, expected: list[str]) -> None:
    assert notes(data) == expected


def test_offsets_are_absolute_and_several_pickles_follow_each_other() -> None:
    data = b"junk" + p.system() + b"." + b"K\x01."
    first = run(data, Budget(), offset=4)
    assert (first.start, first.end) == (4, 4 + len(p.system()) + 1)
    assert first.calls[0].offset == 4 + len(p.system()) - 1
    second = run(data, Budget(), offset=first.end)
    assert (second.value, second.end) == (1, len(data))


def test_pairs_of_dicts_and_ordered_dicts() -> None:
    assert pairs_of(value(pickle.dumps({"a": 1}, 2))) == (("a", 1),)
    assert pairs_of(value(pickle.dumps(OrderedDict(a=1, b=2), 2))) == (("a", 1), ("b", 2))
    assert pairs_of(
        value(p.call(p.name("collections", "OrderedDict"), b"]" + b"](" + p.text("a") + b"K\x01ea") + b".")
    ) == (("a", 1),)
    assert pairs_of(None) == ()


def test_the_window_moves_over_long_streams() -> None:
    data = pickle.dumps([b"x" * 70_000 for _ in range(20)] + ["é" * 400_000] + list(range(300_000)), 4)
    found = machine(data)
    assert found.broken is None
    assert found.end == len(data)
    assert isinstance(found.value, List)
    assert found.value[19] == b"x" * 70_000
    assert found.value[20] == "é" * 400_000
    assert list(found.value[21:]) == list(range(300_000))


def test_long_byte_strings_are_left_in_the_source() -> None:
    class Counting(MemorySource):
        read_bytes = 0

        def read(self, offset: int, length: int) -> bytes:
            data = super().read(offset, length)
            Counting.read_bytes += len(data)
            return data

    content = pickle.dumps({"weights": bytes(40_000_000), "after": 1}, 4)
    found = run(Counting(content), Budget())
    assert isinstance(found.value, Dict)
    blob = dict(found.value.pairs())["weights"]
    assert isinstance(blob, Blob)
    assert blob.size == 40_000_000
    assert dict(found.value.pairs())["after"] == 1
    assert Counting.read_bytes < 2_000_000


def test_described_is_short_and_never_deep() -> None:
    assert described(("a", 1, None)) == "('a', 1, None)"
    assert described(("curl " + "x" * 500,)) == "('curl " + "x" * 52 + "…"
    assert described(machine(b"N" + b"\x85" * 100_000 + b".").value) == "(((…),),)"
    assert described(1 << 5000) == "int of 5001 bits"
