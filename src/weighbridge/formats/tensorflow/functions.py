"""What the functions of a TensorFlow graph come to together: calls without an end, and constants that ask for too much."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from weighbridge.core.text import visible
from weighbridge.formats.allocation import too_many
from weighbridge.formats.tensorflow.graph import Graph, Node

MAX_EXPANSION = 10_000_000
"""Calls after all functions are inlined."""


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
