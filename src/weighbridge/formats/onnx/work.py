"""The state of reading one ONNX model, and how a message of it is walked: fields by the schema, texts, what is hidden.

A field that is not in the schema is an anomaly, since nobody knows what a loader makes of it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import field
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import HEAD, SHORTEST_PICKLE, looks_packed, program_part, text_part
from weighbridge.formats.framework import Text
from weighbridge.formats.onnx.reading import ExternalData
from weighbridge.formats.onnx.schema import SCHEMA, SINGLE, WIRES
from weighbridge.formats.protobuf import LENGTH, Field, Wire
from weighbridge.formats.reading import Anomaly, Gap, Part, TensorRef

MAX_DEPTH = 100
MAX_ANOMALIES = 100
MAX_TEXT = 4096
MAX_PARTS = 1000

Key = tuple[str, str, str]
"""What a node calls: domain, operator, overload."""


class Made(NamedTuple):
    """A node whose inputs may say how much it makes."""

    op: str
    inputs: list[str]
    scope: str
    at: int


@dataclass(slots=True, kw_only=True)
class Work:
    """What all steps of one reading share."""

    source: Source
    budget: Budget
    wire: Wire
    ir_version: int = 0
    producer: str = ""
    opsets: list[tuple[str, int]] = field(default_factory=list)
    anomalies: list[Anomaly] = field(default_factory=list)
    more: int = 0
    gaps: list[Gap] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    refs: list[TensorRef] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)
    unlisted: str = ""
    nodes: Counter[Key] = field(default_factory=Counter)
    first: dict[Key, int] = field(default_factory=dict)
    functions: dict[Key, Counter[Key]] = field(default_factory=dict)
    external: list[ExternalData] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    numbers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Value → the whole numbers of a short constant."""
    made: list[Made] = field(default_factory=list)

    def odd(self, code: str, message: str, *, offset: int | None = None, part: str = "") -> None:
        """Note one anomaly; beyond the limit only count it."""
        if len(self.anomalies) < MAX_ANOMALIES:
            self.anomalies.append(Anomaly(code=code, message=message, offset=offset, part=visible(part, 80)))
        else:
            self.more += 1

    def unused(self, code: str, begin: int, end: int) -> None:
        """Note bytes that nobody understands."""
        message = f"{end - begin} bytes that are no part of the model"
        self.odd(code, message, offset=begin)
        self.gaps.append(Gap(code=code, message=message, offset=begin))

    def each(self, message: str, start: int, end: int, depth: int) -> Iterator[Field]:
        """The fields of one message that the schema knows; everything else becomes an anomaly."""
        if depth > MAX_DEPTH:
            self.odd("nesting-too-deep", f"messages nested deeper than {MAX_DEPTH}", offset=start)
            self.gaps.append(
                Gap(code="nesting-too-deep", message="what lies deeper was not read", offset=start)
            )
            return
        kinds, single, seen = SCHEMA[message], SINGLE.get(message, ()), set()
        for item in self.wire.fields(start, end):
            kind = kinds.get(item.number)
            if kind is None or item.wire not in WIRES.get(kind, (LENGTH,)):
                code = "unknown-field" if kind is None else "wire-type"
                self.odd(code, f"{message} field {item.number}, wire type {item.wire}", offset=item.start)
                self._hidden(message, item)
                continue
            if item.number in single:
                if item.number in seen:
                    self.odd(
                        "field-repeated", f"{message} field {item.number} stands twice", offset=item.start
                    )
                seen.add(item.number)
            yield item

    def _hidden(self, message: str, item: Field) -> None:
        """What stands in a field that nobody knows is carried along, and may be taken out again."""
        length = item.end - item.start
        if item.wire == LENGTH and length >= SHORTEST_PICKLE and len(self.parts) < MAX_PARTS:
            self.program(item.start, length, f"{message} field {item.number}")

    def program(self, start: int, length: int, name: str) -> None:
        """Note bytes that are a program of some kind, if they are."""
        part = program_part(self.source, start, length, name)
        if part is not None:
            self.parts.append(part)

    def text_field(self, item: Field, name: str) -> None:
        """A text that people or tools read: is it one, or something that runs?"""
        length = item.end - item.start
        if length < SHORTEST_PICKLE or len(self.parts) >= MAX_PARTS:
            return
        start = self.wire.bytes(item.start, min(item.end, item.start + HEAD))
        if name == "metadata" and len(self.texts) < MAX_PARTS:
            self.texts.append(Text(start.decode("utf-8", "surrogateescape"), name, item.start))
        if length <= HEAD or text_part(start, name) is not None or looks_packed(start):
            self.budget.need_memory(length, "a text of the model")
            part = text_part(start if length <= HEAD else self.source.read(item.start, length), name)
            self.parts += [part] if part is not None else []

    def check(self, message: str, start: int, end: int, depth: int) -> None:
        """Walk a message of which only the form matters."""
        for item in self.each(message, start, end, depth):
            inner = SCHEMA[message][item.number]
            if message == "Entry" and item.number == 2:
                self.text_field(item, "metadata")
            elif inner in SCHEMA:
                self.check(inner, item.start, item.end, depth + 1)

    def text(self, item: Field) -> str:
        """A string, cut at `MAX_TEXT`."""
        if item.end - item.start > MAX_TEXT:
            self.odd("name-too-long", f"a name of {item.end - item.start} bytes", offset=item.start)
        raw = self.wire.bytes(item.start, min(item.end, item.start + MAX_TEXT))
        return raw.decode("utf-8", "surrogateescape")
