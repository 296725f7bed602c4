"""HDF5 files: every group, dataset, attribute and link, without interpreting the datasets' numbers.

Follows the HDF5 File Format Specification 3.0: superblocks 0 to 3, object headers 1 and 2, symbol tables, compact and
dense links, attributes with strings in global heaps. What leads out of the file is named: external links, external raw
data, virtual datasets, file drivers, filters that need a plug-in. Bytes in front of the superblock and behind the end that
it declares become parts. Strings that loaders parse again (`model_config` of Keras) become parts too, and so do attributes
that PyTables would unpickle.

Chunked and filtered data is accepted as data; free space inside the file is not looked at.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import field

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Slice, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.membernames import Notes
from weighbridge.formats.reading import Gap, Part, Reading, TensorRef
from weighbridge.formats.sniff import looks_like_text, starts_like_pickle

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_STRING = 64 * 1024**2
MAX_PADDING = 65536
MAX_HEADER = 4 * 1024**2
KNOWN_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset"}
JSON_ATTRIBUTES = {"model_config", "training_config"}
UNDEFINED = -1

DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT, FILTERS = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08, 0x0B
ATTRIBUTE, CONTINUATION, SYMBOLS, DRIVER, ATTRIBUTE_INFO = 0x0C, 0x10, 0x11, 0x14, 0x15
HARMLESS = {0x00, 0x04, 0x05, 0x0A, 0x0D, 0x0E, 0x0F, 0x12, 0x13, 0x16, 0x17, 0x18}
"""Nil, fill values, group info, comments, times, counters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hdf5Reading(Reading):
    """What stands in an HDF5 file."""

    attributes: tuple[tuple[str, str, str], ...] = ()
    """(object path, name, beginning of the value) of the attributes that hold one string."""
    datasets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    kind: int
    shared: bool
    body: bytes


