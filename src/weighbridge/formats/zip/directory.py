"""One central directory, from a given offset on (APPNOTE 4.3.12). Where directories may stand is `ends`' matter."""

from weighbridge.formats.zip.entries import add_entry
from weighbridge.formats.zip.records import CENTRAL, Record, decoded, with_zip64
from weighbridge.formats.zip.work import Work

OVERRUN = 4096
"""How far behind the directory's declared end further records are looked for."""


def is_directory(work: Work, at: int, before: int) -> bool:
    """Whether a directory record stands at `at` and ends before the offset `before`."""
    return at + CENTRAL.size <= before and work.source.read(at, 4) == b"PK\x01\x02"


def read_directory(work: Work, at: int, length: int, count: int, view: str, shift: int = 0) -> None:
    """Read records for as long as one family of readers would: `count` of them (miniz) or `length` bytes (zipfile)."""
    work.budget.need_memory(length + OVERRUN, "the zip directory")
    data = work.source.read(at, length + OVERRUN)
    position, number = at, 0
    while number < count or position < at + length:
        record = _central_record(work, data, at, position, length)
        if record is None:
            break
        beyond = number >= count or position >= at + length
        add_entry(work, record, shift, view or ("entry behind the directory's end" if beyond else ""))
        position, number = position + record.length, number + 1
    if number != count or position != at + length:
        work.notes.add(
            "zip-directory-lies",
            f"the directory holds {number} entries in {position - at} bytes, the end record says {count} in {length}",
            offset=at,
        )
    work.claim(at, position, "directory", view)


def _central_record(work: Work, data: bytes, base: int, at: int, length: int) -> Record | None:
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
        size, packed, offset = with_zip64(extra, size, packed, offset)
    return Record(
        name=decoded(raw, flags), raw=raw, flags=flags, method=method, crc=crc, packed=packed, size=size, extra=extra,
        header_at=offset, mode=external >> 16, at=at, length=CENTRAL.size + stop - start,
    )  # fmt: skip
