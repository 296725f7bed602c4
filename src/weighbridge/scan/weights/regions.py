"""A stretch of a tensor whose low bits are unlike those before and behind it.

Low bits of trained numbers are either random (F32 as it was trained) or all zero (BF16 or F16 written out as F32). Two
things are told from that, both within one tensor:

- low bits are zero mostly, and in some numbers the lowest of them are not, while those above stay zero. Rows that were
  trained on as F32 (new tokens, the first positions) use all bits, so that they are not meant;
- low bits are random everywhere, and not in one stretch. Random is measured by how many of the 256 byte values
  occur in 512 bytes made of such bits: 221 of them, give or take 5; text has some sixty, and machine code some hundred.
  Weights that were multiplied by something coarse have many windows that are neither: nothing is said about them.

Stretches in which numbers repeat (padding, rows never trained, pruned weights) are left out, since their bits must.
Random bytes hidden in random bits cannot be seen, by this or anything else that does not know the original.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import compress
from operator import or_
from statistics import median
from typing import NamedTuple

from weighbridge.scan.weights.numbers import FLOATS, items, width
from weighbridge.scan.weights.planes import low_bytes, packed
from weighbridge.scan.weights.sample import has_numpy

WINDOW = 512
"""Bytes of a stream, or items, that are judged together."""
MIN_WINDOWS = 8
"""Windows in a piece, below which nothing can be called usual."""
RANDOM = 196
"""Different byte values in a window of random bytes, at least: five deviations below the mean."""
ODD = 130
"""Different byte values in a window that is not random, at most: 20 deviations below the mean."""
LEAST = 2
"""Windows that are not random."""
MANY_ZEROS, MANY = 0.35, 0.7
"""Share of zeros, and of any other byte value, above which a window is rather empty than written on."""
FRESH = 0.9
"""Different items in an odd window, as a share of what is usual in this tensor."""
LEAST_WRITTEN = 32
"""Numbers whose lowest bits are not zero, where those of all others are."""
_IS_ZERO = bytes([1, *bytes(255)])
VARIED = 0.25
"""Share of different items that a window of real numbers has at least."""
MANY_WINDOWS = 64
"""From here on it pays to ask numpy, where it is installed."""
MAX_RUNS = 1
"""Stretches; oddities that are scattered are the tensor's nature."""


class Stretch(NamedTuple):
    """Bytes of a piece, and what is odd about them."""

    begin: int
    end: int
    why: str


