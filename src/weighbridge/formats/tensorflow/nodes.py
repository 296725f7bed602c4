"""The nodes of a GraphDef and of every function in its library: what they call, hold and are set to.

Says which operators stand where, which functions they call and which texts they hold. Graphs are never run.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.protobuf import LENGTH, Field
from weighbridge.formats.tensorflow.constants import MAX_TEXTS, read_tensor, whole_numbers
from weighbridge.formats.tensorflow.graph import Graph, Node
from weighbridge.formats.tensorflow.schema import SCHEMA
from weighbridge.formats.tensorflow.walk import GraphWalk

MAX_MODULE = 64 * 1024**2
_CALLBACK = late(rb"xla_(?:ffi_)?(?:partitioned_)?python_\w{1,60}")
"""How a compiled module calls back into Python."""


def read_graph(walk: GraphWalk, items: Iterable[Field], name: str, depth: int) -> tuple[Graph, ...]:
    """The main graph that all these messages make together, and its functions."""
    nodes: list[Node] = []
    functions: list[Graph] = []
    for item in items:
        for key, kind, part in walk.each("Graph", item.start, item.end, depth):
            if key == "node":
                nodes.append(_node(walk, part, name, depth + 1))
            elif key == "library":
                functions += _library(walk, part, name, depth + 1)
            elif kind in SCHEMA:
                walk.check(kind, part.start, part.end, depth + 1)
    return (Graph("", tuple(nodes)), *functions)


def _library(walk: GraphWalk, item: Field, name: str, depth: int) -> Iterator[Graph]:
    for key, kind, part in walk.each("Library", item.start, item.end, depth):
        if key == "function":
            yield _function(walk, part, name, depth + 1)
        elif kind in SCHEMA:
            walk.check(kind, part.start, part.end, depth + 1)


def _function(walk: GraphWalk, item: Field, scope: str, depth: int) -> Graph:
    name, arguments = _signature(walk, item, depth + 1)
    nodes: list[Node] = []
    results: list[str] = []
    for key, kind, part in walk.each("Function", item.start, item.end, depth):
        if key == "node_def":
            nodes.append(_node(walk, part, f"{scope}/{name}" if scope else name, depth + 1))
        elif key == "ret":
            results.append(walk.pair(part, depth + 1)[1])
        elif kind in SCHEMA and key != "signature":
            walk.check(kind, part.start, part.end, depth + 1)
    return Graph(name, tuple(nodes), tuple(arguments), tuple(results))


def _signature(walk: GraphWalk, item: Field, depth: int) -> tuple[str, list[str]]:
    """A function's name and the names of its arguments."""
    name, arguments = "", list[str]()
    signatures: list[Field] = []
    with suppress(InputError):  # the walk over the function's own fields says where it breaks off
        signatures += (part for part in walk.wire.fields(item.start, item.end) if part.number == 1)
    for part in signatures:
        if part.wire != LENGTH:
            continue
        for key, kind, inner in walk.each("OpDef", part.start, part.end, depth):
            if key == "name":
                name = walk.text(inner)
            elif key == "input_arg":
                arguments.append(walk.name_of("Arg", inner, depth + 1))
            elif kind in SCHEMA:
                walk.check(kind, inner.start, inner.end, depth + 1)
    return name, arguments


def _node(walk: GraphWalk, item: Field, scope: str, depth: int) -> Node:
    """One node; a field that stands twice counts as its last, as in the protobuf libraries."""
    walk.budget.spend_members()
    found = {"name": "", "op": "", "device": ""}
    inputs: list[str] = []
    attributes: list[Field] = []
    for key, _, part in walk.each("Node", item.start, item.end, depth):
        if key in found:
            if found[key]:
                walk.odd("field-repeated", f"a node has its {key} twice", part.start)
            found[key] = walk.text(part)
        elif key == "input":
            inputs.append(walk.text(part))
        elif key == "attr":
            attributes.append(part)
    where = f"{scope}/{found['name']}" if scope else found["name"]
    held = _Held(walk, where, found["op"])
    for part in attributes:
        held.attribute(part, depth + 1)
    return Node(
        found["name"], found["op"], tuple(inputs), tuple(held.texts), tuple(held.calls), tuple(held.strings), held.numbers, item.start
    )  # fmt: skip


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
                strings = read_tensor(self._walk, part, self._where, depth + 1)
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
