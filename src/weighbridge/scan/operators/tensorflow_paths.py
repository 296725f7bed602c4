"""Where the texts come from that a TensorFlow graph uses as file names: followed backwards from one input of a node.

Only operators that hand texts on, join or choose them are followed, through calls of functions in both directions. What
cannot be followed is said to be so; nothing is computed.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from weighbridge.core.pattern import late
from weighbridge.formats.tensorflow.graph import Graph, Node, Program, library

MAX_STEPS = 20_000
"""Places that are visited for one question."""

FIRST = frozenset(
    {
        "Identity", "StopGradient", "PreventGradient", "Snapshot", "Reshape", "ExpandDims", "Squeeze", "StridedSlice", "Slice",
        "Gather", "GatherV2", "ShardedFilename", "ShardedFilespec", "EnsureShape", "PlaceholderWithDefault", "Enter", "Exit",
        "Switch", "Tile", "StringStrip", "Unpack", "BroadcastTo",
    }
)  # fmt: skip
"""They hand on their first input."""
ALL = frozenset({"Pack", "Concat", "ConcatV2", "Merge", "IdentityN", "NextIteration"})
"""They hand on every input; texts among them."""
CHOICE = frozenset({"Select", "SelectV2"})
"""They choose between their second and third input."""
PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2", "PlaceholderWithDefault"})


class Origin(StrEnum):
    """Where a text comes from."""

    TEXT = "text"
    """A constant of the graph."""
    TAIL = "tail"
    """A constant that is joined behind something else."""
    SAVER = "saver"
    """The checkpoint's name, which whoever saves or restores the model gives."""
    ASSET = "asset"
    """The path of an asset of the SavedModel."""
    INPUT = "input"
    """An argument or placeholder: whoever calls gives it."""
    COMPUTED = "computed"
    """Something that is not followed."""


class Leaf(NamedTuple):
    """One end of the way back."""

    origin: Origin
    text: str = ""


class _Place(NamedTuple):
    graph: str
    tensor: str
    tail: bool


class Paths:
    """Questions about one program."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._library = library(program)
        self._graphs: dict[str, Graph] = {"": program.graphs[0]} if program.graphs else {}
        self._graphs |= self._library
        self._nodes = {
            name: {node.name: node for node in graph.nodes} for name, graph in self._graphs.items()
        }
        self._savers = {_plain(name) for name in program.savers}
        self._assets = {_plain(asset.tensor) for asset in program.assets}
        self._callers: dict[str, list[tuple[str, Node]]] | None = None

    def leaves(self, graph: str, node: Node, index: int) -> frozenset[Leaf]:
        """The ends of one data input."""
        data = [name for name in node.inputs if not name.startswith("^")]
        if index >= len(data):
            return frozenset({Leaf(Origin.COMPUTED)})
        found: set[Leaf] = set()
        seen: set[_Place] = set()
        stack = [_Place(graph, data[index], tail=False)]
        while stack:
            place = stack.pop()
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > MAX_STEPS:
                return frozenset({Leaf(Origin.COMPUTED)})
            for step in self._back(place):
                if isinstance(step, Leaf):
                    found.add(step)
                else:
                    stack.append(step)
        return frozenset(found)

    def _back(self, place: _Place) -> Iterator[Leaf | _Place]:
        name = _plain(place.tensor)
        node = self._nodes.get(place.graph, {}).get(name)
        if node is None:
            yield from self._argument(place, name)
            return
        data = [tensor for tensor in node.inputs if not tensor.startswith("^")]
        if not place.graph and name in self._savers:
            yield Leaf(Origin.SAVER)
        elif not place.graph and name in self._assets:
            yield Leaf(Origin.ASSET)
            return
        if node.op == "Const":
            origin = Origin.TAIL if place.tail else Origin.TEXT
            yield from (Leaf(origin, text) for text in node.constant)
            if not node.constant:
                yield Leaf(Origin.COMPUTED)
        elif node.op == "StringJoin":
            yield from (_Place(place.graph, tensor, place.tail or at > 0) for at, tensor in enumerate(data))
        elif node.op == "ReadVariableOp" and data:
            yield from self._assigned(place, data[0])
        elif node.op in FIRST and data:
            yield _Place(place.graph, data[0], place.tail)
        elif node.op in ALL:
            yield from (_Place(place.graph, tensor, place.tail) for tensor in data)
        elif node.op in CHOICE:
            yield from (_Place(place.graph, tensor, place.tail) for tensor in data[1:])
        elif called := [inner for inner in (node.op, *node.calls) if inner in self._library]:
            for inner in called:
                yield from (_Place(inner, result, place.tail) for result in self._library[inner].results)
        elif node.op in PLACEHOLDERS:
            if place.graph or name not in self._savers:
                yield Leaf(Origin.INPUT)
        else:
            yield Leaf(Origin.COMPUTED)

    def _assigned(self, place: _Place, variable: str) -> Iterator[Leaf | _Place]:
        """What the same graph assigns to a variable."""
        found = False
        for node in self._nodes[place.graph].values():
            if (
                node.op == "AssignVariableOp"
                and len(node.inputs) > 1
                and _plain(node.inputs[0]) == _plain(variable)
            ):
                found = True
                yield _Place(place.graph, node.inputs[1], place.tail)
        if not found:
            yield Leaf(Origin.COMPUTED)

    def _argument(self, place: _Place, name: str) -> Iterator[Leaf | _Place]:
        """What callers hand over for an argument."""
        graph = self._graphs.get(place.graph)
        if graph is None or name not in graph.arguments:
            yield Leaf(Origin.COMPUTED)
            return
        index = graph.arguments.index(name)
        callers = self._called_by().get(place.graph, [])
        for caller, node in callers:
            data = [tensor for tensor in node.inputs if not tensor.startswith("^")]
            # Conditions, and arguments captured by data sets, stand before what is handed over.
            for tensor in (
                data[index : index + 1] if "PartitionedCall" in node.op or node.op == place.graph else data
            ):
                yield _Place(caller, tensor, place.tail)
        if not callers:
            yield Leaf(Origin.INPUT)

    def _called_by(self) -> Mapping[str, list[tuple[str, Node]]]:
        if self._callers is None:
            self._callers = {}
            for name, graph in self._graphs.items():
                for node in graph.nodes:
                    for inner in {node.op, *node.calls} & self._library.keys():
                        self._callers.setdefault(inner, []).append((name, node))
        return self._callers


def _plain(tensor: str) -> str:
    """The node's name in `node`, `node:1`, `node:output:1`."""
    return tensor.partition(":")[0]


_DRIVE = late(r"[A-Za-z]:[\\/]")
_SCHEME = late(r"[A-Za-z][A-Za-z0-9+.-]*://")


def leads_out(path: str, *, tail: bool = False) -> str:
    """How a path leads out of the model's folder, in words; "" when it stays. A tail is joined behind another path."""
    words = re.split(r"[/\\]", path)
    if ".." in words:
        return "leads out of the model's folder"
    if tail:
        return ""
    if _SCHEME.match(path):
        return "is an address"
    if path.startswith(("/", "\\", "~")) or _DRIVE.match(path):
        return "is absolute"
    return "holds a NUL" if "\0" in path else ""
