"""Chunked datasets of HDF5 files: where the chunks lie, and a Source that puts them together when it is read.

HDF5 File Format Specification 3.0: layouts of version 3 with a version 1 B-tree (III.A.1), and of version 4 with a single
chunk, with implicit chunks, or with a fixed array of one block (VII.A to VII.C). Filters are deflate, shuffle and
fletcher32; no chunk can become larger than its place. Other indexes and filters are left to those who name them.
"""

import itertools
import zlib
from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.formats.hdf5.file import UNDEFINED, Cursor, Work

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
MAX_CHUNKS = 1_000_000
MAX_RANK = 32
MAX_RUNS = 4_000_000
"""Copies that putting one dataset together may take; each costs half a microsecond."""


class Filter(NamedTuple):
    """One step of a filter pipeline and its first parameter."""

    number: int
    value: int


class Chunk(NamedTuple):
    """One chunk as stored."""

    place: tuple[int, ...]
    """Index of its first item in the dataset."""
    address: int
    size: int
    skipped: int
    """Bits of filters that were not applied."""


class Grid(NamedTuple):
    """The chunks of a dataset."""

    shape: tuple[int, ...]
    """Of one chunk."""
    chunks: tuple[Chunk, ...]
    whole: bool
    """Every place of the dataset has one."""


