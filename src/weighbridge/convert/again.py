"""A conversion proved again from both sides: the receipt says which names to compare, the bytes say whether they are equal.

Nobody's word is taken for the equality, not even the signer's: both models are measured, the rules of the receipt are
applied to the source's tensors, and the result is held against the output's.
"""

from collections.abc import Callable

from weighbridge.convert import proof
from weighbridge.convert.copying import Copier, Sink
from weighbridge.convert.gather import Weights, gather
from weighbridge.convert.recipe import Recipe
from weighbridge.convert.work import entries, side
from weighbridge.core.artifact import Artifact
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.manifest import Manifest, TensorEntry
from weighbridge.core.receipt import Equality, Receipt, Side
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.measure import Measurement, Plan, Progress, measure
from weighbridge.store import Links, open_artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What was found."""

    source: Side
    output: Side
    same_source: bool
    """Whether the source is the one of the receipt."""
    same_output: bool
    equality: Equality
    copies_differ: tuple[str, ...] = ()
    """Files that the receipt says were copied, and that are not equal on both sides."""

    @property
    def holds(self) -> bool:
        """Whether everything that the receipt says is so."""
        return self.same_source and self.same_output and self.equality.holds and not self.copies_differ


def compare_again(recipe: Recipe, other: str, receipt: Receipt, progress: Progress | None = None) -> Again:
    """Measure the source (`recipe.path`) and the output (`other`), and compare by the receipt's rules.

    `recipe.exclude` leaves signatures out on both sides. Raises `UsageError` (`no-such-path`), `InputError`.
    """
    old = open_artifact(recipe.path, links=recipe.links, exclude=recipe.exclude)
    new = open_artifact(other, links=Links.INSIDE, exclude=recipe.exclude)
    before = _measured(old, recipe, progress, tensors=False)
    after = _measured(new, recipe, progress, tensors=True)
    source, output = side(old.name, before.manifest), side(new.name, after.manifest)
    equality = proof.equality(
        _source_tensors(old, receipt, recipe, progress),
        after.manifest.tensors if after.manifest.tensors is not None else _all(new, recipe, progress),
        converted=dict(receipt.converted),
        renamed=receipt.renamed,
        dropped=receipt.dropped,
    )
    return Again(
        source=source,
        output=output,
        same_source=source.files_digest == receipt.source.files_digest,
        same_output=output.files_digest == receipt.output.files_digest,
        equality=equality,
        copies_differ=_differing(receipt, before.manifest, after.manifest),
    )


def _measured(artifact: Artifact, recipe: Recipe, progress: Progress | None, *, tensors: bool) -> Measurement:
    found = measure(
        artifact, Plan(tensors=tensors), progress=progress, jobs=recipe.jobs, seconds=recipe.limits.seconds
    )
    for item in found.unread:
        raise InputError(item.code, f'cannot compare "{visible(item.place.path)}": {item.message}')
    return found


def _source_tensors(
    artifact: Artifact, receipt: Receipt, recipe: Recipe, progress: Progress | None
) -> list[TensorEntry]:
    """The tensors of the files that were converted, hashed but not written."""
    wanted = dict(receipt.converted)
    return _hashed(artifact, recipe, progress, lambda path: path in wanted)


def _all(artifact: Artifact, recipe: Recipe, progress: Progress | None) -> list[TensorEntry]:
    return _hashed(artifact, recipe, progress, lambda path: True)


def _hashed(
    artifact: Artifact, recipe: Recipe, progress: Progress | None, wanted: Callable[[str], bool]
) -> list[TensorEntry]:
    budget = Budget(recipe.limits)
    copier = Copier(budget, progress)
    found: list[Weights] = []
    for member in artifact.members:
        if wanted(member.path) and (weights := gather(artifact, member, budget)) is not None:
            found.append(weights)
            for one in weights.found:
                copier.copy(one, Sink())
    return entries(found, copier.digests)


def _differing(receipt: Receipt, old: Manifest, new: Manifest) -> tuple[str, ...]:
    before = {entry.path: entry.sha256 for entry in old.entries}
    after = {entry.path: entry.sha256 for entry in new.entries}
    return tuple(
        output.path
        for output in receipt.outputs
        if output.origin
        and (before.get(output.origin) is None or before.get(output.origin) != after.get(output.path))
    )
