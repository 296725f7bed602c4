"""A protobuf message walked by a small schema: which fields are messages, strings or numbers, and which are unknown.

For formats whose schema is a table here and whose trees are shallow. Messages that the table calls `skip` are stepped
over. What a field means is the format's own reader's business. Wire format: `weighbridge.formats.protobuf`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.framework import MAX_TEXT, ContradictionError
from weighbridge.formats.protobuf import LENGTH, Field, Wire
from weighbridge.formats.reading import Anomaly, Gap

MAX_DEPTH = 100
MAX_ANOMALIES = 50

Schema = Mapping[str, Mapping[int, str]]
"""Message → field number → `int`, `fixed`, `text`, `bytes`, `skip`, or the message inside."""
_NUMBERS = frozenset({"int", "fixed"})


def flaws(
    steps: Callable[[], None], ours: Callable[[], bool], what: str
) -> tuple[tuple[Anomaly, ...], tuple[Gap, ...]]:
    """Take the steps of a walk; the flaw that ended it early, as anomaly and gap.

    Bytes that are no protobuf count as a flaw once `ours` says that enough was seen to tell the format. Before, and for
    everything else that the steps refuse: `InputError` (`not-this-format`).
    """
    try:
        steps()
    except ContradictionError as error:
        return (error.anomaly(),), (error.gap(),)
    except InputError as error:
        if error.code != "bad-protobuf" or not ours():
            raise InputError("not-this-format", f"no {what}: {error.message}") from None
        odd = Anomaly(code="out-of-file", message=error.message)
        return (odd,), (Gap(code=error.code, message=error.message),)
    return (), ()


@dataclass(slots=True, kw_only=True)
class ProtoWalk:
    """One walk over one source."""

    source: Source
    budget: Budget
    schema: Schema
    anomalies: list[Anomaly] = field(default_factory=list)
    wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        self.wire = Wire(self.source, self.budget)

    def each(self, message: str, start: int, end: int, depth: int = 0) -> Iterator[Field]:
        """The known fields of a message. `InputError` (`bad-protobuf`), `ContradictionError` (`nesting-too-deep`)."""
        if depth > MAX_DEPTH:
            raise ContradictionError("nesting-too-deep", f"messages nested deeper than {MAX_DEPTH}", start)
        kinds = self.schema[message]
        for item in self.wire.fields(start, end):
            kind = kinds.get(item.number)
            if kind is None or (kind not in _NUMBERS and item.wire != LENGTH):
                self._unknown(message, item)
                continue
            yield item

    def text(self, item: Field) -> str:
        """A string, cut at `MAX_TEXT`."""
        raw = self.wire.bytes(item.start, min(item.end, item.start + MAX_TEXT))
        return raw.decode("utf-8", "surrogateescape")

    def numbers(self, item: Field) -> Iterator[int]:
        """A repeated number, packed or one by one."""
        if item.wire == LENGTH:
            yield from self.wire.varints(item.start, item.end)
        else:
            yield item.value

    def check(self, message: str, start: int, end: int, depth: int = 0) -> None:
        """Walk a message of which only the form matters."""
        for item in self.each(message, start, end, depth):
            inner = self.schema[message][item.number]
            if inner in self.schema:
                self.check(inner, item.start, item.end, depth + 1)

    def _unknown(self, message: str, item: Field) -> None:
        if len(self.anomalies) < MAX_ANOMALIES:
            text = f"{message} has a field {item.number} of wire type {item.wire} that is not known"
            self.anomalies.append(Anomaly(code="unknown-field", message=text, offset=item.start))
