"""Flatbuffers, walked without generated code: tables, vectors and texts, every offset held against the file.

Remembers the furthest byte that anything reached, since a flatbuffer does not say where it ends, and counts what it hands
out, since many references may lead to one object. Spec: https://flatbuffers.dev/internals/.
"""

from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import LimitError
from weighbridge.core.source import Source
from weighbridge.formats.framework import ContradictionError

PAGE = 64 * 1024
MAX_PAGES = 256
"""Pages that are held at a time."""
MAX_OBJECTS = 3_000_000
MAX_SLOTS = 1024
"""Fields of one table; no schema here has more than a few dozen."""


class Table(NamedTuple):
    """One table: where it begins, and the offset of each of its fields in it (0 for one that is not there)."""

    at: int
    slots: tuple[int, ...]
    size: int
    """Bytes of the table itself."""

    def field(self, slot: int) -> int:
        """The offset of a field in the file; 0 where it is not there."""
        offset = self.slots[slot] if slot < len(self.slots) else 0
        return self.at + offset if offset else 0


class Vector(NamedTuple):
    """A vector's items."""

    start: int
    items: int


NOTHING = Vector(0, 0)


class Flatbuffer:
    """Reads one buffer. Everything raises `ContradictionError` (`out-of-file`) for places outside of the file."""

    def __init__(self, source: Source, budget: Budget) -> None:
        self.size = source.size
        self.end = 0
        """Behind the furthest byte that was reached."""
        self._source, self._budget = source, budget
        self._pages: dict[int, bytes] = {}
        self._objects = 0

    def number(self, at: int, width: int, *, signed: bool = False) -> int:
        """A little-endian number."""
        return int.from_bytes(self._bytes(at, width), "little", signed=signed)

    def root(self) -> Table:
        """The table that the buffer is."""
        return self.table(self.number(0, 4), 0)

    def table(self, at: int, referrer: int) -> Table:
        """The table at an offset; `referrer` is what pointed there."""
        self._count()
        vtable = at - self.number(at, 4, signed=True)
        if vtable < 0 or vtable >= self.size:
            raise ContradictionError("out-of-file", f"a table's description lies at byte {vtable}", referrer)
        length, size = self.number(vtable, 2), self.number(vtable + 2, 2)
        if length < 4 or length % 2 or size < 4 or length // 2 - 2 > MAX_SLOTS:
            raise ContradictionError(
                "structure-invalid", f"a table of {size} bytes with {length} of description", at
            )
        raw = self._bytes(vtable + 4, length - 4)
        self._reach(at, size)
        slots = tuple(int.from_bytes(raw[low : low + 2], "little") for low in range(0, len(raw), 2))
        if any(slot and not 4 <= slot < size for slot in slots):
            raise ContradictionError("structure-invalid", "a field lies outside of its table", at)
        return Table(at, slots, size)

    def follow(self, at: int) -> int:
        """Where the reference at `at` leads."""
        target = at + self.number(at, 4)
        if target >= self.size:
            raise ContradictionError("out-of-file", f"a reference leads to byte {target} of {self.size}", at)
        return target

    def integer(
        self, table: Table, slot: int, width: int = 4, default: int = 0, *, signed: bool = True
    ) -> int:
        """A field that is a number."""
        at = table.field(slot)
        return self.number(at, width, signed=signed) if at else default

    def inner(self, table: Table, slot: int) -> Table | None:
        """A field that is a table; None where it is not there."""
        at = table.field(slot)
        return self.table(self.follow(at), at) if at else None

    def vector(self, table: Table, slot: int, width: int) -> Vector:
        """A field that is a vector of items of `width` bytes."""
        at = table.field(slot)
        if not at:
            return NOTHING
        start = self.follow(at)
        count = self.number(start, 4)
        if count * width > self.size - start - 4:
            raise ContradictionError(
                "count-overflow", f"a vector of {count} items ends behind the file", start
            )
        self._reach(start, 4 + count * width)
        return Vector(start + 4, count)

    def tables(self, table: Table, slot: int) -> list[Table]:
        """A field that is a vector of tables."""
        vector = self.vector(table, slot, 4)
        found = []
        for index in range(vector.items):
            at = vector.start + 4 * index
            found.append(self.table(self.follow(at), at))
        return found

    def integers(self, vector: Vector, width: int = 4, *, signed: bool = True) -> list[int]:
        """The items of a vector of numbers."""
        self._count(vector.items // 64)
        self._budget.need_memory(vector.items * 40, "a vector of numbers")
        data = self._bytes(vector.start, vector.items * width)
        return [
            int.from_bytes(data[at : at + width], "little", signed=signed)
            for at in range(0, len(data), width)
        ]

    def text(self, table: Table, slot: int, limit: int = 4096) -> str:
        """A field that is a text, cut at `limit` bytes."""
        vector = self.vector(table, slot, 1)
        if not vector.start:
            return ""
        self._reach(vector.start, vector.items + 1)
        return self._bytes(vector.start, min(vector.items, limit)).decode("utf-8", "surrogateescape")

    def _reach(self, at: int, length: int) -> None:
        if at < 0 or at + length > self.size:
            raise ContradictionError(
                "out-of-file", f"{length} bytes at byte {at} end behind the file's {self.size}", at
            )
        self.end = max(self.end, at + length)

    def _count(self, times: int = 1) -> None:
        self._objects += times
        if self._objects > MAX_OBJECTS:
            raise LimitError("limit-members", f"stopped after {MAX_OBJECTS} objects of a flatbuffer")

    def _bytes(self, at: int, length: int) -> bytes:
        self._reach(at, length)
        number, low = divmod(at, PAGE)
        if low + length <= PAGE:
            return self._page(number)[low : low + length]
        self._budget.spend_bytes(length)
        return self._source.read(at, length)

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= MAX_PAGES:
                self._pages.clear()
            page = self._pages[number] = self._source.read(number * PAGE, PAGE)
            self._budget.spend_bytes(len(page))
        return page
