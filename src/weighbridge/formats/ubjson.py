"""UBJSON (draft 12), bounded: the value of a document, with large typed arrays kept as packed numbers.

XGBoost writes its models so. Counts and lengths are checked against the bytes that are left before anything is made;
nesting is bounded; a key that stands twice is noted. Big-endian, as the format is. Spec: https://ubjson.org.
"""

import struct
import sys
from array import array
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.formats.framework import ContradictionError, Cursor

NUMBERS = {"i": "b", "U": "B", "I": "h", "l": "i", "L": "q", "d": "f", "D": "d"}
"""Type marker → `struct` code, which is also the `array` code except where a platform's sizes differ."""
INTEGERS = frozenset("iUIlL")
_ARRAY = {"i": "b", "U": "B", "I": "h", "l": "i", "L": "q", "d": "f", "D": "d"}
CONSTANTS = {"Z": None, "T": True, "F": False}
MAX_DEPTH = 100
MAX_COUNT_OF_NOTHING = 1_000_000
"""Items of an array whose type takes no bytes (null, true, false): only the budget could bound them otherwise."""
ITEM_COST = 64
"""Bytes of memory that one value of a document takes here."""


class Ubjson:
    """One document."""

    def __init__(self, source: Source, budget: Budget) -> None:
        self._cursor = Cursor(source, budget, order=">")
        self._budget = budget
        self._items = 0
        self.doubled: list[tuple[str, int]] = []
        """Keys that stand twice in one object, with their offsets."""

    @property
    def end(self) -> int:
        """Offset behind what was read."""
        return self._cursor.at

    def value(self) -> Any:
        """The document's value. `ContradictionError` where the bytes break the format, `LimitError`."""
        return self._value(self._marker(), 0)

    def _marker(self) -> str:
        while True:
            marker = chr(self._cursor.take(1, "a type marker")[0])
            if marker != "N":
                return marker
            self._count_item()

    def _count_item(self) -> None:
        self._items += 1
        if self._items % 4096 == 0:
            self._budget.tick()
            self._budget.need_memory(self._items * ITEM_COST, "a UBJSON document")

    def _value(self, marker: str, depth: int) -> Any:
        self._count_item()
        if marker in NUMBERS:
            return self._cursor.unpack(NUMBERS[marker])
        if marker in CONSTANTS:
            return CONSTANTS[marker]
        if marker in "SH":
            return self._string()
        if marker == "C":
            return chr(self._cursor.take(1)[0])
        if marker in "[{":
            if depth >= MAX_DEPTH:
                raise ContradictionError("nesting-too-deep", f"nested deeper than {MAX_DEPTH}", self.end)
            return self._array(depth) if marker == "[" else self._object(depth)
        raise ContradictionError(
            "type-invalid", f'type marker "{visible(marker)}" does not exist', self.end - 1
        )

    def _length(self, what: str, marker: str = "") -> int:
        at = self.end
        marker = marker or chr(self._cursor.take(1, "a length")[0])
        if marker not in INTEGERS:
            raise ContradictionError("type-invalid", f'{what} has a length of type "{visible(marker)}"', at)
        length = int(self._cursor.unpack(NUMBERS[marker]))
        if length < 0:
            raise ContradictionError("count-overflow", f"{what} has the length {length}", at)
        return length

    def _string(self, marker: str = "") -> str:
        at, length = self.end, self._length("a string", marker)
        if length > self._cursor.left:
            message = f"a string of {length} bytes, and {self._cursor.left} are left in the file"
            raise ContradictionError("length-overflow", message, at)
        return self._cursor.take(length).decode("utf-8", "surrogateescape")

    def _head(self, what: str) -> tuple[str, int | None, str]:
        """The type and count that an array or object may begin with, and the marker that follows them."""
        kind, marker = "", chr(self._cursor.take(1)[0])
        if marker == "$":
            kind, marker = chr(self._cursor.take(1)[0]), chr(self._cursor.take(1)[0])
            if marker != "#":
                raise ContradictionError("type-invalid", f"{what} has a type and no count", self.end)
        if marker != "#":
            return "", None, marker
        at, count = self.end, self._length(what)
        width = struct.calcsize(f">{NUMBERS[kind]}") if kind in NUMBERS else int(kind not in CONSTANTS)
        if count * width > self._cursor.left or count > max(MAX_COUNT_OF_NOTHING, self._cursor.left):
            message = f"{what} of {count} items, and {self._cursor.left} bytes are left in the file"
            raise ContradictionError("count-overflow", message, at)
        return kind, count, ""

    def _array(self, depth: int) -> Any:
        kind, count, marker = self._head("an array")
        if kind in NUMBERS and count is not None:
            return self._packed(kind, count)
        if count is not None:
            return [self._value(kind or self._marker(), depth + 1) for _ in range(count)]
        items = []
        while marker != "]":
            if marker != "N":
                items.append(self._value(marker, depth + 1))
            marker = chr(self._cursor.take(1, "the end of an array")[0])
        return items

    def _packed(self, kind: str, count: int) -> "array[Any]":
        code = _ARRAY[kind]
        numbers = array(code, self._cursor.take(count * struct.calcsize(f">{NUMBERS[kind]}"), "an array"))
        if sys.byteorder == "little":
            numbers.byteswap()
        return numbers

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count, marker = self._head("an object")
        found: dict[str, Any] = {}
        left = count
        while left != 0 and marker != "}":
            if marker == "N":
                marker = chr(self._cursor.take(1)[0])
                continue
            at, key = self.end, self._string(marker)
            if key in found:
                self.doubled.append((key, at))
            found[key] = self._value(kind or self._marker(), depth + 1)
            left = None if left is None else left - 1
            marker = "" if left is not None else chr(self._cursor.take(1, "the end of an object")[0])
        return found
