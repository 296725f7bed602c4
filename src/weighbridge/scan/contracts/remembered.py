"""What was found out about a node of a program, so that it is found out once.

A stream may hold a wide list, a nest of tuples or a file in bytes once, and use it half a million times, each time among other
arguments. What is kept is told by the node's identity, and holds the node, so that no other can have its place. Programs
are executed to their end before anybody asks: nothing changes a node any more. A judgement forgets at its end.
"""

from collections.abc import Callable
from typing import TypeVar

from weighbridge.formats.pickle import Value

Answer = TypeVar("Answer")
MAX_KEPT = 10_000
"""Answers that are kept at a time."""
WIDE = 16
"""Values of a container from which on an answer about it is worth keeping."""

_kept: dict[tuple[int, object], tuple[Value, object]] = {}


def once(value: Value, question: object, answer: Callable[[], Answer]) -> Answer:
    """The answer to a question about a node, which depends on the node and on the question alone."""
    known = _kept.get((id(value), question))
    if known is not None and known[0] is value:
        return known[1]  # type: ignore[return-value]
    found = answer()
    if len(_kept) >= MAX_KEPT:
        _kept.clear()
    _kept[id(value), question] = (value, found)
    return found


def forget() -> None:
    """Let go of every node."""
    _kept.clear()
