"""7z archives: members, how they are packed, and what lies between them.

Follows 7zFormat.txt of the LZMA SDK (26.x): signature header, packed or plain header, folders of coders, substreams
and the files' properties. Unpacks Copy, LZMA, LZMA2, Deflate and BZip2, each with any number of branch filters and Delta
in front, through the standard library; encrypted members and other coders are gaps. The archive is read from its start:
7z data behind a program (a self-extracting archive) is that program's business. What 7-Zip and py7zr would refuse is
refused or noted here too; nothing is written anywhere.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.membernames import collisions, note_link, note_name, note_written_through
from weighbridge.formats.reading import Part, Reading
from weighbridge.formats.sevenzip.coders import AES, decoder
from weighbridge.formats.sevenzip.header import (
    Cursor,
    File,
    Folder,
    Property,
    Streams,
    Work,
    read_files,
    read_streams,
)
from weighbridge.formats.unpacked import Codec, Shelf, Unpacked

MAGIC = b"7z\xbc\xaf\x27\x1c"
SIGNATURE = struct.Struct("<6s2BL2QL")
BOMB_SIZE = 10_000_000
BOMB_RATIO = 2000
"""LZMA packs honest data that repeats far better than deflate does; zeros reach 7000."""
CHECKED = 16 * 1024**2
"""Members up to this size are held against their checksum, as long as all together stay below four times as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SevenZipMember:
    """One member as the header describes it."""

    name: str
    source: Source | None
    """None for folders, anti items, and contents that cannot be had."""
    size: int
    folder: bool = False
    anti: bool = False
    """Unpacking deletes the file of this name."""
    mode: int = 0
    """The POSIX mode, where the archive gives one."""
    crc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SevenZipTree(Reading):
    """What is in a 7z archive; `parts` holds every content and whatever no member accounts for."""

    members: tuple[SevenZipMember, ...] = ()


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read the header and hand out the members. Raises `InputError` (`not-this-format`, `bad-header`, `truncated`)."""
    head = source.read(0, SIGNATURE.size)
    if len(head) < SIGNATURE.size or head[:6] != MAGIC:
        raise InputError("not-this-format", "no 7z signature")
    work = Work(source, budget, Shelf(budget))
    header = _header(work, head)
    try:
        streams, files = _contents(work, header)
    except (struct.error, IndexError, OverflowError):
        raise InputError("bad-header", "the 7z header breaks off") from None
    members = tuple(_members(work, streams, files))
    _note_members(work, members)
    parts = [
        Part(name=visible(member.name), source=member.source)
        for member in members
        if member.source is not None
    ]
    return SevenZipTree(
        format="7z",
        members=members,
        parts=(*parts, *_spare(work)),
        anomalies=work.notes.all(),
        gaps=tuple(work.gaps),
    )


# -- headers -------------------------------------------------------------------------------------------------------


def _header(work: Work, head: bytes) -> bytes:
    """The header as it stands behind the packed streams; empty in an archive without members."""
    _, major, _, start_crc, offset, size, crc = SIGNATURE.unpack(head)
    if major != 0:
        raise InputError("bad-header", f"7z version {major} is not known")
    if zlib.crc32(head[12:]) != start_crc:
        work.notes.add("7z-checksum", "the signature header does not have its checksum", offset=8)
    at = SIGNATURE.size + offset
    if at + size > work.source.size:
        raise InputError("truncated", f"the header would end at byte {at + size} of {work.source.size}")
    work.budget.need_memory(8 * size, "the 7z header")
    work.spans += [(0, SIGNATURE.size), (at, at + size)]
    data = work.source.read(at, size)
    if zlib.crc32(data) != crc:
        work.notes.add("7z-checksum", "the header does not have its checksum", offset=at)
    for _ in range(4):
        if data[:1] != bytes([Property.ENCODED_HEADER]):
            return data
        data = _unpacked_header(work, data)
    raise InputError("bad-header", "the 7z header is packed again and again")


def _unpacked_header(work: Work, data: bytes) -> bytes:
    cursor = Cursor(data)
    cursor.byte()
    try:
        streams = read_streams(work, cursor)
    except (struct.error, IndexError, OverflowError):
        raise InputError("bad-header", "the 7z header breaks off") from None
    if len(streams.folders) != 1:
        raise InputError("bad-header", "the packed 7z header is not in one folder")
    folder = streams.folders[0]
    work.budget.need_memory(8 * folder.size, "the 7z header")
    source = _folder_source(work, streams, 0, 0)
    if source is None:
        raise InputError(
            "encrypted" if _is_encrypted(folder) else "codec-unknown", "the header cannot be unpacked"
        )
    found = source.read(0, folder.size)
    if folder.crc is not None and zlib.crc32(found) != folder.crc:
        work.notes.add("7z-checksum", "the unpacked header does not have its checksum")
    return found


def _contents(work: Work, header: bytes) -> tuple[Streams, list[File]]:
    streams, files = Streams(), list[File]()
    if not header:
        return streams, files
    cursor = Cursor(header)
    if cursor.byte() != Property.HEADER:
        raise InputError("bad-header", "the 7z header does not begin like one")
    while (kind := cursor.byte()) != Property.END:
        match kind:
            case Property.ARCHIVE_PROPERTIES:
                _skip_properties(cursor)
            case Property.ADDITIONAL:
                read_streams(work, cursor)
                work.gap("codec-unknown", "additional streams are not read")
            case Property.MAIN_STREAMS:
                streams = read_streams(work, cursor)
            case Property.FILES:
                files = read_files(work, cursor)
            case _:
                raise InputError("bad-header", f"a 7z header property of kind {kind}")
    if cursor.at < len(header):
        work.notes.add("7z-data-in-header", f"{len(header) - cursor.at} bytes behind the header's own end")
        work.gap("trailing-bytes", f"{len(header) - cursor.at} bytes behind the header's own end")
    return streams, files


def _skip_properties(cursor: Cursor) -> None:
    while cursor.byte() != Property.END:
        cursor.bytes(cursor.number())


# -- contents ------------------------------------------------------------------------------------------------------


def _members(work: Work, streams: Streams, files: Sequence[File]) -> Iterator[SevenZipMember]:
    """Every file with its content; contents that no file takes are members without a name."""
    contents = _sources(work, streams)
    for file in files:
        source, size, crc = (None, 0, None) if file.empty else next(contents, (None, 0, None))
        yield SevenZipMember(
            name=file.name,
            source=source,
            size=size,
            folder=file.folder,
            anti=file.anti,
            mode=file.attributes >> 16 if file.attributes & 0x8000 else 0,
            crc=crc,
        )
    for source, size, crc in contents:
        work.notes.add("7z-hidden-content", f"{size} bytes of content that belong to no member")
        yield SevenZipMember(name="content without a name", source=source, size=size, crc=crc)


def _sources(work: Work, streams: Streams) -> Iterator[tuple[Source | None, int, int | None]]:
    """The contents in the order of the folders."""
    contents = iter(streams.contents)
    first = 0
    for index, folder in enumerate(streams.folders):
        whole = _folder_source(work, streams, index, first)
        first += len(folder.packed)
        at = 0
        for _ in range(folder.counts):
            size, crc = next(contents)
            there = whole is not None and at + size <= whole.size
            yield (Slice(whole, at, size) if whole is not None and there else None), size, crc
            at += size


def _folder_source(work: Work, streams: Streams, index: int, first: int) -> Source | None:
    """What a folder unpacks to; None, and a gap, where that cannot be had."""
    folder = streams.folders[index]
    packed = _packed_source(work, streams, folder, first)
    where = f"folder {index}"
    if packed is None:
        work.gap("truncated", "its packed bytes are not in the file", part=where)
        return None
    if _is_encrypted(folder):
        work.gap("encrypted", "encrypted", part=where)
        work.notes.add("7z-encrypted", "contents are encrypted", part=where)
        return None
    if folder.size >= BOMB_SIZE and folder.size >= BOMB_RATIO * packed.size:
        work.notes.add("archive-bomb", f"{packed.size} bytes that unpack to {folder.size}", part=where)
        work.gap("limit-ratio", "not unpacked, since it grows like a bomb", part=where)
        return None
    new = _codec(work, folder, where)
    return Unpacked(packed, folder.size, new, work.budget, work.shelf) if new is not None else None


def _packed_source(work: Work, streams: Streams, folder: Folder, first: int) -> Source | None:
    if first + len(folder.packed) > len(streams.packed):
        return None
    start = streams.position + sum(streams.packed[:first])
    length = sum(streams.packed[first : first + len(folder.packed)])
    if start + length > work.source.size:
        return None
    if any(begin < start + length and start < end for begin, end in work.spans if length):
        work.notes.add("7z-overlap", "packed streams lie over each other or over a header", offset=start)
    work.spans.append((start, start + length))
    return Slice(work.source, start, length)


def _is_encrypted(folder: Folder) -> bool:
    return any(coder.method == AES for coder in folder.coders)


def _codec(work: Work, folder: Folder, where: str) -> Callable[[], Codec] | None:
    """The run of decompressors for the folder's coders, the one that reads the packed bytes first."""
    try:
        return decoder(folder.coders, folder.binds, folder.packed[0], folder.size, work.budget)
    except (InputError, LimitError) as error:
        work.gap(error.code, error.message, part=where)
        return None


