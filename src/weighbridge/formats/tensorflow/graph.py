"""TensorFlow graphs as their readers tell them: programs, functions, and the nodes of each.

What an operator does is not known here, and shapes are not inferred.
"""

from collections.abc import Mapping
from typing import NamedTuple

from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Reading


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


def library(program: Program) -> Mapping[str, Graph]:
    """The functions of a program by name."""
    return {graph.name: graph for graph in program.graphs if graph.name}
