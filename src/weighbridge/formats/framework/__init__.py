"""What the readers of other frameworks' own formats share: a bounded cursor, and a reading that says what a model calls.

A number that cannot be right in a file of this size, an index that leads out of its array, a structure without an end:
each is a `ContradictionError`, which the reader turns into an anomaly and a gap, so that a rule can name it. Where the bytes were
another format's all along, the readers raise `InputError` (`not-this-format`) instead.
"""

import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Anomaly, Gap, Reading

CHUNK = 64 * 1024
MAX_TEXTS = 50_000
MAX_TEXT = 16 * 1024
"""Characters of one string that are kept for rules."""


class Call(NamedTuple):
    """One operator, layer or function that a model names and its framework looks up."""

    name: str
    where: str = ""
    """The node or part that names it first."""
    offset: int | None = None
    times: int = 1


class Text(NamedTuple):
    """One string that stands in a model where nobody expects a program: an attribute, a parameter, a note."""

    value: str
    where: str = ""
    offset: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameworkReading(Reading):
    """The base of the readings of this family."""

    calls: tuple[Call, ...] = ()
    texts: tuple[Text, ...] = ()


class ContradictionError(Exception):
    """The rest of the file cannot be read, because its numbers contradict it."""

    def __init__(self, fact: str, message: str, offset: int | None = None, part: str = "") -> None:
        super().__init__(message)
        self.fact, self.message, self.offset, self.part = fact, message, offset, visible(part, 80)

    def anomaly(self) -> Anomaly:
        """As a fact for rules."""
        return Anomaly(code=self.fact, message=self.message, offset=self.offset, part=self.part)

    def gap(self) -> Gap:
        """As bytes that nobody read."""
        return Gap(code="not-read", message=f"{self.message}; what follows was not read", offset=self.offset)


def trailing(offset: int, size: int) -> tuple[Gap, ...]:
    """A gap for bytes behind the format's end; () where it ends with the file."""
    if offset >= size:
        return ()
    return (
        Gap(code="trailing-bytes", message=f"{size - offset} bytes behind the model's end", offset=offset),
    )


def counted_calls(calls: Iterable[Call]) -> tuple[Call, ...]:
    """Equal names as one, with the place of the first."""
    found: dict[str, Call] = {}
    for call in calls:
        known = found.get(call.name)
        found[call.name] = call if known is None else known._replace(times=known.times + call.times)
    return tuple(found.values())


class Cursor:
    """Steps through a Source with one chunk of it in memory. Everything is bounded by the file's size first."""

    def __init__(self, source: Source, budget: Budget, *, at: int = 0, order: str = "<") -> None:
        self.at, self.size = at, source.size
        self.order = order
        self.source, self._budget = source, budget
        self._chunk, self._base = b"", 0
        self._structs: dict[str, struct.Struct] = {}

    @property
    def left(self) -> int:
        """Bytes behind the cursor."""
        return self.size - self.at

    def take(self, length: int, what: str = "a value") -> bytes:
        """The next bytes. `ContradictionError` (`out-of-file`)."""
        self._within(length, what)
        start = self.at - self._base
        if start < 0 or start + length > len(self._chunk):
            if length > CHUNK:
                self._budget.need_memory(length, what)
            self._chunk, self._base = self.source.read(self.at, max(CHUNK, length)), self.at
            self._budget.spend_bytes(len(self._chunk))
            start = 0
        self.at += length
        return self._chunk[start : start + length]

    def skip(self, length: int, what: str = "a value") -> int:
        """Step over bytes that are in the file; where they begin."""
        self._within(length, what)
        self.at += length
        return self.at - length

    def unpack(self, code: str, what: str = "a number") -> Any:
        """One number of this `struct` code."""
        made = self._structs.get(code)
        if made is None:
            made = self._structs[code] = struct.Struct(self.order + code)
        start = self.at - self._base
        if 0 <= start <= len(self._chunk) - made.size:
            self.at += made.size
            return made.unpack_from(self._chunk, start)[0]
        return made.unpack(self.take(made.size, what))[0]

    def number(self, code: str, what: str = "a number") -> int:
        """One integer."""
        return int(self.unpack(code, what))

    def count(self, code: str, each: int, what: str) -> int:
        """A number of things of at least `each` bytes, which must fit into the rest. `ContradictionError` (`count-overflow`)."""
        at, count = self.at, self.number(code, what)
        if count < 0 or count * max(1, each) > self.left:
            message = f"{what} of {count} cannot fit into the {self.left} bytes that are left"
            raise ContradictionError("count-overflow", message, at)
        return count

    def text(self, code: str, what: str, limit: int = MAX_TEXT) -> str:
        """A string with its length before it. `ContradictionError` (`length-overflow`)."""
        at, length = self.at, self.number(code, what)
        if length < 0 or length > self.left:
            message = f"{what} of {length} bytes, and {self.left} are left in the file"
            raise ContradictionError("length-overflow", message, at)
        start = self.skip(length, what)
        return self.source.read(start, min(length, limit)).decode("utf-8", "surrogateescape")

    def until(self, mark: bytes, limit: int = MAX_TEXT) -> bytes:
        """The bytes before the next `mark` (one byte), which is stepped over. `ContradictionError` (`length-overflow`)."""
        start = self.at - self._base
        end = self._chunk.find(mark, start) if 0 <= start < len(self._chunk) else -1
        if end < 0:
            self._chunk, self._base = self.source.read(self.at, max(CHUNK, limit)), self.at
            self._budget.spend_bytes(len(self._chunk))
            start, end = 0, self._chunk.find(mark)
        if end < 0 or end - start > limit:
            raise ContradictionError(
                "length-overflow", f"a word that does not end within {limit} bytes", self.at
            )
        self.at += end + 1 - start
        return self._chunk[start:end]

    def tick(self) -> None:
        """Look at the clock; for long loops."""
        self._budget.tick()

    def _within(self, length: int, what: str) -> None:
        if length < 0 or length > self.left:
            message = f"{what} of {length} bytes ends behind the file's {self.size}"
            raise ContradictionError("out-of-file", message, self.at)


def product(dims: Iterable[int], *, limit: int = 2**63, where: str = "", offset: int | None = None) -> int:
    """Items of a shape. `ContradictionError` (`shape-overflow`) for negative dimensions and more than 63 bits hold."""
    items = 1
    shown = tuple(dims)
    for dim in shown:
        items *= dim
        if dim < 0 or dim >= limit or items >= limit:
            message = f"dimensions {visible(str(shown[:8]), 80)} are no shape of a tensor"
            raise ContradictionError("shape-overflow", message, offset, where)
    return items
