"""The header of a 7z archive: packed streams, folders of coders, the contents in them, and the members' properties.

Follows 7zFormat.txt of the LZMA SDK (26.x). Numbers are taken as they stand; whether they fit the file is for
`formats.sevenzip` to say. Bounded by the header's own length and the budget's members.
"""

import struct
from collections.abc import Sequence
from dataclasses import field
from enum import IntEnum

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.membernames import Notes
from weighbridge.formats.reading import Gap
from weighbridge.formats.sevenzip.coders import Coder
from weighbridge.formats.unpacked import Shelf

SIGNATURE_SIZE = 32
MAX_CODERS = 32


class Property(IntEnum):
    """What the next piece of a header is."""

    END = 0
    HEADER = 1
    ARCHIVE_PROPERTIES = 2
    ADDITIONAL = 3
    MAIN_STREAMS = 4
    FILES = 5
    PACK_INFO = 6
    UNPACK_INFO = 7
    SUBSTREAMS = 8
    SIZE = 9
    CRC = 10
    FOLDER = 11
    UNPACK_SIZE = 12
    STREAM_COUNT = 13
    EMPTY_STREAM = 14
    EMPTY_FILE = 15
    ANTI = 16
    NAME = 17
    ATTRIBUTES = 21
    ENCODED_HEADER = 23
    DUMMY = 25


@dataclass(slots=True, kw_only=True)
class Folder:
    """Coders that together make one stream of members' contents."""

    coders: tuple[Coder, ...]
    binds: tuple[tuple[int, int], ...]
    packed: tuple[int, ...]
    sizes: tuple[int, ...] = ()
    crc: int | None = None
    counts: int = 1
    """How many members' contents lie in it."""

    @property
    def size(self) -> int:
        """Bytes that come out: of the one output that feeds no other coder."""
        fed = {out for _, out in self.binds}
        return next((size for index, size in enumerate(self.sizes) if index not in fed), 0)


@dataclass(slots=True, kw_only=True)
class Streams:
    """Where packed streams lie, and what comes out of them."""

    position: int = 0
    packed: list[int] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    contents: list[tuple[int, int | None]] = field(default_factory=list)
    """(size, checksum) of every member's content, folder by folder."""


@dataclass(slots=True, kw_only=True)
class File:
    """One member as the header lists it."""

    name: str = ""
    empty: bool = False
    folder: bool = False
    anti: bool = False
    attributes: int = 0


@dataclass(slots=True)
class Work:
    """The state of one reading."""

    source: Source
    budget: Budget
    shelf: Shelf
    notes: Notes = field(default_factory=Notes)
    gaps: list[Gap] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    """(start, stop) of every byte of the file that is accounted for."""

    def gap(self, code: str, message: str, *, part: str = "") -> None:
        """Note bytes that are not understood."""
        if len(self.gaps) < 1000:
            self.gaps.append(Gap(code=code, message=message, part=visible(part)))