# -- notes ---------------------------------------------------------------------------------------------------------


def _note_members(work: Work, members: Sequence[SevenZipMember]) -> None:
    seen: set[str] = set()
    links: set[str] = set()
    checked = 0
    for member in members:
        note_name(work.notes, member.name)
        if member.name in seen:
            text = f'"{visible(member.name)}" stands twice; readers differ in which they take'
            work.notes.add("7z-duplicate-name", text, part=member.name)
        seen.add(member.name)
        if member.anti:
            work.notes.add("7z-anti-item", f'unpacking deletes "{visible(member.name)}"', part=member.name)
        if member.mode & 0o170000 == 0o120000:
            links.add(member.name)
            note_link(work.notes, member.name, _start(member), hard=False)
        elif member.mode & 0o170000 in (0o020000, 0o060000, 0o010000):
            work.notes.add("7z-device", f'"{visible(member.name)}" makes a device or FIFO', part=member.name)
        if member.crc is not None and member.source is not None and member.size <= CHECKED:
            checked += member.size
            _check(work, member, checked <= 4 * CHECKED)
    note_written_through(work.notes, links, (member.name for member in members))
    for first, second in collisions(member.name for member in members if not member.folder):
        text = f'"{visible(first)}" and "{visible(second)}" are one name for some readers'
        work.notes.add("similar-names", text, part=second)


