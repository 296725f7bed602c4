"""From attestations to the chain of an artifact: who says how it was made, from what, and from what that was made.

Statements are followed by digest, from products to materials. Cycles, repetitions and endless chains end with the reason
on the node; what only somebody unknown claims is drawn as claimed, beside what is signed and never mixed with it.
"""

from collections import defaultdict
from collections.abc import Sequence

from weighbridge.attest.attestation import Attestation
from weighbridge.attest.predicates import kind_of, say, step_of
from weighbridge.attest.step import Material, Relation, Step
from weighbridge.attest.subject import Index, Subject
from weighbridge.core.chain import Fact, Making, Node, Standing
from weighbridge.core.errors import InputError
from weighbridge.core.statement import Named, Statement
from weighbridge.core.text import visible

MAX_NODES = 5_000
MAX_DEPTH = 100


def build_chain(root: Subject, attestations: Sequence[Attestation], signed_by: Sequence[str] = ()) -> Node:
    """The chain of `root`. `signed_by`: who signed the model itself, where that is known. Never raises."""
    return _Builder(Index(attestations, root)).node(root.what, "", tuple(signed_by), ())


def told_step(one: Attestation) -> Step | None:
    """The step that an attestation tells of; None where it tells of none, or says it in a way that cannot be read."""
    try:
        return step_of(one.statement) if one.statement else None
    except InputError:
        return None


def _made(one: Attestation) -> Step | None:
    """The step that made what the attestation is about; a deployment uses it, and made something else."""
    step = told_step(one)
    used = step is not None and any(m.relation is Relation.DEPLOYED_AS for m in step.materials)
    return None if used else step


class _Builder:
    def __init__(self, index: Index) -> None:
        self._index = index
        self._drawn: set[tuple[str, ...]] = set()

    def node(
        self, what: Named, relation: str, signed_by: tuple[str, ...], above: tuple[tuple[str, ...], ...]
    ) -> Node:
        about = self._index.about(what)
        signers = dict.fromkeys((*signed_by, *(one.signer.by for one in about if one.is_signed)))
        claimed = any(one.statement for one in about)
        standing = Standing.SIGNED if signers else Standing.CLAIMED if claimed else Standing.UNSTATED
        why = self._stop(what.digests, above)
        steps = [(one, step) for one in about for step in (_made(one),) if step]
        makings = () if why else self._makings(steps, (*above, what.digests))
        facts = tuple(_fact(one, one.statement) for one in about if one.statement and _made(one) is None)
        return Node(
            name=what.name,
            digests=what.digests,
            standing=standing,
            relation=relation,
            by=tuple(signers),
            facts=facts,
            makings=makings,
            why=why if steps else "",
        )

    def _stop(self, digests: tuple[str, ...], above: tuple[tuple[str, ...], ...]) -> str:
        if digests in above:
            return "a circle: it is said to be made from itself"
        if digests in self._drawn:
            return "shown above"
        if len(self._drawn) >= MAX_NODES:
            return f"not followed: more than {MAX_NODES} artifacts"
        if len(above) >= MAX_DEPTH:
            return f"not followed: more than {MAX_DEPTH} steps deep"
        self._drawn.add(digests)
        return ""

    def _makings(
        self, steps: Sequence[tuple[Attestation, Step]], above: tuple[tuple[str, ...], ...]
    ) -> tuple[Making, ...]:
        by_name: dict[tuple[str, bool], list[tuple[Attestation, Step]]] = defaultdict(list)
        for one, step in steps:
            by_name[step.name, one.is_signed].append((one, step))
        return tuple(
            self._making(name, signed, told, above)
            for (name, signed), told in sorted(by_name.items(), key=_signed_first)
        )

    def _making(
        self,
        name: str,
        signed: bool,
        told: Sequence[tuple[Attestation, Step]],
        above: tuple[tuple[str, ...], ...],
    ) -> Making:
        steps = [step for _, step in told]
        materials = {(m.what.digests, m.relation): m for step in steps for m in step.materials}
        return Making(
            name=name,
            standing=Standing.SIGNED if signed else Standing.CLAIMED,
            by=tuple(dict.fromkeys(one.signer.by for one, _ in told if signed)),
            finished=max((step.finished for step in steps), default=""),
            builder=next((step.builder for step in steps if step.builder), ""),
            plan=next((step.plan for step in steps if step.plan), ""),
            statements=tuple(dict.fromkeys(one.digest for one, _ in told)),
            materials=tuple(self._material(material, above) for material in materials.values()),
        )

    def _material(self, material: Material, above: tuple[tuple[str, ...], ...]) -> Node:
        return self.node(material.what, material.relation.value, (), above)


def _signed_first(item: tuple[tuple[str, bool], object]) -> tuple[bool, str]:
    (name, signed), _ = item
    return not signed, name


def _fact(one: Attestation, statement: Statement) -> Fact:
    kind = kind_of(statement.predicate_type)
    return Fact(
        word=kind.word if kind else visible(statement.predicate_type, 100),
        text=_summary(statement),
        standing=Standing.SIGNED if one.is_signed else Standing.CLAIMED,
        by=one.signer.by,
        statement=one.digest,
    )


def _summary(statement: Statement) -> str:
    """What it says in a few words; nothing for what is not understood."""
    try:
        return visible(say(statement), 120)
    except InputError:
        return "cannot be read"
