"""TensorFlow graphs: the nodes of a GraphDef and of every function in its library, and the constants in them.

Says which operators stand where, which functions they call, which texts they hold and where tensors lie; what an operator
does is not known here. Constants are checked against their own shape, since TensorFlow allocates by the shape, and looked
at for programs. Graphs are never run, and their shapes are not inferred. Schema: `weighbridge.formats.tensorflow.schema`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.allocation import too_many
from weighbridge.formats.embedded import SHORTEST_PICKLE, program_part
from weighbridge.formats.protobuf import FIXED32, FIXED64, LENGTH, VARINT, Field, Wire, signed
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef
from weighbridge.formats.tensorflow.schema import DTYPES, KNOWN_TYPES, SCHEMA, STRING

MAX_DEPTH = 100
MAX_ANOMALIES = 100
MAX_PARTS = 1000
MAX_TEXT = 4096
"""Characters of one text that are kept for rules."""
MAX_TEXTS = 64
"""Texts of one constant; vocabularies have more."""
MAX_EXPANSION = 10_000_000
"""Calls after all functions are inlined."""
MAX_CONSTANT = 16 * 1024**3
"""Bytes that one constant may stand for; a protobuf holds two gigabytes."""
MAX_DECODED = 1024**2
"""Bytes of one constant that are written out, where the file holds its numbers in another form."""
MAX_NUMBERS = 32
"""Numbers of a constant that may be a shape."""
MAX_MODULE = 64 * 1024**2
_CALLBACK = re.compile(rb"xla_(?:ffi_)?(?:partitioned_)?python_\w{1,60}")
"""How a compiled module calls back into Python."""
WIRES = {"int": (VARINT, LENGTH), "fixed4": (FIXED32, LENGTH), "fixed8": (FIXED64, LENGTH)}


class Node(NamedTuple):
    """One operator in a graph."""

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    """As they stand: `node`, `node:1`, `node:output:1` in functions, `^node` for an order without data."""
    texts: tuple[tuple[str, str], ...] = ()
    """(attribute, text)."""
    calls: tuple[str, ...] = ()
    """Functions that attributes name."""
    constant: tuple[str, ...] = ()
    """The first texts of a constant of strings."""
    numbers: tuple[int, ...] = ()
    """The whole numbers of a short constant: shapes, multiples, limits."""
    offset: int | None = None

    def text(self, key: str) -> str | None:
        """The text of one attribute."""
        return next((value for name, value in self.texts if name == key), None)


class Graph(NamedTuple):
    """The main graph of a program, or one function."""

    name: str
    """The function's name; "" for the main graph."""
    nodes: tuple[Node, ...] = ()
    arguments: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    """What a function returns, spelled like inputs."""


class Asset(NamedTuple):
    """A file beside the model that the loader hands to the graph."""

    filename: str
    tensor: str
    """The tensor that gets its path."""
    offset: int | None = None


