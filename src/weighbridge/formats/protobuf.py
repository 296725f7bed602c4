"""The protobuf wire format, walked without a schema compiler and without copying: fields as they stand in a Source.

A `Wire` yields (number, type, value or span) and reads only tags, numbers and lengths; whoever walks decides which
spans to enter, so gigabytes of tensor data are stepped over. Groups (wire types 3 and 4), which no format here uses,
are stepped over too, as parsers do with fields they do not know. Spec: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import Source

VARINT, FIXED64, LENGTH, GROUP, GROUP_END, FIXED32 = range(6)
CHUNK = 16 * 1024
MAX_FIELDS = 20_000_000
"""Over one file; each costs a few microseconds."""
MAX_GROUPS = 100
"""Groups inside groups, as in the protobuf libraries."""


class Field(NamedTuple):
    """One field. `value` is an unsigned number, or 0 for a length-delimited field or a group, whose bytes are `[start, end)`."""

    number: int
    wire: int
    value: int
    start: int
    end: int


class Wire:
    """Walks messages inside one Source, holding one small chunk of it."""

    def __init__(self, source: Source, budget: Budget) -> None:
        self._source, self._budget = source, budget
        self._chunk, self._base = b"", 0
        self._fields = 0

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message `[start, end)`. Raises `InputError` (`bad-protobuf`), `LimitError`."""
        at = start
        while at < end:
            self._count()
            field = self._short(at, end) or self._long(at, end)
            at = field.end
            yield field

    def _short(self, at: int, end: int) -> Field | None:
        """A field of one byte of tag and one of number or length, as nearly all are; None for any other."""
        low, chunk = at - self._base, self._chunk
        if low < 0 or low + 2 > len(chunk) or at + 2 > end:
            return None
        tag, value = chunk[low], chunk[low + 1]
        if tag >= 0x80 or value >= 0x80 or tag < 8:
            return None
        if tag & 7 == LENGTH and at + 2 + value <= end:
            return Field(tag >> 3, LENGTH, 0, at + 2, at + 2 + value)
        return Field(tag >> 3, VARINT, value, at + 1, at + 2) if tag & 7 == VARINT else None

    def _long(self, at: int, end: int) -> Field:
        tag, at = self.varint(at, end)
        return self._field(tag, at, end)

    def _field(self, tag: int, at: int, end: int) -> Field:
        number, wire = tag >> 3, tag & 7
        if not 1 <= number < 2**29:
            raise InputError("bad-protobuf", f"field number {number} at byte {at}")
        if wire == LENGTH:
            length, at = self.varint(at, end)
            if length > end - at:
                raise InputError("bad-protobuf", f"field {number} at byte {at} is longer than what holds it")
            return Field(number, wire, 0, at, at + length)
        if wire == VARINT:
            value, after = self.varint(at, end)
            return Field(number, wire, value, at, after)
        if wire == GROUP:
            return Field(number, wire, 0, at, self._group_end(number, at, end))
        if wire not in (FIXED32, FIXED64) or at + (size := 8 if wire == FIXED64 else 4) > end:
            raise InputError(
                "bad-protobuf", f"field {number} at byte {at} has wire type {wire}, or is cut off"
            )
        return Field(number, wire, int.from_bytes(self.bytes(at, at + size), "little"), at, at + size)

    def _group_end(self, number: int, at: int, end: int) -> int:
        """The offset behind the group that begins at `at`."""
        opened = [number]
        while opened:
            tag, at = self.varint(at, end)
            if tag & 7 == GROUP_END and tag >> 3 == opened[-1]:
                opened.pop()
            elif tag & 7 == GROUP:
                opened.append(tag >> 3)
                if len(opened) > MAX_GROUPS:
                    raise InputError("bad-protobuf", f"groups nested deeper than {MAX_GROUPS} at byte {at}")
            else:
                at = self._field(tag, at, end).end
            self._count()
        return at

    def varint(self, at: int, end: int) -> tuple[int, int]:
        """The number at `at` and the offset behind it."""
        low = at - self._base
        if low < 0 or low + 10 > len(self._chunk):
            self._load(at)
            low = 0
        chunk, value = self._chunk, 0
        for index in range(min(10, end - at, len(chunk) - low)):
            byte = chunk[low + index]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at + index + 1
        raise InputError("bad-protobuf", f"a number at byte {at} does not end")

    def varints(self, start: int, end: int) -> Iterator[int]:
        """The numbers of a packed field."""
        at = start
        while at < end:
            value, at = self.varint(at, end)
            yield value

    def bytes(self, start: int, end: int) -> bytes:
        """The bytes `[start, end)`; whoever asks has bounded them."""
        low = start - self._base
        if low >= 0 and low + end - start <= len(self._chunk):
            return self._chunk[low : low + end - start]
        if end - start > CHUNK:
            self._budget.spend_bytes(end - start)
            return self._source.read(start, end - start)
        self._load(start)
        return self._chunk[: end - start]

    def _count(self) -> None:
        self._fields += 1
        if self._fields > MAX_FIELDS:
            raise LimitError("limit-members", f"stopped after {MAX_FIELDS} protobuf fields")

    def _load(self, at: int) -> None:
        self._chunk, self._base = self._source.read(at, CHUNK), at
        self._budget.spend_bytes(len(self._chunk))


def signed(value: int) -> int:
    """An int64 as it stands on the wire, with its sign."""
    return value - 2**64 if value >= 2**63 else value
