"""A sketch of a tensor: 512 bits that stay nearly the same when the numbers do, whatever type holds them.

The items at 512 places, which follow from the number of items alone, are read as numbers; each bit says whether one lies
above the median of all. A fine-tune moves few of them across, a cast to another type fewer, and two tensors that have
nothing to do with each other agree in half, give or take 2 %. Masks, constants and small tables, which unrelated models
share, have no sketch, and their equality says nothing either. Sign-random-projection in its cheapest form
(https://dl.acm.org/doi/10.1145/509907.509965); GGUF's block types but Q8_0 and Q4_0 are not read.
"""

import math
import random
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache

from weighbridge.core.source import Source
from weighbridge.formats.reading import TensorRef

BITS = 512
RUN = 16
"""Items that are read together."""
LEAST = 512
"""Items of a tensor that says something."""
MAX_TIES = 0.5
"""Share of equal values from which on the bits say nothing."""
FEW_VALUES = 24
"""Different values below which a tensor is a mask or a table. (Weights of 4 bits are blocks with scales of their own.)"""

_PLAIN = {
    "F64": ("d", 8), "F32": ("f", 4), "F16": ("e", 2), "I8": ("b", 1), "U8": ("B", 1),
}  # fmt: skip
"""Wider whole numbers are positions and shapes, which say nothing."""
_BLOCKS = {"Q8_0": 34, "Q4_0": 18}
"""Bytes of a block of 32 items: a scale in F16, then the items."""


def sketch(ref: TensorRef, source: Source) -> bytes | None:
    """64 bytes; None where the tensor says nothing, or is of a type that is not read. Raises what reading raises."""
    items = math.prod(ref.shape)
    take = _taker(ref, source)
    if items < LEAST or take is None:
        return None
    values = [value for at in _places(items) for value in take(at)]
    return bits(values[:BITS])


def bits(values: Sequence[float]) -> bytes | None:
    """The sketch of these values; None where they say nothing."""
    finite = [value if math.isfinite(value) else 0.0 for value in values]
    middle = sorted(finite)[len(finite) // 2]
    same = max(finite.count(middle), finite.count(finite[0]))
    if len(finite) < BITS or same > MAX_TIES * len(finite) or len(set(finite)) < FEW_VALUES:
        return None
    if sorted(finite) in (finite, finite[::-1]):
        return None  # a table that only rises or falls: positions, frequencies
    word = sum((value > middle) << place for place, value in enumerate(finite))
    return word.to_bytes(BITS // 8, "little")


def likeness(one: bytes, other: bytes) -> float:
    """How alike two sketched tensors are: about the correlation of their numbers, 0 where there is none."""
    differing = (int.from_bytes(one, "little") ^ int.from_bytes(other, "little")).bit_count()
    return max(0.0, math.cos(math.pi * differing / BITS))


@lru_cache(maxsize=4096)
def _places(items: int) -> tuple[int, ...]:
    """Where each run begins: one somewhere in each of equal parts, always the same for as many items."""
    dice = random.Random(items)  # noqa: S311 - the same places for everybody
    count = BITS // RUN
    part = (items - RUN) / count
    return tuple(int((number + dice.random()) * part) // RUN * RUN for number in range(count))


Taker = Callable[[int], Sequence[float]]


def _taker(ref: TensorRef, source: Source) -> Taker | None:
    """What gives the items of the run that begins at an item."""
    data = ref.source or source
    if ref.dtype in _BLOCKS and ref.strides is None:
        return lambda at: _block(ref, data, at)
    size = 2 if ref.dtype == "BF16" else _PLAIN.get(ref.dtype, ("", 0))[1]
    if not size:
        return None
    if ref.strides is None:
        return lambda at: _numbers(ref, _span(ref, data, at * size, RUN * size))
    return lambda at: _numbers(
        ref, b"".join(_span(ref, data, _offset(ref, at + item) * size, size) for item in range(RUN))
    )


def _numbers(ref: TensorRef, raw: bytes) -> Sequence[float]:
    order = ">" if ref.swap else "<"
    if ref.dtype == "BF16":
        halves = struct.unpack(f"{order}{len(raw) // 2}H", raw)
        return struct.unpack(
            f"<{len(halves)}f", struct.pack(f"<{len(halves)}I", *(one << 16 for one in halves))
        )
    code, size = _PLAIN[ref.dtype]
    return struct.unpack(f"{order}{len(raw) // size}{code}", raw)


def _block(ref: TensorRef, data: Source, at: int) -> Sequence[float]:
    size = _BLOCKS[ref.dtype]
    raw = _span(ref, data, at // 32 * size, size)
    (scale,) = struct.unpack("<e", raw[:2])
    if size == 34:
        items: Sequence[float] = struct.unpack("<32b", raw[2:])
    else:
        items = [(byte & 15) - 8 for byte in raw[2:]] + [(byte >> 4) - 8 for byte in raw[2:]]
    return [scale * one for one in items[at % 32 : at % 32 + RUN]]


def _offset(ref: TensorRef, item: int) -> int:
    """The place of an item in storage, in items."""
    at = 0
    for length, stride in zip(reversed(ref.shape), reversed(ref.strides or ()), strict=True):
        item, index = divmod(item, length)
        at += index * stride
    return at


def _span(ref: TensorRef, data: Source, offset: int, length: int) -> bytes:
    """Bytes of the tensor's content, wherever its spans put them."""
    pieces = []
    for start, size in ref.spans:
        if offset < size and length:
            taken = min(length, size - offset)
            pieces.append(data.read(start + offset, taken))
            length -= taken
            offset = 0
        else:
            offset -= size if length else 0
    return b"".join(pieces)
