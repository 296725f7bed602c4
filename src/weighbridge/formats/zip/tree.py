"""The structure of a zip file as its readers see it: end records, directories, local headers, and what lies between.

Follows PKWARE's APPNOTE 6.3.9 (sections 4.3 to 4.5) for what the fields mean, and three families of readers for what
they do with fields that contradict each other: Python's zipfile (directory found backwards from the end record), the
miniz of PyTorch (directory at its declared offset, local headers hardly looked at), and readers that stream from the
first local header. Every content that one of them would hand out becomes an entry; every contradiction an anomaly.

Deliberately not here: which loader the archive is for (`formats.zip`), decryption, and multi-disk archives.
"""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import field
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.membernames import Notes, collisions, note_link, note_name, note_written_through
from weighbridge.formats.reading import Gap, Part, Reading, TensorRef
from weighbridge.formats.sniff import looks_like_text
from weighbridge.formats.unpacked import Bzip2, Codec, Deflate, Lzma, Shelf, Unpacked, Zstd

CHECKED = 16 * 1024**2
"""Contents up to this size are unpacked at once and held against their checksum."""
STORED_CHECKED = 1024**2
BOMB_SIZE = 10_000_000
BOMB_RATIO = 500
"""Together: a member that grows this much and this far. Deflate cannot do more than 1032."""
BOMBS_TRIED = 20
"""Members of one archive that grow like bombs and are unpacked to that size to see whether they do."""
BOMB_TOTAL = 100_000_000
"""The same for all members together, each of which may be small."""
BOMB_COPIES = 8
"""Archives in an archive that are byte for byte the same: each is unpacked again by whoever unpacks them all."""
END_SEARCH = 66_000
"""How far from the end readers look for the end record: 65,535 bytes of comment and the records themselves."""
OVERRUN = 4096
"""How far behind the directory's declared end further records are looked for."""
MAX_ENDS = 8
STREAM_SEARCH = 64 * 1024**2
"""How far the end of a stored entry without a length is looked for."""

STORED, DEFLATED, BZIP2, LZMA, ZSTD = 0, 8, 12, 14, 93
SPECIAL = {0o020000: "character device", 0o060000: "block device", 0o010000: "FIFO", 0o140000: "socket"}
"""File types of POSIX that no model needs, and that some unpackers make."""
CODECS: dict[int, type[Codec]] = {DEFLATED: Deflate, BZIP2: Bzip2, LZMA: Lzma, ZSTD: Zstd}

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
ALL_ONES = 0xFFFFFFFF
ENCRYPTED, DESCRIPTOR, PATCHED, STRONG, UTF8 = 0x1, 0x8, 0x20, 0x40, 0x800


