"""End records, and the directories that they lead to: the 32-bit one, zip64's and its locator (APPNOTE 4.3.14 to 4.3.16).

Readers differ in which end record they take and where they look for its directory: Python's zipfile counts back from the
end record, the miniz of PyTorch takes the declared offset. All are followed. Deliberately not here: archives that
continue in other files, which are a gap.
"""

from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.sniff import looks_like_text
from weighbridge.formats.zip.directory import is_directory, read_directory
from weighbridge.formats.zip.records import ALL_ONES, END, END64, LOCATOR
from weighbridge.formats.zip.work import Work

END_SEARCH = 66_000
"""How far from the end readers look for the end record: 65,535 bytes of comment and the records themselves."""
MAX_ENDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end record with its 64-bit companion resolved."""

    at: int
    stop: int
    """Where its comment ends."""
    count: int
    length: int
    offset: int
    first: int
    """Offset of the earliest of its records: the directory ends here."""


def find_ends(work: Work) -> list[End]:
    """Every end record that a reader may settle on, the last one first: that is the one most readers take."""
    base = max(0, work.source.size - END_SEARCH)
    tail = work.source.read(base, END_SEARCH)
    ends: list[End] = []
    position = tail.rfind(b"PK\x05\x06")
    while position >= 0 and len(ends) < MAX_ENDS:
        if len(tail) - position >= END.size:
            ends.append(_end_record(work, base + position, tail[position:]))
        position = tail.rfind(b"PK\x05\x06", 0, position)
    return ends


def _end_record(work: Work, at: int, data: bytes) -> End:
    _, disk, cd_disk, here, count, length, offset, comment = END.unpack_from(data)
    stop = min(work.source.size, at + END.size + comment)
    if at + END.size + comment > work.source.size:
        work.notes.add(
            "zip-end-lies", f"the end record's comment of {comment} bytes ends behind the file", offset=at
        )
    if disk != cd_disk or here != count or disk not in (0, 0xFFFF):
        work.gap("multi-disk", "the archive says that it continues in other files", offset=at)
    plain = End(at=at, stop=stop, count=count, length=length, offset=offset, first=at)
    return _end_record64(work, plain) or plain


def _end_record64(work: Work, end: End) -> End | None:
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
        if is_directory(work, end.offset, end.at):
            read_directory(work, end.offset, end.length, end.count, "32-bit directory")
    work.spans.append((at, at + END64.size, "zip64 end record"))
    return End(at=end.at, stop=end.stop, count=count, length=length, offset=offset, first=at)


def read_directories(work: Work, end: End, seen: dict[int, int]) -> None:
    """Read the directory where it is declared (miniz) and where it ends right before the end record (zipfile)."""
    shifted = end.first - end.length
    places = {shifted: shifted - end.offset} if shifted >= 0 else {}
    places.setdefault(end.offset, 0)
    valid = [at for at in places if at not in seen and is_directory(work, at, end.at)]
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
        read_directory(work, at, end.length, end.count, view, shift=places[at])
    if not valid and not seen and not (end.count or end.length):
        seen[end.first] = 0


def _end_of_text(source: Source, end: End) -> int:
    """Where the end record stops being accounted for: a comment that is no text is bytes like any others."""
    comment = source.read(end.at + END.size, end.stop - end.at - END.size)
    return end.stop if looks_like_text(comment) else end.at + END.size
