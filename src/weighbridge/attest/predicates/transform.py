"""Transform: a model made from others by a rule, and what is known of whether the rule was kept.

    {"kind": "quantized", "parents": [material…], "proof": "claimed", "detail": "Q4_K_M with an importance matrix"}

`equal-tensors`: both sides have the tensor-set digests that stand here, and they are equal. `rederived`: whoever has the
parents can compute the product again. `claimed`: the signer's word. Whoever judges looks at the digests themselves and
never at the word alone (`is_plain`).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from weighbridge.attest import fields
from weighbridge.attest.step import Material, Relation, Step
from weighbridge.core.errors import InputError
from weighbridge.core.statement import Statement
from weighbridge.core.text import counted
from weighbridge.core.value import dataclass, replace

TYPE = "weighbridge.transform/v1"
_KNOWN = ("kind", "parents", "proof", "detail", "timeTransformed")


class Transformed(StrEnum):
    """What was done."""

    CONVERTED = "converted"
    SHARDED = "sharded"
    CAST = "cast"
    QUANTIZED = "quantized"
    MERGED = "merged"
    ADAPTER = "adapter"
    """The subject is an adapter, and the parent is the base that it is for."""
    PRUNED = "pruned"


class Proof(StrEnum):
    """What is provable."""

    EQUAL_TENSORS = "equal-tensors"
    REDERIVED = "rederived"
    CLAIMED = "claimed"


_TOLD = {
    Transformed.CONVERTED: ("convert", Relation.CONVERTED_FROM),
    Transformed.SHARDED: ("shard", Relation.CONVERTED_FROM),
    Transformed.CAST: ("cast", Relation.CONVERTED_FROM),
    Transformed.QUANTIZED: ("quantize", Relation.QUANTIZED_FROM),
    Transformed.MERGED: ("merge", Relation.MERGED_FROM),
    Transformed.ADAPTER: ("adapt", Relation.ADAPTER_OF),
    Transformed.PRUNED: ("prune", Relation.DERIVED_FROM),
}
"""Kind → name of the step, relation to a parent that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """One transformation."""

    kind: Transformed
    parents: tuple[Material, ...]
    proof: Proof
    detail: str = ""
    time: str = ""


def read(predicate: Mapping[str, Any], what: str) -> Transform:
    """Strict. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    fields.refuse_unknown(predicate, _KNOWN, what)
    parents = fields.materials(predicate, "parents", what)
    if not parents:
        raise InputError(fields.BAD, f"{what} names no parent")
    return Transform(
        kind=Transformed(fields.word(predicate, "kind", tuple(Transformed), what)),
        parents=parents,
        proof=Proof(fields.word(predicate, "proof", tuple(Proof), what)),
        detail=fields.optional(predicate, "detail", "", what),
        time=fields.time(predicate, "timeTransformed", what, required=False),
    )


def write(made: Transform) -> dict[str, Any]:
    """`read(write(t)) == t`."""
    return {
        "kind": made.kind.value,
        "parents": fields.write_materials(made.parents),
        "proof": made.proof.value,
        **fields.given(detail=made.detail, timeTransformed=made.time),
    }


def step(statement: Statement, made: Transform) -> Step:
    """The step of its kind; a parent that names no relation has that of the kind."""
    name, relation = _TOLD[made.kind]
    parents = tuple(
        replace(one, relation=relation) if one.relation is Relation.DERIVED_FROM else one
        for one in made.parents
    )
    return Step(name=name, products=statement.subjects, materials=parents, finished=made.time)


def is_plain(statement: Statement, made: Transform) -> bool:
    """Whether the digests that stand here show the equality that `equal-tensors` claims."""
    pairs = [(one.tensors, parent.what.tensors) for one in statement.subjects for parent in made.parents]
    return bool(pairs) and all(mine is not None and mine == theirs for mine, theirs in pairs)


def say(made: Transform) -> str:
    """In a few words."""
    return f"{made.kind} from {counted(len(made.parents), 'parent')}, {made.proof}"
