"""ONNX: one walk over a ModelProto with all graphs, subgraphs, functions, training graphs and tensors in it.

Steps over weights without reading them; says which operators are called, where external data lies, and where every
tensor's bytes are. External paths are judged as text here; whether they exist, or are links, only the whole artifact
shows. Schema: onnx.proto of onnx 1.23 (IR version 13); a field that is not in it is an anomaly, since nobody knows
what a loader makes of it. The depth limit is that of the protobuf libraries.
"""

import re
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.allocation import allocates, too_many
from weighbridge.formats.embedded import HEAD, SHORTEST_PICKLE, looks_packed, program_part, text_part
from weighbridge.formats.framework import Text
from weighbridge.formats.membernames import escapes
from weighbridge.formats.onnx.schema import (
    DATA_TYPES,
    DOUBLES,
    FLOATS,
    SCHEMA,
    SINGLE,
    STRINGS,
    WIRES,
    DataType,
)
from weighbridge.formats.protobuf import LENGTH, Field, Wire, signed
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef

MAX_DEPTH = 100
MAX_TOP = 200_000
MAX_ANOMALIES = 100
MAX_TEXT = 4096
MAX_PATH = 4096
MAX_PARTS = 1000
MIN_TEXT = 8
"""Bytes; no command is shorter."""
MAX_STRINGS = 1000
"""Strings of one tensor that are looked at; the rest is a vocabulary."""
MAX_LOOSE = 100_000
"""Numbers of one tensor that stand one by one, each with its own tag."""
MAX_DECODED = 16 * 1024**2
"""Bytes of one tensor whose numbers are varints, decoded into memory."""
MAX_INPUTS = 16
"""Inputs of one node that are looked at for a shape."""
MAX_NUMBERS = 256
"""Bytes of a constant that may be a shape."""
MAX_EXPANSION = 10_000_000
"""Nodes after all functions are inlined."""

Key = tuple[str, str, str]
"""What a node calls: domain, operator, overload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator that the model calls."""

    domain: str
    """"" for ONNX's own, also where the file says `ai.onnx`."""
    name: str
    count: int
    offset: int
    """Of the first node that calls it."""
    local: bool
    """True when the model itself defines it as a function of other operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalData:
    """Where one tensor says that its bytes lie."""

    tensor: str
    location: str
    offset: int
    length: int
    at: int
    """Byte of the model file at which the tensor stands."""
    problem: str
    """What `location_problem` says; "" when the path stays in the model's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxReading(Reading):
    """What the model calls and refers to."""

    ir_version: int = 0
    producer: str = ""
    opsets: tuple[tuple[str, int], ...] = ()
    operators: tuple[Operator, ...] = ()
    external: tuple[ExternalData, ...] = ()
    texts: tuple[Text, ...] = ()
    """Values of metadata, the first 4 KiB of each."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Walk the model. `InputError`: `not-this-format`, or with the name `*.onnx` `bad-protobuf`."""
    ours = name.lower().endswith(".onnx")
    model = _Model(wire=Wire(source, budget), source=source, budget=budget)
    try:
        model.walk(_top(model, source.size))
    except InputError as error:
        if error.code != "bad-protobuf" or ours:
            raise
        raise InputError("not-this-format", error.message) from None
    return model.reading()


def _top(model: "_Model", size: int) -> list[Field]:
    """The model's own fields. Bytes behind the graph that are no protobuf are left to a gap."""
    found: list[Field] = []
    try:
        for item in model.each("Model", 0, size, 0):
            found.append(item)
            if len(found) > MAX_TOP:
                raise LimitError("limit-members", f"more than {MAX_TOP} fields in the model")
    except InputError as error:
        if error.code != "bad-protobuf" or not any(item.number == 7 for item in found):
            raise
        model.unused("trailing-bytes", found[-1].end, size)
    numbers = {item.number for item in found}
    if not {1, 7} <= numbers:
        raise InputError("not-this-format", "no IR version and graph of an ONNX model")
    return found


