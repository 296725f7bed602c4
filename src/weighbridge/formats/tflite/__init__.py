"""TensorFlow Lite (`.tflite`): operators, tensors and buffers of every subgraph, held against the file and each other.

Says which operators a model calls, built in or by name, and where its tensors lie. Shapes are not inferred and nothing is
run. A zip of associated files behind the model belongs to the format and is read by the zip reader; other bytes behind it
are a gap. Schema: `weighbridge.formats.tflite.schema`; the buffer's form: `weighbridge.formats.flatbuffer`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import program_part
from weighbridge.formats.flatbuffer import Flatbuffer, Table, Vector
from weighbridge.formats.framework import ContradictionError, product
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef
from weighbridge.formats.tflite.schema import (
    BUILTINS,
    CUSTOM,
    OPTION_2_TEXTS,
    OPTION_2_VECTORS,
    OPTION_TEXTS,
    OPTION_VECTORS,
    PLACEHOLDER,
    RESOURCE,
    STRIDES,
    STRING,
    SUBGRAPH_LISTS_2,
    SUBGRAPHS,
    SUBGRAPHS_2,
    TYPES,
    VARIANT,
)

MAGIC = b"TFL3"
MAX_ANOMALIES = 100
MAX_PARTS = 1000
MAX_PADDING = 64
"""Zeros behind the model that are no data."""
MAX_DIMS = 64
MAX_OPTIONS = 64 * 1024
MAX_TEXTS = 1000
_TEXT = late(rb"[\x20-\x7e]{6,2000}")


class LiteOperator(NamedTuple):
    """One kind of operator that the model calls."""

    name: str
    """The built-in's name, or the custom operator's own."""
    custom: bool
    times: int
    """How often it is called; 0 for one that is only listed."""
    offset: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TfliteReading(Reading):
    """What the model calls."""

    operators: tuple[LiteOperator, ...] = ()
    version: int = 0
    texts: tuple[str, ...] = ()
    """Readable texts in the model's description and in the options of custom operators."""
    files: tuple[str, ...] = ()
    """Files outside of the model that its tensors lie in."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Walk the model. `InputError`: `not-this-format`."""
    if source.read(4, 4) != MAGIC:
        raise InputError("not-this-format", "no identifier of TensorFlow Lite")
    return _Model(source=source, budget=budget).reading()


class _Buffer(NamedTuple):
    start: int
    length: int


