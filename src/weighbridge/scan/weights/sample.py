"""Which bytes of a tensor are looked at: all of a small one; of a large one equal parts of its start, middle and end.

Where numpy is installed every tensor is looked at whole. It is never required, and imported by nothing else here.
Items of a strided tensor are taken as its storage has them; no look depends on their order in the tensor.
"""

import importlib.util
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from itertools import accumulate

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.formats.reading import TensorRef
from weighbridge.scan.weights.numbers import width

SAMPLE = 1024**2
"""Bytes of one tensor without numpy."""
PIECE = 1024**2
"""Bytes that are held at once."""
PARTS = 3


@cache
def has_numpy() -> bool:
    """Whether tensors are looked at whole."""
    return importlib.util.find_spec("numpy") is not None


class Content:
    """The bytes of one tensor as its spans have them, in little-endian items."""

    def __init__(self, ref: TensorRef, source: Source) -> None:
        self._ref, self._source = ref, source
        self._spans = [span for span in ref.spans if span[1]]
        self._ends = list(accumulate(length for _, length in self._spans))
        self.size = self._ends[-1] if self._ends else 0
        self.width = width(ref.dtype)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes `[offset, offset + length)`; offset and length are multiples of an item."""
        found = bytearray()
        index = bisect_right(self._ends, offset)
        while index < len(self._spans) and len(found) < length:
            start, size = self._spans[index]
            inside = offset + len(found) - (self._ends[index] - size)
            found += self._source.read(start + inside, min(size - inside, length - len(found)))
            index += 1
        return _turned(bytes(found), self.width) if self._ref.swap and self.width > 1 else bytes(found)


def pieces(content: Content, budget: Budget, *, whole: bool) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of what is looked at, in order."""
    for begin, end in ranges(content.size, content.width, whole=whole):
        for at in range(begin, end, PIECE):
            budget.tick()
            yield at, content.read(at, min(PIECE, end - at))


def ranges(size: int, item: int, *, whole: bool) -> tuple[tuple[int, int], ...]:
    """The ranges of a tensor of `size` bytes that are looked at; each begins with an item."""
    if whole or size <= SAMPLE:
        return ((0, size),) if size else ()
    part = SAMPLE // PARTS // item * item
    middle = (size - part) // 2 // item * item
    last = size // item * item - part
    return (0, part), (middle, middle + part), (last, last + part)


def _turned(data: bytes, item: int) -> bytes:
    turned = bytearray(data)
    usable = len(data) // item * item
    for index in range(item):
        turned[index:usable:item] = data[item - 1 - index : usable : item]
    return bytes(turned)