_DRIVE = re.compile(r"[A-Za-z]:")
_ENCODED = re.compile(r"(?i)(?:%2e|\.){2}(?:%2f|%5c|/)")
"""`../` as addresses spell it; nobody writes it but to slip past whoever compares."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def location_problem(location: str) -> str:
    """Why an external path may lead out of the model's folder: `absolute`, `parent`, `url`, …; "" when it cannot."""
    parts = location.split("/")
    checks = (
        ("empty", not location.strip()),
        ("too-long", len(location) >= MAX_TEXT),
        ("memory-address", "_ORT_MEM_ADDR_" in location),
        ("control-character", not location.isprintable()),
        ("drive", bool(_DRIVE.match(location))),
        ("url", bool(_SCHEME.match(location)) or "://" in location),
        ("absolute", location.startswith(("/", "\\", "~"))),
        ("backslash", "\\" in location),
        ("parent", ".." in (part.strip() for part in parts) or bool(_ENCODED.search(location))),
        ("directory", parts[-1] in ("", ".")),
    )
    return next((problem for problem, found in checks if found), "")


@dataclass(slots=True)
class _Tensor:
    """One TensorProto as it stands in the file."""

    at: int
    name: str = ""
    dims: list[int] = field(default_factory=list)
    kind: int = 0
    raw: Field | None = None
    numbers: dict[int, list[Field]] = field(default_factory=dict)
    strings: int = 0
    entries: list[tuple[str, str]] = field(default_factory=list)
    external: bool = False
    segment: bool = False

    def filled(self) -> list[str]:
        """Which of the ways to hold data this tensor uses."""
        ways = [f"field {number}" for number in self.numbers]
        ways += ["raw_data"] if self.raw else []
        ways += ["string_data"] if self.strings else []
        return ways + (["external_data"] if self.external or self.entries else [])


class _Made(NamedTuple):
    """A node whose inputs may say how much it makes."""

    op: str
    inputs: list[str]
    scope: str
    at: int