class Cursor:
    """Walks over a header. Reading behind its end raises `IndexError`."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        """One byte."""
        self.at += 1
        return self.data[self.at - 1]

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > len(self.data) - self.at:
            raise IndexError
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self) -> int:
        """As many further bytes as the first one has leading ones, the rest of it on top."""
        first = self.byte()
        extra = next((index for index in range(8) if not first & 0x80 >> index), 8)
        low = int.from_bytes(self.bytes(extra), "little")
        return low | (first & 0x7F >> extra) << (8 * extra) if extra < 8 else low

    def bits(self, count: int) -> list[bool]:
        """A bit vector, the highest bit first."""
        data = self.bytes(-(-count // 8))
        return [bool(data[index >> 3] & 0x80 >> (index & 7)) for index in range(count)]

    def marked(self, count: int) -> list[bool]:
        """A byte that says "all", or one bit each."""
        return [True] * count if self.byte() else self.bits(count)

    def checksums(self, count: int) -> list[int | None]:
        """A CRC-32 for each stream that has one."""
        return [struct.unpack("<L", self.bytes(4))[0] if there else None for there in self.marked(count)]


def read_streams(work: Work, cursor: Cursor) -> Streams:
    """Packed streams, folders and contents up to the end mark. Raises `InputError`, `LimitError`, `IndexError`."""
    streams = Streams()
    while (kind := cursor.byte()) != Property.END:
        if kind == Property.PACK_INFO:
            _pack_info(work, cursor, streams)
        elif kind == Property.UNPACK_INFO:
            _unpack_info(work, cursor, streams)
        elif kind == Property.SUBSTREAMS:
            _substreams(work, cursor, streams)
        else:
            raise InputError("bad-header", f"a 7z stream property of kind {kind}")
    if not streams.contents:
        streams.contents = [(folder.size, folder.crc) for folder in streams.folders]
    return streams


def _pack_info(work: Work, cursor: Cursor, streams: Streams) -> None:
    streams.position = SIGNATURE_SIZE + cursor.number()
    count = cursor.number()
    work.budget.spend_members(count)
    while (kind := cursor.byte()) != Property.END:
        if kind == Property.SIZE:
            streams.packed = [cursor.number() for _ in range(count)]
        elif kind == Property.CRC:
            cursor.checksums(count)
        else:
            raise InputError("bad-header", f"a 7z packing property of kind {kind}")


def _unpack_info(work: Work, cursor: Cursor, streams: Streams) -> None:
    while (kind := cursor.byte()) != Property.END:
        if kind == Property.FOLDER:
            count = cursor.number()
            work.budget.spend_members(count)
            if cursor.byte():
                raise InputError("bad-header", "7z folders outside of the header")
            streams.folders = [_folder(cursor) for _ in range(count)]
        elif kind == Property.UNPACK_SIZE:
            for folder in streams.folders:
                folder.sizes = tuple(cursor.number() for coder in folder.coders for _ in range(coder.outputs))
        elif kind == Property.CRC:
            for folder, crc in zip(streams.folders, cursor.checksums(len(streams.folders)), strict=True):
                folder.crc = crc
        else:
            raise InputError("bad-header", f"a 7z unpacking property of kind {kind}")


def _folder(cursor: Cursor) -> Folder:
    count = cursor.number()
    if not 0 < count <= MAX_CODERS:
        raise InputError("bad-header", f"a 7z folder of {count} coders")
    coders = tuple(_coder(cursor) for _ in range(count))
    inputs, outputs = sum(c.inputs for c in coders), sum(c.outputs for c in coders)
    binds = tuple((cursor.number(), cursor.number()) for _ in range(outputs - 1))
    free = inputs - len(binds)
    if free < 1 or outputs < 1:
        raise InputError("bad-header", "the coders of a 7z folder have no beginning")
    if free == 1:
        bound = {index for index, _ in binds}
        packed = tuple(index for index in range(inputs) if index not in bound)[:1]
    else:
        packed = tuple(cursor.number() for _ in range(free))
    return Folder(coders=coders, binds=binds, packed=packed)


def _coder(cursor: Cursor) -> Coder:
    flags = cursor.byte()
    if flags & 0xC0:
        raise InputError("bad-header", "a 7z coder with alternatives")
    method = cursor.bytes(flags & 15)
    inputs, outputs = (cursor.number(), cursor.number()) if flags & 16 else (1, 1)
    if inputs > MAX_CODERS or outputs > MAX_CODERS:
        raise InputError("bad-header", "a 7z coder with too many streams")
    properties = cursor.bytes(cursor.number()) if flags & 32 else b""
    return Coder(method, inputs, outputs, properties)


def _substreams(work: Work, cursor: Cursor, streams: Streams) -> None:
    """How many contents lie in each folder, how long they are, and their checksums."""
    kind = cursor.byte()
    if kind == Property.STREAM_COUNT:
        for folder in streams.folders:
            folder.counts = cursor.number()
            work.budget.spend_members(folder.counts)
        kind = cursor.byte()
    sizes: list[list[int]] = []
    for folder in streams.folders:
        known = [cursor.number() for _ in range(folder.counts - 1)] if kind == Property.SIZE else []
        if kind != Property.SIZE and folder.counts > 1:
            raise InputError("bad-header", "contents of a 7z folder without a size")
        sizes.append([*known, max(0, folder.size - sum(known))] if folder.counts else [])
        if sum(known) > folder.size:
            work.notes.add("7z-sizes-differ", "the contents of a folder are longer than what it unpacks to")
    kind = cursor.byte() if kind == Property.SIZE else kind
    unknown = sum(folder.counts for folder in streams.folders if folder.counts != 1 or folder.crc is None)
    found: list[int | None] = [None] * unknown
    while kind != Property.END:
        if kind == Property.CRC:
            found = cursor.checksums(unknown)
        elif kind in (Property.SIZE, Property.STREAM_COUNT):
            raise InputError("bad-header", "a 7z property stands in the wrong order")
        else:
            cursor.bytes(cursor.number())
        kind = cursor.byte()
    given = iter(found)
    for folder, lengths in zip(streams.folders, sizes, strict=True):
        own = folder.counts == 1 and folder.crc is not None
        streams.contents += [(length, folder.crc if own else next(given)) for length in lengths]


def read_files(work: Work, cursor: Cursor) -> list[File]:
    """The members with their properties. Raises as `read_streams`."""
    count = cursor.number()
    if count > len(cursor.data) * 8:
        raise InputError("bad-header", f"{count} members in a 7z header of {len(cursor.data)} bytes")
    work.budget.spend_members(count)
    files = [File() for _ in range(count)]
    empty: list[File] = []
    while (kind := cursor.number()) != Property.END:
        inner = Cursor(cursor.bytes(cursor.number()))
        match kind:
            case Property.EMPTY_STREAM:
                empty = [file for file, bit in zip(files, inner.bits(count), strict=True) if bit]
                for file in empty:
                    file.empty = file.folder = True
            case Property.EMPTY_FILE:
                for file, bit in zip(empty, inner.bits(len(empty)), strict=True):
                    file.folder = not bit
            case Property.ANTI:
                for file, bit in zip(empty, inner.bits(len(empty)), strict=True):
                    file.anti = bit
            case Property.NAME:
                _names(files, inner)
            case Property.ATTRIBUTES:
                _attributes(files, inner)
            case Property.DUMMY:
                if inner.data.strip(b"\0"):
                    work.notes.add("7z-data-in-header", "padding in the header that is not empty")
            case _ if kind > Property.DUMMY:
                work.gap("codec-unknown", f"a 7z member property of kind {kind}")
    return files


def _names(files: Sequence[File], inner: Cursor) -> None:
    if inner.byte():
        raise InputError("bad-header", "7z names outside of the header")
    text = inner.data[inner.at :]
    names = text.decode("utf-16-le", "surrogatepass").split("\0") if len(text) % 2 == 0 else []
    if len(names) < len(files) + 1:
        raise InputError("bad-header", "a 7z member has no name")
    for file, name in zip(files, names, strict=False):
        file.name = name


def _attributes(files: Sequence[File], inner: Cursor) -> None:
    there = inner.marked(len(files))
    if inner.byte():
        raise InputError("bad-header", "7z attributes outside of the header")
    for file, given in zip(files, there, strict=True):
        if given:
            (file.attributes,) = struct.unpack("<L", inner.bytes(4))
