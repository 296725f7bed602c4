"""PyTorch files before 1.6: the legacy layout of five pickles, and the older tar.

Follows `_legacy_load` of `torch/serialization.py` 2.13. Each pickle that does more than give plain values is a part and judged
there; storages are held against the bytes behind the last pickle, or in the tar's `storages`.
"""

import struct
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.membernames import Notes
from weighbridge.formats.pickle.executed import Executed
from weighbridge.formats.pickle.opcodes import run
from weighbridge.formats.pickle.program import PickleProgram
from weighbridge.formats.pickle.values import Global, List, Value
from weighbridge.formats.pytorch.tensors import (
    DTYPES,
    MAX_DIMENSIONS,
    Storage,
    TorchTensors,
    extent,
    is_count,
    key_text,
    persistent_paths,
    placed,
    storage_id,
)
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef
from weighbridge.formats.tar.tree import TarMember, TarTree

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle (MAGIC_NUMBER)."""
PADDING = 4096
"""Zeros behind the last storage that are only padding."""

_LEGACY_PICKLES = ("magic number", "protocol version", "system info", "object", "storage keys")


def read_legacy(source: Source, budget: Budget, name: str) -> Reading:
    """The layout of before 1.6: five pickles, then each storage as a 64-bit count of items and the items."""
    programs, end = _five(source, budget)
    work = TorchTensors(source, budget, swap=False)
    gaps: list[Gap] = []
    if len(programs) == len(_LEGACY_PICKLES) and programs[-1].broken is None:
        found, end = _legacy_storages(source, budget, programs, end, gaps)
        work.collect(programs[3], found.get)
    else:
        work.unlisted = "the file ends before its storages"
        gaps.append(
            Gap(code="truncated", message="fewer than the five pickles of a PyTorch file", offset=end)
        )
    rest = _rest(source, end)
    anomalies = list(work.notes.all())
    if rest:
        anomalies.append(Anomaly(code="pytorch-data-after", message=f"{source.size - end} bytes behind the storages",
                                 offset=end))  # fmt: skip
    return Reading(
        format="pytorch-legacy",
        anomalies=tuple(anomalies),
        gaps=(*gaps, *work.gaps),
        parts=(*_pickle_parts(source, programs), *rest, *work.parts),
        tensors=None if work.unlisted else tuple(work.tensors),
        tensors_unlisted=work.unlisted,
        **work.partial(),
    )


def saved_object(source: Source, budget: Budget) -> Value:
    """The object of a legacy file; None where it is none, or does not load."""
    programs, _ = _five(source, budget)
    if len(programs) < 4 or programs[3].broken is not None or programs[0].value != MAGIC:
        return None
    return programs[3].value


def _five(source: Source, budget: Budget) -> tuple[list[PickleProgram], int]:
    programs: list[PickleProgram] = []
    registry: dict[int, Value] = {}
    end = 0
    while len(programs) < len(_LEGACY_PICKLES) and end < source.size:
        programs.append(run(source, budget, offset=end, registry=registry))
        end = programs[-1].end
        if programs[-1].broken is not None:
            break
    return programs, end


def _pickle_parts(source: Source, programs: list[PickleProgram]) -> Iterator[Part]:
    """The pickles that do more than give plain values; without its STOP the first is not taken for a whole file."""
    for number, (label, program) in enumerate(zip(_LEGACY_PICKLES, programs, strict=False)):
        if program.broken is not None:
            yield Part(
                name=label, source=Slice(source, program.start, source.size - program.start), kind="pickle"
            )
        elif program.effects:
            stop = program.end - (1 if number == 0 else 0)
            yield Part(name=label, source=Slice(source, program.start, stop - program.start), kind="pickle")


def _legacy_storages(
    source: Source, budget: Budget, programs: list[PickleProgram], end: int, gaps: list[Gap]
) -> tuple[dict[str, Storage], int]:
    """Storages in the order of the fifth pickle's keys."""
    sizes: dict[str, int] = {}
    for pid in map(storage_id, programs[3].persistents):
        if pid is not None:
            sizes.setdefault(pid.key, pid.itemsize)
    keys = programs[4].value if type(programs[4].value) is List else ()
    found: dict[str, Storage] = {}
    for value in keys:
        key, head = key_text(value), source.read(end, 8)
        budget.spend_members()
        if key is None or key not in sizes or len(head) < 8:
            gaps.append(
                Gap(code="truncated", message="a storage is missing or not named by the object", offset=end)
            )
            break
        (numel,) = struct.unpack("<q", head)
        length = numel * sizes[key]
        if numel < 0 or end + 8 + length > source.size:
            gaps.append(
                Gap(code="truncated", message=f'storage "{visible(key)}" ends behind the file', offset=end)
            )
            break
        found[key] = Storage(None, end + 8, length)
        end += 8 + length
    return found, end