@dataclass(slots=True, kw_only=True)
class _Model:
    """The walk, and what was seen on it."""

    wire: Wire
    source: Source
    budget: Budget
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
    made: list[_Made] = field(default_factory=list)

    # -- notes

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

    # -- messages

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
            part = program_part(self.source, item.start, length, f"{message} field {item.number}")
            self.parts += [part] if part is not None else []

    def _text_field(self, item: Field, name: str) -> None:
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
                self._text_field(item, "metadata")
            elif inner in SCHEMA:
                self.check(inner, item.start, item.end, depth + 1)

    def text(self, item: Field) -> str:
        """A string, cut at `MAX_TEXT`."""
        if item.end - item.start > MAX_TEXT:
            self.odd("name-too-long", f"a name of {item.end - item.start} bytes", offset=item.start)
        raw = self.wire.bytes(item.start, min(item.end, item.start + MAX_TEXT))
        return raw.decode("utf-8", "surrogateescape")

    # -- model, graphs, functions

    def walk(self, top: list[Field]) -> None:
        """The model, field by field in the order of the file."""
        for item in top:
            match item.number:
                case 1:
                    self.ir_version = signed(item.value)
                case 2:
                    self.producer = self.text(item)
                case 6:
                    self._text_field(item, "doc_string")
                case 7:
                    self.graph(item, "", 1, None)
                case 8:
                    self.opset(item)
                case 14 | 26:
                    self.check(SCHEMA["Model"][item.number], item.start, item.end, 1)
                case 20:
                    self.training(item)
                case 25:
                    self.function(item)
        self._function_calls()
        self._allocations()
        if not self.opsets and self.ir_version >= 3:
            self.odd("opset-missing", "no operator set is imported, so what the operators mean is open")
        for domain in sorted(self._not_imported()):
            name = visible(domain, 80) or "ai.onnx"
            message = f"operators of {name} are called, which no operator set is imported for"
            self.odd("opset-not-imported", message)
        strange = any(a.code in ("unknown-field", "wire-type") for a in self.anomalies)
        if strange and not (self.opsets or self.nodes or self.names):
            raise InputError("not-this-format", "protobuf of another kind")

    def _not_imported(self) -> set[str]:
        """Domains of called operators without an import; functions have imports of their own."""
        if not self.opsets or self.functions:
            return set()
        return {domain for domain, _, _ in self.nodes} - {domain for domain, _ in self.opsets}

    def opset(self, item: Field) -> None:
        """One imported operator set."""
        domain, version = "", 0
        for part in self.each("OperatorSet", item.start, item.end, 1):
            if part.number == 1:
                domain = self.text(part)
            else:
                version = signed(part.value)
        self.opsets.append((_domain(domain), version))

    def training(self, item: Field) -> None:
        """Graphs that initialise and train."""
        for part in self.each("Training", item.start, item.end, 1):
            if part.number in (1, 2):
                self.graph(part, "training/", 2, None)
            else:
                self.check("Entry", part.start, part.end, 2)

    def function(self, item: Field) -> None:
        """A function of the model's own; its key is known only once all its fields are."""
        key = self._function_key(item)
        self.functions.setdefault(key, Counter())
        for index, part in enumerate(self.each("Function", item.start, item.end, 1)):
            if part.number == 7:
                self.node(part, f"{key[0]}.{key[1]}/", index, 2, key)
            elif part.number == 11:
                self.attribute(part, f"{key[0]}.{key[1]}", 2, key)
            elif part.number in (9, 12, 14):
                self.check(SCHEMA["Function"][part.number], part.start, part.end, 2)

    def _function_key(self, item: Field) -> Key:
        found = {1: "", 10: "", 13: ""}
        for part in self.wire.fields(item.start, item.end):
            if part.number in found and part.wire == LENGTH:
                found[part.number] = self.text(part)
        return _domain(found[10]), found[1], found[13]

    def graph(self, item: Field, scope: str, depth: int, caller: Key | None) -> None:
        """One graph: its nodes and initial values; `scope` makes the names of inner tensors unique."""
        index = 0
        for part in self.each("Graph", item.start, item.end, depth):
            match part.number:
                case 1:
                    self.node(part, scope, index, depth + 1, caller)
                    index += 1
                case 5:
                    self.tensor(part, scope, "", depth + 1)
                case 15:
                    self.sparse(part, scope, "", depth + 1)
                case 11 | 12 | 13 | 14 | 16:
                    self.check(SCHEMA["Graph"][part.number], part.start, part.end, depth + 1)

    def node(self, item: Field, scope: str, index: int, depth: int, caller: Key | None) -> None:
        """One call of an operator."""
        self.budget.spend_members()
        texts: dict[int, str] = {}
        attributes = []
        inputs: list[str] = []
        for part in self.each("Node", item.start, item.end, depth):
            if part.number == 1 and len(inputs) < MAX_INPUTS:
                inputs.append(self.text(part))
            elif part.number in (2, 3, 4, 7, 8):
                texts.setdefault(part.number, self.text(part))
            elif part.number == 5:
                attributes.append(part)
            elif part.number in (9, 10):
                self.check(SCHEMA["Node"][part.number], part.start, part.end, depth + 1)
        key = (_domain(texts.get(7, "")), texts.get(4, ""), texts.get(8, ""))
        self.nodes[key] += 1
        self.first.setdefault(key, item.start)
        if caller is not None:
            self.functions[caller][key] += 1
        label = scope + (texts.get(3) or texts.get(2) or f"{key[1]}[{index}]")
        for attribute in attributes:
            self.attribute(attribute, label, depth + 1, caller)
        if key[1] == "Constant" and (numbers := self.numbers.get(f"{label}/value")):
            self.numbers[scope + texts.get(2, "")] = numbers
        elif allocates(key[1]) and not key[0]:
            self.made.append(_Made(key[1], inputs, scope, item.start))

    def _allocations(self) -> None:
        """Operators that make more out of constants than any memory holds."""
        for made in self.made:
            given = [
                self.numbers.get(made.scope + name) or self.numbers.get(name, ()) for name in made.inputs
            ]
            if words := too_many(made.op, given):
                self.odd("constant-bomb", words, offset=made.at)

    def attribute(self, item: Field, label: str, depth: int, caller: Key | None) -> None:
        """One attribute: a value, tensors, or whole graphs."""
        name, context, inner = "", "", []
        for part in self.each("Attribute", item.start, item.end, depth):
            if part.number == 1:
                name = self.text(part)
            elif part.number in (4, 9):
                self._program(part.start, part.end - part.start, f"{label}/bytes")
                if MIN_TEXT < part.end - part.start < MAX_PATH and len(self.texts) < MAX_PARTS:
                    self.texts.append(Text(self.text(part), f"{label}/{name}", part.start))
                context = context or self.text(part) if part.end - part.start < MAX_PATH else context
            elif SCHEMA["Attribute"][part.number] in SCHEMA:
                inner.append(part)
        if name == "ep_cache_context" and location_problem(context) in ("absolute", "parent", "drive", "url"):
            message = f'the compiled program is loaded from "{visible(context, 80)}", outside of the model\'s folder'
            self.odd("context-outside", message, offset=item.start, part=label)
        for part in inner:
            match SCHEMA["Attribute"][part.number]:
                case "Tensor":
                    self.tensor(part, "", f"{label}/{name}", depth + 1)
                case "Graph":
                    self.graph(part, f"{label}/{name}/", depth + 1, caller)
                case "Sparse":
                    self.sparse(part, "", f"{label}/{name}", depth + 1)
                case kind:
                    self.check(kind, part.start, part.end, depth + 1)

    def _function_calls(self) -> None:
        """No function calls itself over any number of steps, and inlining all of them stays affordable."""
        inner = {
            key: Counter({called: count for called, count in calls.items() if called in self.functions})
            for key, calls in self.functions.items()
        }
        waiting = {key: len(calls) for key, calls in inner.items()}
        callers: dict[Key, list[Key]] = {key: [] for key in inner}
        for key, calls in inner.items():
            for called in calls:
                callers[called].append(key)
        ready = [key for key, count in waiting.items() if not count]
        costs: dict[Key, int] = {}
        while ready:
            key = ready.pop()
            own = sum(self.functions[key].values()) - sum(inner[key].values())
            costs[key] = min(MAX_EXPANSION, own + sum(costs[c] * n for c, n in inner[key].items()))
            for caller in callers[key]:
                waiting[caller] -= 1
                if not waiting[caller]:
                    ready.append(caller)
        self._function_faults(costs)

    def _function_faults(self, costs: dict[Key, int]) -> None:
        for key in self.functions:
            if key not in costs:
                self.odd(
                    "function-cycle", "the function calls itself, directly or through others", part=key[1]
                )
            elif costs[key] >= MAX_EXPANSION:
                self.odd("function-expansion", f"inlining gives {MAX_EXPANSION} nodes or more", part=key[1])

    # -- tensors

    def sparse(self, item: Field, scope: str, label: str, depth: int) -> None:
        """A sparse tensor: its values and where they belong."""
        for part in self.each("Sparse", item.start, item.end, depth):
            if part.number == 1:
                self.tensor(part, scope, label, depth + 1)
            elif part.number == 2:
                self.tensor(part, scope, f"{label or 'sparse'}/indices", depth + 1)

    def tensor(self, item: Field, scope: str, label: str, depth: int) -> None:
        """One tensor; `label` names those that have no name of their own to go by."""
        self.budget.spend_members()
        tensor = _Tensor(item.start)
        for part in self.each("Tensor", item.start, item.end, depth):
            self._take(tensor, part, depth)
        initial = not label
        if "../" in tensor.name and escapes(tensor.name):
            message = "the name is a path out of the folder, for whoever unpacks tensors to files"
            self.odd("name-escapes", message, offset=item.start, part=tensor.name)
        tensor.name = scope + (label or tensor.name)
        if self.names[tensor.name]:
            if initial:
                self.odd(
                    "duplicate-tensor", "two tensors have this name", offset=item.start, part=tensor.name
                )
            self.names[tensor.name] += 1
            tensor.name = f"{tensor.name}#{self.names[tensor.name]}"
        self.names[tensor.name] += 1
        self._place(tensor)

    def _take(self, tensor: _Tensor, part: Field, depth: int) -> None:
        match part.number:
            case 1:
                self._dims(tensor, part)
            case 2:
                tensor.kind = part.value
            case 3:
                tensor.segment = True
                self.check("Segment", part.start, part.end, depth + 1)
            case 4 | 5 | 7 | 10 | 11:
                pieces = tensor.numbers.setdefault(part.number, [])
                if len(pieces) <= MAX_LOOSE:
                    pieces.append(part)
            case 6:
                tensor.strings += 1
                if tensor.strings <= MAX_STRINGS:
                    self._text_field(part, "a tensor of strings")
            case 8:
                tensor.name = self.text(part)
            case 9:
                tensor.raw = part
            case 13:
                tensor.entries.append(self._entry(part, depth + 1))
            case 14:
                tensor.external = part.value == 1
            case 16:
                self.check("Entry", part.start, part.end, depth + 1)

    def _dims(self, tensor: _Tensor, part: Field) -> None:
        values: Iterable[int] = (part.value,)
        if part.wire == LENGTH:
            values = self.wire.varints(part.start, part.end)
        for value in values:
            if len(tensor.dims) > MAX_TEXT:
                raise InputError("bad-dims", f"a tensor of more than {MAX_TEXT} dimensions")
            tensor.dims.append(signed(value))

    def _entry(self, item: Field, depth: int) -> tuple[str, str]:
        key = value = ""
        for part in self.each("Entry", item.start, item.end, depth):
            if part.number == 1:
                key = self.text(part)
            else:
                value = self.text(part)
        return key, value

    def _place(self, tensor: _Tensor) -> None:
        """Find the tensor's bytes, check that they are as many as its shape says, and list them."""
        filled = tensor.filled()
        if len(filled) > 1:
            self.odd("data-twice", f"data in {' and in '.join(filled)}", offset=tensor.at, part=tensor.name)
        if tensor.segment:
            self._unlist("segment", "a segmented tensor", tensor)
        if tensor.external or tensor.entries:
            self._external(tensor)
        elif tensor.kind == STRINGS:
            self.unlisted = self.unlisted or "a tensor of strings"
        elif tensor.kind not in DATA_TYPES:
            self._unlist("dtype-unknown", f"data type {tensor.kind} is not known", tensor)
        else:
            self._inline(tensor, DATA_TYPES[tensor.kind])

    def _unlist(self, code: str, message: str, tensor: _Tensor) -> None:
        self.odd(code, message, offset=tensor.at, part=tensor.name)
        self.unlisted = self.unlisted or message

    def _length(self, tensor: _Tensor) -> int | None:
        """Bytes that the shape asks for; None where it cannot be right or the type has no width."""
        bits = DATA_TYPES[tensor.kind].bits if tensor.kind in DATA_TYPES else 0
        for dim in tensor.dims:
            bits *= dim
            if dim < 0 or bits >= 2**66:
                self._unlist("shape-overflow", f"dimensions {tensor.dims[:8]} are no size", tensor)
                return None
        return -(-bits // 8)

    def _inline(self, tensor: _Tensor, kind: DataType) -> None:
        length = self._length(tensor)
        if length is None:
            return
        pieces = [tensor.raw] if tensor.raw else tensor.numbers.get(kind.field, [])
        if not pieces and length:
            self._unlist("data-missing", "its shape is not empty, but it has no data", tensor)
        elif len(pieces) > MAX_LOOSE:
            self.unlisted = self.unlisted or f"a tensor of more than {MAX_LOOSE} single numbers"
        elif tensor.raw or kind.field in (FLOATS, DOUBLES):
            spans = tuple((piece.start, piece.end - piece.start) for piece in pieces)
            self._list(tensor, kind, length, spans or ((tensor.at, 0),), None)
        else:
            self._varints(tensor, kind, length, pieces)

    def _varints(self, tensor: _Tensor, kind: DataType, length: int, pieces: list[Field]) -> None:
        """Numbers of varying width are decoded, since their bytes in the file are not the tensor's."""
        if length > MAX_DECODED:
            self.unlisted = self.unlisted or f"a tensor of {length} bytes as varints"
            return
        width = max(8, kind.bits)
        values = array({8: "B", 16: "H", 32: "I", 64: "Q"}.get(width, "B"))
        for value in self._numbers(pieces):
            values.append(value & (2**width - 1))
            if len(values) * width // 8 > length:
                break
        if sys.byteorder == "big":
            values.byteswap()
        data = values.tobytes()
        self._list(tensor, kind, length, ((0, len(data)),), MemorySource(data))

    def _numbers(self, pieces: list[Field]) -> Iterator[int]:
        for piece in pieces:
            if piece.wire == LENGTH:
                yield from self.wire.varints(piece.start, piece.end)
            else:
                yield piece.value

    def _list(
        self,
        tensor: _Tensor,
        kind: DataType,
        length: int,
        spans: tuple[tuple[int, int], ...],
        source: Source | None,
    ) -> None:
        found = sum(size for _, size in spans)
        if found != length:
            message = f"{kind.name} {tensor.dims[:8]} needs {length} bytes, there are {found}"
            self._unlist("size-mismatch", message, tensor)
            return
        if source is None and len(spans) == 1:
            self._program(*spans[0], tensor.name)
        shape = tuple(tensor.dims)
        if kind.name in ("I32", "I64") and len(shape) < 2 and len(spans) == 1 and length <= MAX_NUMBERS:
            data, step = (source or self.source).read(*spans[0]), kind.bits // 8
            pieces = (data[at : at + step] for at in range(0, length, step))
            self.numbers[tensor.name] = tuple(
                int.from_bytes(piece, "little", signed=True) for piece in pieces
            )
        self.refs.append(TensorRef(tensor.name, kind.name, shape, spans, source, max(1, kind.bits // 8)))

    def _program(self, offset: int, length: int, name: str) -> None:
        part = program_part(self.source, offset, length, name)
        if part is not None:
            self.parts.append(part)

    # -- external data

    def _external(self, tensor: _Tensor) -> None:
        """Every `location` counts, since loaders differ in which of two they take."""
        needed = self._length(tensor)
        values = dict(tensor.entries)
        if len(values) != len(tensor.entries):
            self.odd(
                "field-repeated", "an external_data key stands twice", offset=tensor.at, part=tensor.name
            )
        if tensor.entries and not tensor.external:
            self.odd(
                "external-unmarked", "external_data without data_location", offset=tensor.at, part=tensor.name
            )
        for key in values:
            if key == "basepath" or key.startswith("__"):
                message = f'the key "{visible(key, 40)}" of external_data sets an attribute of the loader'
                self.odd("external-key", message, offset=tensor.at, part=tensor.name)
        offset = self._number(tensor, values.get("offset", "0"))
        length = self._number(tensor, values.get("length", str(needed or 0)))
        if needed is not None and tensor.kind in DATA_TYPES and "length" in values and length != needed:
            message = f"its shape needs {needed} bytes, its external length is {length}"
            self._unlist("size-mismatch", message, tensor)
        locations = [value for key, value in tensor.entries if key == "location"] or [""]
        for location in locations:
            self.external.append(
                ExternalData(
                    tensor=tensor.name,
                    location=location,
                    offset=offset,
                    length=length,
                    at=tensor.at,
                    problem=location_problem(location),
                )
            )
        self._list_external(tensor, self.external[-1])

    def _number(self, tensor: _Tensor, text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) < 20:
            return int(text)
        self._unlist("external-number", f'"{visible(text, 40)}" is no offset or length', tensor)
        return 0

    def _list_external(self, tensor: _Tensor, data: ExternalData) -> None:
        kind = DATA_TYPES.get(tensor.kind)
        if kind is None or data.problem:
            self.unlisted = self.unlisted or "external data that cannot be resolved"
            return
        span = ((data.offset, data.length),)
        self.refs.append(
            TensorRef(
                name=tensor.name,
                dtype=kind.name,
                shape=tuple(tensor.dims),
                spans=span,
                itemsize=max(1, kind.bits // 8),
                external=_normal(data.location),
            )
        )

    # -- the end

    def reading(self) -> OnnxReading:
        """What was found."""
        if self.more:
            self.anomalies.append(Anomaly(code="more", message=f"{self.more} more like these"))
        externals = {_normal(data.location): None for data in self.external if not data.problem}
        return OnnxReading(
            format="onnx",
            anomalies=tuple(self.anomalies),
            gaps=tuple(self.gaps),
            parts=tuple(self.parts),
            tensors=None if self.unlisted else tuple(self.refs),
            tensors_unlisted=self.unlisted,
            externals=tuple(externals),
            keep=bool(externals),
            ir_version=self.ir_version,
            producer=self.producer,
            opsets=tuple(self.opsets),
            operators=tuple(self._operators()),
            external=tuple(self.external),
            texts=tuple(self.texts),
        )

    def _operators(self) -> Iterator[Operator]:
        local = {(domain, name) for domain, name, _ in self.functions}
        calls: Counter[tuple[str, str]] = Counter()
        first: dict[tuple[str, str], int] = {}
        for (domain, name, overload), count in self.nodes.items():
            calls[domain, name] += count
            offset = self.first[domain, name, overload]
            first[domain, name] = min(offset, first.get((domain, name), offset))
        for (domain, name), count in sorted(calls.items()):
            offset = first[domain, name]
            known = (domain, name) in local
            yield Operator(domain=domain, name=name, count=count, offset=offset, local=known)


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _normal(location: str) -> str:
    """The path without `./` and doubled slashes."""
    return "/".join(part for part in location.split("/") if part not in ("", "."))
