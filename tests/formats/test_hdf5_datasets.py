"""HDF5 datasets: chunks put together, and shapes and places held against the file."""

import contextlib
import itertools
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scan.samples import SAMPLES, scan
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Outcome
from weighbridge.core.source import MemorySource
from weighbridge.formats.hdf5 import Hdf5Reading, read
from weighbridge.formats.reading import TensorRef

DATA = Path(__file__).parent / "data"
CHUNKED = (DATA / "hdf5" / "chunked.h5").read_bytes()
LATEST = (DATA / "hdf5" / "latest.h5").read_bytes()
RANGE = struct.pack("<105f", *range(105))


def hdf5(data: bytes, limits: Limits | None = None) -> Hdf5Reading:
    found = read(MemorySource(data), Budget(limits), "x.h5")
    assert isinstance(found, Hdf5Reading)
    return found


def tensors(data: bytes) -> dict[str, TensorRef]:
    found = hdf5(data)
    return {tensor.name: tensor for tensor in (found.tensors or found.tensors_found)}


def content(tensor: TensorRef) -> bytes:
    assert tensor.source is not None
    return b"".join(tensor.source.read(at, length) for at, length in tensor.spans)


def test_chunks_behind_filters_are_put_together() -> None:
    """gzip, shuffle and fletcher32; edges that are not full; big-endian items; truth values."""
    found = tensors(CHUNKED)
    assert content(found["gzip"]) == RANGE
    assert content(found["plain"]) == struct.pack(">105h", *range(105))
    assert (found["plain"].dtype, found["plain"].swap) == ("I16", True)
    assert content(found["bool"]) == bytes(value > 3 for value in range(105))
    assert found["bool"].dtype == "BOOL"


def test_what_is_not_put_together_is_said() -> None:
    assert [name for name, _ in hdf5(CHUNKED).tensors_left] == ["lzf"]
    assert "lzf" in hdf5(CHUNKED).tensors_unlisted


def test_indexes_of_the_latest_layout() -> None:
    found = tensors(LATEST)
    assert content(found["implicit"]) == content(found["array"]) == RANGE


def test_a_content_may_be_read_in_pieces_and_again() -> None:
    source = tensors(CHUNKED)["gzip"].source
    assert source is not None
    for _ in range(2):
        assert b"".join(source.read(at, 100) for at in range(0, 420, 100)) == RANGE


def test_packed_chunks_that_break_are_no_content() -> None:
    found = tensors(CHUNKED)["gzip"]
    spans = CHUNKED.find(b"\x78\x5e")
    spans = spans if spans >= 0 else CHUNKED.find(b"\x78\x9c")
    broken = bytearray(CHUNKED)
    broken[spans + 4 : spans + 12] = bytes(8)
    with pytest.raises(InputError, match="chunk"):
        content(tensors(bytes(broken))["gzip"])
    assert found.shape == (7, 5, 3)


def test_memory_is_asked_for_before_it_is_taken() -> None:
    found = read(MemorySource(CHUNKED), Budget(Limits(memory=700)), "x.h5")
    assert isinstance(found, Hdf5Reading)
    tensor = next(t for t in found.tensors_found if t.name == "gzip")
    with pytest.raises(LimitError):
        content(tensor)


def test_claims_that_no_file_of_this_size_holds_fail() -> None:
    (result,) = scan({"w.h5": (SAMPLES / "hdf5-malformed" / "sample.h5").read_bytes()}).files
    assert result.outcome is Outcome.FAIL


def test_data_behind_the_end_fails() -> None:
    """The address of a plain array, moved."""
    data = (DATA / "dense.h5").read_bytes()
    (tensor, *_) = [t for t in hdf5(data).tensors or hdf5(data).tensors_found if t.spans]
    ((start, _),) = tensor.spans
    old, new = struct.pack("<Q", start), struct.pack("<Q", 2**40)
    assert data.count(old) == 1
    assert [a.code for a in hdf5(data.replace(old, new)).anomalies] == ["hdf5-out-of-bounds"]


def test_pickles_in_sequences_of_bytes_are_read() -> None:
    """PyTables keeps Python objects in this way, and unpickles them."""
    found = scan({"t.h5": (DATA / "hdf5" / "vlen.h5").read_bytes()})
    assert found.files[0].outcome is Outcome.FAIL
    assert {(f.rule, f.place.parts[0]) for f in found.findings} == {("pickle-unsafe-call", "/objects[0]")}


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([CHUNKED, LATEST, (DATA / "hdf5" / "vlen.h5").read_bytes()]),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_changed_bytes_never_break_reader_or_content(data: bytes, changes: list[tuple[int, int]]) -> None:
    broken = bytearray(data)
    for at, value in changes:
        broken[at % len(broken)] = value
    limits = Limits(memory=1024**2, members=20_000, seconds=10)
    with contextlib.suppress(InputError, LimitError):
        found = hdf5(bytes(broken), limits)
        for tensor in itertools.islice(found.tensors_found or found.tensors or (), 8):
            if tensor.source is not None:
                with contextlib.suppress(InputError, LimitError):
                    content(tensor)