def stretches(dtype: str, data: bytes) -> Iterator[Stretch]:
    """What is odd in one piece of a tensor of numbers; nothing for blocks of quantised numbers."""
    item = width(dtype)
    if item == 1:
        return
    found = _not_zero(dtype, data, item)
    if found is not None:
        yield found
        return
    low = low_bytes(dtype, data)
    windows: list[Sequence[int]] = []
    for bits in _widths(dtype):
        stream = packed(low, bits)
        windows.append(distinct(stream, len(stream) // WINDOW))
        if len(windows[-1]) < MIN_WINDOWS or median(windows[-1]) < RANDOM:
            return
        found = _not_random(dtype, data, bits, stream, windows[-1])
        if found is not None and _alone(found, item, _widths(dtype), windows):
            yield found
        if found is not None:
            return


def _widths(dtype: str) -> tuple[int, ...]:
    """How many low bits are judged; those of the mantissa's upper part are not random."""
    return tuple(bits for bits in (8, 4, 2, 1) if bits <= FLOATS[dtype].mantissa - 2)


def _alone(found: Stretch, item: int, widths: Sequence[int], windows: Sequence[Sequence[int]]) -> bool:
    """Whether more bits at once are random too, outside the stretch."""
    for bits, different in zip(widths, windows, strict=False):
        step = WINDOW * 8 * item // bits
        for index, count in enumerate(different):
            apart = (index + 1) * step <= found.begin - step or index * step >= found.end + step
            if count < RANDOM and apart:
                return False
    return True


def _not_zero(dtype: str, data: bytes, item: int) -> Stretch | None:
    low = low_bytes(dtype, data)
    written = len(low) - low.count(0)
    if not LEAST_WRITTEN <= written <= len(low) // 2:
        return None
    numbers = items(dtype, data)
    usual, odd = set(compress(numbers, low.translate(_IS_ZERO))), set(compress(numbers, low))
    used = reduce(or_, usual, 0)
    empty = (used & -used).bit_length() - 1
    within = reduce(or_, odd, 0) & ((1 << max(0, empty)) - 1)
    if min(len(usual), len(odd)) < LEAST_WRITTEN // 2:
        return None  # pruned weights are zero in all bits
    if not 0 < within.bit_length() < empty or empty < 8:
        return None
    lowest = "lowest bit is" if within == 1 else f"lowest {within.bit_length()} bits are"
    why = (
        f"the low {empty} bits of numbers are zero elsewhere; of {written} numbers here only the {lowest} not"
    )
    first, last = len(low) - len(low.lstrip(b"\0")), len(low.rstrip(b"\0"))
    return Stretch(first * item, last * item, why)


def _not_random(
    dtype: str, data: bytes, bits: int, stream: bytes, different: Sequence[int]
) -> Stretch | None:
    odd = [index for index, count in enumerate(different) if count <= ODD]
    if len(odd) < LEAST or not _one_stretch(odd, len(different)):
        return None
    edges = {index + by for index in odd for by in (-1, 0, 1)}
    if any(count < RANDOM for index, count in enumerate(different) if index not in edges):
        return None
    if any(_is_empty(stream[index * WINDOW : (index + 1) * WINDOW]) for index in odd):
        return None
    step = WINDOW * 8 * width(dtype) // bits
    if not _alike(dtype, data, step, odd, len(different)):
        return None
    which = "the low bit of numbers is" if bits == 1 else f"the low {bits} bits of numbers are"
    return _stretch(odd, step, f"{which} random before and behind this stretch, and not in it")


def distinct(stream: bytes, windows: int) -> Sequence[int]:
    """How many different byte values there are in each window."""
    if windows >= MANY_WINDOWS and has_numpy():
        return _distinct_numpy(stream, windows)
    return [len(set(stream[at : at + WINDOW])) for at in range(0, windows * WINDOW, WINDOW)]


def _distinct_numpy(stream: bytes, windows: int) -> Sequence[int]:
    """The same, in a quarter of the time."""
    import numpy

    rows = numpy.frombuffer(stream, dtype=numpy.uint8, count=windows * WINDOW).reshape(windows, WINDOW)
    ordered = numpy.sort(rows, axis=1)
    found: list[int] = ((ordered[:, 1:] != ordered[:, :-1]).sum(axis=1) + 1).tolist()
    return found


def _is_empty(window: bytes) -> bool:
    return window.count(0) > MANY_ZEROS * WINDOW or Counter(window).most_common(1)[0][1] > MANY * WINDOW


def _one_stretch(odd: Sequence[int], windows: int) -> bool:
    """Whether odd windows stand together, and are not half of all."""
    runs = sum(1 for index, number in enumerate(odd) if not index or odd[index - 1] + 1 != number)
    return 0 < runs <= MAX_RUNS and 2 * len(odd) < windows


def _alike(dtype: str, data: bytes, step: int, odd: Sequence[int], windows: int) -> bool:
    """Whether numbers in odd windows differ from each other as those in usual ones do."""
    usual = [index for index in range(windows) if index not in set(odd)][:: max(1, windows // 8)]
    ordinary = median(_variety(dtype, data, index * step, step) for index in usual)
    least = min(_variety(dtype, data, index * step, step) for index in odd)
    return ordinary >= VARIED and least >= FRESH * ordinary


def _variety(dtype: str, data: bytes, at: int, length: int) -> float:
    numbers = items(dtype, data[at : at + length])
    return len(set(numbers)) / len(numbers)


def _stretch(odd: Sequence[int], step: int, why: str) -> Stretch:
    return Stretch(odd[0] * step, (odd[-1] + 1) * step, why)
