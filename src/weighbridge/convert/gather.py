"""Where the tensors of each file lie, and which of them cannot be taken over.

The same readers and the same listing that the tensor-set digest is made of; here the sources stay open, since the
bytes are to be copied. What a reader could not place is named with its reason, never guessed.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from weighbridge.convert.pickles import Contents, contents
from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.pytorch import PytorchZip
from weighbridge.formats.reading import Reading, TensorRef
from weighbridge.formats.safetensors import DTYPE_BITS, SafetensorsReading
from weighbridge.measure.tensors import external_path, list_tensors, refused

SLACK = 64 * 1024**2
"""Bytes that the tensors of a file may have beyond four times what they lie in: views overlap, hostile ones without end."""


class Found(NamedTuple):
    """One tensor and the bytes that it lies in."""

    path: str
    """The file that it was found in."""
    ref: TensorRef
    source: Source
    size: int
    """Bytes of its canonical content."""

    @property
    def name(self) -> str:
        """Its name as the reader gives it."""
        return self.ref.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One file that holds tensors, or would if somebody could list them."""

    path: str
    formats: tuple[str, ...]
    found: tuple[Found, ...] = ()
    left: tuple[tuple[str, str], ...] = ()
    """(tensor, why) of those that cannot be taken over."""
    unlisted: str = ""
    """Why nobody can say which tensors there are."""
    contents: Contents | None = None
    """What a pickle holds beside its tensors."""
    code: int = 0
    """Files of program text in it (TorchScript)."""
    metadata: tuple[tuple[str, str], ...] = ()
    externals: tuple[str, ...] = ()
    """Files of the model that its tensors lie in."""


def gather(artifact: Artifact, member: Member, budget: Budget) -> Weights | None:
    """The tensors of one file; None for a file that holds none. Raises `InputError` for what cannot be opened."""
    source = artifact.files.open(member)
    listing = list_tensors(source, member.path, budget)
    readings = listing.readings
    left = {name: why for reading in readings for name, why in reading.tensors_left}
    refs = listing.tensors or tuple(ref for reading in readings for ref in reading.tensors_found)
    if not refs and not left and not listing.unlisted:
        return None
    inside = _contents(readings, budget) if refs else None
    left |= inside.refused if inside else {}
    found, more = _placed(artifact, member.path, source, [ref for ref in refs if ref.name not in left])
    left |= more
    return Weights(
        path=member.path,
        formats=tuple(reading.format for reading in readings),
        found=found,
        left=tuple(left.items()),
        unlisted=listing.unlisted if not (found or left) else "",
        contents=inside,
        externals=tuple(dict.fromkeys(external_path(member.path, ref) for ref in refs if ref.external)),
        code=sum(len(reading.code) for reading in readings if isinstance(reading, PytorchZip)),
        metadata=tuple(
            pair
            for reading in readings
            if isinstance(reading, SafetensorsReading)
            for pair in reading.metadata
        ),
    )


def _contents(readings: tuple[Reading, ...], budget: Budget) -> Contents | None:
    found = [one for reading in readings if (one := contents(reading, budget)) is not None]
    return found[0] if found else None


def _placed(
    artifact: Artifact, path: str, source: Source, refs: list[TensorRef]
) -> tuple[tuple[Found, ...], dict[str, str]]:
    """Each tensor with its bytes, and those that have none."""
    members = {member.path: member for member in artifact.members}
    opened: dict[str, Source] = {}
    found: list[Found] = []
    left: dict[str, str] = {}
    for ref in refs:
        try:
            behind = ref.source or _external(artifact, members, opened, path, ref) or source
            why = refused(ref, behind.size) or _wrong_size(ref)
        except (InputError, LimitError) as error:
            why = error.message
        if why:
            left[ref.name] = why
        else:
            found.append(Found(path, ref, behind, length(ref)))
    if _too_many(found):
        return (), dict.fromkeys(
            (one.name for one in found), "its file's tensors overlap far too often"
        ) | left
    return tuple(found), left


def _external(
    artifact: Artifact, members: Mapping[str, Member], opened: dict[str, Source], path: str, ref: TensorRef
) -> Source | None:
    """The sibling file that an external tensor lies in."""
    if not ref.external:
        return None
    there = external_path(path, ref)
    if there not in members:
        raise InputError("bad-tensor", "its data file is not in the model")
    if there not in opened:
        opened[there] = artifact.files.open(members[there])
    return opened[there]


def length(ref: TensorRef) -> int:
    """Bytes of the canonical content."""
    if ref.strides is None:
        return sum(count for _, count in ref.spans)
    return math.prod(ref.shape) * ref.itemsize


def _wrong_size(ref: TensorRef) -> str:
    bits = DTYPE_BITS.get(ref.dtype)
    if bits is not None and math.prod(ref.shape) * bits != length(ref) * 8:
        return "its shape and its bytes do not agree"
    return ""


def _too_many(found: list[Found]) -> bool:
    spent: dict[int, int] = {}
    for one in found:
        spent[id(one.source)] = spent.get(id(one.source), 0) + one.size
    return any(spent[id(one.source)] > 4 * one.source.size + SLACK for one in found)
