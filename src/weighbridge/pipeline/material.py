"""What goes into a step and what comes out of it, measured: before the start, again after the end.

A material is given as `PATH` or `RELATION=PATH` (`evaluated_on=./test`). Without a word the relation is what most would
mean: a model that a training starts from, data that it is trained on.
"""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from weighbridge.attest.step import Material, Relation
from weighbridge.attest.subject import subject_of
from weighbridge.check import bundles_of
from weighbridge.core.artifact import Artifact
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.manifest import Manifest
from weighbridge.core.statement import Named
from weighbridge.core.text import some, visible
from weighbridge.core.value import dataclass
from weighbridge.measure import Plan, Progress, difference, measure
from weighbridge.pipeline.redact import text as redacted
from weighbridge.store import Links, open_artifact

TRAINING = frozenset({"train", "training", "finetune", "fine-tune", "fit", "pretrain", "train-adapter"})
"""Steps that train on what is no model."""
LOOKING = frozenset({"evaluate", "eval", "test", "evaluation", "validate"})
Stamps = frozenset[tuple[object, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A material as somebody gave it."""

    path: Path
    relation: Relation | None = None
    """None for what most would mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Something that lies here, and what is in it."""

    path: Path
    what: Named
    manifest: Manifest


def inputs_of(words: Sequence[str], relation: Relation | None = None) -> tuple[Input, ...]:
    """`PATH` or `RELATION=PATH`, each. A path that is there is a path, whatever it is called."""
    return tuple(_input(word, relation) for word in words)


def _input(word: str, relation: Relation | None) -> Input:
    said, mark, rest = word.partition("=")
    if mark and said in tuple(Relation) and not os.path.lexists(word):
        return Input(path=Path(rest), relation=Relation(said))
    return Input(path=Path(word), relation=relation)


def measured(
    path: Path,
    *,
    links: Links = Links.INSIDE,
    jobs: int | None = None,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> Measured:
    """Every digest of a folder or file. Raises `UsageError` (`no-such-path`, `no-digest`), `InputError` where not all of
    it could be read: a digest of a part would stand for the whole.
    """
    artifact = opened(path, links)
    found = measure(artifact, Plan(tensors=True), progress=progress, jobs=jobs, seconds=seconds)
    for obstacle in artifact.obstacles:
        raise _unread(path, obstacle.path, obstacle.message, obstacle.code)
    for unread in found.unread:
        raise _unread(path, unread.place.path, unread.message, unread.code)
    what = subject_of(redacted(artifact.name), found.manifest, single=artifact.single).what
    if not what.digests:
        raise UsageError(
            "no-digest", f'"{visible(str(path))}" holds no file, so nothing can be stated about it'
        )
    return Measured(path=path, what=what, manifest=found.manifest)


def opened(path: Path, links: Links = Links.INSIDE) -> Artifact:
    """The files, without the signatures of somebody that lie in their folder."""
    return open_artifact(str(path), links=links, exclude=bundles_of(path)[1])


def _unread(path: Path, name: str, why: str, code: str) -> InputError:
    shown = f'"{visible(str(path))}": {visible(name, 200)}'
    return InputError("material-unread", f"cannot measure {shown}: {visible(why, 200)} ({code})")


def material_of(given: Input, found: Measured, step: str) -> Material:
    """The material as the statement names it: where it lay on this machine is nobody's business."""
    return Material(what=found.what, relation=given.relation or _usual(found, step))


def _usual(found: Measured, step: str) -> Relation:
    is_model = found.what.tensors is not None
    if step in TRAINING:
        return Relation.FINE_TUNED_FROM if is_model else Relation.TRAINED_ON
    if step in LOOKING:
        return Relation.DERIVED_FROM if is_model else Relation.EVALUATED_ON
    return Relation.DERIVED_FROM


def changed(before: Measured) -> str:
    """What became of a material since it was measured; "" where it is the same."""
    try:
        after = measured(before.path)
    except (InputError, UsageError) as error:
        return error.message
    if after.manifest.files_digest() == before.manifest.files_digest():
        return ""
    found = difference(before.manifest, after.manifest)
    paths = (*found.changed, *found.added, *found.removed)
    return f'"{visible(str(before.path))}" changed during the run: {some(paths)}'


def refuse_overlap(materials: Sequence[Path], products: Sequence[Path]) -> None:
    """Raises `UsageError` (`paths-overlap`) where a product would change a material, or is one."""
    for product in products:
        for material in materials:
            one, other = Path(os.path.realpath(product)), Path(os.path.realpath(material))
            if one.is_relative_to(other) or other.is_relative_to(one):
                raise UsageError(
                    "paths-overlap",
                    f'the product "{visible(str(product))}" and the material "{visible(str(material))}" lie in each other',
                    "write the product to a folder of its own",
                )


def stamps(path: Path) -> Stamps:
    """Which files stand at a product's place, and when they last changed; empty where there is nothing yet."""
    if not os.path.lexists(path):
        return frozenset()
    places = [path, *(Path(here) / name for here, _, names in os.walk(path) for name in names)]
    return frozenset(_stamp(place) for place in places if not place.is_dir())


def _stamp(place: Path) -> tuple[object, ...]:
    try:
        found = place.stat(follow_symlinks=False)
    except OSError:
        return (str(place),)
    return str(place), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def untouched(path: Path, before: Stamps) -> bool:
    """Whether every file at the product's place stood there before the start: then the run did not make it."""
    return bool(before) and stamps(path) <= before


def named_once(products: Collection[Measured]) -> tuple[Named, ...]:
    """The products as subjects, each once."""
    return tuple(dict.fromkeys(one.what for one in products))
