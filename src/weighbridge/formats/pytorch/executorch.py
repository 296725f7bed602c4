"""ExecuTorch programs (`.pte`, identifier ET12) and their separate tensors (`.ptd`, identifier FT01).

Follows `schema/program.fbs`, `extended_header.cpp` and `flat_tensor.fbs` of 1.5: a flatbuffer, an optional header at byte 8
that says where the flatbuffer ends and the segments begin, then the segments. The runtime trusts most numbers, so that every
index and extent is held against what it points into. Operators and delegates are collected for the rules; the blob of a
delegate is a part of its own, and so are bytes that nothing refers to. The stack of frames and debug texts are not read.
"""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import program_part
from weighbridge.formats.flatbuffer import Flatbuffer, Table, Vector
from weighbridge.formats.framework import ContradictionError
from weighbridge.formats.membernames import Notes
from weighbridge.formats.reading import Gap, Part, Reading, TensorRef

HEADERS = {b"ET12": b"eh00", b"FT01": b"FH01"}
"""File identifier → the magic of the header behind it."""
MAX_DIMENSIONS = 16
MAX_PADDING = 65_536
"""Zeros between two segments: they are aligned to pages."""
DTYPES: dict[int, tuple[str, int]] = {
    0: ("U8", 1), 1: ("I8", 1), 2: ("I16", 2), 3: ("I32", 4), 4: ("I64", 8), 5: ("F16", 2), 6: ("F32", 4), 7: ("F64", 8),
    11: ("BOOL", 1), 15: ("BF16", 2), 23: ("F8_E5M2", 1), 24: ("F8_E4M3", 1), 27: ("U16", 2), 28: ("U32", 4), 29: ("U64", 8),
}  # fmt: skip
"""`ScalarType` of scalar_type.fbs."""
WIDTHS = {
    **{code: width for code, (_, width) in DTYPES.items()},
    12: 1,
    13: 1,
    14: 4,
    16: 1,
    17: 1,
    22: 2,
    25: 1,
    26: 1,
}
"""Bytes of an item, of the types that have no name here too."""
TENSOR, TENSOR_LIST, OPTIONAL_LIST = 5, 10, 11
KERNEL, DELEGATE, MOVE, JUMP, FREE = 1, 2, 3, 4, 5


class Delegate(NamedTuple):
    """A part of the program that a backend compiled and runs itself."""

    name: str
    plan: str
    options: tuple[tuple[str, bytes], ...] = ()
    """(key, first bytes of the value) of its compile options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorchReading(Reading):
    """One program, or one file of tensors."""

    operators: tuple[str, ...] = ()
    """`aten::add.out`, …"""
    delegates: tuple[Delegate, ...] = ()


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read the file. Raises `InputError` (`not-this-format`) where the identifier is another one."""
    mark = source.read(4, 4)
    if mark not in HEADERS:
        raise InputError("not-this-format", "the file identifier is no one of ExecuTorch")
    work = _Work(source, budget, mark)
    try:
        work.header()
        if mark == b"ET12":
            work.program()
        else:
            work.tensors_file()
    except ContradictionError as error:
        work.notes.add("executorch-malformed", error.message, offset=error.offset)
        work.gaps.append(
            Gap(code="not-read", message=f"{error.message}; what follows was not read", offset=error.offset)
        )
    return work.reading("executorch" if mark == b"ET12" else "flat-tensor")


class _Segment(NamedTuple):
    start: int
    size: int


