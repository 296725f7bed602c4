"""The machine against CPython: what either unpickler looks up, calls or sets, the machine has predicted, in order.

The law: each loader's events are a prefix of the machine's, which goes on as long as either would. Where the machine
saw no disagreement (no anomaly, no outside object) both loaders do exactly what it says and end where it ends.
"""

import io
import json
import pickle
import pickletools
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats import pickles as p
from weighbridge.core.budget import Budget
from weighbridge.formats.pickle import (
    Blob,
    Call,
    Dict,
    Extension,
    FrozenSet,
    Global,
    List,
    PickleProgram,
    Set,
    run,
)

Event = tuple[object, ...]


class Oracle:
    """The child process that really unpickles, inertly."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__).with_name("pickle_oracle.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, program: bytes) -> dict[str, dict[str, object]]:
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(program.hex() + "\n")
        self._child.stdin.flush()
        answer: dict[str, dict[str, object]] = json.loads(self._child.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.close()
        self._child.wait(10)
        self._child.stdout.close()


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    child = Oracle()
    yield child
    child.close()


def events(program: PickleProgram) -> list[Event]:
    """The machine's prediction, as the oracle spells it."""
    found: list[tuple[int, list[Event]]] = []
    found += [(g.index, [("find", f"{g.module}:{g.qualname}")]) for g in program.globals]
    found += [(pid.index, [("persistent",)]) for pid in program.persistents]
    for call in program.calls:
        count = counted(call.args)
        made = call.how.startswith("NEWOBJ") or (
            call.how in ("INST", "OBJ") and not count and isinstance(call.callable, Global)
        )
        found.append((call.index, [("new" if made else "call", spelled(call.callable), count)]))
    for change in program.changes:
        name = spelled(change.target)
        if change.how == "BUILD":
            found.append((change.index, [("build", name)]))
        elif change.how in ("APPEND", "APPENDS") and not change.value:
            continue  # only pickle.py asks for a method here: the oracle's event is left out too
        elif change.how in ("APPEND", "APPENDS"):
            found.append((change.index, [("append", name, len(change.value))]))
        elif change.how == "SETITEMS":
            found.append((change.index, [("setitem", name)] * (len(change.value) // 2)))
        else:
            found.append((change.index, [("add", name)] * len(change.value)))
    return [event for _, some in sorted(found, key=lambda pair: pair[0]) for event in some]


def counted(args: object) -> int:
    """How many arguments `f(*args)` passes; sets and dicts count equal constants once."""
    if type(args) is Dict:
        return len({repr(key) for key in args[::2]})
    if type(args) in (Set, FrozenSet):
        return len({repr(item) for item in args})  # type: ignore[attr-defined]
    return len(args) if isinstance(args, (tuple, list, str, bytes)) else getattr(args, "size", 0)


def spelled(value: object) -> str:
    return f"{value.module}:{value.qualname}" if isinstance(value, Global) else "object"


def check(oracle: Oracle, program: bytes) -> None:
    found = run(program, Budget())
    from_file = (
        run(program, Budget(), drops=True)
        if {"frame-crossed", "frame-in-frame"} & {a.code for a in found.anomalies}
        else found
    )
    answer = oracle.ask(program)
    sure = not (found.anomalies or found.buffers or found.extensions) and not _uncertain(found)
    for loader in ("c", "python"):
        predicted = events(from_file if loader == "c" else found)
        seen = [tuple(event) for event in answer[loader]["events"] if event[-1] != 0 or event[0] != "append"]  # type: ignore[attr-defined]
        assert seen == predicted[: len(seen)], (loader, program, found.broken)
        if sure:
            assert seen == predicted, (loader, program, found.broken, answer[loader]["error"])
            assert bool(answer[loader]["error"]) == (found.broken is not None), (
                loader,
                program,
                found.broken,
                answer,
            )
            if found.broken is None:
                assert answer["python"]["end"] == found.end, (program, found.end, answer)


def _uncertain(program: PickleProgram) -> bool:
    """What depends on the object: nobody knows the value that a real function would give."""
    calls = any(isinstance(c.callable, (Call, Extension)) and c.how != "REDUCE" for c in program.calls)
    containers = any(isinstance(c.target, (List, Blob)) for c in program.changes)
    return calls or containers or any(g.module is None for g in program.globals)


# ---- programs from a grammar

NAMES = [
    p.name("m0", "A"),
    p.name("m1", "b"),
    p.stack_name("m2", "C"),
    p.short("m0") + p.short("A") + b"\x93",
]
VALUES = [
    b"N", b"\x88", b"\x89", b"]", b"}", b")", b"\x8f", b"K\x07", b"M\x01\x02", b"J\xff\xff\xff\xff", b"G" + bytes(8), b"\x8a\x02\xff\x7f", b"\x8b\x01\0\0\0\x05",
    b"I12\n", b"I01\n", b"I00\n", b"I012\n", b"I0x1f\n", b"I-5\n", b"L77L\n", b"L012\n", b"F1.5\n", b"F1_0\n", b"Fnan\n", b"I1\0x\n", b"I 1\n", b"I\n", b"Ix\n",
    b"S'ab'\n", b'S"c\\x64"\n', b"Sx\n", b"U\x01a", b"T\x01\0\0\0a", b"Vu\\u0061\n", p.text("t"), p.short("s"), p.data(b"d"), b"C\x01e", b"\x8e\x01" + bytes(7) + b"f",
    b"\x8d\x01" + bytes(7) + b"g", b"\x96\x01" + bytes(7) + b"h", b"U\x01\xff", b"X\x01\0\0\0\xff",
]  # fmt: skip
STACK = [
    b"(",
    b"(",
    b"0",
    b"1",
    b"2",
    b"t",
    b"l",
    b"d",
    b"\x85",
    b"\x86",
    b"\x87",
    b"\x91",
    b"a",
    b"e",
    b"s",
    b"u",
    b"\x90",
    b"b",
    b"R",
    b"\x81",
    b"\x92",
    b"o",
    b"im3\nD\n",
]
MEMO = [
    b"q\0",
    b"q\x01",
    b"\x94",
    b"h\0",
    b"h\x01",
    b"p5\n",
    b"g5\n",
    b"r\x02\0\0\0",
    b"j\x02\0\0\0",
    b"p-1\n",
    b"g9\n",
    b"r\xff\xff\xff\x7f",
]
FRAMES = [
    b"\x80\x04",
    b"\x80\x02",
    b"\x80\x05",
    b"\x80\x09",
    b"\x95\x02" + bytes(7),
    b"\x95\x20" + bytes(7),
    b"\x95\0\0\0\0\0\0\0\0",
    b"\x95\xff\xff" + bytes(6),
]
OUTSIDE = [
    b"Q",
    b"Ppid\n",
    b"\x82\x05",
    b"\x83\x05\0",
    b"\x84\x05\0\0\0",
    b"\x84\xff\xff\xff\xff",
    b"\x97",
    b"\xfe",
    b".",
]
WHOLE = [
    p.call(p.name("m0", "A"), b"K\x01"), p.new(p.name("m0", "A"), b"N"), p.name("m0", "A") + b")R", p.name("m0", "A") + b")}\x92", b"](K\x01K\x02e", p.dictionary(b"K\x01", b"N"),
    p.call(p.name("m0", "A")) + b"}b", p.call(p.name("m0", "A")) + b"K\x01a", p.call(p.name("m0", "A")) + b"(K\x01K\x02e", p.call(p.name("m0", "A")) + b"(K\x01K\x02u",
    p.call(p.name("m0", "A")) + b"(K\x01\x90", p.name("m0", "A") + b"N}\x86b", b"(m0\n"[:1] + b"im3\nD\n", b"(" + p.name("m1", "b") + b"K\x01o", b"(" + p.name("m1", "b") + b"o", b"]}b", b"]Nb", b"}](K\x01e",
    p.name("m0", "A") + b"](K\x01eR", p.name("m0", "A") + b"K\x01R", p.call(p.call(p.name("m0", "A")), b"N"), b"}]Ns", b"})K\x01s", b"\x8f(K\x01K\x01\x90", b"\x8f(]\x90", b"}K\x01N\x86K\x02s", b"}]\x85K\x02s",
]  # fmt: skip
FRAGMENTS = VALUES * 2 + STACK * 4 + NAMES * 6 + MEMO * 2 + FRAMES + OUTSIDE + WHOLE * 5


def program_from(chooser: random.Random) -> bytes:
    body = b"".join(chooser.choice(FRAGMENTS) for _ in range(chooser.randint(1, 24)))
    start = chooser.choice([b"", b"\x80\x02", b"\x80\x04", b"\x80\x05"])
    return start + body + chooser.choice([b".", b".", b".", b"", b"t.", b"\xff"])


@pytest.mark.parametrize("seed", range(20))
def test_two_thousand_programs_of_a_grammar(oracle: Oracle, seed: int) -> None:
    chooser = random.Random(seed)
    for _ in range(100):
        check(oracle, program_from(chooser))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=16), st.sampled_from([b"", b"\x80\x04"]))
def test_programs_that_hypothesis_makes(fragments: list[bytes], start: bytes) -> None:
    shared = SHARED.get()
    check(shared, start + b"".join(fragments) + b".")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_bytes_that_hypothesis_makes(data: bytes) -> None:
    check(SHARED.get(), data)


class _Shared:
    """hypothesis runs its examples outside fixtures of a module; one child serves them all."""

    def __init__(self) -> None:
        self._child: Oracle | None = None

    def get(self) -> Oracle:
        if self._child is None:
            self._child = Oracle()
        return self._child

    def close(self) -> None:
        if self._child is not None:
            self._child.close()


SHARED = _Shared()


@pytest.fixture(scope="module", autouse=True)
def _close_the_shared_child() -> Iterator[None]:
    yield
    SHARED.close()


@pytest.mark.parametrize("fragment", [*WHOLE, *VALUES, *FRAMES], ids=lambda fragment: repr(fragment)[:40])
def test_each_fragment_alone(oracle: Oracle, fragment: bytes) -> None:
    check(oracle, fragment + b".")
    check(oracle, b"\x80\x04" + fragment + b"\x85.")


# ---- against pickletools, on what picklers write

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(PLAIN, st.integers(0, 5))
def test_as_many_opcodes_as_pickletools_counts(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    found = run(data, Budget())
    assert found.broken is None
    assert found.end == len(data)
    assert found.opcodes == sum(1 for _ in pickletools.genops(data))
    assert found.anomalies == ()


@settings(max_examples=100, deadline=None)
@given(PLAIN, st.integers(0, 5))
def test_the_value_is_the_one_that_was_pickled(value: object, protocol: int) -> None:
    assert rebuilt(run(pickle.dumps(value, protocol), Budget()).value) == value


def rebuilt(value: object) -> object:
    """Plain containers of the machine as Python's own."""
    if type(value) is List:
        return [rebuilt(item) for item in value]
    if type(value) is Dict:
        return {key: rebuilt(item) for key, item in value.pairs()}
    if type(value) is tuple:
        return tuple(rebuilt(item) for item in value)
    return value


def test_several_pickles_end_where_python_ends() -> None:
    stream = io.BytesIO(b"".join(pickle.dumps(n, 2) for n in range(4)))
    data, at = stream.getvalue(), 0
    for number in range(4):
        assert pickle.load(stream) == number
        found = run(data, Budget(), offset=at)
        assert found.value == number
        at = found.end
        assert at == stream.tell()
