"""What the safetensors library accepts and we call clean must be the same tensors, whatever the bytes."""

import importlib.util
import json
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tensorfiles import framed
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource
from weighbridge.formats.safetensors import DTYPE_BITS, SafetensorsReading, read

MISSING = importlib.util.find_spec("safetensors") is None and os.environ.get("WEIGHBRIDGE_REAL") != "1"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(MISSING, reason="the safetensors library is not installed"),
]

Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]


def theirs(data: bytes) -> Tensors | None:
    """The tensors as the library gives them; None where it refuses the file."""
    import safetensors

    try:
        found = safetensors.deserialize(data)
    except safetensors.SafetensorError:
        return None
    return {name: (tensor["dtype"], tuple(tensor["shape"]), bytes(tensor["data"])) for name, tensor in found}


def ours(data: bytes) -> Tensors | None:
    """The same by our reader; None where it notes or refuses anything."""
    try:
        found = read(MemorySource(data), Budget(), "model.safetensors")
    except InputError:
        return None
    assert isinstance(found, SafetensorsReading)
    if found.anomalies or found.gaps or found.tensors is None:
        return None
    return {
        ref.name: (ref.dtype, ref.shape, b"".join(data[at : at + length] for at, length in ref.spans))
        for ref in found.tensors
    }


NAMES = st.sampled_from(["a", "b", "layer.weight", "ü", "", "__metadata__", "a\\u0000"]) | st.text(max_size=4)
DTYPES = st.sampled_from([*sorted(DTYPE_BITS), "F33", "f32", ""])
NUMBERS = st.integers(-1, 20) | st.sampled_from([2**31, 2**32, 2**63, 2**64, 1.0, True, "1", None])


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Headers that are nearly right: laid out in order, then perhaps changed."""
    entries: list[tuple[str, Any]] = []
    at = 0
    for name in draw(st.lists(NAMES, max_size=4)):
        dtype, shape = draw(DTYPES), draw(st.lists(st.integers(0, 4), max_size=3))
        bits = DTYPE_BITS.get(dtype, 8)
        for size in shape:
            bits *= size
        end = at + bits // 8
        entry: dict[str, Any] = {"dtype": dtype, "shape": shape, "data_offsets": [at, end]}
        match draw(st.integers(0, 9)):
            case 0:
                entry["data_offsets"] = [draw(NUMBERS), draw(NUMBERS)]
            case 1:
                entry["shape"] = draw(st.lists(NUMBERS, max_size=3))
            case 2:
                entry = dict(reversed(entry.items()))
            case 3:
                entry["extra"] = 1
        entries.append((name, {"format": "pt"} if name == "__metadata__" else entry))
        at = end
    pairs = [f"{json.dumps(name)}:{json.dumps(entry)}" for name, entry in entries]
    text = draw(st.sampled_from(["", " ", "\n"])) + "{" + ",".join(pairs) + "}"
    text += draw(st.sampled_from(["", " ", "   ", "\n", "\0", "{}"]))
    behind = max(0, at + draw(st.sampled_from([0, 0, 0, 1, -1])))
    return framed(text.encode(), bytes(range(256))[:behind] or bytes(behind))


@settings(max_examples=400, deadline=None)
@given(headers())
def test_what_both_take_is_the_same(data: bytes) -> None:
    mine = ours(data)
    if mine is not None:
        assert theirs(data) == mine


@settings(max_examples=200, deadline=None)
@given(headers(), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=2))
def test_changed_bytes_too(data: bytes, changes: list[tuple[int, int]]) -> None:
    broken = bytearray(data)
    for at, value in changes:
        broken[at % len(broken)] = value
    mine = ours(bytes(broken))
    if mine is not None:
        assert theirs(bytes(broken)) in (mine, None)


@pytest.mark.parametrize("dtype", sorted(DTYPE_BITS))
def test_every_dtype_of_ours_is_one_of_theirs(dtype: str) -> None:
    size = DTYPE_BITS[dtype]
    entry = json.dumps({"a": {"dtype": dtype, "shape": [8], "data_offsets": [0, size]}}).encode()
    data = framed(entry, bytes(size))
    assert theirs(data) == ours(data) == {"a": (dtype, (8,), bytes(size))}
