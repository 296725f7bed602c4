"""Items in row-major order out of a tensor that lies in another order and is too large to be held: block by block.

A block is as many consecutive items of the result as fit into `BLOCK`. Its items lie scattered over the storage: the
dimension with the longest steps is taken apart until what is left lies close together, and is read at once.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.formats.reading import TensorRef

BLOCK = 16 * 1024**2
DENSE = 4
"""A part is read at once where at least one item in so many is wanted."""
CLOSE = 64 * 1024
"""Bytes that are read at once however few of them are wanted."""


class _View(NamedTuple):
    """Some items of the storage: the first one, and how many with which steps (in items), outermost first."""

    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def extent(self) -> int:
        return 1 + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))

    def at(self, axis: int, first: int, count: int) -> "_View":
        """`count` steps of one dimension, from `first` on."""
        shape = (*self.shape[:axis], count, *self.shape[axis + 1 :])
        return _View(self.start + first * self.strides[axis], shape, self.strides)

    def without(self, axis: int, index: int) -> "_View":
        """One step of one dimension, which is then no dimension any more."""
        shape, strides = list(self.shape), list(self.strides)
        del shape[axis], strides[axis]
        return _View(self.start + index * self.strides[axis], tuple(shape), tuple(strides))


def reordered(ref: TensorRef, source: Source) -> Iterator[bytes]:
    """The items of a strided tensor with one span, in row-major order, in pieces of about `BLOCK` bytes."""
    ((offset, _),) = ref.spans
    view = _View(0, ref.shape, ref.strides or ())
    for block in _blocks(view, max(1, BLOCK // ref.itemsize)):
        out = bytearray(math.prod(block.shape) * ref.itemsize)
        _Filling(source, offset, ref.itemsize, out).fill(block, 0, _row_major(block.shape))
        yield bytes(out)


def _blocks(view: _View, most: int) -> Iterator[_View]:
    """Views of at most `most` items that follow each other in row-major order."""
    if math.prod(view.shape) <= most:
        yield view
        return
    inner = math.prod(view.shape[1:])
    if inner > most:
        for index in range(view.shape[0]):
            yield from _blocks(view.without(0, index), most)
        return
    step = most // inner
    for first in range(0, view.shape[0], step):
        yield view.at(0, first, min(step, view.shape[0] - first))


def _row_major(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


class _Filling:
    """One block on its way from the storage into a buffer."""

    def __init__(self, source: Source, offset: int, itemsize: int, out: bytearray) -> None:
        self._source, self._offset, self._itemsize = source, offset, itemsize
        self._out = out

    def fill(self, view: _View, to: int, steps: tuple[int, ...]) -> None:
        """Put the items of `view` at item `to` of the buffer and on, with the buffer's own steps."""
        extent = view.extent * self._itemsize
        if (
            not view.shape
            or extent <= CLOSE
            or (view.extent <= DENSE * math.prod(view.shape) and extent <= 2 * BLOCK)
        ):
            data = self._source.read(self._offset + view.start * self._itemsize, extent)
            if len(data) < extent:
                raise InputError("truncated", "a tensor reaches behind the end of its file")
            self._place(memoryview(data), view, to, steps)
            return
        axis = max(range(len(view.shape)), key=lambda axis: (view.shape[axis] > 1, view.strides[axis]))
        rest = (*steps[:axis], *steps[axis + 1 :])
        for index in range(view.shape[axis]):
            self.fill(view.without(axis, index), to + index * steps[axis], rest)

    def _place(self, data: memoryview, view: _View, to: int, steps: tuple[int, ...]) -> None:
        """Copy row by row: the longest dimension is the row."""
        shape, strides = view.shape or (1,), view.strides or (1,)
        steps = steps or (1,)
        row = max(range(len(shape)), key=shape.__getitem__)
        others = [axis for axis in range(len(shape)) if axis != row]
        for index in range(math.prod(shape[axis] for axis in others)):
            start, goal = 0, to
            for axis in reversed(others):
                index, here = divmod(index, shape[axis])
                start += here * strides[axis]
                goal += here * steps[axis]
            self._row(data, start, strides[row], goal, steps[row], shape[row])

    def _row(self, data: memoryview, start: int, stride: int, to: int, step: int, count: int) -> None:
        size = self._itemsize
        for byte in range(size) if stride != 1 or step != 1 else ():
            first, last = start * size + byte, to * size + byte
            taken = data[first : first + (count - 1) * stride * size + 1 : stride * size] if stride else None
            self._out[last : last + (count - 1) * step * size + 1 : step * size] = (
                taken if taken is not None else bytes([data[first]]) * count
            )
        if stride == 1 and step == 1:
            self._out[to * size : (to + count) * size] = data[start * size : (start + count) * size]
