"""CNTK: models of version 2 (the Dictionary of CNTK.proto), and the older format (`BCNTK`), which is only recognised.

Walks every dictionary, vector and array of the model, compares the values of an array with its shape, and says which
functions are the model's own: those are made by a library or a Python class that the file names.
"""

from collections.abc import Iterator
from dataclasses import field
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.framework import (
    MAX_TEXTS,
    Call,
    ContradictionError,
    FrameworkReading,
    Text,
    counted_calls,
    product,
)
from weighbridge.formats.protobuf import FIXED32, FIXED64, LENGTH, Field
from weighbridge.formats.protowalk import ProtoWalk, flaws
from weighbridge.formats.reading import Gap, Reading

SCHEMA: dict[str, dict[int, str]] = {
    "Dictionary": {1: "int", 2: "Entry"},
    "Entry": {1: "text", 2: "Value"},
    "Value": {
        1: "int", 2: "int", 3: "int", 4: "int", 5: "int", 6: "fixed", 7: "fixed", 8: "text", 9: "Shape", 10: "Axis",
        11: "Vector", 12: "Dictionary", 13: "Array",
    },
    "Shape": {1: "int"},
    "Axis": {1: "int", 2: "text", 3: "int"},
    "Vector": {1: "Value"},
    "Array": {1: "int", 2: "int", 3: "Shape", 4: "Numbers", 5: "Numbers", 6: "Raw", 7: "Numbers"},
    "Numbers": {1: "fixed"},
    "Raw": {1: "bytes"},
}  # fmt: skip
LEGACY = b"B\0C\0N\0T\0K\0\0\0"
USER_FUNCTIONS = frozenset({"UserDefinedFunction", "NativeUserDefinedFunction"})
NUMBERS = frozenset((3, 4, 5))
"""Fields of a value that are whole numbers."""
LAST_OPERATOR = 200
"""`UnknownOP`; the primitive functions end below a hundred."""
STRING, DICTIONARY = 8, 12
VECTOR, ARRAY = 11, 13
FLOATS, DOUBLES = 4, 5
NATIVE_KEYS = frozenset({"module", "deserialize_method"})


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Walk the model. `InputError`: `not-this-format`."""
    if source.read(0, len(LEGACY)) == LEGACY:
        gap = Gap(code="opaque", message="CNTK's format before version 2 is recognised but not read")
        return FrameworkReading(format="cntk", gaps=(gap,), tensors_unlisted=gap.message)
    return _Model(walk=ProtoWalk(source=source, budget=budget, schema=SCHEMA)).reading(source.size)


class _Entry(NamedTuple):
    key: str
    value: Field


@dataclass(slots=True, kw_only=True)
class _Model:
    walk: ProtoWalk
    calls: list[Call] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def reading(self, size: int) -> FrameworkReading:
        anomalies, gaps = flaws(lambda: self._dictionary(0, size, "model", 0), self._is_ours, "CNTK model")
        if not self._is_ours():
            raise InputError("not-this-format", "no dictionary of a CNTK model")
        return FrameworkReading(
            format="cntk",
            anomalies=(*anomalies, *self.walk.anomalies),
            gaps=gaps,
            calls=counted_calls(self.calls),
            texts=tuple(self.texts[:MAX_TEXTS]),
            tensors_unlisted="the values of a CNTK model are protobuf lists",
        )

    def _is_ours(self) -> bool:
        return bool(self.keys & {"type", "uid", "primitive_functions", "version", "root", "model", "op"})

    def _dictionary(self, start: int, end: int, where: str, depth: int) -> None:
        entries: list[_Entry] = []
        for item in self.walk.each("Dictionary", start, end, depth):
            if item.number == 2 and item.wire == LENGTH:
                entries += self._entry(item, depth + 1)
        keys = [entry.key for entry in entries]
        self.keys.update(keys)
        if len(set(keys)) != len(keys):
            raise ContradictionError("duplicate-key", "a key stands twice in one dictionary", start, where)
        strings = {entry.key: text for entry in entries for text in self._strings(entry.value, depth)}
        self._function(strings, set(keys), where, start)
        if strings.get("type") == "PrimitiveFunction":
            self._operator([entry for entry in entries if entry.key == "op"], where, depth)
        for entry in entries:
            self._value(entry.value, f"{where}.{entry.key}"[:200], depth + 2)

    def _entry(self, item: Field, depth: int) -> Iterator[_Entry]:
        key, value = "", None
        for part in self.walk.each("Entry", item.start, item.end, depth):
            if part.number == 1:
                key = self.walk.text(part)
            else:
                value = part
        if value is not None:
            yield _Entry(key, value)

    def _strings(self, value: Field, depth: int) -> Iterator[str]:
        for part in self.walk.each("Value", value.start, value.end, depth):
            if part.number == STRING:
                yield self.walk.text(part)

    def _function(self, strings: dict[str, str], keys: set[str], where: str, offset: int) -> None:
        kind = strings.get("type", "")
        if kind in USER_FUNCTIONS or keys >= NATIVE_KEYS or {"module", "class"} <= keys:
            made = " ".join(strings.get(key, "") for key in ("module", "deserialize_method", "class")).strip()
            self.calls.append(Call(kind or "UserDefinedFunction", visible(f"{where} {made}", 200), offset))

    def _operator(self, entries: list[_Entry], where: str, depth: int) -> None:
        """The number of a primitive function, with which the loader looks into its tables."""
        for entry in entries:
            for part in self.walk.each("Value", entry.value.start, entry.value.end, depth + 2):
                if part.number in NUMBERS and not 0 <= part.value <= LAST_OPERATOR:
                    message = f"operator {part.value} is beyond all that CNTK has"
                    raise ContradictionError("index-out-of-range", message, part.start, where)

    def _value(self, value: Field, where: str, depth: int) -> None:
        for part in self.walk.each("Value", value.start, value.end, depth):
            if part.number == STRING:
                self.texts.append(Text(self.walk.text(part), visible(where, 120), part.start))
            elif part.number == DICTIONARY:
                self._dictionary(part.start, part.end, where, depth + 1)
            elif part.number == VECTOR:
                for index, item in enumerate(self.walk.each("Vector", part.start, part.end, depth + 1)):
                    self._value(item, f"{where}[{index}]"[:200], depth + 2)
            elif part.number == ARRAY:
                self._array(part, where, depth + 1)

    def _array(self, item: Field, where: str, depth: int) -> None:
        dims: list[int] = []
        held: list[tuple[int, int]] = []
        sparse = False
        for part in self.walk.each("Array", item.start, item.end, depth):
            if part.number == 2:
                sparse = part.value != 0
            elif part.number == 3:
                for dim in self.walk.each("Shape", part.start, part.end, depth + 1):
                    dims += self.walk.numbers(dim)
            elif part.number in (FLOATS, DOUBLES):
                held.append((part.number, self._count(part, depth + 1)))
        items = product(dims, where=where, offset=item.start)
        for _, count in held:
            if count != items and not sparse:
                message = f"{count} values in an array of {items}"
                raise ContradictionError("size-mismatch", message, item.start, where)

    def _count(self, item: Field, depth: int) -> int:
        width, count = 4 if item.number == FLOATS else 8, 0
        for part in self.walk.each("Numbers", item.start, item.end, depth):
            if part.wire == LENGTH and (part.end - part.start) % width == 0:
                count += (part.end - part.start) // width
            elif part.wire in (FIXED32, FIXED64):
                count += 1
            else:
                raise ContradictionError(
                    "size-mismatch", "a list of numbers ends within a number", part.start
                )
        return count