def find_chunks(work: Work, layout: bytes, shape: tuple[int, ...], itemsize: int) -> Grid | None:
    """The chunks that a layout message names; None for an index that is not followed."""
    version = layout[0]
    if version == 3:
        cursor = Cursor(work, layout, 2)
        rank = cursor.number(1)
        address = cursor.address()
        sizes = tuple(cursor.number(4) for _ in range(rank))
        flags = index = 0
    elif version == 4:
        cursor = Cursor(work, layout, 2)
        flags, rank, width = cursor.number(1), cursor.number(1), cursor.number(1)
        sizes = tuple(cursor.number(width) for _ in range(rank))
        index = cursor.number(1)
        address = UNDEFINED
    else:
        return None
    chunk = sizes[:-1]
    if len(chunk) != len(shape) or not 0 < len(chunk) <= MAX_RANK or 0 in chunk or sizes[-1] != itemsize:
        raise InputError("bad-header", "chunks of another shape than their dataset")
    places = prod(-(-size // step) for size, step in zip(shape, chunk, strict=True))
    if places > MAX_CHUNKS:
        return None
    if version == 3:
        chunks = tuple(_tree(work, address, len(chunk))) if address != UNDEFINED else ()
    else:
        listed = _indexed(work, cursor, index, flags, shape, chunk, itemsize)
        if listed is None:
            return None
        chunks = listed
    return Grid(chunk, chunks, len({one.place for one in chunks}) == places)


def _tree(work: Work, root: int, rank: int) -> Iterator[Chunk]:
    """Leaves of a version 1 B-tree of raw data chunks (III.A.1): keys are size, filter mask and place."""
    seen, todo = set[int](), [root]
    while todo:
        at = todo.pop()
        if at in seen:
            raise InputError("bad-header", "a tree of chunks leads back to itself")
        seen.add(at)
        head = work.take(at, 8 + 2 * work.wide)
        if head[:4] != b"TREE" or head[4] != 1:
            raise InputError("bad-header", "a tree of chunks is broken")
        level, count = head[5], int.from_bytes(head[6:8], "little")
        key = 8 + 8 * (rank + 1)
        work.budget.spend_members(count)
        cursor = Cursor(work, work.take(at + len(head), count * (key + work.wide) + key))
        for _ in range(count):
            size, skipped = cursor.number(4), cursor.number(4)
            place = tuple(cursor.number(8) for _ in range(rank + 1))[:rank]
            child = cursor.address()
            if child == UNDEFINED:
                raise InputError("bad-offset", "a chunk lies nowhere")
            if level:
                todo.append(child)
            else:
                yield Chunk(place, child, size, skipped)


def _indexed(
    work: Work,
    cursor: Cursor,
    index: int,
    flags: int,
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    itemsize: int,
) -> tuple[Chunk, ...] | None:
    """The simple indexes of layout version 4; None for the others."""
    plain = prod(chunk) * itemsize
    if index == 1:
        size, skipped = (cursor.length(), cursor.number(4)) if flags & 2 else (plain, 0)
        address = cursor.address()
        return () if address == UNDEFINED else (Chunk((0,) * len(shape), address, size, skipped),)
    places = itertools.product(*(range(0, size, step) for size, step in zip(shape, chunk, strict=True)))
    if index == 2:
        address = cursor.address()
        return (
            ()
            if address == UNDEFINED
            else tuple(
                Chunk(place, address + number * plain, plain, 0) for number, place in enumerate(places)
            )
        )
    if index == 3:
        page_bits, address = cursor.number(1), cursor.address()
        return _fixed_array(work, address, page_bits, list(places), plain) if address != UNDEFINED else ()
    return None


def _fixed_array(
    work: Work, at: int, page_bits: int, places: list[tuple[int, ...]], plain: int
) -> tuple[Chunk, ...] | None:
    """A fixed array without pages (VII.C): header `FAHD`, data block `FADB`."""
    head = work.take(at, 8 + work.long + work.wide)
    cursor = Cursor(work, head, 5)
    filtered, entry, _ = cursor.number(1), cursor.number(1), cursor.number(1)
    count, block = cursor.length(), cursor.address()
    if head[:4] != b"FAHD" or count != len(places) or count > 1 << page_bits or block == UNDEFINED:
        return None
    work.budget.spend_members(count)
    data = work.take(block, 6 + work.wide + count * entry)
    if data[:4] != b"FADB":
        raise InputError("bad-header", "an array of chunks is broken")
    cursor = Cursor(work, data, 6 + work.wide)
    chunks: list[Chunk] = []
    for place in places:
        address = cursor.address()
        size, skipped = (cursor.number(entry - work.wide - 4), cursor.number(4)) if filtered else (plain, 0)
        if address != UNDEFINED:
            chunks.append(Chunk(place, address, size, skipped))
    return tuple(chunks)


class Chunked:
    """A Source of a dataset's items in row-major order; unpacks everything at the first read and forgets it at the end.

    Raises `InputError` (`bad-stream`) from `read` where a chunk cannot be unpacked, `LimitError` where it is too large.
    """

    __slots__ = ("_base", "_budget", "_data", "_file", "_filters", "_grid", "_item", "_shape")

    def __init__(
        self,
        file: Source,
        base: int,
        budget: Budget,
        grid: Grid,
        filters: tuple[Filter, ...],
        shape: tuple[int, ...],
        itemsize: int,
    ) -> None:
        self._file, self._base, self._budget, self._grid = file, base, budget, grid
        self._filters, self._shape, self._item = filters, shape, itemsize
        self._data: memoryview | None = None

    @property
    def size(self) -> int:
        """Bytes of all items."""
        return prod(self._shape) * self._item

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        if self._data is None:
            self._data = self._put_together()
        piece = bytes(self._data[offset : offset + length])
        if offset + length >= self.size:
            self._data = None
        return piece

    def _put_together(self) -> memoryview:
        self._budget.need_memory(self.size * 2, "a chunked dataset")
        whole = bytearray(self.size)
        view = memoryview(whole)
        for chunk in self._grid.chunks:
            data = self._unpacked(chunk)
            self._budget.spend_bytes(len(data))
            _place(view, self._shape, data, self._grid.shape, chunk.place, self._item)
        return view

    def _unpacked(self, chunk: Chunk) -> bytes:
        size = prod(self._grid.shape) * self._item
        self._budget.need_memory(size + chunk.size, "a chunk of an HDF5 dataset")
        data = self._file.read(self._base + chunk.address, chunk.size)
        for index, step in reversed(list(enumerate(self._filters))):
            if not chunk.skipped >> index & 1:
                data = _undone(step, data, size)
        if len(data) != size:
            raise InputError("bad-stream", f"a chunk of {size} bytes unpacks to {len(data)}")
        return data


def _undone(step: Filter, data: bytes, size: int) -> bytes:
    """The data before this filter was applied."""
    if step.number == FLETCHER32:
        return data[:-4]
    if step.number == SHUFFLE:
        return _unshuffled(data, step.value)
    run = zlib.decompressobj()
    try:
        plain = run.decompress(data, size + 4)
    except zlib.error as error:
        raise InputError("bad-stream", f"a chunk does not unpack: {error}") from None
    if run.unconsumed_tail:
        raise InputError("bad-stream", f"a chunk unpacks to more than its {size} bytes")
    return plain


def _unshuffled(data: bytes, item: int) -> bytes:
    """All first bytes stand first, then all second ones; what does not fill an item stands behind."""
    count = len(data) // item if item else 0
    if item < 2 or count < 2:
        return data
    out = bytearray(data)
    for index in range(item):
        out[index : count * item : item] = data[index * count : (index + 1) * count]
    return bytes(out)


def _place(
    whole: memoryview,
    shape: tuple[int, ...],
    data: bytes,
    chunk: tuple[int, ...],
    place: tuple[int, ...],
    item: int,
) -> None:
    """Copy a chunk's items to where they belong; those behind the dataset's edge are padding."""
    if any(at >= size for at, size in zip(place, shape, strict=True)):
        raise InputError("bad-stream", "a chunk lies outside of its dataset")
    axis = len(shape) - 1
    while axis and chunk[axis] == shape[axis]:
        axis -= 1  # whole rows lie together in both
    tail = prod(shape[axis + 1 :]) * item
    run = min(chunk[axis], shape[axis] - place[axis]) * tail
    counts = [min(chunk[i], shape[i] - place[i]) for i in range(axis)]
    if prod(counts) > MAX_RUNS:
        raise InputError("bad-stream", "a chunk of too many rows")
    for index in itertools.product(*(range(count) for count in counts)):
        source = target = 0
        for i, step in enumerate(index):
            source, target = source * chunk[i] + step, target * shape[i] + place[i] + step
        start = (target * shape[axis] + place[axis]) * tail
        origin = source * chunk[axis] * tail
        whole[start : start + run] = data[origin : origin + run]
