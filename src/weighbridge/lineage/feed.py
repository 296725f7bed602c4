"""Feed a lineage from attestations: every step that a statement tells of becomes edges, each as good as its signer.

What somebody of the keyring has signed is attested, and makes the digests of one thing one node. What nobody trusted has
signed is declared: it may say that two things are the same, and then they perhaps are. Feeding the same again changes
nothing, and no statement is ever taken back because another one contradicts it.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from weighbridge.attest.attestation import Attestation
from weighbridge.attest.predicates import step_of
from weighbridge.attest.step import Material, Relation, Step
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.statement import Named
from weighbridge.core.value import dataclass
from weighbridge.lineage.edge import Edge, Grade, Link
from weighbridge.lineage.graph import Lineage
from weighbridge.lineage.taking import Added

MANY = 10_000
"""Pairs of products and materials from which on a statement gets a node of its own between the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """What became of the statements."""

    statements: int = 0
    steps: int = 0
    """Those that tell of a step."""
    claimed: int = 0
    """Steps that nobody trusted has signed."""
    added: Added = Added()
    problems: tuple[tuple[str, str, str], ...] = ()
    """(place, code, why) of each statement that could not be read: nothing of it is in the graph."""


def feed(lineage: Lineage, attestations: Iterable[Attestation]) -> Fed:
    """Take them all in. Raises what `Lineage.add` raises."""
    told: list[tuple[Attestation, Step]] = []
    problems: list[tuple[str, str, str]] = []
    count = 0
    for one in attestations:
        count += 1
        try:
            step = step_of(one.statement) if one.statement else None
        except (InputError, LimitError) as error:
            problems.append((one.source, error.code, error.message))
            continue
        if one.statement is None:
            problems.append((one.source, one.code, one.why))
        elif step is not None:
            told.append((one, step))
    for one, step in told:
        if one.is_signed:
            _unite(lineage, one, step)
    added = lineage.add(edge for one, step in told for edge in edges_of(one, step))
    lineage.label((what.digests[0], what.name) for _, step in told for what in _things(step) if what.digests)
    return Fed(
        statements=count,
        steps=len(told),
        claimed=sum(not one.is_signed for one, _ in told),
        added=added,
        problems=tuple(problems),
    )


def edges_of(one: Attestation, step: Step) -> Iterator[Edge]:
    """What a step says, as edges."""
    grade = Grade.ATTESTED if one.is_signed else Grade.DECLARED
    issuer = one.signer.by if one.is_signed else ""
    time = _seconds(step.finished) or (int(one.signer.time.timestamp()) if one.signer.time else 0)
    for product, relation, material in _pairs(one, step):
        yield Edge(product, material, relation, grade, issuer, one.digest, time)
    if not one.is_signed:
        for what in _things(step):
            first, *others = what.digests or ("",)
            for other in others:
                yield Edge(first, other, Link.SAME_AS, grade, issuer, one.digest, time)
                yield Edge(other, first, Link.SAME_AS, grade, issuer, one.digest, time)


def _pairs(one: Attestation, step: Step) -> Iterator[tuple[str, Relation, str]]:
    """(product, relation, material), each by its first digest."""
    products = [what.digests[0] for what in step.products if what.digests]
    materials = [material for material in step.materials if material.what.digests]
    if len(products) * len(materials) <= MANY:
        for product in products:
            yield from ((product, m.relation, _key(m)) for m in materials)
        return
    middle = f"step:{one.digest}"
    yield from ((product, Relation.DERIVED_FROM, middle) for product in products)
    yield from ((middle, m.relation, _key(m)) for m in materials)


def _key(material: Material) -> str:
    return material.what.digests[0]


def _things(step: Step) -> Iterator[Named]:
    yield from step.products
    yield from (material.what for material in step.materials)


def _unite(lineage: Lineage, one: Attestation, step: Step) -> None:
    for what in {what.digests: what for what in _things(step)}.values():
        if len(what.digests) > 1:
            lineage.join(what.digests, Grade.ATTESTED, one.signer.by, one.digest, what.name)


def _seconds(text: str) -> int:
    try:
        time = datetime.fromisoformat(text) if text else None
    except ValueError:
        return 0
    return int(time.timestamp()) if time and time.tzinfo else 0
