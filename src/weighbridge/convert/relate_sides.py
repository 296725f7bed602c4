"""One side of a transformation: a model measured, with every tensor where it lies, so that it can be read again in blocks.

The bytes of a tensor are hashed whenever they are read here: what is computed from them and what the digest names are the
same bytes. What nobody can list is said in `unlisted`, and nothing is then proved about that side.
"""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, NamedTuple

from weighbridge.attest.subject import Subject, subject_of
from weighbridge.convert.copying import Copier, Sink
from weighbridge.convert.gather import Found, Weights, gather
from weighbridge.convert.work import entries
from weighbridge.core.artifact import Artifact
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError
from weighbridge.core.manifest import Place, TensorEntry, place_tensors, tensor_label
from weighbridge.core.statement import Named
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass, replace
from weighbridge.measure import Plan, Progress, measure
from weighbridge.measure.hashes import hasher
from weighbridge.measure.tensors import content
from weighbridge.store import Links, open_artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How to measure."""

    exclude: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Path as given → files in it that are no part of the model (its signatures)."""
    links: Links = Links.INSIDE
    limits: Limits = field(default_factory=Limits)
    jobs: int | None = None
    progress: Progress | None = None


class One(NamedTuple):
    """One tensor: what it is, and where its bytes lie."""

    entry: TensorEntry
    found: Found

    @property
    def items(self) -> int:
        """How many numbers it holds."""
        count = 1
        for length in self.entry.shape:
            count *= length
        return count

    @property
    def content(self) -> tuple[str, tuple[int, ...], bytes]:
        """What two equal tensors share."""
        return self.entry.dtype, tuple(self.entry.shape), self.entry.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A measured model."""

    subject: Subject
    tensors: Mapping[Place, One]
    artifact: Artifact
    files: int
    """Files that hold tensors."""
    unlisted: str = ""
    """Why not every tensor is known; "" where all are."""

    @property
    def what(self) -> Named:
        """Its name and digests."""
        return self.subject.what

    @property
    def named(self) -> Mapping[str, One]:
        """Its tensors as people call them."""
        return {tensor_label(place): one for place, one in self.tensors.items()}


def open_side(path: str, work: Work, budget: Budget) -> Side:
    """Measure a model and find its tensors.

    Raises `UsageError` (`no-such-path`), `InputError` (`tensor-ambiguous`, whatever keeps a file from being read).
    """
    artifact = open_artifact(path, links=work.links, exclude=work.exclude.get(path, frozenset()))
    for obstacle in artifact.obstacles:
        raise InputError(obstacle.code, f'cannot measure "{visible(obstacle.path)}": {obstacle.message}')
    found = measure(
        artifact, Plan(tensors=True), progress=work.progress, jobs=work.jobs, seconds=work.limits.seconds
    )
    for item in found.unread:
        raise InputError(item.code, f'cannot measure "{visible(item.place.path)}": {item.message}')
    weights = [one for member in artifact.members if (one := gather(artifact, member, budget)) is not None]
    unlisted, listed = "", found.manifest.tensors
    if listed is None:
        unlisted = _why(found.unlisted, weights)
        listed = tuple(_hashed(weights, work, budget))
    placed = place_tensors(listed)
    if placed is None:
        raise InputError("tensor-ambiguous", f'"{visible(path)}" holds different tensors of one name')
    where = {(one.path, one.name): one for weight in weights for one in weight.found}
    tensors = {
        place: One(entry, where[entry.path, entry.name])
        for place, entry in placed.items()
        if (entry.path, entry.name) in where
    }
    if len(tensors) < len(placed):
        unlisted = unlisted or "not every tensor of it can be read again"
    return Side(
        subject=subject_of(artifact.name, found.manifest, single=artifact.single),
        tensors=tensors,
        artifact=artifact,
        files=len({entry.path for entry in listed}),
        unlisted=unlisted,
    )


def _why(unlisted: tuple[tuple[str, str], ...], weights: list[Weights]) -> str:
    said = [f'"{visible(path, 100)}": {why}' for path, why in unlisted]
    said += [f'"{visible(one.path, 100)}": {one.unlisted}' for one in weights if one.unlisted]
    return said[0] if said else "its tensors cannot all be listed"


def _hashed(weights: list[Weights], work: Work, budget: Budget) -> list[TensorEntry]:
    """What can be found in files that cannot all be listed: to say more of them, never to prove anything."""
    copier = Copier(budget, work.progress)
    for weight in weights:
        for one in weight.found:
            copier.copy(one, Sink())
    return entries(weights, copier.digests)


def blocks(one: One, size: int, budget: Budget) -> Iterator[bytes]:
    """The canonical bytes in blocks of exactly `size` bytes, the last one shorter.

    Raises `InputError` (`file-changed`) where they are not what was measured.
    """
    digest: Any = hasher("blake3")
    waiting = bytearray()
    total = 0
    for piece in content(one.found.ref, one.found.source):
        total += len(piece)
        if total > one.found.size:
            break
        digest.update(piece)
        waiting += piece
        whole = len(waiting) // size * size
        for at in range(0, whole, size):
            budget.tick()
            yield bytes(memoryview(waiting)[at : at + size])
        del waiting[:whole]
    if total != one.found.size or bytes(digest.digest()) != one.entry.digest:
        path, name = visible(one.entry.path), visible(one.entry.name)
        raise InputError("file-changed", f'"{path}" changed since it was measured: tensor "{name}"')
    if waiting:
        yield bytes(waiting)


def whole(one: One, budget: Budget) -> bytes:
    """All of a tensor that is small by its nature: a scale, one half of a low-rank pair."""
    budget.need_memory(2 * one.found.size, f'tensor "{visible(one.entry.name, 100)}"')
    return b"".join(blocks(one, 1024**2, budget))


def without(side: Side, prefix: str) -> Side:
    """The side with the beginning of every tensor's name taken away."""
    cut = len(prefix)
    tensors = {(folder, part, name[cut:]): one for (folder, part, name), one in side.tensors.items()}
    return replace(side, tensors=tensors)
