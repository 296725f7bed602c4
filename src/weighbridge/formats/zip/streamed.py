"""Local headers one behind the other, as readers see them that stream and know no directory (APPNOTE 4.3.6).

Where a header leaves the sizes to a data descriptor (4.3.9), the end of the content is found as such readers find it.
"""

import struct
import zlib

from weighbridge.core.errors import InputError
from weighbridge.formats.membernames import note_name
from weighbridge.formats.unpacked import Deflate
from weighbridge.formats.zip.contents import CHECKED
from weighbridge.formats.zip.entries import descriptor_length, made_entry
from weighbridge.formats.zip.records import DEFLATED, DESCRIPTOR, LOCAL, STORED, Record, local_header
from weighbridge.formats.zip.work import Work

STREAM_SEARCH = 64 * 1024**2
"""How far the end of a stored entry without a length is looked for."""


def read_without_directory(work: Work, had_end: bool) -> None:
    """What is left of a file without a directory. Raises `InputError` (`not-this-format`) where no entry begins it."""
    if work.source.read(0, 4) != b"PK\x03\x04":
        raise InputError("not-this-format", "no zip directory was found")
    what = "the end record leads to no directory" if had_end else "the end record is missing"
    work.gap("truncated", f"{what}; only readers that stream see entries")
    read_stream(work, 0, work.source.size, "streamed")


def read_stream(work: Work, at: int, stop: int, view: str) -> int:
    """Read local headers one after the other, as streaming readers do; returns where that ends."""
    while at + LOCAL.size <= stop:
        record = local_header(work.source, at)
        if record is None:
            break
        work.budget.spend_members()
        start = at + record.length
        sized = _measured(work, record, start)
        if sized is None:
            work.gap("truncated", "the entry does not say where it ends", offset=at, part=record.name)
            return at
        entry = made_entry(work, record, sized, at, start, view)
        work.entries.append(entry)
        note_name(work.notes, entry.name)
        next_at = start + sized.packed
        next_at += descriptor_length(work, sized, record, next_at)
        work.spans.append((at, min(next_at, work.source.size), entry.label))
        at = next_at
    return at


def _measured(work: Work, local: Record, start: int) -> Record | None:
    """A local header with the sizes that a streaming reader finds out for itself."""
    if not local.flags & DESCRIPTOR or local.size:
        return local
    if local.method == DEFLATED:
        return _inflated(work, local, start)
    if local.method == STORED:
        return _until_descriptor(work, local, start)
    return None


def _inflated(work: Work, local: Record, start: int) -> Record | None:
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


def _until_descriptor(work: Work, local: Record, start: int) -> Record | None:
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
