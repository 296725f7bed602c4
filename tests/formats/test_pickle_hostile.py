"""Streams that are made to cost, to crash or to be taken for something else."""

import pickle
import random
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats import pickles as p
from weighbridge.core.artifact import Member
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.formats.pickle import PickleReading, read, run
from weighbridge.scan.contracts import judge
from weighbridge.scan.engine import Examination, Scanner

SAMPLES = Path(__file__).parent / "data" / "pickle"


def examine(data: bytes, path: str = "model.pkl") -> Examination:
    found = Scanner(Limits(seconds=60)).examine(Member(path, len(data)), MemorySource(data))
    assert [item for item in found.unread if item.code == "internal-error"] == []
    return found


def reading(data: bytes) -> PickleReading:
    found = read(MemorySource(data), Budget(), "model.pkl")
    assert isinstance(found, PickleReading)
    return found


# ---- cut and changed

CUT = [
    "logistic.p4.pkl",
    "logistic.joblib",
    "bins.joblib",
    "plain.p0.pkl",
    "arrays.p2.pkl",
    "logistic.joblib.gz",
    "logistic.joblib.lz4",
    "records.npy",
    "objects.npy",
]


@pytest.mark.parametrize("name", CUT)
def test_a_sample_cut_anywhere_never_passes(name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    for length in range(0, len(data), max(1, len(data) // 400)):
        if length:
            assert examine(data[:length], name).result.outcome is not Outcome.PASS, length
    assert examine(data, name).result.outcome is Outcome.PASS


@pytest.mark.parametrize(
    "name", ["library.p4.pkl", "logistic.joblib", "frame.p5.pkl", "arrays.joblib", "search.p4.pkl"]
)
def test_changed_bytes_never_crash(name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    chooser = random.Random(7)
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(chooser.randint(1, 4)):
            changed[chooser.randrange(len(changed))] = chooser.randrange(256)
        examine(bytes(changed), name)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\x80\x04", b"\x80\x02", b"c"]))
def test_any_bytes_are_survived(data: bytes, start: bytes) -> None:
    examine(start + data, "model.bin")


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=64))
def test_an_appended_break_never_makes_a_payload_pass(junk: bytes) -> None:
    assert examine(p.proto() + p.system() + junk).result.outcome is Outcome.FAIL


# ---- bombs

MILLION = 1_000_000
BOMBS = {
    "lists": b"(" + b"]" * MILLION + b"l.",
    "nested lists": b"]" * (MILLION // 2) + b"a" * (MILLION // 2 - 1) + b".",
    "nested tuples": b"N" + b"\x85" * MILLION + b".",
    "shared tuples": b"N" + b"2\x86" * (MILLION // 2) + b".",
    "marks": b"(" * MILLION + b"N.",
    "calls": b"\x80\x02" + p.name("m", "f") + b"q\x00](" + b"h\x00)R" * (MILLION // 3) + b"e.",
    "nested calls": p.name("m", "f") + b")R" * (MILLION // 2) + b".",
    "nested arguments": p.name("m", "f") + b"q\x000N" + b"\x85q\x010h\x00h\x01R" * (MILLION // 8) + b".",
    "state": p.name("m", "f") + b")R" + b"}b" * (MILLION // 2) + b".",
    "memo": b"N" + b"\x94" * MILLION + b".",
    "integers": b"(" + b"K\x01" * MILLION + b"t.",
    "strings": b"(" + b"\x8c\x01a" * MILLION + b"t.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_million_opcodes_cost_little(name: str) -> None:
    data = BOMBS[name]
    started = time.process_time()
    found = run(data, Budget())
    assert found.broken is None
    judge(found)
    assert time.process_time() - started < 30  # about one second when nothing else runs
    assert found.opcodes > MILLION // 3


def test_a_million_opcodes_fit_into_two_hundred_megabytes() -> None:
    data = BOMBS["state"]
    tracemalloc.start()
    run(data[: len(data) // 10] + b".", Budget())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize(
    "declared",
    [
        b"X\xff\xff\xff\xff",
        b"\x8e" + b"\xff" * 8,
        b"\x8e" + b"\xff" * 7 + b"\x7f",
        b"\x96" + b"\xff" * 7 + b"\x7f",
        b"\x8b\xff\xff\xff\x7f",
        b"B\xff\xff\xff\xff",
    ],
)
def test_a_length_that_is_not_there_costs_nothing(declared: bytes) -> None:
    found = run(b"\x80\x04" + declared + b"abc.", Budget())
    assert found.broken is not None


def test_a_key_that_hashes_without_end_is_said_to_be_a_bomb() -> None:
    found = run(b"}N" + b"2\x86" * 60 + b"Ns.", Budget())
    assert [a.code for a in found.anomalies] == ["hash-bomb"]
    assert examine(b"\x80\x04}N" + b"2\x86" * 60 + b"Ns.").result.outcome is Outcome.FAIL


def test_many_names_stop_at_a_limit_and_keep_what_was_called() -> None:
    names = b"".join(p.name(f"m{n}", "x") + b"0" for n in range(100_001))
    found = examine(p.proto() + p.system() + names + b"N.")
    assert found.result.outcome is Outcome.FAIL
    assert "limit-members" in {item.code for item in found.unread}


def test_a_limit_of_memory_keeps_what_was_called() -> None:
    data = p.proto() + p.system() + b"(" + (b"\x8c\x60" + b"a" * 96) * 50_000 + b"t."
    found = Scanner(Limits(memory=1_000_000)).examine(Member("x.pkl", len(data)), MemorySource(data))
    assert found.result.outcome is Outcome.FAIL
    assert "limit-memory" in {item.code for item in found.unread}
    harmless = data.replace(p.system(), b"N")
    found = Scanner(Limits(memory=1_000_000)).examine(Member("x.pkl", len(harmless)), MemorySource(harmless))
    assert found.result.outcome is Outcome.UNKNOWN


def test_ten_thousand_pickles_in_one_stream_end() -> None:
    found = examine(b"\x80\x04N." * 20_000)
    assert found.result.outcome is Outcome.UNKNOWN
    assert [item.code for item in found.unread] == ["limit-members"]


def test_nested_pickles_end_at_the_depth_limit() -> None:
    data = b"\x80\x04" + p.system() + b"."
    for _ in range(40):
        data = b"\x80\x04" + p.call(p.name("pickle", "loads"), p.data(data)) + b"."
    found = examine(data)
    assert found.result.outcome is Outcome.FAIL
    assert "limit-depth" in {item.code for item in found.unread}


def test_time_is_limited() -> None:
    data = b"\x80\x04(" + b"K\x01" * 400_000 + b"t."
    found = Scanner(Limits(seconds=0.0)).examine(Member("x.pkl", len(data)), MemorySource(data))
    assert found.result.outcome is Outcome.UNKNOWN


# ---- what is no pickle

NO_PICKLES = [
    b"(c) Copyright 2020\nby somebody\n", b"import os\nprint(1)\n", b"cat\ndog\nhorse\n", b"config\nvalue\n", b"Ideas\n1. first\n", b"N. Smith wrote this\n", b"]).\n and so on",
    b"The quick brown fox\n", b"Version 1.0\nThis is text\n", b"\x80", b"\x80\x09abc", b"}\n", b"[1, 2]", b"](", b"Keras", b"X\n\0\0\0\x03\0\x04\x02\x03",
]  # fmt: skip


@pytest.mark.parametrize("data", NO_PICKLES)
def test_text_and_other_formats_are_no_pickles(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read(MemorySource(data), Budget(), "x")
    assert caught.value.code == "not-this-format"


def test_a_broken_stream_that_has_imported_or_called_is_a_pickle() -> None:
    assert [gap.code for gap in reading(b"cos\nsystem\n\xff").gaps] == ["broken"]
    assert [gap.code for gap in reading(p.name("m", "f") + b")R\xff").gaps] == ["broken"]
    assert [gap.code for gap in reading(b"\x80\x04N\xff").gaps] == ["broken"]
    assert [gap.code for gap in reading(b"\x80\x04N").gaps] == ["truncated"]


def test_bytes_behind_the_pickle() -> None:
    assert [gap.code for gap in reading(b"\x80\x04N.hidden").gaps] == ["trailing-bytes"]
    assert reading(b"\x80\x04N." + b"\0" * 100).gaps == ()
    assert reading(b"\x80\x04N.\n").gaps == ()
    assert [gap.code for gap in reading(b"\x80\x04N." + b"\0" * 10_000).gaps] == ["trailing-bytes"]
    two = reading(b"\x80\x04N.\x80\x04K\x01.")
    assert [program.value for program in two.programs] == [None, 1]
    assert two.gaps == ()


def test_nested_bytes_become_parts() -> None:
    inner = pickle.dumps([1, 2])
    found = reading(b"\x80\x04" + p.call(p.name("torch.storage", "_load_from_bytes"), p.data(inner)) + b".")
    (part,) = found.parts
    assert part.source.read(0, part.source.size) == inner
    assert (
        examine(
            b"\x80\x04" + p.call(p.name("torch.storage", "_load_from_bytes"), p.data(inner)) + b"."
        ).result.outcome
        is Outcome.PASS
    )
    bad = p.data(b"\x80\x04" + p.system() + b".")
    assert (
        examine(b"\x80\x04" + p.call(p.name("torch.storage", "_load_from_bytes"), bad) + b".").result.outcome
        is Outcome.FAIL
    )
    wrapped = p.call(p.name("io", "BytesIO"), bad)
    assert len(reading(b"\x80\x04" + p.call(p.name("torch", "load"), wrapped) + b".").parts) == 1
