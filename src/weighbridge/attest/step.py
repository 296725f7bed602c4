"""Step: what one statement says about how something came to be: from these materials, in this way, these products.

Every predicate that tells of a step is reduced to this one shape, so that a chain is followed, a layout held against it
and the lineage fed without knowing who wrote the statement in which vocabulary.
"""

from enum import StrEnum

from weighbridge.core.statement import Named
from weighbridge.core.value import dataclass


class Relation(StrEnum):
    """How a product hangs on one of its materials; the words of the lineage."""

    TRAINED_ON = "trained_on"
    FINE_TUNED_FROM = "fine_tuned_from"
    QUANTIZED_FROM = "quantized_from"
    MERGED_FROM = "merged_from"
    DISTILLED_FROM = "distilled_from"
    ADAPTER_OF = "adapter_of"
    CONVERTED_FROM = "converted_from"
    EVALUATED_ON = "evaluated_on"
    DEPLOYED_AS = "deployed_as"
    """The product is a deployment of the material."""
    DERIVED_FROM = "derived_from"
    """Made from it in a way that the statement does not say: cleaned data, a split, a build."""
    BUILT_WITH = "built_with"
    """Code, an environment, a tool: what it was made with and not made of."""


DESCENT = frozenset(Relation) - {Relation.EVALUATED_ON, Relation.BUILT_WITH}
"""Relations by which a product has something of its material in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One thing that went into a step."""

    what: Named
    relation: Relation = Relation.DERIVED_FROM
    uri: str = ""
    """Where it was taken from, as the statement says; for people, and never followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the chain."""

    name: str
    """`collect`, `train`, `convert`, …: the word that a layout uses."""
    products: tuple[Named, ...]
    """What the step left; the statement's subjects where its predicate names no others."""
    materials: tuple[Material, ...] = ()
    builder: str = ""
    """What made it: a builder's id, a recorder, a command."""
    started: str = ""
    """RFC 3339 as stated."""
    finished: str = ""
    plan: str = ""
    """`sha256:…` of the approved plan's statement that the step ran under; "" where it names none."""
    looks: bool = False
    """It only looked at its products, and left them as they were: a test, an evaluation."""
    tools: tuple[str, ...] = ()
    """`name@version` of what was installed where the step ran, as far as the statement lists it."""

    @property
    def only_looks(self) -> bool:
        """Whether it made nothing: it says so, or all that it took it only measured the products on."""
        taken = {material.relation for material in self.materials}
        return self.looks or (Relation.EVALUATED_ON in taken and not taken & DESCENT)
