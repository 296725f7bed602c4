"""Graph: what a model computes, as far as two of them are compared: operators, what they take and give, attributes."""

from weighbridge.core.value import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One call of an operator."""

    op: str
    """With its domain where it is not the format's own: `com.microsoft.Gelu`."""
    name: str = ""
    """What the file calls it; "" where it has no name."""
    inputs: tuple[str, ...] = ()
    """Values; "" for an optional one that is left out."""
    outputs: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    """(name, value as a text), sorted by name; a tensor is its length and a digest."""
    scope: str = ""
    """The inner graph or function that it stands in, such as `If_3/then_branch/`; "" for the main graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """All graphs of one file, the inner ones in the place of the node that holds them."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    """Values that the file itself holds."""
    nodes: tuple[Node, ...] = ()
    unused: tuple[str, ...] = ()
    """Weights that no node takes and that are no output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphDifference:
    """What changed between two graphs."""

    path: str
    sentences: tuple[str, ...]
    """In words, what matters most first."""
    added: tuple[Node, ...] = ()
    removed: tuple[Node, ...] = ()
    changed: tuple[tuple[Node, Node], ...] = ()
    """(as it was, as it is)."""
