"""Pickle, protocols 0 to 5: what loading it would import, call and set, found without loading it.

`run` executes one pickle symbolically (`machine`); `read` does so for every pickle of a stream, as `pickle.load` and
as joblib would. Values are nodes to walk, never objects. Nothing that the stream names is imported, and no opinion is
held here about what is safe: `weighbridge.scan.contracts` judges programs.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Slice, Source
from weighbridge.core.value import dataclass
from weighbridge.formats.pickle.executed import Executed
from weighbridge.formats.pickle.machine import Machine
from weighbridge.formats.pickle.opcodes import NAMES, run
from weighbridge.formats.pickle.program import Break, PickleProgram, RawArray, nested_bytes
from weighbridge.formats.pickle.stream import OPCODE_COST
from weighbridge.formats.pickle.values import (
    Blob,
    Buffer,
    Call,
    Change,
    Dict,
    Extension,
    FrozenSet,
    Global,
    List,
    Opaque,
    Persistent,
    Set,
    Value,
    described,
    is_constant,
    pairs_of,
    walk,
)
from weighbridge.formats.reading import Gap, Part, Reading, TensorRef

__all__ = [
    "NAMES", "Blob", "Break", "Buffer", "Call", "Change", "Dict", "Extension", "FrozenSet", "Global", "List", "Machine",
    "Opaque", "Persistent", "PickleProgram", "PickleReading", "RawArray", "Set", "Value", "described", "is_constant",
    "nested_bytes", "nested_parts", "pairs_of", "program_gaps", "read", "run", "walk",
]  # fmt: skip

TORCH_MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of a torch file of before 1.6 (torch/serialization.py, MAGIC_NUMBER)."""
MAX_PROGRAMS = 10_000
"""Pickles in one stream."""
MAX_CONSTANTS = 256
"""Pickles of mere constants that are passed over to find out whether bytes without a header are pickles at all."""
BLOCK = 512
"""Bytes of a block of `dbm.dumb`, the plainest file behind `shelve`."""
PADDING = 4096
"""Zeros or white space behind the last pickle that are only padding."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class PickleReading(Reading):
    """A stream of pickles. Readings of containers whose loader unpickles (torch) may be of this type too."""

    programs: tuple[PickleProgram, ...] = ()
    """In the order in which a loader that reads on would run them."""
    others: tuple[PickleProgram, ...] = ()
    """What another plausible loader would run instead, where that differs: plain `pickle.load` of a joblib file."""

    def all_programs(self) -> Iterator[PickleProgram]:
        """Every program of every view, nested ones included."""
        todo = [*self.programs, *self.others]
        while todo:
            program = todo.pop(0)
            yield program
            todo = [*program.nested, *todo]


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read a stream of pickles. Raises `InputError` (`not-this-format`) where no loader would do anything with it."""
    first, registry = _first(source, budget)
    if not _loads(first, source) and not _leads_on(first, source, budget):
        raise InputError("not-this-format", "an unpickler refuses it before it does anything")
    if first.broken is None and type(first.value) is int and first.value == TORCH_MAGIC:
        return _torch_legacy(source, budget, name)
    programs, gaps = _rest(source, budget, first, registry)
    others = _other_views(source, budget, first)
    return _reading(source, programs, others, gaps)


def _first(source: Source, budget: Budget) -> tuple[PickleProgram, dict[int, Value]]:
    """The first pickle: already executed by whoever handed the source on, where no array of joblib's stands in it."""
    from weighbridge.formats.joblib import hook, is_wrapper

    if isinstance(source, Executed) and not any(is_wrapper(call) for call in source.program.calls):
        return source.program, source.registry
    registry: dict[int, Value] = {}
    return run(source, budget, hook=hook, registry=registry), registry


def _torch_legacy(source: Source, budget: Budget, name: str) -> Reading:
    reading: Reading = import_module("weighbridge.formats.pytorch.legacy").read_legacy(source, budget, name)
    return reading


def _rest(
    source: Source, budget: Budget, first: PickleProgram, registry: dict[int, Value]
) -> tuple[list[PickleProgram], list[Gap]]:
    """Further pickles of the stream, and what is left when one does not load."""
    from weighbridge.formats.joblib import hook

    programs = [first]
    held = first.opcodes
    while programs[-1].broken is None and not _only_padding(source, programs[-1].end):
        end = programs[-1].end
        if len(programs) >= MAX_PROGRAMS:
            return programs, [
                Gap(
                    code="limit-members",
                    message=f"more than {MAX_PROGRAMS} pickles in one stream",
                    offset=end,
                )
            ]
        budget.spend_members()
        budget.need_memory(OPCODE_COST * held, "the objects of these pickles")
        start = _next_block(source, end)
        program = run(source, budget, offset=start, hook=hook, registry=registry)
        if program.broken is not None and not program.calls and not _imports(program):
            left = source.size - end
            return programs, [
                Gap(
                    code="trailing-bytes", message=f"{left} bytes behind the pickle are no pickle", offset=end
                )
            ]
        programs.append(program)
        held += program.opcodes
    return programs, list(program_gaps(programs[-1]))


