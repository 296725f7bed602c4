"""Edge, grade and node: the three nouns of a lineage.

A node is one thing with all the digests that it is known by, or a name that a card uses: `hf:org/name@revision`,
`name:…`. A name is never taken for a digest; the two become one node only where somebody trusted, or a measurement on
this machine, says so.
"""

from enum import StrEnum
from typing import NamedTuple

from weighbridge.attest.step import DESCENT, Relation
from weighbridge.core.statement import Named, read_named
from weighbridge.core.value import dataclass


class Grade(StrEnum):
    """How well an edge is known, from hearsay upward."""

    DECLARED = "declared"
    """Somebody wrote it: a card, a statement that nobody trusted has signed."""
    INFERRED = "inferred"
    """Measured from the weights: alike, and nobody says why."""
    ATTESTED = "attested"
    """Signed by somebody of the keyring at the time it was fed."""
    REPRODUCED = "reproduced"
    """Done again, or measured to be equal, on this machine."""

    @property
    def rank(self) -> int:
        """Its number in the database; a higher one is better known."""
        return GRADES.index(self)

    @property
    def is_sure(self) -> bool:
        """Whether a way over such edges is "for sure"."""
        return self.rank >= SURE


GRADES = tuple(Grade)
SURE = GRADES.index(Grade.ATTESTED)


class Link(StrEnum):
    """Edges that are no step: two ways to speak of one thing."""

    SAME_AS = "same_as"
    """Somebody untrusted says that the two are one. It leads both ways, and never for sure."""
    KIN = "kin"
    """Their weights are alike, and nothing tells which came first. It leads both ways, and never for sure."""
    NAMED = "named"
    """The child is a name without a revision, and the parent one of the things that it may mean."""


RELATIONS: tuple[Relation | Link, ...] = (
    Relation.TRAINED_ON, Relation.FINE_TUNED_FROM, Relation.QUANTIZED_FROM, Relation.MERGED_FROM,
    Relation.DISTILLED_FROM, Relation.ADAPTER_OF, Relation.CONVERTED_FROM, Relation.EVALUATED_ON,
    Relation.DEPLOYED_AS, Relation.DERIVED_FROM, Relation.BUILT_WITH, Link.SAME_AS, Link.NAMED,
    Link.KIN,
)  # fmt: skip
"""A relation's number in the database is its place here: only ever add behind."""
NUMBERS = {relation: number for number, relation in enumerate(RELATIONS)}
LEADING = frozenset(NUMBERS[relation] for relation in (*DESCENT, *Link))
"""Numbers of the relations that questions follow: having something of the parent in it."""


class Edge(NamedTuple):
    """One thing that one statement says. A named tuple, since five million of them are nothing unusual."""

    child: str
    """`algorithm:hex` as it stands in statements, or a name."""
    parent: str
    relation: Relation | Link
    grade: Grade = Grade.DECLARED
    issuer: str = ""
    """A name of the keyring, "measured here", or "" for everybody whom nobody knows."""
    statement: str = ""
    """`sha256:…` of the statement, or of the card; "" where there is none."""
    time: int = 0
    """When it was stated, seconds since 1970 (UTC); 0 where it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One thing, or one name."""

    id: int
    keys: tuple[str, ...]
    """Every digest and name that it is known by, sorted."""
    label: str = ""
    """What somebody called it; for people."""

    @property
    def things(self) -> tuple[Named, ...]:
        """As statements speak of it: one for each digest, since one thing may have been packed twice; () for a bare name."""
        pairs = (key.split(":", 1) for key in self.keys if is_digest(key))
        return tuple(
            read_named({"name": self.label, "digest": {algorithm: value}}, "the node")
            for algorithm, value in pairs
        )

    @property
    def title(self) -> str:
        """The best name for people."""
        names = [key for key in self.keys if not is_digest(key)]
        return names[0] if names else self.label or self.keys[0]


NAMES = ("hf:", "name:", "step:")
"""What keys begin with that are no digests."""


def is_digest(key: str) -> bool:
    """Whether a key is `algorithm:hex`."""
    return not key.startswith(NAMES)
