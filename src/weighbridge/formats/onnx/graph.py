"""The graph of an ONNX model: nodes with what they take, give and are set to, inner graphs and functions included.

Values are named as in the file; those made inside an inner graph or a function carry its scope in front, so that a name
means one value. Weights are not read: `weighbridge.formats.onnx` finds them, and says what is wrong with the file.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.graph import Graph, Node
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.onnx.schema import SCHEMA
from weighbridge.formats.protobuf import FIXED32, LENGTH, Field, Wire, signed

MAX_TEXT = 512
"""Characters of a name or a text that are kept."""
MAX_VALUES = 64
"""Numbers of one attribute that are shown; the rest is told by a digest."""
MAX_DIGESTED = 64 * 1024**2
"""Bytes of one attribute over which a digest is made."""
OWN = ("", "ai.onnx")
Env = Mapping[str, str]


def read_graph(source: Source, budget: Budget) -> Graph:
    """The graph. Raises `InputError` (`bad-protobuf`, `not-this-format`), `LimitError`."""
    walk = _Walk(Wire(source, budget), source, budget)
    top = list(walk.wire.fields(0, source.size))
    graphs = [item for item in top if item.number == 7 and item.wire == LENGTH]
    if not graphs:
        raise InputError("not-this-format", "no graph of an ONNX model")
    inputs, outputs = walk.graph(graphs[-1], "", {})
    for item in top:
        if item.number == 25 and item.wire == LENGTH:
            walk.function(item)
    trained = any(item.number == 20 for item in top)  # its bindings name weights in ways of their own
    used = walk.used | set(outputs)
    return Graph(
        inputs=tuple(name for name in inputs if name not in walk.weights),
        outputs=tuple(outputs),
        weights=tuple(walk.weights),
        nodes=tuple(walk.nodes),
        unused=() if trained else tuple(name for name in walk.weights if name not in used),
    )


@dataclass(slots=True)
class _Walk:
    wire: Wire
    source: Source
    budget: Budget
    nodes: list[Node] = field(default_factory=list)
    weights: dict[str, None] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def each(self, item: Field) -> Iterator[Field]:
        self.budget.tick()
        return self.wire.fields(item.start, item.end)

    def text(self, item: Field) -> str:
        if item.wire != LENGTH:
            raise InputError("bad-protobuf", f"a number at byte {item.start} where a text belongs")
        raw = self.wire.bytes(item.start, min(item.end, item.start + MAX_TEXT))
        return raw.decode("utf-8", "surrogateescape")

    def graph(self, item: Field, scope: str, outside: "Env | _Names") -> tuple[list[str], list[str]]:
        """Walk one graph; its inputs and outputs, with their scope."""
        names: dict[str, str] = {}
        env = _Names(names, outside)
        parts: dict[int, list[Field]] = {}
        for part in self.each(item):
            if part.wire == LENGTH:
                parts.setdefault(part.number, []).append(part)
        weights = [self._name(part, 8) for part in parts.get(5, ())]
        weights += [self._sparse(part) for part in parts.get(15, ())]
        inputs = [self._name(part, 1) for part in parts.get(11, ())]
        for name in (*inputs, *weights):
            names[name] = scope + name
        self.weights.update(dict.fromkeys(scope + name for name in weights))
        for index, part in enumerate(parts.get(1, ())):
            self.node(part, scope, index, env, names)
        for part in parts.get(14, ()):
            self.used.update(env.of(name) for name in self._annotated(part))
        outputs = [env.of(self._name(part, 1)) for part in parts.get(12, ())]
        self.used.update(outputs)
        return [scope + name for name in inputs], outputs

    def function(self, item: Field) -> None:
        """A function of the model's own."""
        parts: dict[int, list[Field]] = {}
        for part in self.each(item):
            if part.wire == LENGTH:
                parts.setdefault(part.number, []).append(part)
        name, domain = (self.text(parts[n][-1]) if n in parts else "" for n in (1, 10))
        scope = f"function {domain}.{name}/"
        names = {n: scope + n for n in (self.text(part) for part in parts.get(4, ()))}
        for index, part in enumerate(parts.get(7, ())):
            self.node(part, scope, index, _Names(names, {}), names)

    def node(self, item: Field, scope: str, index: int, env: "_Names", names: dict[str, str]) -> None:
        """One node, and the graphs inside it."""
        self.budget.spend_members()
        texts: dict[int, list[str]] = {1: [], 2: [], 3: [], 4: [], 7: []}
        attributes: list[tuple[str, str]] = []
        inner: list[tuple[str, Field]] = []
        for part in self.each(item):
            if part.number in texts:
                texts[part.number].append(self.text(part))
            elif part.number == 5 and part.wire == LENGTH:
                name, value, graphs = self._attribute(part)
                attributes.append((name, value))
                inner += [(name, graph) for graph in graphs]
        name, op, domain = ("".join(texts[number][-1:]) for number in (3, 4, 7))
        taken = tuple(env.of(value) if value else "" for value in texts[1])
        self.used.update(taken)
        position = len(self.nodes)
        self.nodes.append(Node(op=""))  # its place: what stands inside comes after it
        for number, (attribute, graph) in enumerate(inner):
            with self.budget.deeper():
                label = name or f"{op}[{index}]"
                below = f"{scope}{label}/{attribute}" + (f"[{number}]/" if len(inner) > 2 else "/")
                self.graph(graph, below, env)
        for value in texts[2]:
            names[value] = scope + value
        self.nodes[position] = Node(
            op=op if domain in OWN else f"{domain}.{op}",
            name=name,
            inputs=taken,
            outputs=tuple(scope + value if value else "" for value in texts[2]),
            attributes=tuple(sorted(attributes)),
            scope=scope,
        )

    def _attribute(self, item: Field) -> tuple[str, str, list[Field]]:
        name, values, graphs = "", [], []
        for part in self.each(item):
            kind = SCHEMA["Attribute"].get(part.number)
            if part.number == 1:
                name = self.text(part)
            elif part.number == 21:
                values.append(f"as the function's {self.text(part)}")
            elif kind == "Graph" and part.wire == LENGTH:
                graphs.append(part)
                values.append("a graph")
            elif part.number not in (13, 20):
                values += self._value(part, kind or "")
        if len(values) > MAX_VALUES:
            digest = hashlib.blake2b("\0".join(values).encode("utf-8", "replace"), digest_size=8).hexdigest()
            values = [*values[:8], f"… {len(values)} values #{digest}"]
        return name, ", ".join(values), graphs

    def _value(self, part: Field, kind: str) -> Iterator[str]:
        if kind in ("int", "ints"):
            numbers = self.wire.varints(part.start, part.end) if part.wire == LENGTH else (part.value,)
            yield from (str(signed(number)) for number in numbers)
        elif kind in ("float", "floats"):
            yield from self._floats(part)
        elif kind == "bytes" and part.end - part.start <= MAX_TEXT:
            yield repr(self.text(part))
        else:
            yield f"{part.end - part.start} bytes #{self._digest(part)}"

    def _floats(self, part: Field) -> Iterable[str]:
        if part.wire == FIXED32:
            return (f"{struct.unpack('<f', part.value.to_bytes(4, 'little'))[0]:.9g}",)
        raw = self.wire.bytes(part.start, min(part.end, part.start + 4096))
        return (f"{number:.9g}" for (number,) in struct.iter_unpack("<f", raw[: len(raw) // 4 * 4]))

    def _digest(self, part: Field) -> str:
        digest = hashlib.blake2b(digest_size=8)
        for at in range(part.start, min(part.end, part.start + MAX_DIGESTED), 1024**2):
            piece = self.source.read(at, min(1024**2, part.end - at))
            self.budget.spend_bytes(len(piece))
            digest.update(piece)
        return digest.hexdigest()

    def _name(self, item: Field, number: int) -> str:
        found = ""
        for part in self.each(item):
            if part.number == number and part.wire == LENGTH:
                found = self.text(part)
        return found

    def _sparse(self, item: Field) -> str:
        values = [part for part in self.each(item) if part.number == 1 and part.wire == LENGTH]
        return self._name(values[-1], 8) if values else ""

    def _annotated(self, item: Field) -> Iterator[str]:
        """Scales and zero points that an annotation names."""
        for part in self.each(item):
            if part.number == 2 and part.wire == LENGTH:
                yield self._name(part, 2)


class _Names:
    """Names of values: those of this graph, then those of the graphs around it."""

    def __init__(self, own: Mapping[str, str], outside: "Env | _Names") -> None:
        self._own, self._outside = own, outside

    def of(self, name: str) -> str:
        """The name with its scope; as it stands where nobody made it."""
        names: Env | _Names = self
        while isinstance(names, _Names):
            if name in names._own:
                return names._own[name]
            names = names._outside
        return names.get(name, name)