def _next_block(source: Source, end: int) -> int:
    """Where the next pickle of a shelf begins: `dbm.dumb` fills each record up with zeros to a whole block."""
    start = -(-end // BLOCK) * BLOCK
    return start if start < source.size and not source.read(end, start - end).strip(b"\0") else end


def _other_views(source: Source, budget: Budget, first: PickleProgram) -> tuple[PickleProgram, ...]:
    """What other plausible loaders make of the same bytes, where that differs."""
    from weighbridge.formats.joblib import is_wrapper

    views = []
    if any(is_wrapper(call) for call in first.calls):
        plain = run(source, budget, view="plain pickle.load")
        if len(plain.calls) > _before(first) or plain.broken is None:
            views.append(plain)
    codes = {anomaly.code for anomaly in first.anomalies}
    if codes & {"frame-crossed", "frame-in-frame"}:
        views.append(run(source, budget, view="pickle.load from an unbuffered file", drops=True))
    if "frame-past-stop" in codes and first.frame_end < source.size:
        views.append(run(source, budget, offset=first.frame_end, view="a second pickle.load"))
    return tuple(views)


def _before(program: PickleProgram) -> int:
    """Calls that both views make before the first array."""
    starts = [a.offset for a in program.arrays] + [p.start for p in program.nested]
    first = min(starts) if starts else program.end
    return sum(call.offset < first for call in program.calls)


def _reading(
    source: Source, programs: list[PickleProgram], others: tuple[PickleProgram, ...], gaps: list[Gap]
) -> PickleReading:
    joblib = any(
        (g.module or "").startswith(("joblib.", "sklearn.externals.joblib.")) for g in programs[0].globals
    )
    reading = PickleReading(
        format="joblib" if joblib else "pickle",
        programs=tuple(programs),
        others=others,
        gaps=tuple(gaps),
        parts=tuple(part for program in programs for part in nested_parts(program)),
    )
    seen = [program for one in programs for program in (one, *one.nested)]
    anomalies = tuple(anomaly for program in seen for anomaly in program.anomalies)
    held, unlisted = None, ""
    if any(p.arrays or any(g.qualname in _ARRAYS for g in p.globals) for p in seen):
        held, unlisted = _arrays(programs)
    return replace(reading, anomalies=anomalies, tensors=held, tensors_unlisted=unlisted)


def _arrays(programs: list[PickleProgram]) -> tuple[tuple[TensorRef, ...] | None, str]:
    """The arrays of one pickle: joblib's between the opcodes, and those that are pickled themselves."""
    from weighbridge.formats.joblib import names_of, tensors
    from weighbridge.formats.pickle.arrays import listed

    if len(programs) > 1 or programs[0].broken is not None:
        return None, "arrays of several pickles, or of one that breaks, are not listed"
    every = [programs[0], *programs[0].nested]
    return listed(every, names_of(programs[0]), tensors(programs[0]))


_ARRAYS = frozenset(
    {"ndarray", "_reconstruct", "_frombuffer", "_rebuild_tensor_v2", "_load_from_bytes", "_mareconstruct"}
)


def program_gaps(program: PickleProgram) -> Iterator[Gap]:
    """What is left unread where a program breaks."""
    broken = program.broken
    if broken is not None and broken.code.startswith("limit-"):
        yield Gap(code=broken.code, message=broken.why, offset=broken.offset)
    elif broken is not None:
        opcode = NAMES.get(broken.opcode, "an unknown opcode")
        yield Gap(
            code=broken.code, message=f"the pickle breaks at {opcode}: {broken.why}", offset=broken.offset
        )


def nested_parts(program: PickleProgram) -> Iterator[Part]:
    """Bytes that the program hands to another loader, to be examined like a file; the same bytes once."""
    seen: set[object] = set()
    for call, content in nested_bytes(program):
        same = content if isinstance(content, bytes) else id(content)
        if same in seen:
            continue
        seen.add(same)
        inner: Source = (
            MemorySource(content)
            if isinstance(content, bytes)
            else Slice(content.source, content.offset, content.size)
        )
        yield Part(name=f"bytes for opcode {call.index}", source=inner)


# ---- is it a pickle at all

_STDLIB = frozenset(sys.stdlib_module_names)


def _loads(program: PickleProgram, source: Source) -> bool:
    """Whether a loader would do something with it: return a value, make a call, or import a module there is."""
    if program.protocol >= 2 and program.opcodes > 1:
        return True
    if program.calls or program.changes:
        return True
    if program.broken is None:
        return program.effects or _only_padding(source, program.end)
    return _imports(program)


def _leads_on(program: PickleProgram, source: Source, budget: Budget) -> bool:
    """Whether a loader that reads on comes to a pickle that calls something, behind some that only hold constants."""
    for _ in range(MAX_CONSTANTS):
        if program.broken is not None or program.end >= source.size:
            return False
        program = run(source, budget, offset=program.end)
        if program.calls or program.changes:
            return True
    return False


def _imports(program: PickleProgram) -> bool:
    """Whether a broken program imports something: a module of Python's own, or from bytes that are no text."""
    tops = {(g.module or "").partition(".")[0] for g in program.globals if _is_name(g)}
    return bool(tops & _STDLIB) or (bool(tops) and program.protocol >= 2)


def _is_name(found: Global) -> bool:
    return all(word.isidentifier() for word in f"{found.module}.{found.qualname}".split("."))


def _only_padding(source: Source, offset: int) -> bool:
    left = source.size - offset
    return left <= PADDING and not source.read(offset, left).strip(b"\0 \t\r\n")