class Program(NamedTuple):
    """One graph with its library, and what its loader is told about it."""

    name: str
    """`meta graph 0`, or "" where the file holds one program."""
    graphs: tuple[Graph, ...]
    """The main graph first."""
    savers: tuple[str, ...] = ()
    """Tensors that get the name of the checkpoint."""
    assets: tuple[Asset, ...] = ()
    asset_tensors: tuple[str, ...] = ()
    """Tensors that a graph which is no SavedModel calls its assets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphReading(Reading):
    """A file with programs."""

    programs: tuple[Program, ...] = ()


class Problem(NamedTuple):
    """A fact about functions that no loader survives."""

    code: str
    message: str


def function_problem(graphs: Iterable[Graph]) -> Problem | None:
    """Functions that call themselves, or that grow beyond all measure when they are inlined."""
    calls = {graph.name: _called(graph) for graph in graphs}
    sizes: dict[str, int] = {}
    open_: set[str] = set()
    stack: list[tuple[str, bool]] = [(name, False) for name in calls]
    while stack:
        name, done = stack.pop()
        inner = [(other, times) for other, times in calls[name].items() if other in calls and other]
        if done:
            open_.discard(name)
            sizes[name] = 1 + sum(sizes[other] * times for other, times in inner)
            if sizes[name] > MAX_EXPANSION:
                message = f'function "{visible(name, 80)}" grows to more than {MAX_EXPANSION} calls'
                return Problem("function-expansion", message)
        elif name not in sizes and name not in open_:
            open_.add(name)
            stack.append((name, True))
            for other, _ in inner:
                if other in open_:
                    return Problem("function-cycle", f'function "{visible(other, 80)}" calls itself')
                if other not in sizes:
                    stack.append((other, False))
    return None


def allocations(graphs: Iterable[Graph]) -> Iterator[tuple[Node, Problem]]:
    """Operators that make more out of constants than any memory holds."""
    for graph in graphs:
        numbers = {node.name: node.numbers for node in graph.nodes if node.numbers}
        for node in graph.nodes if numbers else ():
            data = [numbers.get(name.partition(":")[0], ()) for name in node.inputs if name[:1] != "^"]
            if words := too_many(node.op, data):
                yield node, Problem("constant-bomb", words)


def _called(graph: Graph) -> Counter[str]:
    return Counter(name for node in graph.nodes for name in (node.op, *node.calls))


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

    # -- messages

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
            self._broken(message, error, at, "bad-protobuf" if depth else "trailing-bytes")

    def _broken(self, message: str, error: InputError, at: int, code: str) -> None:
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

    # -- graphs

    def graph(self, items: Iterable[Field], name: str, depth: int) -> tuple[Graph, ...]:
        """The main graph that all these messages make together, and its functions."""
        nodes: list[Node] = []
        functions: list[Graph] = []
        for item in items:
            for key, kind, part in self.each("Graph", item.start, item.end, depth):
                if key == "node":
                    nodes.append(self.node(part, name, depth + 1))
                elif key == "library":
                    functions += self._library(part, name, depth + 1)
                elif kind in SCHEMA:
                    self.check(kind, part.start, part.end, depth + 1)
        return (Graph("", tuple(nodes)), *functions)

    def _library(self, item: Field, name: str, depth: int) -> Iterator[Graph]:
        for key, kind, part in self.each("Library", item.start, item.end, depth):
            if key == "function":
                yield self._function(part, name, depth + 1)
            elif kind in SCHEMA:
                self.check(kind, part.start, part.end, depth + 1)

    def _function(self, item: Field, scope: str, depth: int) -> Graph:
        name, arguments = self._signature(item, depth + 1)
        nodes: list[Node] = []
        results: list[str] = []
        for key, kind, part in self.each("Function", item.start, item.end, depth):
            if key == "node_def":
                nodes.append(self.node(part, f"{scope}/{name}" if scope else name, depth + 1))
            elif key == "ret":
                results.append(self.pair(part, depth + 1)[1])
            elif kind in SCHEMA and key != "signature":
                self.check(kind, part.start, part.end, depth + 1)
        return Graph(name, tuple(nodes), tuple(arguments), tuple(results))

    def _signature(self, item: Field, depth: int) -> tuple[str, list[str]]:
        """A function's name and the names of its arguments."""
        name, arguments = "", list[str]()
        signatures: list[Field] = []
        with suppress(InputError):  # the walk over the function's own fields says where it breaks off
            signatures += (part for part in self.wire.fields(item.start, item.end) if part.number == 1)
        for part in signatures:
            if part.wire != LENGTH:
                continue
            for key, kind, inner in self.each("OpDef", part.start, part.end, depth):
                if key == "name":
                    name = self.text(inner)
                elif key == "input_arg":
                    arguments.append(self.name_of("Arg", inner, depth + 1))
                elif kind in SCHEMA:
                    self.check(kind, inner.start, inner.end, depth + 1)
        return name, arguments

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

    def node(self, item: Field, scope: str, depth: int) -> Node:
        """One node; a field that stands twice counts as its last, as in the protobuf libraries."""
        self.budget.spend_members()
        found = {"name": "", "op": "", "device": ""}
        inputs: list[str] = []
        attributes: list[Field] = []
        for key, _, part in self.each("Node", item.start, item.end, depth):
            if key in found:
                if found[key]:
                    self.odd("field-repeated", f"a node has its {key} twice", part.start)
                found[key] = self.text(part)
            elif key == "input":
                inputs.append(self.text(part))
            elif key == "attr":
                attributes.append(part)
        where = f"{scope}/{found['name']}" if scope else found["name"]
        held = _Held(self, where, found["op"])
        for part in attributes:
            held.attribute(part, depth + 1)
        return Node(
            found["name"], found["op"], tuple(inputs), tuple(held.texts), tuple(held.calls), tuple(held.strings), held.numbers, item.start
        )  # fmt: skip

    # -- tensors

    def tensor(self, item: Field, name: str, depth: int) -> tuple[str, ...]:
        """Check and note one tensor; its first texts where it holds strings."""
        found = _Tensor()
        for key, kind, part in self.each("Tensor", item.start, item.end, depth):
            if key == "dtype":
                found.dtype = part.value
            elif key == "tensor_shape":
                found.shape, found.unknown = self.shape(part, depth + 1)
            elif key == "string_val":
                found.count += 1
                self.program(part, name)
                if len(found.strings) < MAX_TEXTS:
                    found.strings.append(self.text(part))
            elif key == "tensor_content":
                found.content = part
            elif key != "version_number" and kind != "skip":
                found.values.append((kind, part))
        try:
            self._measure(found, name, item)
        except InputError as error:
            self._broken("Tensor", error, item.start, "bad-protobuf")
        return tuple(found.strings)

    def shape(self, item: Field, depth: int) -> tuple[tuple[int, ...], bool]:
        """The dimensions, and whether even their number is unknown."""
        dims: list[int] = []
        unknown = False
        for key, _, part in self.each("Shape", item.start, item.end, depth):
            if key == "unknown_rank":
                unknown = unknown or part.value != 0
                continue
            size = 0
            for inner, _, number in self.each("Dim", part.start, part.end, depth + 1):
                size = signed(number.value) if inner == "size" else size
            dims.append(size)
        return tuple(dims), unknown

    def _measure(self, found: "_Tensor", name: str, item: Field) -> None:
        """Hold a tensor's data against its shape, and list it."""
        items = 1
        for dim in found.shape:
            items *= dim
        shown = visible(str(found.shape[:8]), 80)
        if found.unknown or any(dim < 0 for dim in found.shape) or items >= 2**63:
            self.odd("shape-overflow", f"a constant with the shape {shown}", item.start, name)
        elif found.dtype not in KNOWN_TYPES:
            self.odd("type-invalid", f"a constant of the data type {found.dtype}", item.start, name)
        elif found.dtype in DTYPES:
            self._numbers(found, name, items, item)
        elif found.dtype == STRING and items * 8 > MAX_CONSTANT:
            self.odd(
                "constant-bomb",
                f"a constant of {items} strings, of which {found.count} are here",
                item.start,
                name,
            )
        elif found.dtype != STRING:
            self.odd("constant-opaque", "a constant that is a handle or an object", item.start, name)

    def _numbers(self, found: "_Tensor", name: str, items: int, item: Field) -> None:
        dtype, width = DTYPES[found.dtype]
        size = items * width
        if size > MAX_CONSTANT:
            self.odd("constant-bomb", f"a constant that takes {size} bytes in memory", item.start, name)
            return
        if found.content is not None and found.content.end > found.content.start:
            self.program(found.content, name)
            if found.content.end - found.content.start != size:
                message = f"a constant of {found.content.end - found.content.start} bytes, and its shape needs {size}"
                self.odd("size-mismatch", message, item.start, name)
                return
            spans: tuple[tuple[int, int], ...] = ((found.content.start, size),)
            self._list(TensorRef(name, dtype, found.shape, spans, None, width))
            return
        packed = tuple(
            part for kind, part in found.values if kind in ("fixed4", "fixed8") and part.wire == LENGTH
        )
        for part in packed:
            self.program(part, name)
        if len(packed) == len(found.values) == 1 and packed[0].end - packed[0].start == size:
            self._list(TensorRef(name, dtype, found.shape, ((packed[0].start, size),), None, width))
        elif size <= MAX_DECODED:
            self._decoded(found, name, items, dtype, width)
        else:
            self.unlisted.append((name, "its numbers are not written out in the file"))

    def _decoded(self, found: "_Tensor", name: str, items: int, dtype: str, width: int) -> None:
        """A small constant whose numbers stand one by one, or of which the last stands for the rest."""
        # Half-width floats stand in a field of whole numbers, complex ones as two floats each.
        unit = width // 2 if dtype in ("C64", "C128") else width
        wanted = items * (width // unit)
        pieces: list[bytes] = []
        for kind, part in found.values:
            if len(pieces) > wanted:
                break
            pieces += self._pieces(kind, part, unit, wanted)
        if len(pieces) > wanted:
            self.odd("more-values", f"a constant of {items} items holds more of them", None, name)
        step = width // unit
        last = pieces[-step:] or [bytes(unit)] * step
        while pieces and len(pieces) < wanted and len(pieces) % step:
            pieces.append(last[-1])
        data = b"".join(pieces[:wanted]) + b"".join(last) * max(0, (wanted - len(pieces)) // step)
        ref = TensorRef(name, dtype, found.shape, ((0, items * width),), MemorySource(data), width)
        self._list(ref)

    def _pieces(self, kind: str, part: Field, unit: int, limit: int) -> list[bytes]:
        if kind == "bytes":
            data = self.wire.bytes(part.start, min(part.end, part.start + limit + 1))
            return [data[at : at + 1] for at in range(len(data))]
        if kind == "int":
            values = self.wire.varints(part.start, part.end) if part.wire == LENGTH else iter((part.value,))
            mask = (1 << 8 * unit) - 1
            return [
                (value & mask).to_bytes(unit, "little")
                for _, value in zip(range(limit + 1), values, strict=False)
            ]
        size = 4 if kind == "fixed4" else 8
        if part.wire != LENGTH:
            return [part.value.to_bytes(size, "little")[:unit]]
        data = self.wire.bytes(part.start, min(part.end, part.start + (limit + 1) * size))
        return [data[at : at + size][:unit] for at in range(0, len(data) - size + 1, size)]

    def _list(self, ref: TensorRef) -> None:
        """Under its own name; a second one of this name gets a number."""
        self.names[ref.name] += 1
        again = self.names[ref.name]
        self.tensors.append(ref if again == 1 else ref._replace(name=f"{ref.name}#{again}"))


@dataclass(slots=True, kw_only=True)
class _Tensor:
    """One TensorProto as it stands in the file."""

    dtype: int = 0
    shape: tuple[int, ...] = ()
    unknown: bool = False
    content: Field | None = None
    values: list[tuple[str, Field]] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    count: int = 0


class _Held:
    """What the attributes of one node hold."""

    def __init__(self, walk: GraphWalk, where: str, op: str) -> None:
        self._walk, self._where, self._op = walk, where, op
        self._keys: set[str] = set()
        self.texts: list[tuple[str, str]] = []
        self.calls: list[str] = []
        self.strings: list[str] = []
        self.numbers: tuple[int, ...] = ()

    def attribute(self, item: Field, depth: int) -> None:
        """An entry of the map of attributes."""
        key, values = "", list[Field]()
        for name, _, part in self._walk.each("AttrEntry", item.start, item.end, depth):
            if name == "key":
                key = self._walk.text(part)
            else:
                values.append(part)
        if key in self._keys:
            self._walk.odd(
                "field-repeated", f'the attribute "{visible(key, 80)}" stands twice', item.start, self._where
            )
        self._keys.add(key)
        for value in values:
            self._value("Attr", key, value, depth + 1)

    def _value(self, message: str, key: str, item: Field, depth: int) -> None:
        for name, kind, part in self._walk.each(message, item.start, item.end, depth):
            if name in ("s", "placeholder"):
                self._text(key, part)
            elif name == "func":
                self._call(part, depth + 1)
            elif name == "tensor":
                before = len(self._walk.tensors)
                strings = self._walk.tensor(part, self._where, depth + 1)
                if self._op == "Const" and key == "value":
                    self.numbers = whole_numbers(self._walk.tensors[before:], self._walk.source)
                self.strings += strings if self._op == "Const" and key == "value" else []
            elif name == "list":
                self._value("AttrList", key, part, depth + 1)
            elif kind in SCHEMA:
                self._walk.check(kind, part.start, part.end, depth + 1)

    def _text(self, key: str, part: Field) -> None:
        self._walk.program(part, f"{self._where} attribute {key}")
        if self._op == "XlaCallModule" and key == "module":
            self._module(part)
        elif len(self.texts) < MAX_TEXTS and part.end > part.start:
            self.texts.append((key, self._walk.text(part)))

    def _module(self, part: Field) -> None:
        """A compiled module: only its way back into Python is looked for."""
        length = min(part.end - part.start, MAX_MODULE)
        self._walk.budget.need_memory(length, "a compiled module")
        found = _CALLBACK.search(self._walk.source.read(part.start, length))
        self._walk.budget.spend_bytes(length)
        self.texts += [("python callback", found[0].decode("ascii"))] if found else []

    def _call(self, item: Field, depth: int) -> None:
        for name, _, part in self._walk.each("Call", item.start, item.end, depth):
            if name == "name":
                self.calls += [self._walk.text(part)] if part.end > part.start else []
            else:
                inner = _Held(self._walk, self._where, "")
                inner.attribute(part, depth + 1)
                self.calls += inner.calls
                self.texts += inner.texts


def whole_numbers(refs: list[TensorRef], source: Source) -> tuple[int, ...]:
    """The numbers of one short constant; () for anything else."""
    if len(refs) != 1 or refs[0].dtype not in ("I32", "I64") or len(refs[0].shape) > 1:
        return ()
    (start, length), *_ = refs[0].spans
    if length > MAX_NUMBERS * refs[0].itemsize:
        return ()
    data, step = (refs[0].source or source).read(start, length), refs[0].itemsize
    return tuple(
        int.from_bytes(data[at : at + step], "little", signed=True) for at in range(0, len(data), step)
    )


def library(program: Program) -> Mapping[str, Graph]:
    """The functions of a program by name."""
    return {graph.name: graph for graph in program.graphs if graph.name}
