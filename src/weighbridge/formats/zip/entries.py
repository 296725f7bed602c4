"""The entry behind a directory record: the record held against the local header that it points to.

Every content that some reader would hand out for the place becomes an entry (APPNOTE 4.3.7 against 4.3.12; the unicode
path of Info-ZIP, 4.6.9), and every contradiction between the two headers an anomaly.
"""

import struct
import zlib
from collections.abc import Iterator

from weighbridge.core.errors import InputError
from weighbridge.core.text import visible
from weighbridge.formats.membernames import note_link, note_name
from weighbridge.formats.zip.contents import check_content, content
from weighbridge.formats.zip.entry import ZipEntry
from weighbridge.formats.zip.records import (
    DESCRIPTOR,
    STORED,
    Record,
    extra_fields,
    is_encrypted,
    local_header,
    sizes_agree,
)
from weighbridge.formats.zip.work import Work

SPECIAL = {0o020000: "character device", 0o060000: "block device", 0o010000: "FIFO", 0o140000: "socket"}
"""File types of POSIX that no model needs, and that some unpackers make."""


def add_entry(work: Work, record: Record, shift: int, view: str) -> None:
    """Add what readers see where the record points; `shift` is how far offsets are off for the directory's reader."""
    header_at = record.header_at + shift
    local = local_header(work.source, header_at)
    if local is None:
        work.gap(
            "truncated",
            "the entry has no local header where the directory says",
            offset=header_at,
            part=record.name,
        )
        return
    start = header_at + local.length
    entry = made_entry(work, record, record, header_at, start, view)
    work.entries.append(entry)
    _note_record(work, entry, record, local)
    for other in _other_views(work, record, local, header_at, start, view):
        work.entries.append(other)
    stop = min(start + record.packed, work.source.size)
    stop += descriptor_length(work, record, local, stop)
    work.claim(header_at, stop, entry.label, view)
    if entry.folder and record.size:
        work.notes.add(
            "zip-folder-with-content", f'folder "{visible(entry.name)}" has content', part=entry.name
        )
    if not is_encrypted(record):
        check_content(work, entry)


def made_entry(work: Work, named: Record, sized: Record, header_at: int, start: int, view: str) -> ZipEntry:
    """An entry with the name of one record and the sizes and method of another."""
    source = None
    if not (named.name.endswith("/") and sized.size == 0):
        source = content(work, named.name, sized, start)
    return ZipEntry(
        name=named.name, source=source, size=source.size if source else sized.size, packed=sized.packed,
        method=sized.method, crc=sized.crc, header_at=header_at, start=start, view=view,
    )  # fmt: skip


def _note_record(work: Work, entry: ZipEntry, record: Record, local: Record) -> None:
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
    if is_encrypted(record):
        notes.add("zip-encrypted", f'"{visible(name)}" is marked as encrypted', offset=record.at, part=name)
        work.gap("encrypted", "marked as encrypted", offset=record.at, part=name)
    elif is_encrypted(local):
        notes.add(
            "zip-flags-differ",
            f'only the local header of "{visible(name)}" says encrypted',
            offset=local.at,
            part=name,
        )
    if local.method != record.method:
        text = f'"{visible(name)}" is packed with method {record.method} or {local.method}, depending on the header'
        notes.add("zip-sizes-differ", text, offset=local.at, part=name)
    elif not sizes_agree(record, local):
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


def _note_symlink(work: Work, entry: ZipEntry) -> None:
    try:
        target = entry.source.read(0, 4096) if entry.source else b""
    except InputError:
        target = b""
    work.links.add(entry.name)
    note_link(work.notes, entry.name, target.decode("utf-8", "surrogateescape"), hard=False)


def _other_views(
    work: Work, record: Record, local: Record, header_at: int, start: int, view: str
) -> Iterator[ZipEntry]:
    """The same place as seen by readers that believe the local header, the unicode extra field, or a NUL."""
    names = {local.name, *_unicode_names(work, record), record.name.split("\0")[0]} - {record.name, ""}
    for name in sorted(names):
        renamed = record._replace(name=name)
        note_name(work.notes, name)
        yield made_entry(work, renamed, record, header_at, start, view or "other name")
    sizes_lie = local.method != record.method or not sizes_agree(record, local)
    if (
        sizes_lie
        and local.size
        and (local.packed, local.size, local.method) != (record.packed, record.size, record.method)
    ):
        yield made_entry(work, record, local, header_at, start, view or "local header")
    if record.method == STORED and record.size != record.packed and record.packed:
        yield made_entry(
            work, record, record._replace(size=record.packed), header_at, start, view or "packed size"
        )


def _unicode_names(work: Work, record: Record) -> Iterator[str]:
    """Info-ZIP's unicode path (0x7075): counts only with the right checksum of the plain name."""
    for kind, data in extra_fields(record.extra):
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


def descriptor_length(work: Work, record: Record, local: Record, at: int) -> int:
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
