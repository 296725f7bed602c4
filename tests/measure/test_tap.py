"""The tap: what the examiner saw is what the digest covers, with all the memory in the world or none."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.measure.models import ChangingSource, CountingFiles
from weighbridge.core.artifact import Member
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Source
from weighbridge.measure.hashes import Whole
from weighbridge.measure.stream import one_by_one
from weighbridge.measure.tap import PAGE, Memory, Tap

DATA = hashlib.shake_128(b"tap").digest(10 * PAGE + 321)


def tapped(source: Source, memory: int = 1 << 30) -> tuple[Tap, Whole, Memory]:
    """A tap with one hash behind it."""
    whole, meter = Whole("sha256"), Memory(memory)
    return Tap(source, "f", meter, [whole], lambda count: None), whole, meter


def finished(tap: Tap, whole: Whole) -> bytes:
    """The digest, once the rest has streamed through."""
    one_by_one(tap, [whole], lambda count: None)
    tap.close()
    return whole.digest()


reads = st.lists(
    st.tuples(st.integers(0, len(DATA) + 5), st.one_of(st.integers(0, 300), st.integers(0, len(DATA) + 5))),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(reads, st.sampled_from([0, PAGE, 3 * PAGE, 1 << 30]))
def test_any_reads_give_the_bytes_and_the_same_digest(wanted: list[tuple[int, int]], memory: int) -> None:
    """Law: whatever is read, in whatever order, with whatever memory, bytes and digest are those of the file."""
    tap, whole, meter = tapped(MemorySource(DATA), memory)
    for offset, length in wanted:
        assert tap.read(offset, length) == DATA[offset : offset + length]
    assert finished(tap, whole) == hashlib.sha256(DATA).digest()
    assert meter.take(memory), "a page was not given back"


@settings(max_examples=60, deadline=None)
@given(reads, st.integers(0, len(DATA)), st.integers(0, len(DATA)))
def test_fill_gives_any_range(wanted: list[tuple[int, int]], start: int, length: int) -> None:
    tap, _, _ = tapped(MemorySource(DATA))
    for offset, count in wanted:
        tap.read(offset, count)
    for _ in range(2):
        buffer = memoryview(bytearray(min(length, len(DATA) - start)))
        tap.fill(buffer, start)
        assert buffer == DATA[start : start + length]


def test_sequential_reading_without_memory_reads_each_byte_once() -> None:
    files = CountingFiles({"f": DATA})
    tap, whole, _ = tapped(files.open(Member("f", len(DATA))), memory=0)
    for at in range(0, len(DATA), PAGE):
        tap.read(at, PAGE)
    assert tap.cursor == len(DATA)
    assert finished(tap, whole) == hashlib.sha256(DATA).digest()
    assert files.bytes_read("f") == len(DATA)


def test_the_meter_is_shared() -> None:
    meter = Memory(2 * PAGE)
    taps = [Tap(MemorySource(DATA), "f", meter, [], lambda count: None) for _ in range(3)]
    for tap in taps:
        tap.read(PAGE, 1)
    assert [tap.cursor for tap in taps] == [0, 0, 2 * PAGE]
    for tap in taps:
        tap.close()
    assert meter.take(2 * PAGE)


def test_a_file_that_changes_between_look_and_hash_does_not_matter() -> None:
    """The remembered page is hashed, not what stands there now."""
    tap, whole, _ = tapped(ChangingSource(DATA))
    assert tap.read(0, 10) == DATA[:10]
    assert finished(tap, whole) == hashlib.sha256(DATA).digest()


def test_a_page_that_changed_behind_the_cursor_is_refused() -> None:
    tap, _, _ = tapped(ChangingSource(DATA), memory=0)
    tap.read(5, 10)
    with pytest.raises(InputError) as caught:
        tap.read(7, 3)
    assert caught.value.code == "file-changed"


def test_a_hole_that_was_hashed_is_checked_when_it_is_read_later() -> None:
    """The examiner never saw page 1, but its bytes are in the digest already."""
    tap, _, _ = tapped(ChangingSource(DATA), memory=0)
    tap.read(3 * PAGE, 1)
    assert tap.cursor == 4 * PAGE
    with pytest.raises(InputError, match="file-changed"):
        tap.read(PAGE, 1)


def test_bad_offsets_are_refused() -> None:
    tap, _, _ = tapped(MemorySource(DATA))
    for offset, length in ((-1, 5), (5, -1)):
        with pytest.raises(InputError, match="bad-offset"):
            tap.read(offset, length)
    assert tap.read(len(DATA), 5) == b""
    assert tap.size == len(DATA)


def test_passing_pages_counts_as_progress() -> None:
    counts: list[int] = []
    tap = Tap(MemorySource(DATA), "f", Memory(0), [], counts.append)
    tap.read(PAGE, 1)
    assert counts == [PAGE, PAGE]
