"""The heaps of HDF5 files: dense storage (fractal heap and version 2 B-tree) for many links or attributes, and the global
heap for values of variable length.

HDF5 File Format Specification 3.0, sections III.A.2, III.E and III.G.
"""

from bisect import bisect_right
from collections.abc import Iterator

from weighbridge.core.errors import InputError
from weighbridge.formats.hdf5.file import MAX_STRING, UNDEFINED, Cursor, Work


def heap_records(work: Work, heap_at: int, index_at: int) -> Iterator[bytes]:
    """The objects of a fractal heap, found through the records of its name index."""
    heap = FractalHeap(work, heap_at)
    for record in _index_records(work, index_at):
        # A link's record is hash (4) and heap id; an attribute's is heap id (8), flags, order, hash.
        yield heap.object(record)


def _index_records(work: Work, at: int) -> Iterator[bytes]:
    head = work.take(at, 16 + work.wide + 2 + work.long)
    if head[:4] != b"BTHD":
        raise InputError("bad-header", "an HDF5 index is broken")
    cursor = Cursor(work, head, 5)
    kind, node, size, depth = cursor.number(1), cursor.number(4), cursor.number(2), cursor.number(2)
    cursor.take(2)
    root, count = cursor.address(), cursor.number(2)
    if kind not in (5, 8) or not size or not node:
        raise InputError("codec-unknown", f"HDF5 index of type {kind}")
    if root == UNDEFINED:
        return
    most = (node - 10) // size
    todo = [(root, count, depth)]
    while todo:
        at, count, depth = todo.pop()
        data = work.take(at, node)
        work.budget.spend_members(count + 1)
        if data[:4] not in (b"BTIN", b"BTLF") or count > most:
            raise InputError("bad-header", "an HDF5 index node is broken")
        for i in range(count):
            record = data[6 + i * size : 6 + (i + 1) * size]
            yield record[4:] if kind == 5 else record[:8]
        if depth:
            todo += _index_children(work, data, 6 + count * size, count, depth, node, size)