@dataclass(slots=True)
class _Work:
    source: Source
    budget: Budget
    base: int
    wide: int = 8
    """Bytes of an address."""
    long: int = 8
    """Bytes of a length."""
    notes: Notes = field(default_factory=Notes)
    gaps: list[Gap] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    externals: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    tensors: list[TensorRef] = field(default_factory=list)
    unlisted: str = ""
    heaps: dict[int, dict[int, bytes]] = field(default_factory=dict)

    def gap(self, code: str, message: str, part: str = "") -> None:
        if len(self.gaps) < 200:
            self.gaps.append(Gap(code=code, message=message, part=visible(part)))

    def take(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes at an address; raises `InputError` (`truncated`)."""
        if address == UNDEFINED or length > MAX_STRING:
            raise InputError("bad-offset", "an HDF5 address leads nowhere")
        self.budget.need_memory(length, "a part of an HDF5 file")
        data = self.source.read(self.base + address, length)
        if len(data) < length:
            raise InputError("truncated", f"an HDF5 address leads behind the file's {self.source.size} bytes")
        return data


class _Cursor:
    """Reads fields of one message in order; raises `InputError` where it ends."""

    __slots__ = ("at", "data", "work")

    def __init__(self, work: _Work, data: bytes, at: int = 0) -> None:
        self.work, self.data, self.at = work, data, at

    def take(self, length: int) -> bytes:
        piece = self.data[self.at : self.at + length]
        if len(piece) < length or length < 0:
            raise InputError("truncated", "an HDF5 message ends early")
        self.at += length
        return piece

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "little")

    def address(self) -> int:
        value = self.take(self.work.wide)
        return UNDEFINED if value == b"\xff" * len(value) else int.from_bytes(value, "little")

    def length(self) -> int:
        return self.number(self.work.long)


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read the whole structure. Raises `InputError` (`not-this-format`) where there is no superblock."""
    start = superblock_at(source)
    if start is None:
        raise InputError("not-this-format", "no HDF5 superblock")
    if start and _is_member(source, budget, start):
        raise InputError("not-this-format", "the HDF5 file is a member of an archive, and read there")
    work = _Work(source, budget, start)
    root = _superblock(work, start)
    _note_outside(work, start)
    _walk(work, root)
    return Hdf5Reading(
        format="hdf5",
        anomalies=work.notes.all(),
        gaps=tuple(work.gaps),
        parts=tuple(work.parts),
        tensors=tuple(work.tensors) if not work.unlisted else None,
        tensors_unlisted=work.unlisted,
        attributes=tuple(work.attributes),
        datasets=tuple(work.datasets),
    )


def superblock_at(source: Source) -> int | None:
    """Where libhdf5 finds the superblock: at 0, 512, 1024, 2048, … (specification II.A)."""
    at = 0
    while at + len(SIGNATURE) <= source.size:
        if source.read(at, len(SIGNATURE)) == SIGNATURE:
            return at
        at = max(512, at * 2)
    return None


def _is_member(source: Source, budget: Budget, start: int) -> bool:
    """Whether an archive holds a plain member that begins right there, as it may happen by alignment."""
    from weighbridge.formats.tar import TarTree
    from weighbridge.formats.tar import read as read_tar
    from weighbridge.formats.ziptree import STORED, read_tree

    try:
        if source.read(257, 5) == b"ustar":
            tree = read_tar(source, budget, "")
            return isinstance(tree, TarTree) and any(m.source and m.start == start for m in tree.members)
        entries = read_tree(source, budget).entries
    except InputError:
        return False
    return any(entry.start == start and entry.method == STORED and entry.source for entry in entries)


def _superblock(work: _Work, start: int) -> int:
    """Read the superblock; returns the address of the root group's header."""
    head = work.source.read(start, 128)
    version = head[8] if len(head) > 16 else 255
    if version > 3:
        raise InputError("bad-header", f"HDF5 superblock of version {version}")
    work.wide, work.long = (head[13], head[14]) if version < 2 else (head[9], head[10])
    if work.wide not in (2, 4, 8) or work.long not in (2, 4, 8):
        raise InputError("bad-header", f"HDF5 addresses of {work.wide} bytes, lengths of {work.long}")
    cursor = _Cursor(work, head, {0: 24, 1: 28}.get(version, 12))
    base = cursor.address()
    cursor.address()  # free space, or the superblock's extension
    end = cursor.address()
    if version < 2 and cursor.address() != UNDEFINED:
        work.gap("multi-file", "the file says that a file driver spreads it over other files")
    if version < 2:
        cursor.address()  # the root entry's name
    root = cursor.address()
    # The library takes the superblock's place for the base, whatever the field says, and moves the end along.
    _note_end(work, end + start - base if UNDEFINED not in (base, end) else UNDEFINED)
    return root


def _note_end(work: _Work, stop: int) -> None:
    if stop < 0 or stop > work.source.size:
        work.gap("truncated", "the file ends before the end that its superblock declares")
    elif not _is_padding(work.source, stop, work.source.size):
        length = work.source.size - stop
        work.notes.add(
            "hdf5-data-after", f"{length} bytes behind the end that the superblock declares", offset=stop
        )
        work.parts.append(
            Part(name=f"bytes {stop} to {work.source.size}", source=Slice(work.source, stop, length))
        )


def _note_outside(work: _Work, start: int) -> None:
    if not _is_padding(work.source, 0, start):
        work.notes.add("hdf5-user-block", f"{start} bytes stand before the HDF5 superblock", offset=0)
        work.parts.append(Part(name=f"bytes 0 to {start}", source=Slice(work.source, 0, start)))


def _is_padding(source: Source, start: int, stop: int) -> bool:
    return stop - start <= MAX_PADDING and not source.read(start, stop - start).strip(b"\0")


def _walk(work: _Work, root: int) -> None:
    """Every object that hard links reach, each once."""
    seen: set[int] = set()
    todo: list[tuple[str, int]] = [("", root)]
    while todo:
        path, address = todo.pop()
        if address in seen:
            continue
        seen.add(address)
        work.budget.spend_members()
        try:
            todo += _object(work, path, address)
        except (InputError, struct.error) as error:
            message = error.message if isinstance(error, InputError) else "a message is too short"
            work.gap("bad-object", message, part=path or "/")


def _object(work: _Work, path: str, address: int) -> list[tuple[str, int]]:
    """Read one object header; returns (path, address) of the objects that it links to."""
    messages = list(_messages(work, address))
    children: list[tuple[str, int]] = []
    for message in messages:
        match message.kind:
            case _ if message.kind == LINK:
                children += _link(work, path, message.body)
            case _ if message.kind == LINK_INFO:
                children += _dense_links(work, path, message.body)
            case _ if message.kind == SYMBOLS:
                children += _symbol_table(work, path, message.body)
            case _ if message.kind == ATTRIBUTE:
                _attribute(work, path, message)
            case _ if message.kind == ATTRIBUTE_INFO:
                _dense_attributes(work, path, message.body)
            case _ if message.kind == EXTERNAL:
                _external_files(work, path, message.body)
            case _ if message.kind == FILTERS:
                _filters(work, path, message.body)
            case _ if message.kind == DRIVER:
                work.gap("multi-file", "a file driver spreads the file over other files", part=path)
            case _ if message.kind not in HARMLESS | {DATASPACE, DATATYPE, LAYOUT}:
                work.gap("codec-unknown", f"HDF5 message of type {message.kind}", part=path)
    if any(message.kind == LAYOUT for message in messages):
        _dataset(work, path, {message.kind: message for message in messages})
    return children


def _join(path: str, name: str) -> str:
    return f"{path}/{name}"


# -- object headers ------------------------------------------------------------------------------------------------


def _messages(work: _Work, address: int) -> Iterator[_Message]:
    """All messages of an object header, continuations included (specification IV.A)."""
    head = work.take(address, 16)
    second = head[:4] == b"OHDR"
    if second:
        flags = head[5]
        start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(work.take(address + start, width), "little")
        chunks, ordered = [(address + start + width, size)], bool(flags & 4)
    elif head[0] == 1:
        chunks, ordered = [(address + 16, int.from_bytes(head[8:12], "little"))], False
    else:
        raise InputError("bad-header", f"no HDF5 object header at {address}")
    spent = 0
    while chunks:
        at, size = chunks.pop(0)
        spent += size
        if spent > MAX_HEADER:
            raise InputError("bad-header", f"HDF5 object header of more than {MAX_HEADER} bytes")
        for message in _chunk(work, work.take(at, size), second, ordered):
            if message.kind == CONTINUATION:
                cursor = _Cursor(work, message.body)
                at, size = cursor.address(), cursor.length()
                work.budget.spend_members()
                chunks.append((at + 4, size - 8) if second else (at, size))
            else:
                yield message


def _chunk(work: _Work, data: bytes, second: bool, ordered: bool) -> Iterator[_Message]:
    cursor = _Cursor(work, data)
    lead = (6 if ordered else 4) if second else 8
    while cursor.at + lead <= len(data):
        kind, size = cursor.number(1 if second else 2), cursor.number(2)
        flags = cursor.number(1)
        cursor.take(lead - (4 if second else 5))
        if not kind and not size and second:
            return
        work.budget.spend_members()
        yield _Message(kind=kind, shared=bool(flags & 2), body=cursor.take(size))


# -- links ---------------------------------------------------------------------------------------------------------


def _link(work: _Work, path: str, body: bytes) -> list[tuple[str, int]]:
    """A link message (specification IV.A.2.g): hard, soft, or external."""
    cursor = _Cursor(work, body, 1)
    flags = cursor.number(1)
    kind = cursor.number(1) if flags & 8 else 0
    cursor.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = cursor.take(cursor.number(1 << (flags & 3))).decode("utf-8", "surrogateescape")
    here = _join(path, name)
    if kind == 0:
        return [(here, cursor.address())]
    value = cursor.take(cursor.number(2))
    if kind == 64:
        target = value[1:].split(b"\0")[0].decode("utf-8", "surrogateescape")
        work.notes.add(
            "hdf5-external-link", f'"{visible(here)}" leads to the file "{visible(target)}"', part=here
        )
    elif kind != 1:
        work.gap("codec-unknown", f"link of the user-defined type {kind}", part=here)
    return []


def _symbol_table(work: _Work, path: str, body: bytes) -> list[tuple[str, int]]:
    """The members of an old-style group: a B-tree of symbol nodes with names in a local heap (III.A.1, III.B, III.C)."""
    cursor = _Cursor(work, body)
    tree, heap = cursor.address(), cursor.address()
    names = _local_heap(work, heap)
    children: list[tuple[str, int]] = []
    seen, todo = set[int](), [tree]
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        work.budget.spend_members()
        head = work.take(at, 8)
        if head[:4] == b"SNOD":
            children += _symbol_node(work, path, at, int.from_bytes(head[6:8], "little"), names)
        elif head[:4] == b"TREE" and head[4] == 0:
            todo += _tree_children(work, at, int.from_bytes(head[6:8], "little"))
        else:
            raise InputError("bad-header", "an HDF5 group's tree is broken")
    return children


def _tree_children(work: _Work, at: int, count: int) -> list[int]:
    start = at + 8 + 2 * work.wide
    cursor = _Cursor(work, work.take(start, count * (work.long + work.wide)))
    children = []
    for _ in range(count):
        cursor.length()
        children.append(cursor.address())
    return children


def _symbol_node(work: _Work, path: str, at: int, count: int, names: bytes) -> Iterator[tuple[str, int]]:
    cursor = _Cursor(work, work.take(at + 8, count * (2 * work.wide + 24)))
    for _ in range(count):
        name = _heap_text(names, cursor.address())
        address, cache = cursor.address(), cursor.number(4)
        cursor.take(20)
        if cache != 2:  # 2 is a soft link, whose target stands in the heap
            yield _join(path, name), address


def _local_heap(work: _Work, at: int) -> bytes:
    head = work.take(at, 8 + 2 * work.long + work.wide)
    if head[:4] != b"HEAP":
        raise InputError("bad-header", "an HDF5 group has no heap for its names")
    cursor = _Cursor(work, head, 8)
    size = cursor.length()
    cursor.length()
    return work.take(cursor.address(), size)


def _heap_text(heap: bytes, offset: int) -> str:
    if not 0 <= offset < len(heap):
        raise InputError("bad-offset", "a name lies outside its heap")
    return heap[offset : heap.find(b"\0", offset)].decode("utf-8", "surrogateescape")


def _dense_links(work: _Work, path: str, body: bytes) -> list[tuple[str, int]]:
    cursor = _Cursor(work, body, 1)
    flags = cursor.number(1)
    cursor.take(8 if flags & 1 else 0)
    heap, index = cursor.address(), cursor.address()
    if heap == UNDEFINED:
        return []
    return [child for record in _heap_records(work, heap, index) for child in _link(work, path, record)]


# -- dense storage: fractal heap and version 2 B-tree (specification III.A.2, III.G) --------------------------------


def _heap_records(work: _Work, heap_at: int, index_at: int) -> Iterator[bytes]:
    """The objects of a fractal heap, found through the records of its name index."""
    heap = _FractalHeap(work, heap_at)
    for record in _index_records(work, index_at):
        # A link's record is hash (4) and heap id; an attribute's is heap id (8), flags, order, hash.
        yield heap.object(record)


def _index_records(work: _Work, at: int) -> Iterator[bytes]:
    head = work.take(at, 16 + work.wide + 2 + work.long)
    if head[:4] != b"BTHD":
        raise InputError("bad-header", "an HDF5 index is broken")
    cursor = _Cursor(work, head, 5)
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
    work: _Work, data: bytes, at: int, count: int, depth: int, node: int, size: int
) -> list[tuple[int, int, int]]:
    """Child pointers of an internal node: address, number of records, and below depth 1 the total."""
    limits = [(node - 10) // size]
    totals = [limits[0]]
    for _ in range(depth - 1):
        width = work.wide + _width(limits[0]) + (_width(totals[-1]) if len(limits) > 1 else 0)
        limits.append((node - 10 - width) // (size + width))
        totals.append((limits[-1] + 1) * totals[-1] + limits[-1])
    cursor = _Cursor(work, data, at)
    children = []
    for _ in range(count + 1):
        address, records = cursor.address(), cursor.number(_width(limits[0]))
        cursor.take(_width(totals[-1]) if depth > 1 else 0)
        children.append((address, records, depth - 1))
    return children


def _width(value: int) -> int:
    return (value.bit_length() + 7) // 8


class _FractalHeap:
    """Managed and tiny objects of a fractal heap; huge ones and filtered blocks are refused as unknown."""

    __slots__ = ("_blocks", "_id_length", "_length_bytes", "_max_bits", "_offset_bytes", "_work")

    def __init__(self, work: _Work, at: int) -> None:
        self._work = work
        head = work.take(at, 22 + 12 * work.long + 3 * work.wide)
        if head[:4] != b"FRHP":
            raise InputError("bad-header", "an HDF5 heap is broken")
        cursor = _Cursor(work, head, 5)
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
        self._length_bytes = min((largest.bit_length() + 6) // 8, _width(most)) or 1
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
            cursor = _Cursor(work, data)
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
        cursor = _Cursor(self._work, identifier)
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


# -- attributes ----------------------------------------------------------------------------------------------------


def _dense_attributes(work: _Work, path: str, body: bytes) -> None:
    cursor = _Cursor(work, body, 1)
    flags = cursor.number(1)
    cursor.take(2 if flags & 1 else 0)
    heap, index = cursor.address(), cursor.address()
    if heap != UNDEFINED:
        for record in _heap_records(work, heap, index):
            _attribute(work, path, _Message(kind=ATTRIBUTE, shared=False, body=record))


def _attribute(work: _Work, path: str, message: _Message) -> None:
    """An attribute message of version 1 to 3 (specification IV.A.2.m)."""
    if message.shared:
        work.gap("codec-unknown", "a shared attribute", part=path)
        return
    cursor = _Cursor(work, message.body)
    version, flags = cursor.number(1), cursor.number(1)
    lengths = [cursor.number(2) for _ in range(3)]
    if version == 3:
        cursor.number(1)
    pad = 8 if version == 1 else 1
    name, kind, space = (cursor.take(-(-length // pad) * pad)[:length] for length in lengths)
    text = name.split(b"\0")[0].decode("utf-8", "surrogateescape")
    if version > 1 and flags & 1:
        work.gap("codec-unknown", "an attribute with a committed datatype", part=_join(path, text))
        return
    _attribute_value(work, path, text, kind, space, message.body[cursor.at :])


def _attribute_value(work: _Work, path: str, name: str, kind: bytes, space: bytes, data: bytes) -> None:
    values = _strings(work, kind, data)
    if values is None:
        return
    for value in values:
        if starts_like_pickle(value[:4096], len(value)) and not looks_like_text(value[:4096]):
            work.parts.append(
                Part(name=f"{path or '/'}@{visible(name)}", source=MemorySource(value), kind="pickle")
            )
    if len(values) == 1 and not any(_shape(work, space) or ()):
        if name in JSON_ATTRIBUTES:
            work.parts.append(Part(name=name, source=MemorySource(values[0]), kind="json"))
        if len(work.attributes) < 10_000:
            work.attributes.append((path or "/", name, values[0][:4096].decode("utf-8", "replace")))


def _strings(work: _Work, kind: bytes, data: bytes) -> list[bytes] | None:
    """The string values of an attribute, or None where it holds numbers."""
    if len(kind) < 8:
        raise InputError("truncated", "an HDF5 datatype ends early")
    shape, size = kind[0] & 15, int.from_bytes(kind[4:8], "little")
    if shape in (3, 5) and size:
        return [data[at : at + size].rstrip(b"\0") for at in range(0, len(data) - size + 1, size)][:10_000]
    if shape == 9:
        return _variable(work, data)
    return None


def _variable(work: _Work, data: bytes) -> list[bytes]:
    """Variable-length values: length, heap address and index of each (specification IV.A.2.d, class 9)."""
    cursor, values = _Cursor(work, data), list[bytes]()
    step = 8 + work.wide
    while cursor.at + step <= len(data) and len(values) < 10_000:
        cursor.number(4)
        address, index = cursor.address(), cursor.number(4)
        if address not in (0, UNDEFINED):
            values.append(_global_heap(work, address).get(index, b""))
    return values


def _global_heap(work: _Work, at: int) -> dict[int, bytes]:
    """The objects of one global heap collection (specification III.E)."""
    if at in work.heaps:
        return work.heaps[at]
    head = work.take(at, 8 + work.long)
    size = int.from_bytes(head[8:], "little")
    if head[:4] != b"GCOL" or size > MAX_STRING:
        raise InputError("bad-header", "an HDF5 global heap is broken")
    cursor = _Cursor(work, work.take(at, size), 8 + work.long)
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


# -- datasets ------------------------------------------------------------------------------------------------------


def _external_files(work: _Work, path: str, body: bytes) -> None:
    """Raw data in other files (specification IV.A.2.h)."""
    cursor = _Cursor(work, body, 4)
    cursor.number(2)
    used, names = cursor.number(2), _local_heap(work, cursor.address())
    for _ in range(min(used, 1000)):
        target = _heap_text(names, cursor.length())
        cursor.length(), cursor.length()
        work.notes.add(
            "hdf5-external-data", f'"{visible(path)}" takes its data from "{visible(target)}"', part=path
        )


def _filters(work: _Work, path: str, body: bytes) -> None:
    """Filters beyond the library's own are plug-ins that it loads from the machine (specification IV.A.2.l)."""
    cursor = _Cursor(work, body)
    version, count = cursor.number(1), cursor.number(1)
    cursor.take(6 if version == 1 else 0)
    for _ in range(count):
        number = cursor.number(2)
        named = cursor.number(2) if version == 1 or number >= 256 else 0
        cursor.number(2)
        values = cursor.number(2)
        cursor.take((-(-named // 8) * 8 if version == 1 else named) + 4 * values)
        cursor.take(4 if version == 1 and values % 2 else 0)
        if number not in KNOWN_FILTERS:
            work.gap("codec-unknown", f"data packed with filter {number}", part=path)


def _dataset(work: _Work, path: str, messages: dict[int, _Message]) -> None:
    work.datasets.append(path)
    kind, space, layout = (messages.get(wanted) for wanted in (DATATYPE, DATASPACE, LAYOUT))
    if kind is None or space is None or layout is None or kind.shared or space.shared:
        work.unlisted = work.unlisted or f'"{visible(path)}" has a shared datatype'
        if kind is not None and kind.shared:
            work.gap("codec-unknown", "a dataset with a committed datatype", part=path)
        return
    if kind.body[0] & 15 in (5, 7, 9) and not _is_text(kind.body):
        work.gap("codec-unknown", "a dataset of opaque, reference or variable-length values", part=path)
    if layout.body[:1] >= b"\x04" and layout.body[1:2] == b"\x03":
        work.notes.add(
            "hdf5-external-data", f'"{visible(path)}" is put together from other datasets or files', part=path
        )
    _tensor(work, path, kind.body, _shape(work, space.body), layout.body, EXTERNAL in messages)


def _is_text(kind: bytes) -> bool:
    return kind[0] & 15 == 9 and kind[1] & 15 == 1


def _tensor(
    work: _Work, path: str, kind: bytes, shape: tuple[int, ...] | None, layout: bytes, external: bool
) -> None:
    dtype, swap, itemsize = _dtype(kind)
    where = _contiguous(work, layout)
    if not dtype or shape is None or where is None or external:
        work.unlisted = work.unlisted or f'"{visible(path)}" is not stored as one plain array'
        return
    address, length = where
    count = itemsize
    for size in shape:
        count *= size
    if count and (address == UNDEFINED or count > length or work.base + address + count > work.source.size):
        work.unlisted = work.unlisted or f'"{visible(path)}" has no data'
        return
    spans = ((work.base + address, count),) if count else ()
    work.tensors.append(
        TensorRef(name=path.lstrip("/"), dtype=dtype, shape=shape, spans=spans, itemsize=itemsize, swap=swap)
    )


def _shape(work: _Work, body: bytes) -> tuple[int, ...] | None:
    """A dataspace message (specification IV.A.2.b); None for a null dataspace."""
    cursor = _Cursor(work, body)
    version, rank = cursor.number(1), cursor.number(1)
    cursor.number(1)
    if version == 2 and cursor.number(1) == 2:
        return None
    cursor.take(5 if version == 1 else 0)
    return tuple(cursor.length() for _ in range(rank))


def _dtype(kind: bytes) -> tuple[str, bool, int]:
    """Canonical name, big-endian, item size; "" for what is no plain number (specification IV.A.2.d)."""
    shape, size = kind[0] & 15, int.from_bytes(kind[4:8], "little")
    name = ""
    if shape == 0 and size in (1, 2, 4, 8):
        name = f"{'I' if kind[1] & 8 else 'U'}{size * 8}"
    elif shape == 1 and size in (2, 4, 8):
        name = f"F{size * 8}"
    return name, bool(kind[1] & 1) and size > 1, size


def _contiguous(work: _Work, layout: bytes) -> tuple[int, int] | None:
    """Address and length of contiguous data (layout message version 3 or 4, specification IV.A.2.i)."""
    if layout[:1] not in (b"\x03", b"\x04") or layout[1:2] != b"\x01":
        return None
    cursor = _Cursor(work, layout, 2)
    return cursor.address(), cursor.length()
