"""Bytes of a zip file that no entry and no record accounts for, and those that two account for.

Padding is nothing, hidden entries are entries of their own view, and the rest is shown as parts to be looked into.
"""

from weighbridge.core.source import Slice
from weighbridge.formats.reading import Part
from weighbridge.formats.zip.contents import CHECKED
from weighbridge.formats.zip.streamed import read_stream
from weighbridge.formats.zip.work import Work


def account_for_bytes(work: Work) -> tuple[Part, ...]:
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


def _note_overlaps(work: Work) -> None:
    position, last = 0, ""
    for start, stop, what in sorted(work.claims):
        if start < position:
            work.notes.add("zip-overlap", f'"{what}" lies over "{last}"', offset=start)
        if stop >= position:
            position, last = stop, what


def _spare(work: Work, start: int, stop: int) -> list[Part]:
    """What lies in a stretch that no entry accounts for: padding, hidden entries, or something else."""
    length = stop - start
    if length <= CHECKED and not work.source.read(start, length).strip(b"\0"):
        return []
    if work.source.read(start, 4) == b"PK\x03\x04":
        before = len(work.entries)
        end = read_stream(work, start, stop, "not in the directory")
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