def _start(member: SevenZipMember) -> str:
    try:
        target = member.source.read(0, 4096) if member.source is not None else b""
    except InputError:
        target = b""
    return target.decode("utf-8", "surrogateescape")


def _check(work: Work, member: SevenZipMember, wanted: bool) -> None:
    if not wanted or member.source is None:
        return
    try:
        data = member.source.read(0, member.size)
    except InputError as error:
        work.gap(error.code, error.message, part=member.name)
        return
    if zlib.crc32(data) != member.crc:
        text = f'"{visible(member.name)}" does not have the checksum that the header says'
        work.notes.add("7z-checksum", text, part=member.name)


def _spare(work: Work) -> Iterator[Part]:
    """Stretches of bytes that neither headers nor packed streams account for."""
    position = 0
    for start, stop in [*sorted(work.spans), (work.source.size, work.source.size)]:
        if start > position and _something(work, position, start):
            code = "7z-data-after" if start == work.source.size else "7z-data-between"
            text = f"{start - position} bytes from {position} on belong to no member"
            work.notes.add(code, text, offset=position)
            yield Part(
                name=f"bytes {position} to {start}", source=Slice(work.source, position, start - position)
            )
        position = max(position, stop)


def _something(work: Work, start: int, stop: int) -> bool:
    for at in range(start, stop, 1 << 20):
        if work.source.read(at, min(1 << 20, stop - at)).strip(b"\0"):
            return True
    return False
