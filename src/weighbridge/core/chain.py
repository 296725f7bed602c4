"""Chain: where an artifact came from, step by step, as the statements tell it; what `trace` draws. Values only."""

from collections.abc import Iterator
from enum import StrEnum

from weighbridge.core.value import dataclass


class Standing(StrEnum):
    """How well something is known."""

    SIGNED = "signed"
    """Somebody whom we trust says so."""
    CLAIMED = "claimed"
    """It is written down, and nobody whom we trust stands behind it."""
    UNSTATED = "unstated"
    """Nothing was found that says anything about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A statement about an artifact that tells of no step: a review, a scan, a data sheet, a test."""

    word: str
    """The kind of the predicate (`review`, `dataset`, …), or the predicate type where it is not understood."""
    text: str
    """What it says, in a few words; empty where that is not understood."""
    standing: Standing
    by: str = ""
    statement: str = ""
    """`sha256:…` of the statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """One step that made an artifact: all statements that tell of it under one name."""

    name: str
    standing: Standing
    by: tuple[str, ...] = ()
    """Who signed it: names of the keyring."""
    finished: str = ""
    """As stated."""
    builder: str = ""
    plan: str = ""
    """`sha256:…` of the plan that it ran under, as stated."""
    statements: tuple[str, ...] = ()
    materials: "tuple[Node, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One artifact of the chain."""

    name: str
    digests: tuple[str, ...]
    """`algorithm:hex`, sorted; what it is."""
    standing: Standing
    relation: str = ""
    """How the product above hangs on it; empty for the model itself."""
    by: tuple[str, ...] = ()
    """Who signed anything about it."""
    facts: tuple[Fact, ...] = ()
    makings: tuple[Making, ...] = ()
    why: str = ""
    """Why nothing further is drawn here: `shown above`, a limit."""

    def walk(self) -> "Iterator[Node]":
        """This node and every one below it, in the order of the drawing."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += [below for making in reversed(node.makings) for below in reversed(making.materials)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The last line of a drawing."""

    signed: int
    """Steps that somebody trusted signed."""
    claimed: int
    unstated: int
    """Ends about which nothing is stated."""


def count(root: Node) -> Counts:
    """Count steps and ends."""
    nodes = list(root.walk())
    steps = [making.standing for node in nodes for making in node.makings]
    return Counts(
        signed=steps.count(Standing.SIGNED),
        claimed=steps.count(Standing.CLAIMED),
        unstated=sum(node.standing is Standing.UNSTATED and not node.why for node in nodes),
    )