class ZipEntry(NamedTuple):
    """One content that some reader hands out under this name. A named tuple for the reason given in `core.artifact`."""

    name: str
    source: Source | None
    """None for folders, and for contents that cannot be had (outside the file, unknown method)."""
    size: int
    packed: int
    method: int
    crc: int
    header_at: int
    """Offset of the local header in the file."""
    start: int
    """Offset of the first packed byte in the file."""
    view: str = ""
    """"" for what the directory says; otherwise which other reader sees this: `local header`, `other directory`, …"""

    @property
    def folder(self) -> bool:
        """True for an entry that only makes a folder."""
        return self.name.endswith("/")

    @property
    def label(self) -> str:
        """The name to show, with the view where it is not the directory's."""
        return visible(self.name) + (f" ({self.view})" if self.view else "")

    def place(self, tensor: TensorRef) -> TensorRef:
        """A tensor of this member as one of the file: stored members lie in it as they are."""
        if self.method != STORED:
            return tensor._replace(source=self.source)
        return tensor._replace(spans=tuple((self.start + at, length) for at, length in tensor.spans))

    def part(self, kind: str = "") -> Part:
        """The content as a part to be read on its own."""
        assert self.source is not None  # noqa: S101 - callers choose entries that have one
        return Part(name=self.label, source=self.source, kind=kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipTree(Reading):
    """What is in a zip file. `parts` holds every entry and every stretch of bytes that no entry accounts for."""

    entries: tuple[ZipEntry, ...] = ()
    """The directory's entries in its order, then those that only other readers see."""
    spare: tuple[Part, ...] = ()
    """Stretches of bytes outside all entries and records."""

    def named(self, name: str) -> tuple[ZipEntry, ...]:
        """All entries of exactly this name, in any view."""
        return tuple(entry for entry in self.entries if entry.name == name)


class _Record(NamedTuple):
    """A directory record or a local header."""

    name: str
    raw: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    extra: bytes
    header_at: int = 0
    mode: int = 0
    at: int = 0
    length: int = 0


def _decoded(raw: bytes, flags: int) -> str:
    """A name as zipfile decodes it (APPNOTE 4.4.4, bit 11)."""
    if flags & UTF8 or raw.isascii():
        return raw.decode("utf-8", "surrogateescape")
    return raw.decode("cp437")


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """One end record with its 64-bit companion resolved."""

    at: int
    stop: int
    """Where its comment ends."""
    count: int
    length: int
    offset: int
    first: int
    """Offset of the earliest of its records: the directory ends here."""


@dataclass(slots=True)
class _Work:
    """The state of one reading."""

    source: Source
    budget: Budget
    shelf: Shelf
    notes: Notes = field(default_factory=Notes)
    gaps: list[Gap] = field(default_factory=list)
    entries: list[ZipEntry] = field(default_factory=list)
    spans: list[tuple[int, int, str]] = field(default_factory=list)
    """(start, stop, what) of every byte that is accounted for, in any view."""
    claims: list[tuple[int, int, str]] = field(default_factory=list)
    """The same for the first directory alone, where overlaps are bombs or forgeries."""
    bombs: int = 0
    """Members that grow like bombs."""
    links: set[str] = field(default_factory=set)
    """Names of symbolic links."""
    checked: int = 0
    """Stored bytes that were held against their checksum so far."""

    def claim(self, start: int, stop: int, what: str, view: str) -> None:
        self.spans.append((start, stop, what))
        if not view:
            self.claims.append((start, stop, what))

    def gap(self, code: str, message: str, *, offset: int | None = None, part: str = "") -> None:
        if len(self.gaps) < 1000:
            self.gaps.append(Gap(code=code, message=message, offset=offset, part=visible(part)))


def read_tree(source: Source, budget: Budget) -> ZipTree:
    """Read the structure of the zip file. Raises `InputError` (`not-this-format`) where no reader finds an archive."""
    work = _Work(source, budget, Shelf(budget))
    ends = _find_ends(work)
    seen: dict[int, int] = {}
    for end in ends:
        if not any(
            start <= end.at < stop for start, stop, _ in work.claims
        ):  # the end of an archive stored inside
            _read_directories(work, end, seen)
    if not seen:
        _read_without_directory(work, bool(ends))
    _compare_names(work)
    _note_total(work)
    spare = _account_for_bytes(work)
    parts = tuple(entry.part() for entry in _distinct(work))
    return ZipTree(
        format="zip",
        anomalies=work.notes.all(),
        gaps=tuple(work.gaps),
        parts=(*parts, *spare),
        entries=tuple(work.entries),
        spare=spare,
    )


def ends_inside_tar(source: Source, budget: Budget) -> bool:
    """Whether every zip file that a reader finds here is a member of a faultless tar file, in which it is read.

    A directory that stands where an end record says, counted from the tar file's own start, would be another view.
    """
    from weighbridge.formats import tar

    try:
        tree = tar.read(source, budget, "")
    except InputError:
        return False
    if not isinstance(tree, tar.TarTree) or tree.format != "tar" or tree.anomalies or tree.gaps:
        return False
    spans = [(m.start, m.start + m.source.size) for m in tree.members if m.source is not None]
    work = _Work(source, budget, Shelf(budget))
    ends = _find_ends(work)
    if work.notes.all() or work.gaps or any(_is_directory(work, end.offset, end) for end in ends):
        return False
    return all(any(start <= end.at and end.stop <= stop for start, stop in spans) for end in ends)


# -- end records ---------------------------------------------------------------------------------------------------


def _find_ends(work: _Work) -> list[_End]:
    """Every end record that a reader may settle on, the last one first: that is the one most readers take."""
    base = max(0, work.source.size - END_SEARCH)
    tail = work.source.read(base, END_SEARCH)
    ends: list[_End] = []
    position = tail.rfind(b"PK\x05\x06")
    while position >= 0 and len(ends) < MAX_ENDS:
        if len(tail) - position >= END.size:
            ends.append(_end_record(work, base + position, tail[position:]))
        position = tail.rfind(b"PK\x05\x06", 0, position)
    return ends


def _end_record(work: _Work, at: int, data: bytes) -> _End:
    _, disk, cd_disk, here, count, length, offset, comment = END.unpack_from(data)
    stop = min(work.source.size, at + END.size + comment)
    if at + END.size + comment > work.source.size:
        work.notes.add(
            "zip-end-lies", f"the end record's comment of {comment} bytes ends behind the file", offset=at
        )
    if disk != cd_disk or here != count or disk not in (0, 0xFFFF):
        work.gap("multi-disk", "the archive says that it continues in other files", offset=at)
    plain = _End(at=at, stop=stop, count=count, length=length, offset=offset, first=at)
    return _end_record64(work, plain) or plain


def _end_record64(work: _Work, end: _End) -> _End | None:
    """The zip64 end record, looked for where its locator says and right before the locator (APPNOTE 4.3.14)."""
    locator_at = end.at - LOCATOR.size
    if locator_at < 0 or work.source.read(locator_at, 4) != b"PK\x06\x07":
        return None
    _, _, declared, _ = LOCATOR.unpack(work.source.read(locator_at, LOCATOR.size))
    places = [
        at for at in dict.fromkeys((declared, locator_at - END64.size)) if 0 <= at <= locator_at - END64.size
    ]
    found = [at for at in places if work.source.read(at, 4) == b"PK\x06\x06"]
    if not found:
        work.notes.add("zip-end-lies", "the zip64 locator leads to no zip64 end record", offset=locator_at)
        return None
    if len(found) > 1:
        work.notes.add(
            "zip-directories-differ", "two zip64 end records, found in two ways", offset=locator_at
        )
    at = found[0]
    _, _, _, _, disk, cd_disk, _, count, length, offset = END64.unpack(work.source.read(at, END64.size))
    if disk or cd_disk:
        work.gap("multi-disk", "the archive says that it continues in other files", offset=at)
    pairs = ((end.count, count, 0xFFFF), (end.length, length, ALL_ONES), (end.offset, offset, ALL_ONES))
    if any(short not in (long, ones) for short, long, ones in pairs):
        work.notes.add("zip-directories-differ", "the two end records name different directories", offset=at)
        if _is_directory(work, end.offset, end):
            _read_directory(work, end.offset, end.length, end.count, "32-bit directory")
    work.spans.append((at, at + END64.size, "zip64 end record"))
    return _End(at=end.at, stop=end.stop, count=count, length=length, offset=offset, first=at)


# -- directories ---------------------------------------------------------------------------------------------------


def _read_directories(work: _Work, end: _End, seen: dict[int, int]) -> None:
    """Read the directory where it is declared (miniz) and where it ends right before the end record (zipfile)."""
    shifted = end.first - end.length
    places = {shifted: shifted - end.offset} if shifted >= 0 else {}
    places.setdefault(end.offset, 0)
    valid = [at for at in places if at not in seen and _is_directory(work, at, end)]
    if valid or not (end.count or end.length):
        work.spans.append((end.at, _end_of_text(work.source, end), "end record"))
        if end.first < end.at:
            work.spans.append((end.at - LOCATOR.size, end.at, "zip64 locator"))
    if seen and valid:
        work.notes.add("zip-second-end", "a second end record leads to another directory", offset=end.at)
    if len(valid) > 1:
        work.notes.add("zip-directories-differ", "readers find two different directories", offset=valid[1])
    for at in valid:
        view = "other directory" if seen else ""
        seen[at] = places[at]
        _read_directory(work, at, end.length, end.count, view, shift=places[at])
    if not valid and not seen and not (end.count or end.length):
        seen[end.first] = 0


def _end_of_text(source: Source, end: _End) -> int:
    """Where the end record stops being accounted for: a comment that is no text is bytes like any others."""
    comment = source.read(end.at + END.size, end.stop - end.at - END.size)
    return end.stop if looks_like_text(comment) else end.at + END.size


def _is_directory(work: _Work, at: int, end: _End) -> bool:
    return at + CENTRAL.size <= end.at and work.source.read(at, 4) == b"PK\x01\x02"


def _read_directory(work: _Work, at: int, length: int, count: int, view: str, shift: int = 0) -> None:
    """Read records for as long as one family of readers would: `count` of them (miniz) or `length` bytes (zipfile)."""
    work.budget.need_memory(length + OVERRUN, "the zip directory")
    data = work.source.read(at, length + OVERRUN)
    position, number = at, 0
    while number < count or position < at + length:
        record = _central_record(work, data, at, position, length)
        if record is None:
            break
        beyond = number >= count or position >= at + length
        _add_entry(work, record, shift, view or ("entry behind the directory's end" if beyond else ""))
        position, number = position + record.length, number + 1
    if number != count or position != at + length:
        work.notes.add(
            "zip-directory-lies",
            f"the directory holds {number} entries in {position - at} bytes, the end record says {count} in {length}",
            offset=at,
        )
    work.claim(at, position, "directory", view)


def _central_record(work: _Work, data: bytes, base: int, at: int, length: int) -> _Record | None:
    """The record at `at`; fields that reach behind the directory's end are cut there, as zipfile does."""
    start = at - base
    if data[start : start + 4] != b"PK\x01\x02" or start + CENTRAL.size > len(data):
        return None
    (_, _, _, flags, method, _, _, crc, packed, size, n, e, c, _, _, external, offset) = CENTRAL.unpack_from(
        data, start
    )
    start += CENTRAL.size
    stop = min(start + n + e + c, length if start <= length else len(data))
    if stop < start + n + e + c:
        text = "a directory record reaches behind the directory's end"
        work.notes.add("zip-directory-lies", text, offset=at)
    work.budget.spend_members()
    raw, extra = data[start : min(start + n, stop)], data[start + n : min(start + n + e, stop)]
    if extra:
        size, packed, offset = _wide(extra, size, packed, offset)
    return _Record(
        name=_decoded(raw, flags), raw=raw, flags=flags, method=method, crc=crc, packed=packed, size=size, extra=extra,
        header_at=offset, mode=external >> 16, at=at, length=CENTRAL.size + stop - start,
    )  # fmt: skip


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Size, packed size and offset with the zip64 extra field (APPNOTE 4.5.3) put in where they are all ones."""
    wide = dict(_extra_fields(extra)).get(0x0001, b"")
    values = [size, packed, offset]
    for i, value in enumerate(values):
        if value == ALL_ONES and len(wide) >= 8:
            values[i], wide = int.from_bytes(wide[:8], "little"), wide[8:]
    return values[0], values[1], values[2]


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        yield kind, extra[position + 4 : position + 4 + length]
        position += 4 + length


# -- entries -------------------------------------------------------------------------------------------------------


def _add_entry(work: _Work, record: _Record, shift: int, view: str) -> None:
    header_at = record.header_at + shift
    local = _local_header(work, header_at)
    if local is None:
        work.gap(
            "truncated",
            "the entry has no local header where the directory says",
            offset=header_at,
            part=record.name,
        )
        return
    start = header_at + local.length
    entry = _entry(work, record, record, header_at, start, view)
    work.entries.append(entry)
    _note_record(work, entry, record, local)
    for other in _other_views(work, record, local, header_at, start, view):
        work.entries.append(other)
    stop = min(start + record.packed, work.source.size)
    stop += _descriptor_length(work, record, local, stop)
    work.claim(header_at, stop, entry.label, view)
    if entry.folder and record.size:
        work.notes.add(
            "zip-folder-with-content", f'folder "{visible(entry.name)}" has content', part=entry.name
        )
    if not _is_encrypted(record):
        _check_content(work, entry)


def _local_header(work: _Work, at: int) -> _Record | None:
    head = work.source.read(at, LOCAL.size + 256) if at >= 0 else b""
    if len(head) < LOCAL.size or head[:4] != b"PK\x03\x04":
        return None
    _, _, flags, method, _, _, crc, packed, size, n, e = LOCAL.unpack_from(head)
    if len(head) < LOCAL.size + n + e:
        head = work.source.read(at, LOCAL.size + n + e)
    raw, extra = head[LOCAL.size : LOCAL.size + n], head[LOCAL.size + n : LOCAL.size + n + e]
    if extra:
        size, packed, _ = _wide(extra, size, packed, 0)
    return _Record(
        name=_decoded(raw, flags), raw=raw, flags=flags, method=method, crc=crc, packed=packed, size=size, extra=extra,
        header_at=at, at=at, length=LOCAL.size + n + e,
    )  # fmt: skip


def _entry(work: _Work, named: _Record, sized: _Record, header_at: int, start: int, view: str) -> ZipEntry:
    """An entry with the name of one record and the sizes and method of another."""
    source = None
    if not (named.name.endswith("/") and sized.size == 0):
        source = _content(work, named.name, sized, start)
    return ZipEntry(
        name=named.name, source=source, size=source.size if source else sized.size, packed=sized.packed,
        method=sized.method, crc=sized.crc, header_at=header_at, start=start, view=view,
    )  # fmt: skip


def _content(work: _Work, name: str, record: _Record, start: int) -> Source | None:
    packed = record.size if record.method == STORED else record.packed
    there = max(0, min(packed, work.source.size - start))
    if there < packed:
        work.gap("truncated", f"{there} of {packed} bytes are there", offset=start, part=name)
    if there <= 0 < packed:
        return None
    window = Slice(work.source, min(start, work.source.size), there)
    if record.method == STORED:
        return window
    codec = CODECS.get(record.method)
    if codec is None:
        work.gap("codec-unknown", f"packed with method {record.method}", offset=start, part=name)
        return None
    source = Unpacked(window, record.size, codec, work.budget, work.shelf)
    if _is_bomb(record):
        work.bombs += 1
        work.notes.add(
            "archive-bomb", f"{record.packed} bytes that unpack to {record.size}", offset=start, part=name
        )
        if work.bombs > BOMBS_TRIED or _unpacks_to(source, BOMB_SIZE):
            work.gap("limit-ratio", "not unpacked, since it grows like a bomb", offset=start, part=name)
            return None
    return source


def _unpacks_to(source: Unpacked, size: int) -> bool:
    """Whether the stream really gives so much: a declared size alone may lie, to keep others from looking inside."""
    try:
        return source.measure(size)[0] >= size
    except InputError:
        return False


def _is_bomb(record: _Record) -> bool:
    return record.size >= BOMB_SIZE and record.size >= BOMB_RATIO * max(record.packed, 1)


def _note_record(work: _Work, entry: ZipEntry, record: _Record, local: _Record) -> None:
    """Note what the two headers of an entry say differently, and what its name and kind would do."""
    name, notes = entry.name, work.notes
    note_name(notes, name)
    if local.raw != record.raw:
        other = visible(local.name)
        notes.add(
            "zip-names-differ",
            f'the local header calls "{visible(name)}" "{other}"',
            offset=local.at,
            part=name,
        )
    if _is_encrypted(record):
        notes.add("zip-encrypted", f'"{visible(name)}" is marked as encrypted', offset=record.at, part=name)
        work.gap("encrypted", "marked as encrypted", offset=record.at, part=name)
    elif _is_encrypted(local):
        notes.add(
            "zip-flags-differ",
            f'only the local header of "{visible(name)}" says encrypted',
            offset=local.at,
            part=name,
        )
    if local.method != record.method:
        text = f'"{visible(name)}" is packed with method {record.method} or {local.method}, depending on the header'
        notes.add("zip-sizes-differ", text, offset=local.at, part=name)
    elif not _sizes_agree(record, local):
        which = (
            "other sizes"
            if (local.packed, local.size) != (record.packed, record.size)
            else "another checksum"
        )
        text = f'"{visible(name)}" has {which} in its local header than in the directory'
        notes.add("zip-sizes-differ", text, offset=local.at, part=name)
    if record.method == STORED and record.size != record.packed:
        text = f'"{visible(name)}" is stored, yet has {record.size} bytes in {record.packed}'
        notes.add("zip-sizes-differ", text, offset=record.at, part=name)
    if record.mode & 0o170000 == 0o120000:
        _note_symlink(work, entry)
    elif record.mode & 0o170000 in SPECIAL:
        text = f'"{visible(name)}" is made as a {SPECIAL[record.mode & 0o170000]}'
        notes.add("zip-device", text, offset=record.at, part=name)


def _is_encrypted(record: _Record) -> bool:
    return bool(record.flags & (ENCRYPTED | PATCHED | STRONG)) or record.method == 99


def _note_symlink(work: _Work, entry: ZipEntry) -> None:
    try:
        target = entry.source.read(0, 4096) if entry.source else b""
    except InputError:
        target = b""
    work.links.add(entry.name)
    note_link(work.notes, entry.name, target.decode("utf-8", "surrogateescape"), hard=False)


def _sizes_agree(record: _Record, local: _Record) -> bool:
    """With a data descriptor the local header may leave sizes and checksum at zero (APPNOTE 4.4.4, bit 3)."""
    if local.flags & DESCRIPTOR and (local.packed, local.size) == (0, 0):
        return True
    return (local.packed, local.size) == (record.packed, record.size) and local.crc in (record.crc, 0)


def _other_views(
    work: _Work, record: _Record, local: _Record, header_at: int, start: int, view: str
) -> Iterator[ZipEntry]:
    """The same place as seen by readers that believe the local header, the unicode extra field, or a NUL."""
    names = {local.name, *_unicode_names(work, record), record.name.split("\0")[0]} - {record.name, ""}
    for name in sorted(names):
        renamed = record._replace(name=name)
        note_name(work.notes, name)
        yield _entry(work, renamed, record, header_at, start, view or "other name")
    sizes_lie = local.method != record.method or not _sizes_agree(record, local)
    if (
        sizes_lie
        and local.size
        and (local.packed, local.size, local.method) != (record.packed, record.size, record.method)
    ):
        yield _entry(work, record, local, header_at, start, view or "local header")
    if record.method == STORED and record.size != record.packed and record.packed:
        yield _entry(work, record, _resized(record), header_at, start, view or "packed size")


def _resized(record: _Record) -> _Record:
    return record._replace(size=record.packed)


def _unicode_names(work: _Work, record: _Record) -> Iterator[str]:
    """Info-ZIP's unicode path (0x7075): counts only with the right checksum of the plain name."""
    for kind, data in _extra_fields(record.extra):
        if kind == 0x7075 and len(data) > 5 and data[0] == 1 and data[1:5] == _crc_bytes(record.raw):
            name = data[5:].decode("utf-8", "surrogateescape")
            if data[5:] != record.raw and name != record.name and not _same_text(record.raw, data[5:]):
                text = f'"{visible(record.name)}" is called "{visible(name)}" in its unicode field'
                work.notes.add("zip-names-differ", text, offset=record.at, part=record.name)
            yield name


def _same_text(raw: bytes, unicode_name: bytes) -> bool:
    """Whether the plain name only lacks what its code page could not write."""
    text = unicode_name.decode("utf-8", "surrogateescape")
    return not raw.isascii() or (
        len(raw) == len(text) and all(chr(a) == b or a == 0x3F for a, b in zip(raw, text, strict=True))
    )


def _crc_bytes(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")


def _descriptor_length(work: _Work, record: _Record, local: _Record, at: int) -> int:
    """The length of the data descriptor behind the content (APPNOTE 4.3.9): with or without signature, 32 or 64 bit."""
    if not (local.flags | record.flags) & DESCRIPTOR:
        return 0
    data = work.source.read(at, 24)
    for form, signed in (("<4s3L", True), ("<4sL2Q", True), ("<3L", False), ("<L2Q", False)):
        length = struct.calcsize(form)
        if len(data) < length or (signed and data[:4] != b"PK\x07\x08"):
            continue
        crc, packed, size = struct.unpack_from(form, data)[-3:]
        if (packed, size) == (record.packed, record.size) and crc in (record.crc, 0):
            return length
    if local.flags & DESCRIPTOR and (local.packed, local.size) == (0, 0) and record.packed:
        work.notes.add(
            "zip-sizes-differ",
            "the data descriptor does not say what the directory says",
            offset=at,
            part=record.name,
        )
    return 0


def _check_content(work: _Work, entry: ZipEntry) -> None:
    """Unpack small contents at once: does the stream fit its size, and its checksum?

    Of stored contents only the first ones are held against their checksum: a wrong one changes no reader's bytes.
    """
    source = entry.source
    if isinstance(source, Unpacked) and min(entry.size, entry.packed) <= min(CHECKED, work.shelf.room):
        _check_stream(work, entry, source)
    elif (
        source is not None
        and entry.method == STORED
        and entry.size <= min(STORED_CHECKED, CHECKED - work.checked)
    ):
        work.checked += entry.size
        _check_crc(work, entry, source.read(0, entry.size))


def _check_stream(work: _Work, entry: ZipEntry, source: Unpacked) -> None:
    """Where the stream gives less or more than its size, readers that believe the stream see another content."""
    try:
        limit = min(CHECKED, work.shelf.room) + 1
        found, spare = source.measure(limit)
    except InputError as error:
        text = f'"{visible(entry.name)}": {error.message}'
        work.notes.add("zip-stream-misfit", text, offset=entry.start, part=entry.name)
        return
    if found == limit and entry.size >= limit:
        return  # as long as was looked at, which is enough to know that it is not much shorter than it says
    if found > entry.size and found >= BOMB_SIZE and found >= BOMB_RATIO * entry.packed:
        text = f"{entry.packed} bytes that say {entry.size} and unpack to {found} and more"
        work.notes.add("archive-bomb", text, offset=entry.start, part=entry.name)
    if found != entry.size or spare:
        text = (
            f"unpacks to {found} bytes, not {entry.size}"
            if found != entry.size
            else "has bytes behind its stream"
        )
        work.notes.add(
            "zip-stream-misfit", f'"{visible(entry.name)}" {text}', offset=entry.start, part=entry.name
        )
    if found != entry.size and found:
        other = entry._replace(source=source.resized(found), size=found, view=entry.view or "whole stream")
        work.entries.append(other)
    if found >= entry.size:
        _check_crc(work, entry, source.read(0, entry.size))


def _check_crc(work: _Work, entry: ZipEntry, data: bytes) -> None:
    if zlib.crc32(data) != entry.crc:
        text = f'"{visible(entry.name)}" does not have the checksum that its header says'
        work.notes.add("crc-wrong", text, offset=entry.start, part=entry.name)


# -- entries that no directory lists -------------------------------------------------------------------------------


def _read_without_directory(work: _Work, had_end: bool) -> None:
    if work.source.read(0, 4) != b"PK\x03\x04":
        raise InputError("not-this-format", "no zip directory was found")
    what = "the end record leads to no directory" if had_end else "the end record is missing"
    work.gap("truncated", f"{what}; only readers that stream see entries")
    _read_stream(work, 0, work.source.size, "streamed")


def _read_stream(work: _Work, at: int, stop: int, view: str) -> int:
    """Read local headers one after the other, as streaming readers do; returns where that ends."""
    while at + LOCAL.size <= stop:
        record = _local_header(work, at)
        if record is None:
            break
        work.budget.spend_members()
        start = at + record.length
        sized = _measured(work, record, start)
        if sized is None:
            work.gap("truncated", "the entry does not say where it ends", offset=at, part=record.name)
            return at
        entry = _entry(work, record, sized, at, start, view)
        work.entries.append(entry)
        note_name(work.notes, entry.name)
        next_at = start + sized.packed
        next_at += _descriptor_length(work, sized, record, next_at)
        work.spans.append((at, min(next_at, work.source.size), entry.label))
        at = next_at
    return at


def _measured(work: _Work, local: _Record, start: int) -> _Record | None:
    """A local header with the sizes that a streaming reader finds out for itself."""
    if not local.flags & DESCRIPTOR or local.size:
        return local
    if local.method == DEFLATED:
        return _inflated(work, local, start)
    if local.method == STORED:
        return _until_descriptor(work, local, start)
    return None


def _inflated(work: _Work, local: _Record, start: int) -> _Record | None:
    codec, position, crc, size = Deflate(), start, 0, 0
    while not codec.ended:
        packed = work.source.read(position, 65536)
        position += len(packed)
        try:
            made = codec.unpack(packed, CHECKED)
        except InputError:
            return None
        work.budget.spend_bytes(len(made))
        crc, size = zlib.crc32(made, crc), size + len(made)
        if (not made and not packed) or size > STREAM_SEARCH:
            return None
    return local._replace(crc=crc, packed=position - codec.spare - start, size=size)


def _until_descriptor(work: _Work, local: _Record, start: int) -> _Record | None:
    """A stored content without a length ends where a data descriptor names the length passed so far."""
    step, data, looked = 4096, b"", 0
    while len(data) < min(STREAM_SEARCH, work.source.size - start):
        data += work.source.read(start + len(data), step)
        work.budget.spend_bytes(step)
        position = data.find(b"PK\x07\x08", looked)
        while position >= 0:
            crc, packed, size = struct.unpack_from("<3L", data[position + 4 : position + 16].ljust(12, b"\0"))
            if packed == size == position:
                return local._replace(crc=crc, packed=size, size=size)
            position = data.find(b"PK\x07\x08", position + 1)
        step, looked = len(data), max(0, len(data) - 16)
    return None


def _distinct(work: _Work) -> Iterator[ZipEntry]:
    """Entries with content; of archives that stand in it more than once, only the first.

    Bombs of nested archives have many equal members on each level, and would take for ever otherwise.
    """
    seen: dict[tuple[int, ...], list[ZipEntry]] = {}
    copies: Counter[tuple[int, ...]] = Counter()
    for entry in work.entries:
        if entry.source is None:
            continue
        key = (entry.crc, entry.size, entry.packed, entry.method)
        alike = seen.setdefault(key, [])
        if not any(_same_archive(work, entry, other) for other in alike[:4]):
            alike.append(entry)
            yield entry
            continue
        copies[key] += 1
        if copies[key] == BOMB_COPIES:
            text = f'"{visible(entry.name)}" and {BOMB_COPIES} more are the same archive'
            work.notes.add("archive-bomb", text, offset=entry.start, part=entry.name)


def _same_archive(work: _Work, entry: ZipEntry, other: ZipEntry) -> bool:
    if not END.size < entry.packed <= STORED_CHECKED or entry.source is None:
        return False
    try:
        if entry.source.read(0, 4) != b"PK\x03\x04":
            return False
    except InputError:
        return False
    return work.source.read(entry.start, entry.packed) == work.source.read(other.start, other.packed)


# -- the whole -----------------------------------------------------------------------------------------------------


def _compare_names(work: _Work) -> None:
    """Duplicates, and names that some systems take for the same."""
    seen: set[str] = set()
    names = [entry.name for entry in work.entries if not entry.view]
    for name in names:
        if name in seen:
            work.notes.add(
                "zip-duplicate-name",
                f'"{visible(name)}" stands twice; readers differ in which they take',
                part=name,
            )
        seen.add(name)
    note_written_through(work.notes, work.links, names)
    for first, second in collisions(names):
        text = f'"{visible(first)}" and "{visible(second)}" are one name for some readers'
        work.notes.add("similar-names", text, part=second)


def _note_total(work: _Work) -> None:
    """Many small bombs are one large one."""
    plain = [entry for entry in work.entries if not entry.view and entry.method != STORED]
    size, packed = sum(entry.size for entry in plain), sum(entry.packed for entry in plain)
    if not work.bombs and size >= BOMB_TOTAL and size >= BOMB_RATIO * packed:
        work.notes.add("archive-bomb", f"{len(plain)} members of {packed} bytes that unpack to {size}")


def _account_for_bytes(work: _Work) -> tuple[Part, ...]:
    """Every byte of the file belongs to an entry or a record, or is shown as a part of its own."""
    _note_overlaps(work)
    position, spare = 0, list[Part]()
    for start, stop, _ in sorted(work.spans):
        if start > position:
            spare += _spare(work, position, start)
        position = max(position, stop)
    if position < work.source.size:
        spare += _spare(work, position, work.source.size)
    return tuple(spare)


def _note_overlaps(work: _Work) -> None:
    position, last = 0, ""
    for start, stop, what in sorted(work.claims):
        if start < position:
            work.notes.add("zip-overlap", f'"{what}" lies over "{last}"', offset=start)
        if stop >= position:
            position, last = stop, what


def _spare(work: _Work, start: int, stop: int) -> list[Part]:
    """What lies in a stretch that no entry accounts for: padding, hidden entries, or something else."""
    length = stop - start
    if length <= CHECKED and not work.source.read(start, length).strip(b"\0"):
        return []
    if work.source.read(start, 4) == b"PK\x03\x04":
        before = len(work.entries)
        end = _read_stream(work, start, stop, "not in the directory")
        if len(work.entries) > before:
            work.notes.add("zip-hidden-entry", "entries that the directory does not list", offset=start)
            return _spare(work, end, stop) if start < end < stop else []
    if start == 0:
        code = "zip-data-before"
    else:
        code = "zip-data-after" if stop == work.source.size else "zip-data-between"
    if not (
        start == 0 and work.source.read(4, 4) == b"TFL3"
    ):  # TFLite files carry their metadata as a zip behind
        work.notes.add(code, f"{length} bytes from {start} on belong to no entry", offset=start)
    return [Part(name=f"bytes {start} to {stop}", source=Slice(work.source, start, length))]