@dataclass(slots=True, kw_only=True)
class _Model:
    source: Source
    budget: Budget
    flat: Flatbuffer = field(init=False)
    anomalies: list[Anomaly] = field(default_factory=list)
    codes: list[LiteOperator] = field(default_factory=list)
    calls: Counter[int] = field(default_factory=Counter)
    first: dict[int, int] = field(default_factory=dict)
    buffers: list[_Buffer] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """What each buffer is used for, for the parts' names."""
    tensors: list[TensorRef] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    edges: dict[int, set[int]] = field(default_factory=dict)
    """Subgraph → subgraphs that its operators call."""
    subgraphs: int = 0
    version: int = 0
    files: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    more: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.flat = Flatbuffer(self.source, self.budget)

    def reading(self) -> TfliteReading:
        """The whole model; what cannot be followed ends it with a gap."""
        gaps: list[Gap] = []
        try:
            self._model()
        except ContradictionError as error:
            self.anomalies.append(error.anomaly())
            gaps.append(error.gap())
        else:
            gaps += self._behind()
        why = gaps[0].message if gaps else ""
        why = why or (
            f"{len(self.left)} tensors lie elsewhere, or in a form of their own" if self.left else ""
        )
        return TfliteReading(
            format="tflite",
            version=self.version,
            operators=tuple(
                code._replace(times=self.calls[index], offset=self.first.get(index))
                for index, code in enumerate(self.codes)
            ),
            files=tuple(self.files),
            texts=tuple(dict.fromkeys(self.texts)),
            anomalies=tuple(self.anomalies),
            gaps=tuple(gaps),
            parts=tuple(self._parts()),
            tensors=None if why else tuple(self.tensors),
            tensors_unlisted=why,
            tensors_found=tuple(self.tensors) if why else (),
            tensors_left=tuple(self.left),
        )

    def odd(self, code: str, message: str, offset: int | None = None, part: str = "") -> None:
        """Note one anomaly."""
        if len(self.anomalies) < MAX_ANOMALIES:
            self.anomalies.append(Anomaly(code=code, message=message, offset=offset, part=visible(part, 80)))

    def _behind(self) -> list[Gap]:
        """Bytes behind everything that the model reaches: zeros, a zip, or nobody's."""
        end, size = self.flat.end, self.source.size
        if size - end <= MAX_PADDING and not self.source.read(end, size - end).strip(b"\0"):
            return []
        start = self.source.read(end, MAX_PADDING).lstrip(b"\0")
        if start.startswith(b"PK\x03\x04"):
            return []
        message = f"{size - end} bytes behind the model's end"
        self.odd("trailing-bytes", message, end)
        return [Gap(code="trailing-bytes", message=message, offset=end)]

    # -- the model

    def _model(self) -> None:
        flat, root = self.flat, self.flat.root()
        self.version = flat.integer(root, 0, signed=False)
        self.codes = [self._code(table) for table in flat.tables(root, 1)]
        self.texts.append(flat.text(root, 3))
        self._buffers(root)
        self._metadata(root)
        self._externals(root)
        subgraphs = flat.tables(root, 2)
        self.subgraphs = len(subgraphs)
        if not subgraphs:
            self.odd("structure-invalid", "a model without a subgraph", root.at)
        for number, table in enumerate(subgraphs):
            self._subgraph(table, number)
        for table in flat.tables(root, 7):
            self._signature(table)
        self._cycles()

    def _code(self, table: Table) -> LiteOperator:
        old = self.flat.integer(table, 0, 1)
        code = max(old, self.flat.integer(table, 3)) if old >= PLACEHOLDER or table.field(3) else old
        custom = self.flat.text(table, 1)
        if code == CUSTOM:
            return LiteOperator(custom, custom=True, times=0)
        known = 0 <= code < len(BUILTINS)
        return LiteOperator(BUILTINS[code] if known else f"built-in {code}", custom=False, times=0)

    def _buffers(self, root: Table) -> None:
        flat = self.flat
        for number, table in enumerate(flat.tables(root, 4)):
            held = flat.vector(table, 0, 1)
            offset = flat.integer(table, 1, 8, signed=False)
            size = flat.integer(table, 2, 8, signed=False)
            if offset > 1:
                # Models above two gigabytes keep their data behind the flatbuffer.
                if offset + size > self.source.size:
                    message = f"buffer {number} of {size} bytes at byte {offset} ends behind the file"
                    raise ContradictionError("out-of-file", message, table.at)
                flat.end = max(flat.end, offset + size)
                held = Vector(offset, size)
            if number == 0 and held.items:
                self.odd("buffer-zero", "the buffer that stands for none holds data", table.at)
            self.buffers.append(_Buffer(held.start, held.items))
        self.names = [f"buffer {number}" for number in range(len(self.buffers))]

    def _metadata(self, root: Table) -> None:
        flat = self.flat
        used = flat.integers(flat.vector(root, 5, 4))
        for table in flat.tables(root, 6):
            name = flat.text(table, 0)
            index = flat.integer(table, 1, signed=False)
            used.append(index)
            if 0 <= index < len(self.names):
                self.names[index] = f"metadata {name}"
        for index in used:
            if not 0 <= index < len(self.buffers):
                self.odd("index-out-of-range", f"metadata in buffer {index} of {len(self.buffers)}", root.at)

    def _externals(self, root: Table) -> None:
        flat = self.flat
        self.files = [flat.text(table, 0) for table in flat.tables(root, 8)]
        for table in flat.tables(root, 9):
            flat.text(table, 4)
            group = flat.integer(table, 1, signed=False)
            if group >= len(self.files):
                self.odd(
                    "index-out-of-range", f"external buffer in file {group} of {len(self.files)}", table.at
                )

    def _signature(self, table: Table) -> None:
        flat = self.flat
        flat.text(table, 2)
        for slot in (0, 1):
            for entry in flat.tables(table, slot):
                flat.text(entry, 0)
        index = flat.integer(table, 4, signed=False)
        if index >= max(1, self.subgraphs):
            self.odd("index-out-of-range", f"a signature of subgraph {index} of {self.subgraphs}", table.at)

    # -- subgraphs

    def _subgraph(self, table: Table, number: int) -> None:
        flat = self.flat
        tensors = flat.tables(table, 0)
        prefix = f"subgraph {number}/" if number else ""
        for index, tensor in enumerate(tensors):
            self._tensor(tensor, prefix, index)
        flat.text(table, 4)
        for slot in (1, 2):
            self._indices(flat.vector(table, slot, 4), len(tensors), f"subgraph {number}", optional=False)
        for index, operator in enumerate(flat.tables(table, 3)):
            self._operator(operator, len(tensors), number, f"{prefix}operator {index}")

    def _indices(self, vector: Vector, count: int, where: str, *, optional: bool = True) -> None:
        """Tensor numbers: each in range, or -1 for an input that is left out."""
        for index in self.flat.integers(vector):
            if not -optional <= index < count:
                message = f"tensor {index} of {count}"
                raise ContradictionError("index-out-of-range", message, vector.start, where)

    def _operator(self, table: Table, tensors: int, subgraph: int, where: str) -> None:
        flat = self.flat
        code = flat.integer(table, 0, signed=False)
        if code >= len(self.codes):
            message = f"operator code {code} of {len(self.codes)}"
            raise ContradictionError("index-out-of-range", message, table.at, where)
        self.calls[code] += 1
        self.first.setdefault(code, table.at)
        for slot in (1, 2, 8):
            self._indices(flat.vector(table, slot, 4), tensors, where)
        self._custom_options(flat.vector(table, 5, 1), self.codes[code], where)
        flat.vector(table, 7, 1)
        self._large_options(table, where)
        self._options(table, (3, 4), OPTION_VECTORS, OPTION_TEXTS, SUBGRAPHS, subgraph, where)
        self._options(table, (11, 12), OPTION_2_VECTORS, OPTION_2_TEXTS, SUBGRAPHS_2, subgraph, where)

    def _custom_options(self, vector: Vector, code: LiteOperator, where: str) -> None:
        """Bytes that a custom operator parses by itself: readable texts in them, and programs."""
        if not code.custom or not vector.items:
            return
        part = program_part(self.source, vector.start, vector.items, f"options of {where}")
        self.more += [part] if part is not None and len(self.more) < MAX_PARTS else []
        data = self.source.read(vector.start, min(vector.items, MAX_OPTIONS))
        self.budget.spend_bytes(len(data))
        room = MAX_TEXTS - len(self.texts)
        self.texts += [
            match[0].decode("ascii") for match, _ in zip(_TEXT.finditer(data), range(room), strict=False)
        ]

    def _large_options(self, table: Table, where: str) -> None:
        offset = self.flat.integer(table, 9, 8, signed=False)
        size = self.flat.integer(table, 10, 8, signed=False)
        if offset > 1:
            if offset + size > self.source.size:
                message = f"options of {size} bytes at byte {offset} end behind the file"
                raise ContradictionError("out-of-file", message, table.at, where)
            self.flat.end = max(self.flat.end, offset + size)

    def _options(
        self,
        table: Table,
        slots: tuple[int, int],
        vectors: Mapping[int, Mapping[int, int]],
        texts: Mapping[int, tuple[int, ...]],
        graphs: Mapping[int, tuple[int, ...]],
        subgraph: int,
        where: str,
    ) -> None:
        """The options of a built-in operator: what they lead to, and the numbers that must not be wrong."""
        flat = self.flat
        kind = flat.integer(table, slots[0], 1, signed=False)
        options = flat.inner(table, slots[1]) if kind else None
        if options is None:
            return
        for slot, width in vectors.get(kind, {}).items():
            flat.vector(options, slot, width)
        for slot in texts.get(kind, ()):
            flat.text(options, slot)
        for slot in graphs.get(kind, ()):
            self._calls(subgraph, flat.integer(options, slot), options.at, where)
        if vectors is OPTION_2_VECTORS and kind in SUBGRAPH_LISTS_2:
            for index in flat.integers(flat.vector(options, SUBGRAPH_LISTS_2[kind], 4)):
                self._calls(subgraph, index, options.at, where)
        if vectors is OPTION_VECTORS:
            for slot in STRIDES.get(kind, ()):
                if flat.integer(options, slot) <= 0:
                    self.odd("zero-stride", "a stride of zero, by which kernels divide", options.at, where)

    def _calls(self, subgraph: int, index: int, offset: int, where: str) -> None:
        if not 0 <= index < self.subgraphs:
            message = f"subgraph {index} of {self.subgraphs}"
            raise ContradictionError("index-out-of-range", message, offset, where)
        self.edges.setdefault(subgraph, set()).add(index)

    def _cycles(self) -> None:
        """Subgraphs that call each other in a circle never end."""
        done: set[int] = set()
        for start in self.edges:
            stack, path = [(start, False)], set[int]()
            while stack:
                index, leaving = stack.pop()
                if leaving:
                    path.discard(index)
                    done.add(index)
                elif index in path:
                    self.odd("subgraph-cycle", f"subgraph {index} calls itself")
                    return
                elif index not in done:
                    path.add(index)
                    stack.append((index, True))
                    stack += [(inner, False) for inner in self.edges.get(index, ())]

    # -- tensors

    def _tensor(self, table: Table, prefix: str, index: int) -> None:
        flat = self.flat
        name = prefix + (flat.text(table, 3) or f"tensor {index}")
        shape = self._shape(flat.vector(table, 0, 4), name, table.at)
        flat.vector(table, 7, 4)
        self._quantization(flat.inner(table, 4))
        sparse = self._sparsity(flat.inner(table, 6))
        for variant in flat.tables(table, 9):
            flat.vector(variant, 0, 4)
        number = flat.integer(table, 2, signed=False)
        if number >= max(1, len(self.buffers)):
            message = f"buffer {number} of {len(self.buffers)}"
            raise ContradictionError("index-out-of-range", message, table.at, name)
        if flat.integer(table, 10, signed=False):
            self.left.append((name, "it lies in a file of its own"))
        if number and self.buffers and self.buffers[number].length:
            self._data(table, name, shape, number, sparse=sparse)

    def _shape(self, vector: Vector, name: str, offset: int) -> tuple[int, ...]:
        if vector.items > MAX_DIMS:
            raise ContradictionError("too-many-dims", f"a tensor of {vector.items} dimensions", offset, name)
        shape = tuple(self.flat.integers(vector))
        product(shape, limit=2**48, where=name, offset=offset)
        return shape

    def _data(self, table: Table, name: str, shape: tuple[int, ...], number: int, *, sparse: bool) -> None:
        buffer, kind = self.buffers[number], self.flat.integer(table, 1, 1)
        self.names[number] = f"tensor {name}"
        if kind not in TYPES:
            if kind not in (STRING, RESOURCE, VARIANT):
                self.odd("type-invalid", f"a tensor of the type {kind}", table.at, name)
            elif kind != STRING:
                self.odd("constant-opaque", "a constant that is a handle or an object", table.at, name)
            return
        dtype, bits = TYPES[kind]
        size = (product(shape) * bits + 7) // 8
        if sparse:
            self.left.append((name, "it is stored as a sparse tensor"))
        elif size != buffer.length:
            self.odd(
                "size-mismatch", f"a tensor of {size} bytes in a buffer of {buffer.length}", table.at, name
            )
        elif bits % 8:
            self.left.append((name, f"its items have {bits} bits"))
        else:
            self.tensors.append(
                TensorRef(name, dtype, shape, ((buffer.start, buffer.length),), None, bits // 8)
            )

    def _quantization(self, table: Table | None) -> None:
        if table is None:
            return
        for slot, width in ((0, 4), (1, 4), (2, 4), (3, 8)):
            self.flat.vector(table, slot, width)
        details = self.flat.inner(table, 5)
        if details is not None:
            self.flat.vector(details, 0, 1)

    def _sparsity(self, table: Table | None) -> bool:
        if table is None:
            return False
        for slot in (0, 1):
            self.flat.vector(table, slot, 4)
        for dimension in self.flat.tables(table, 2):
            for kind_slot, slot in ((2, 3), (4, 5)):
                width = {1: 4, 2: 2, 3: 1}.get(self.flat.integer(dimension, kind_slot, 1, signed=False))
                inner = self.flat.inner(dimension, slot) if width else None
                if inner is not None and width:
                    self.flat.vector(inner, 0, width)
        return True

    def _parts(self) -> list[Part]:
        found: list[Part] = self.more
        for buffer, name in zip(self.buffers, self.names, strict=False):
            if buffer.length and len(found) < MAX_PARTS:
                part = program_part(self.source, buffer.start, buffer.length, name)
                found += [part] if part is not None else []
        return found
