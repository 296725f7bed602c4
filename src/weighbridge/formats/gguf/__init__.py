"""GGUF versions 1 to 3, little and big endian: metadata, tensor table, then the tensors' bytes.

Every count, length, dimension, offset and size is checked against the file before it is used. Values of arrays are
stepped over, not kept; chat templates are handed on as parts. The weights are not read but for the first bytes of
each tensor (a program hidden in one is handed on too). Format text: docs/gguf.md of the ggml project; the limits are
those of llama.cpp (4 dimensions, 63 bytes of tensor name).

A number that cannot be right in any file of this size is an anomaly (`…-overflow`, `out-of-file`); bytes that merely
end too early raise `InputError` (`truncated`).
"""

from dataclasses import replace

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.formats.gguf.cursor import Cursor
from weighbridge.formats.gguf.layout import aligned, read_layout, read_table
from weighbridge.formats.gguf.metadata import read_metadata
from weighbridge.formats.gguf.numbers import note_numbers
from weighbridge.formats.gguf.reading import GgufReading
from weighbridge.formats.gguf.work import UnusableError, Work
from weighbridge.formats.reading import Gap, Reading

ENTRY_COST = 640
"""Bytes of memory that one entry of the header costs here, with what may be wrong with it."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read metadata and tensor table. `InputError`: `not-this-format`, `version-unknown`, `truncated`."""
    if source.read(0, 4) != b"GGUF" or source.size < 8:
        raise InputError("not-this-format", "no GGUF header")
    version = source.read(4, 4)
    big = version[:2] == b"\0\0"
    number = int.from_bytes(version, "big" if big else "little")
    if number not in (1, 2, 3):
        raise InputError("version-unknown", f"GGUF version {number} is not known (1 to 3 are)")
    cursor = Cursor(source, budget, ">" if big else "<", wide=number > 1)
    return _reading(Work(cursor=cursor, source=source, budget=budget, version=number, big=big))


def _reading(work: Work) -> GgufReading:
    """Header, metadata, tensor table, layout: in the order of the file."""
    data = 0
    try:
        _read_header(work)
        data = aligned(work, work.cursor.at)
        read_layout(work, data)
    except UnusableError:
        last = work.anomalies[-1]
        work.unlisted = last.message
        work.gaps.append(Gap(code=last.code, message="what follows was not read", offset=last.offset))
    reading = GgufReading(
        format="gguf",
        anomalies=tuple(work.anomalies),
        gaps=tuple(work.gaps),
        parts=tuple(work.parts),
        tensors=None if work.unlisted else tuple(work.refs),
        tensors_unlisted=work.unlisted,
        version=work.version,
        big_endian=work.big,
        alignment=work.alignment,
        metadata=tuple(work.pairs),
        data_offset=data,
    )
    return replace(reading, keep=True) if reading.shards else reading


def _read_header(work: Work) -> None:
    tensors, pairs = work.cursor.count(), work.cursor.count()
    work.fits("tensor count", tensors, work.cursor.count_size + 16)
    work.fits("metadata count", pairs, work.cursor.count_size + 5)
    work.budget.spend_members(tensors + pairs)
    work.budget.need_memory(ENTRY_COST * (tensors + pairs), "the metadata and the tensor table")
    read_metadata(work, pairs)
    note_numbers(work)
    read_table(work, tensors)
