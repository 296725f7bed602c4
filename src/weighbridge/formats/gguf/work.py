"""The state of reading one GGUF file, what was seen on the way, and the strings and counts that all parts of it have."""

from dataclasses import field
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.gguf.cursor import Cursor
from weighbridge.formats.gguf.reading import Pair
from weighbridge.formats.gguf.types import UINT32
from weighbridge.formats.reading import Anomaly, Gap, Part, TensorRef

DEFAULT_ALIGNMENT = 32
MAX_KEY = 65_535


class Info(NamedTuple):
    """One line of the tensor table as it stands there; `dims` innermost first."""

    name: str
    dims: tuple[int, ...]
    kind: int
    offset: int
    at: int


class UnusableError(Exception):
    """The rest cannot be read, for the reason that the last anomaly gives."""


@dataclass(slots=True, kw_only=True)
class Work:
    """What all steps of one reading share."""

    cursor: Cursor
    source: Source
    budget: Budget
    version: int
    big: bool
    anomalies: list[Anomaly] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    infos: list[Info] = field(default_factory=list)
    refs: list[TensorRef] = field(default_factory=list)
    unlisted: str = ""

    def odd(self, code: str, message: str, *, offset: int | None = None, part: str = "") -> None:
        """Note one anomaly."""
        self.anomalies.append(Anomaly(code=code, message=message, offset=offset, part=visible(part, 80)))

    def give_up(self, code: str, message: str, *, offset: int | None = None, part: str = "") -> None:
        """Note what makes the rest unreadable, and end there. Raises `UnusableError`."""
        self.odd(code, message, offset=self.cursor.at if offset is None else offset, part=part)
        raise UnusableError

    def fits(self, what: str, count: int, each: int) -> None:
        """A number of things of at least `each` bytes must fit into a file of this size."""
        if count * each > self.source.size:
            self.give_up("count-overflow", f"{what} {count} cannot fit into {self.source.size} bytes")

    def length(self, what: str) -> int:
        """The length of something that must fit into the file."""
        length = self.cursor.count()
        if length > self.source.size:
            self.give_up("length-overflow", f"{what} of {length} bytes in a file of {self.source.size}")
        return length

    def string(self, what: str, limit: int) -> str:
        """A text of at most `limit` bytes."""
        length = self.length(what)
        if length > limit:
            self.give_up("length-overflow", f"{what} of {length} bytes, at most {limit} are allowed")
        return self.cursor.take(length).decode("utf-8", "surrogateescape")

    @property
    def alignment(self) -> int:
        """`general.alignment`, or 32."""
        found = [pair for pair in self.pairs if pair.key == "general.alignment"]
        value = found[0].value if found and found[0].kind == UINT32 else DEFAULT_ALIGNMENT
        return int(value)