def _rest(source: Source, end: int) -> tuple[Part, ...]:
    length = source.size - end
    if length <= 0 or (length <= PADDING and not source.read(end, length).strip(b"\0")):
        return ()
    return (Part(name=f"bytes {end} to {source.size}", source=Slice(source, end, length)),)


# -- tar -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PytorchTar(TarTree):
    """The layout of PyTorch 0.1: a tar file with `sys_info`, `pickle`, `tensors` and `storages`."""


def read_tar(tree: TarTree, source: Source, budget: Budget, name: str) -> Reading:
    """PyTorch's view of a tar file: every pickle in the three members is a part, tensors lie in `storages`."""
    parts: list[Part] = []
    gaps = list(tree.gaps)
    work = _TarTensors(source, budget)
    members = [member for member in tree.members if member.source is not None]
    for member, part in zip(members, tree.parts, strict=False):
        parts += work.member(member, part, gaps)
    parts += tree.parts[len(members) :]
    tensors, unlisted = work.listed()
    kept: dict[str, Any] = {field.name: getattr(tree, field.name) for field in fields(tree)}
    kept |= {"format": "pytorch-tar", "parts": tuple(parts), "gaps": tuple(gaps)}
    kept |= {"tensors": tensors, "tensors_unlisted": unlisted}
    kept["anomalies"] = (*tree.anomalies, *work.notes.all())
    return PytorchTar(**kept)


class _View(NamedTuple):
    """One line of `tensors`: which storage, and where in it."""

    storage: str
    dtype: str
    itemsize: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


