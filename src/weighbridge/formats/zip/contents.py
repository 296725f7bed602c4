"""What an entry of a zip file holds: its bytes unpacked as they are asked for, bombs left packed, small ones checked.

Methods: stored, deflate, bzip2, LZMA and Zstandard (APPNOTE 4.4.5). Deliberately not here: decryption, and the older
methods that no loader of models unpacks; both are gaps.
"""

import zlib

from weighbridge.core.errors import InputError
from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.formats.unpacked import Bzip2, Codec, Deflate, Lzma, Unpacked, Zstd
from weighbridge.formats.zip.entry import ZipEntry
from weighbridge.formats.zip.records import BZIP2, DEFLATED, LZMA, STORED, ZSTD, Record
from weighbridge.formats.zip.work import Work

CHECKED = 16 * 1024**2
"""Contents up to this size are unpacked at once and held against their checksum."""
STORED_CHECKED = 1024**2
BOMB_SIZE = 10_000_000
BOMB_RATIO = 500
"""Together: a member that grows this much and this far. Deflate cannot do more than 1032."""
BOMBS_TRIED = 20
"""Members of one archive that grow like bombs and are unpacked to that size to see whether they do."""
CODECS: dict[int, type[Codec]] = {DEFLATED: Deflate, BZIP2: Bzip2, LZMA: Lzma, ZSTD: Zstd}


def content(work: Work, name: str, record: Record, start: int) -> Source | None:
    """The unpacked bytes that begin packed at `start`; None, and a gap, where they cannot be had."""
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


def _is_bomb(record: Record) -> bool:
    return record.size >= BOMB_SIZE and record.size >= BOMB_RATIO * max(record.packed, 1)


def check_content(work: Work, entry: ZipEntry) -> None:
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


def _check_stream(work: Work, entry: ZipEntry, source: Unpacked) -> None:
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


def _check_crc(work: Work, entry: ZipEntry, data: bytes) -> None:
    if zlib.crc32(data) != entry.crc:
        text = f'"{visible(entry.name)}" does not have the checksum that its header says'
        work.notes.add("crc-wrong", text, offset=entry.start, part=entry.name)