def _index_children(
    work: Work, data: bytes, at: int, count: int, depth: int, node: int, size: int
) -> list[tuple[int, int, int]]:
    """Child pointers of an internal node: address, number of records, and below depth 1 the total."""
    limits = [(node - 10) // size]
    totals = [limits[0]]
    for _ in range(depth - 1):
        width = work.wide + width_of(limits[0]) + (width_of(totals[-1]) if len(limits) > 1 else 0)
        limits.append((node - 10 - width) // (size + width))
        totals.append((limits[-1] + 1) * totals[-1] + limits[-1])
    cursor = Cursor(work, data, at)
    children = []
    for _ in range(count + 1):
        address, records = cursor.address(), cursor.number(width_of(limits[0]))
        cursor.take(width_of(totals[-1]) if depth > 1 else 0)
        children.append((address, records, depth - 1))
    return children


def width_of(value: int) -> int:
    """Bytes that hold numbers up to `value`."""
    return (value.bit_length() + 7) // 8


class FractalHeap:
    """Managed and tiny objects of a fractal heap; huge ones and filtered blocks are refused as unknown."""

    __slots__ = ("_blocks", "_id_length", "_length_bytes", "_max_bits", "_offset_bytes", "_work")

    def __init__(self, work: Work, at: int) -> None:
        self._work = work
        head = work.take(at, 22 + 12 * work.long + 3 * work.wide)
        if head[:4] != b"FRHP":
            raise InputError("bad-header", "an HDF5 heap is broken")
        cursor = Cursor(work, head, 5)
        self._id_length = cursor.number(2)
        filters, _, most = cursor.number(2), cursor.number(1), cursor.number(4)
        cursor.length(), cursor.address(), cursor.length(), cursor.address()
        for _ in range(8):
            cursor.length()
        width, start, largest = cursor.number(2), cursor.length(), cursor.length()
        self._max_bits, _, root, rows = cursor.number(2), cursor.number(2), cursor.address(), cursor.number(2)
        if filters or not width or not start or largest < start:
            raise InputError("codec-unknown", "an HDF5 heap with filters")
        self._offset_bytes = (self._max_bits + 7) // 8
        self._length_bytes = min((largest.bit_length() + 6) // 8, width_of(most)) or 1
        self._blocks = sorted(self._find(root, rows, width, start, largest))

    def _find(
        self, root: int, rows: int, width: int, start: int, largest: int
    ) -> Iterator[tuple[int, int, int]]:
        """(offset in the heap, size, address) of every direct block; indirect blocks double their sizes row by row."""
        work, todo = self._work, [(root, rows, 0)]
        direct_rows = (largest // start).bit_length() + 1
        while todo:
            at, rows, offset = todo.pop()
            if at == UNDEFINED:
                continue
            work.budget.spend_members()
            if not rows:
                yield offset, start, at
                continue
            if rows > 64:
                raise InputError("bad-header", "an HDF5 heap of more than 64 rows")
            count = width * rows
            data = work.take(at + 5 + work.wide + self._offset_bytes, count * work.wide)
            cursor = Cursor(work, data)
            for row in range(rows):
                size = start << max(0, row - 1)
                for _ in range(width):
                    child = cursor.address()
                    if child != UNDEFINED and row < direct_rows:
                        yield offset, size, child
                    elif child != UNDEFINED:
                        inner = (size // start // width).bit_length()
                        todo.append((child, inner, offset))
                    offset += size

    def object(self, identifier: bytes) -> bytes:
        """The bytes of one object by its heap id."""
        cursor = Cursor(self._work, identifier)
        first = cursor.number(1)
        match first >> 4 & 3:
            case 0:
                offset, length = cursor.number(self._offset_bytes), cursor.number(self._length_bytes)
                return self._managed(offset, length)
            case 2 if self._id_length <= 18:
                return cursor.take((first & 15) + 1)
            case _:
                raise InputError("codec-unknown", "a huge object in an HDF5 heap")

    def _managed(self, offset: int, length: int) -> bytes:
        after = bisect_right(self._blocks, offset, key=lambda block: block[0])
        start, size, address = self._blocks[after - 1] if after else (0, 0, 0)
        if offset + length > start + size:
            raise InputError("bad-offset", "an HDF5 heap id leads nowhere")
        return self._work.take(address + offset - start, length)


def variable_values(work: Work, data: bytes) -> list[bytes]:
    """Variable-length values: length, heap address and index of each (specification IV.A.2.d, class 9)."""
    cursor, values = Cursor(work, data), list[bytes]()
    step = 8 + work.wide
    while cursor.at + step <= len(data) and len(values) < 10_000:
        cursor.number(4)
        address, index = cursor.address(), cursor.number(4)
        if address not in (0, UNDEFINED):
            values.append(_global_heap(work, address).get(index, b""))
    return values


def _global_heap(work: Work, at: int) -> dict[int, bytes]:
    """The objects of one global heap collection (specification III.E)."""
    if at in work.heaps:
        return work.heaps[at]
    head = work.take(at, 8 + work.long)
    size = int.from_bytes(head[8:], "little")
    if head[:4] != b"GCOL" or size > MAX_STRING:
        raise InputError("bad-header", "an HDF5 global heap is broken")
    cursor = Cursor(work, work.take(at, size), 8 + work.long)
    objects: dict[int, bytes] = {}
    while cursor.at + 8 + work.long <= size:
        index = cursor.number(2)
        cursor.take(6)
        length = cursor.length()
        if not index:
            break
        work.budget.spend_members()
        objects[index] = cursor.take(length)
        cursor.take(min(-length % 8, size - cursor.at))
    if len(work.heaps) > 64:
        work.heaps.clear()
    work.heaps[at] = objects
    return objects