class _TarTensors:
    """What the three members say of tensors; any of them may be hostile, or stand twice."""

    def __init__(self, source: Source, budget: Budget) -> None:
        self.source, self.budget = source, budget
        self.notes = Notes()
        self.seen: list[str] = []
        self.program: PickleProgram | None = None
        self.storages: dict[str, Storage] = {}
        self.views: dict[str, _View] = {}
        self.unlisted = ""

    def member(self, member: TarMember, part: Part, gaps: list[Gap]) -> list[Part]:
        """The parts of one member."""
        record = member.name.removeprefix("./")
        if record not in ("pickle", "storages", "tensors") or member.source is None:
            return [part]
        if record in self.seen:
            self.unlisted = f"{record} stands twice"
        self.seen.append(record)
        try:
            if record == "pickle":
                known = Executed.of(member.source, self.budget)
                self.program = known.program
                return [Part(name=part.name, source=known, kind="pickle")]
            sequence = _Sequence(member.source, self.budget, part.name)
            start = member.start
            return self._storages(sequence, start) if record == "storages" else self._views(sequence)
        except InputError as error:
            self.unlisted = self.unlisted or f"{record}: {error.message}"
            gaps.append(Gap(code=error.code, message=error.message, part=part.name))
            return [Part(name=part.name, source=part.source, kind="pickle" if record == "pickle" else "")]

    def _storages(self, sequence: "_Sequence", start: int) -> list[Part]:
        for _ in range(sequence.count()):
            value = sequence.pickle().value
            kind = value[2] if type(value) is tuple and len(value) == 3 else None
            known = _storage_type(kind)
            if known is None or type(value) is not tuple:
                raise InputError("bad-header", "a storage has no known type")
            (numel,) = struct.unpack("<q", sequence.raw(8))
            at = sequence.at
            sequence.skip(numel * known[1])
            self.storages[key_text(value[0]) or "?"] = Storage(None, start + at, numel * known[1])
        sequence.pickle()
        return sequence.done()

    def _views(self, sequence: "_Sequence") -> list[Part]:
        for _ in range(sequence.count()):
            value = sequence.pickle().value
            (dimensions,) = struct.unpack("<i4x", sequence.raw(8))
            if not 0 <= dimensions <= MAX_DIMENSIONS:
                raise InputError("bad-header", f"a tensor has {dimensions} dimensions")
            sizes = struct.unpack(f"<{2 * dimensions + 1}q", sequence.raw(16 * dimensions + 8))
            known = _tensor_type(value[2]) if type(value) is tuple and len(value) == 3 else None
            if known is None or min(sizes) < 0:
                self.unlisted = self.unlisted or "a tensor has an unknown type or a negative size"
                continue
            key, storage = key_text(value[0]), key_text(value[1])
            view = _View(storage or "", *known, sizes[:dimensions], sizes[dimensions:-1], sizes[-1])
            self.views[key or "?"] = view
        return sequence.done()

    def listed(self) -> tuple[tuple[TensorRef, ...] | None, str]:
        """Every tensor that the object holds, or why not."""
        if self.program is None or self.program.broken is not None:
            return None, "the object cannot be followed"
        found = []
        for path, key in persistent_paths(self.program.value, self.budget):
            view = self.views.get(key)
            storage = self.storages.get(view.storage) if view is not None else None
            if view is None or storage is None:
                self.unlisted = self.unlisted or f'"{visible(path)}" has no storage that can be found'
                continue
            end = (view.offset + extent(view.shape, view.strides)) * view.itemsize
            if end > storage.size:
                text = f'tensor "{visible(path)}" reaches to byte {end} of a storage of {storage.size}'
                self.notes.add("tensor-out-of-bounds", text, offset=storage.start)
                self.unlisted = self.unlisted or f'"{visible(path)}" lies outside of its storage'
                continue
            found.append(
                placed(path, view.dtype, view.itemsize, storage, view.offset, view.shape, view.strides)
            )
        return (None, self.unlisted) if self.unlisted else (tuple(found), "")


def _storage_type(kind: Value) -> tuple[str, int] | None:
    return DTYPES.get((kind.qualname or "").rpartition(".")[2]) if type(kind) is Global else None


def _tensor_type(kind: Value) -> tuple[str, int] | None:
    """`torch.FloatTensor` → that of `FloatStorage`."""
    name = (kind.qualname or "").rpartition(".")[2] if type(kind) is Global else ""
    return DTYPES.get(f"{name.removesuffix('Tensor')}Storage") if name.endswith("Tensor") else None


class _Sequence:
    """Pickles and raw bytes in turns, as the tar layout has them in one member."""

    def __init__(self, source: Source, budget: Budget, label: str) -> None:
        self.source, self.budget, self.label = source, budget, label
        self.at = 0
        self.parts: list[Part] = []

    def pickle(self) -> PickleProgram:
        program = run(self.source, self.budget, offset=self.at)
        self.budget.spend_members()
        if program.effects:
            end = program.end if program.broken is None else self.source.size
            self.parts.append(
                Part(
                    name=f"{self.label} from byte {self.at}",
                    source=Slice(self.source, self.at, end - self.at),
                    kind="pickle",
                )
            )
        if program.broken is not None:
            raise InputError("truncated", f"the pickle at byte {self.at} breaks: {program.broken.why}")
        self.at = program.end
        return program

    def count(self) -> int:
        value = self.pickle().value
        if not is_count(value):
            raise InputError("bad-header", "a count is no number")
        return int(value)

    def raw(self, length: int) -> bytes:
        data = self.source.read(self.at, length)
        if len(data) < length:
            raise InputError("truncated", f"ends after {self.source.size} bytes")
        self.at += length
        return data

    def skip(self, length: int) -> None:
        if length < 0 or self.at + length > self.source.size:
            raise InputError("truncated", f"ends after {self.source.size} bytes")
        self.at += length

    def done(self) -> list[Part]:
        if self.at < self.source.size:
            raise InputError("trailing-bytes", f"{self.source.size - self.at} bytes behind the last item")
        return self.parts