class _Work:
    """One look through one file."""

    def __init__(self, source: Source, budget: Budget, mark: bytes) -> None:
        self.source, self.budget, self.mark = source, budget, mark
        self.buffer = Flatbuffer(source, budget)
        self.notes, self.gaps = Notes(), list[Gap]()
        self.tensors: list[TensorRef] = []
        self.unlisted = ""
        self.operators: dict[str, None] = {}
        self.delegates: list[Delegate] = []
        self.parts: list[Part] = []
        self.flat_end, self.base = source.size, 0
        self.segments: list[_Segment] = []
        self.offsets: list[list[tuple[int, int]]] = []
        """Of each group of data (0: constants, then mutable ones): (start, bytes left) of each buffer."""
        self._used: list[_Segment] = []

    def bad(self, text: str, offset: int = 0) -> None:
        """A number that leads outside of what it points into."""
        self.notes.add("executorch-out-of-bounds", text, offset=offset)

    def header(self) -> None:
        """The header at byte 8, where there is one; without it there are no segments."""
        if self.source.read(8, 4) != HEADERS[self.mark]:
            return
        length = self.buffer.number(12, 4)
        sizes = [self.buffer.number(16 + 8 * n, 8) for n in range(4 if self.mark == b"FT01" else 2)]
        flat_start, flat_end = (sizes[0], sizes[0] + sizes[1]) if self.mark == b"FT01" else (0, sizes[0])
        self.base = sizes[2] if self.mark == b"FT01" else sizes[1]
        if length < 24 or flat_end > self.source.size or flat_start > flat_end:
            self.bad(f"the header says that the program ends at byte {flat_end} of {self.source.size}", 8)
        elif self.base > self.source.size or (self.base and self.base < flat_end):
            self.bad(f"the header says that segments begin at byte {self.base} of {self.source.size}", 8)
        self.flat_end = min(flat_end, self.source.size)

    def _segments(self, tables: list[Table]) -> None:
        for number, table in enumerate(tables):
            start = self.base + self.buffer.integer(table, 0, 8, signed=False)
            size = self.buffer.integer(table, 1, 8, signed=False)
            if start + size > self.source.size:
                self.bad(f"segment {number} ends at byte {start + size} of {self.source.size}", table.at)
            self.segments.append(_Segment(start, size))

    # -- the program

    def program(self) -> None:
        """Everything that the root table leads to."""
        root = self.buffer.root()
        self._segments(self.buffer.tables(root, 4))
        self.offsets.append(self._inline(root) or self._subsegments(self.buffer.inner(root, 5)))
        self.offsets += [self._subsegments(table) for table in self.buffer.tables(root, 6)]
        inline = [self.buffer.vector(table, 0, 1) for table in self.buffer.tables(root, 3)]
        for table in self.buffer.tables(root, 7):
            if self.buffer.integer(table, 1, signed=False) >= len(self.segments):
                self.bad("named data lies in a segment that there is not", table.at)
        for plan in self.buffer.tables(root, 1):
            self._plan(plan, inline)

    def _inline(self, root: Table) -> list[tuple[int, int]]:
        found = []
        for table in self.buffer.tables(root, 2):
            vector = self.buffer.vector(table, 0, 1)
            found.append((vector.start, vector.items))
        return found

    def _subsegments(self, table: Table | None) -> list[tuple[int, int]]:
        """(start, bytes to the segment's end) of each buffer of a group."""
        if table is None:
            return []
        number = self.buffer.integer(table, 0, signed=False)
        offsets = self.buffer.integers(self.buffer.vector(table, 1, 8), 8, signed=False)
        if not offsets:
            return []
        if number >= len(self.segments):
            self.bad(f"data lies in segment {number} of {len(self.segments)}", table.at)
            return []
        segment = self.segments[number]
        self._used.append(segment)
        for offset in offsets:
            if offset > segment.size:
                self.bad(f"data begins at byte {offset} of a segment of {segment.size}", table.at)
        return [(segment.start + offset, max(0, segment.size - offset)) for offset in offsets]

    def _plan(self, plan: Table, inline: list[Vector]) -> None:
        name = visible(self.buffer.text(plan, 0, 200), 60) or "?"
        values = self.buffer.tables(plan, 2)
        memory = self.buffer.integers(self.buffer.vector(plan, 8, 8), 8)
        if any(size < 0 for size in memory):
            self.bad(f"{name} asks for a negative amount of memory", plan.at)
        for number, value in enumerate(values):
            self._value(value, f"{name}.{number}", len(values), memory)
        for slot in (3, 4):
            self._indices(self.buffer.vector(plan, slot, 4), len(values), f"{name} takes or gives a value")
        operators = self.buffer.tables(plan, 6)
        for operator in operators:
            overload = self.buffer.text(operator, 1, 200)
            self.operators[self.buffer.text(operator, 0, 200) + (f".{overload}" if overload else "")] = None
        delegates = self.buffer.tables(plan, 7)
        for delegate in delegates:
            self._delegate(delegate, name, inline)
        for chain in self.buffer.tables(plan, 5):
            self._chain(chain, name, len(values), len(operators), len(delegates))

    def _indices(self, vector: Vector, limit: int, what: str) -> None:
        for index in self.buffer.integers(vector):
            if not 0 <= index < limit:
                self.bad(f"{what} {index} of {limit}", vector.start)
                return

    def _chain(self, chain: Table, name: str, values: int, operators: int, delegates: int) -> None:
        instructions = self.buffer.tables(chain, 2)
        for number, instruction in enumerate(instructions):
            self.budget.spend_members()
            kind, args = (
                self.buffer.integer(instruction, 0, 1, signed=False),
                self.buffer.inner(instruction, 1),
            )
            if args is None or kind not in (KERNEL, DELEGATE, MOVE, JUMP, FREE):
                self.bad(f"{name} has an instruction {number} of kind {kind}", instruction.at)
                continue
            limits = {
                KERNEL: (operators,), DELEGATE: (delegates,), MOVE: (values, values), JUMP: (values, len(instructions)), FREE: (values,),
            }[kind]  # fmt: skip
            for slot, limit in enumerate(limits):
                index = self.buffer.integer(args, slot)
                if not 0 <= index < limit:
                    self.bad(f"instruction {number} of {name} uses {index} of {limit}", args.at)
            if kind in (KERNEL, DELEGATE):
                self._indices(
                    self.buffer.vector(args, 1, 4), values, f"instruction {number} of {name} uses value"
                )

    def _value(self, value: Table, name: str, values: int, memory: list[int]) -> None:
        kind, inner = self.buffer.integer(value, 0, 1, signed=False), self.buffer.inner(value, 1)
        if inner is None:
            return
        if kind in (TENSOR_LIST, OPTIONAL_LIST):
            for index in self.buffer.integers(self.buffer.vector(inner, 0, 4)):
                if not (-1 if kind == OPTIONAL_LIST else 0) <= index < values:
                    self.bad(f"{name} lists value {index} of {values}", inner.at)
                    return
        elif kind == TENSOR:
            self._tensor(inner, name, memory)

    def _tensor(self, table: Table, name: str, memory: list[int]) -> None:
        """Fields in the order of the schema: type, offset, sizes, order, …, buffer, allocation, layout, dynamism, extra."""
        width = WIDTHS.get(self.buffer.integer(table, 0, 1))
        sizes = self.buffer.integers(self.buffer.vector(table, 2, 4))
        if width is None or len(sizes) > MAX_DIMENSIONS or any(size < 0 for size in sizes):
            self.bad(f"{name} has a type or a size that there is not", table.at)
            return
        order = self.buffer.integers(self.buffer.vector(table, 3, 1), 1, signed=False)
        if order and sorted(order) != list(range(len(sizes))):
            self.bad(f"{name} orders dimensions that it does not have", table.at)
        need = prod(sizes) * width
        index, allocation = self.buffer.integer(table, 5, signed=False), self.buffer.inner(table, 6)
        if allocation is not None:
            self._allocation(allocation, name, need, memory)
        extra = self.buffer.inner(table, 9)
        if index and (extra is None or self.buffer.integer(extra, 2, 1) == 0):
            group = (
                0
                if allocation is None
                else 1 + (self.buffer.integer(extra, 0, 8, signed=False) if extra else 0)
            )
            self._constant(table, extra, name, need, group, index, sizes, order)

    def _allocation(self, table: Table, name: str, need: int, memory: list[int]) -> None:
        where = self.buffer.integer(table, 0, signed=False)
        low, high = self.buffer.integer(table, 1, signed=False), self.buffer.integer(table, 2, signed=False)
        end = (low | high << 32) + need
        if where >= len(memory) or end > memory[where]:
            there = memory[where] if where < len(memory) else 0
            self.bad(f"{name} is put at memory up to byte {end} of {there}", table.at)

    def _constant(
        self,
        table: Table,
        extra: Table | None,
        name: str,
        need: int,
        group: int,
        index: int,
        sizes: list[int],
        order: list[int],
    ) -> None:
        """A tensor whose bytes are in the file."""
        known = self.offsets[group] if group < len(self.offsets) else []
        start, left = known[index] if index < len(known) else (0, -1)
        if need > left:
            self.bad(f"{name} has {need} bytes, its data {max(left, 0)}", table.at)
            return
        label = self.buffer.text(extra, 1, 1024) if extra is not None else ""
        self._list(label or name, self.buffer.integer(table, 0, 1), sizes, order, start)

    def _list(self, name: str, code: int, sizes: list[int], order: list[int], start: int) -> None:
        dtype = DTYPES.get(code)
        if dtype is None or (order and order != sorted(order)):
            self.unlisted = (
                self.unlisted
                or f'"{visible(name)}" has a type or an order of dimensions that is not followed'
            )
            return
        need = prod(sizes) * dtype[1]
        spans = ((start, need),) if need else ()
        if any(ref.name == name for ref in self.tensors[-64:]):
            name = f"{name}~{len(self.tensors)}"
        self.tensors.append(
            TensorRef(name=name, dtype=dtype[0], shape=tuple(sizes), spans=spans, itemsize=dtype[1])
        )
        part = program_part(self.source, start, need, name)
        self.parts += [part] if part is not None else []

    def _delegate(self, table: Table, plan: str, inline: list[Vector]) -> None:
        name = visible(self.buffer.text(table, 0, 200), 60)
        options = []
        for option in self.buffer.tables(table, 2):
            value = self.buffer.vector(option, 1, 1)
            head = self.source.read(value.start, min(value.items, 4096)) if value.items else b""
            options.append((self.buffer.text(option, 0, 200), head))
        self.delegates.append(Delegate(name, plan, tuple(options)))
        data = self.buffer.inner(table, 1)
        if data is None:
            return
        in_segment, index = self.buffer.integer(data, 0, 1), self.buffer.integer(data, 1, signed=False)
        if index >= len(self.segments if in_segment else inline):
            self.bad(f"the delegate {name} has its data at {index}, which is not there", data.at)
            return
        place = self.segments[index] if in_segment else _Segment(*inline[index])
        if in_segment:
            self._used.append(place)
        if place.size and place.start + place.size <= self.source.size:
            self.parts.append(
                Part(name=f"delegate {name}", source=Slice(self.source, place.start, place.size), kind="blob")
            )

    # -- tensors alone

    def tensors_file(self) -> None:
        """A `.ptd`: names, layouts and segments."""
        root = self.buffer.table(self.buffer.number(0, 4), 0)
        self._segments(self.buffer.tables(root, 1))
        for entry in self.buffer.tables(root, 2):
            name, number = self.buffer.text(entry, 0, 1024), self.buffer.integer(entry, 1, signed=False)
            if number >= len(self.segments):
                self.bad(f"{visible(name, 60)} lies in segment {number} of {len(self.segments)}", entry.at)
                continue
            segment, layout = self.segments[number], self.buffer.inner(entry, 2)
            self._used.append(segment)
            if layout is None:
                self.unlisted = self.unlisted or f'"{visible(name)}" is no tensor'
                continue
            sizes = self.buffer.integers(self.buffer.vector(layout, 1, 4))
            order = self.buffer.integers(self.buffer.vector(layout, 2, 1), 1, signed=False)
            width = WIDTHS.get(self.buffer.integer(layout, 0, 1))
            if width is None or any(size < 0 for size in sizes) or prod(sizes) * width > segment.size:
                self.bad(
                    f"{visible(name, 60)} does not fit into its segment of {segment.size} bytes", layout.at
                )
                continue
            self._list(name, self.buffer.integer(layout, 0, 1), sizes, order, segment.start)

    # -- the rest

    def reading(self, kind: str) -> ExecutorchReading:
        """What was seen."""
        if not self.gaps:
            self.parts += self._unused()
        wrong = any(anomaly.code != "executorch-hidden-data" for anomaly in self.notes.all())
        broken = self.unlisted or ("the file contradicts itself" if wrong else "")
        parts = [part for part in self.parts if part.kind != "blob"]
        blobs = [
            Part(name=p.name, source=p.source) for p in self.parts if p.kind == "blob" and _is_known(p.source)
        ]
        return ExecutorchReading(
            format=kind,
            anomalies=self.notes.all(),
            gaps=tuple(self.gaps),
            parts=(*parts, *blobs),
            tensors=None if broken else tuple(self.tensors),
            tensors_unlisted=broken,
            operators=tuple(self.operators),
            delegates=tuple(self.delegates),
        )

    def _unused(self) -> Iterator[Part]:
        """Stretches that neither the flatbuffer nor a segment accounts for, unless they are padding."""
        at = max(self.buffer.end, self.flat_end) if self.flat_end < self.source.size else self.buffer.end
        spans = sorted(
            segment for segment in self.segments if segment.start + segment.size <= self.source.size
        )
        for start, size in [*spans, _Segment(self.source.size, 0)]:
            if start > at and not self._is_padding(at, start - at):
                self.notes.add(
                    "executorch-hidden-data", f"{start - at} bytes that nothing refers to", offset=at
                )
                first = at + self._zeros(at, start - at)
                yield Part(name=f"bytes {first} to {start}", source=Slice(self.source, first, start - first))
            at = max(at, start + size)
        for segment in spans:
            if segment not in self._used and segment.size and not self._is_padding(*segment):
                yield Part(name=f"segment at {segment.start}", source=Slice(self.source, *segment))

    def _zeros(self, start: int, size: int) -> int:
        """How many zeros stand in front: a payload begins behind the padding."""
        head = self.source.read(start, min(size, MAX_PADDING))
        return len(head) - len(head.lstrip(b"\0"))

    def _is_padding(self, start: int, size: int) -> bool:
        return size <= MAX_PADDING and not self.source.read(start, size).strip(b"\0")


def _is_known(source: Source) -> bool:
    """Whether a delegate's blob begins like a program, a pickle or an archive: it is opaque otherwise, and said to be so."""
    return program_part(source, 0, source.size, "blob") is not None
