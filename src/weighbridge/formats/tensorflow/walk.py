"""One walk over TensorFlow's messages by their schema: what is known is handed on, everything else is noted.

Schema: `weighbridge.formats.tensorflow.schema`.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import field

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import SHORTEST_PICKLE, program_part
from weighbridge.formats.protobuf import FIXED32, FIXED64, LENGTH, VARINT, Field, Wire
from weighbridge.formats.reading import Anomaly, Gap, Part, TensorRef
from weighbridge.formats.tensorflow.schema import SCHEMA

MAX_DEPTH = 100
MAX_ANOMALIES = 100
MAX_PARTS = 1000
MAX_TEXT = 4096
"""Characters of one text that are kept for rules."""
WIRES = {"int": (VARINT, LENGTH), "fixed4": (FIXED32, LENGTH), "fixed8": (FIXED64, LENGTH)}


@dataclass(slots=True, kw_only=True)
class GraphWalk:
    """One walk over one source, and what was seen on it."""

    source: Source
    budget: Budget
    wire: Wire = field(init=False)
    anomalies: list[Anomaly] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    tensors: list[TensorRef] = field(default_factory=list)
    unlisted: list[tuple[str, str]] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.wire = Wire(self.source, self.budget)

    def odd(self, code: str, message: str, offset: int | None = None, part: str = "") -> None:
        """Note one anomaly."""
        if len(self.anomalies) < MAX_ANOMALIES:
            self.anomalies.append(Anomaly(code=code, message=message, offset=offset, part=visible(part, 80)))

    def each(self, message: str, start: int, end: int, depth: int) -> Iterator[tuple[str, str, Field]]:
        """(name, kind, field) of what the schema knows; anything else becomes an anomaly.

        A message that breaks off ends there with a gap, so that what stood before it can still be judged: no loader
        takes such a file, but nobody should have to rely on that.
        """
        if depth > MAX_DEPTH:
            self.odd("nesting-too-deep", f"messages nested deeper than {MAX_DEPTH}", start)
            self.gaps.append(
                Gap(code="nesting-too-deep", message="what lies deeper was not read", offset=start)
            )
            return
        kinds = SCHEMA[message]
        at = start
        try:
            for item in self.wire.fields(start, end):
                at = item.end
                known = kinds.get(item.number)
                if known is None or item.wire not in WIRES.get(known[1], (LENGTH,)):
                    self._unknown(message, item)
                    continue
                yield known[0], known[1], item
        except InputError as error:
            self.broken(message, error, at, "bad-protobuf" if depth else "trailing-bytes")

    def broken(self, message: str, error: InputError, at: int, code: str) -> None:
        """A message breaks off; what stood before it counts."""
        if error.code != "bad-protobuf":
            raise error
        if len(self.gaps) < MAX_ANOMALIES:
            self.gaps.append(Gap(code=code, message=f"{message}: {error.message}", offset=at))

    def _unknown(self, message: str, item: Field) -> None:
        text = f"{message} has a field {item.number} of wire type {item.wire} that is not known"
        self.odd("unknown-field", text, item.start)
        if item.wire == LENGTH:
            self.program(item, f"{message} field {item.number}")

    def check(self, message: str, start: int, end: int, depth: int) -> None:
        """Walk a message of which only the form matters."""
        for _, kind, item in self.each(message, start, end, depth):
            if kind in SCHEMA:
                self.check(kind, item.start, item.end, depth + 1)

    def text(self, item: Field) -> str:
        """A text, cut at `MAX_TEXT`."""
        raw = self.wire.bytes(item.start, min(item.end, item.start + MAX_TEXT))
        return raw.decode("utf-8", "surrogateescape")

    def program(self, item: Field, name: str) -> None:
        """Bytes that begin like a program, a pickle or an archive become a part."""
        length = item.end - item.start
        if length >= SHORTEST_PICKLE and len(self.parts) < MAX_PARTS:
            part = program_part(self.source, item.start, length, name)
            self.parts += [part] if part is not None else []

    def name_of(self, message: str, item: Field, depth: int, wanted: str = "name") -> str:
        """The text of one field of a message."""
        found = ""
        for key, _, part in self.each(message, item.start, item.end, depth):
            if key == wanted:
                found = self.text(part)
        return found

    def pair(self, item: Field, depth: int) -> tuple[str, str]:
        """An entry of a map of texts."""
        found = {"key": "", "value": ""}
        for key, _, part in self.each("TextEntry", item.start, item.end, depth):
            found[key] = self.text(part)
        return found["key"], found["value"]
