"""PaddlePaddle: programs (`.pdmodel`, `__model__`: ProgramDesc of framework.proto, paddle 3.3) and their parameters.

Says which operators a program calls and which strings its attributes hold, and where each tensor of a parameter file
(`.pdiparams`: DenseTensor streams behind each other, whose names stand in the program) lies. Programs of the newer
intermediate representation are JSON (`inference.json`); `json_calls` finds the operators in those. `.pdparams` and
`.pdopt` are pickles and no business of this reader.
"""

from collections.abc import Iterator
from dataclasses import field
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import program_part
from weighbridge.formats.framework import (
    MAX_TEXTS,
    Call,
    ContradictionError,
    Cursor,
    FrameworkReading,
    Text,
    counted_calls,
    product,
)
from weighbridge.formats.framework.sniff import MAX_LOD, starts_like_paddle_parameters
from weighbridge.formats.protobuf import LENGTH, Field, Wire, signed
from weighbridge.formats.protowalk import ProtoWalk, flaws
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef

SCHEMA: dict[str, dict[int, str]] = {
    "Program": {1: "Block", 2: "skip", 3: "OpVersions", 4: "Version", 5: "OpVersions"},
    "Version": {1: "int"},
    "OpVersions": {1: "skip", 2: "text"},
    "Block": {1: "int", 2: "int", 3: "Var", 4: "Op", 5: "int"},
    "Var": {1: "text", 2: "VarType", 3: "int", 4: "int", 5: "int", 6: "int", 7: "VarAttr"},
    "VarAttr": {1: "text", 2: "int", 3: "int", 4: "text", 5: "int"},
    "VarType": {1: "int", 2: "skip", 3: "skip", 4: "skip", 5: "skip", 7: "skip", 8: "skip", 9: "skip", 10: "skip", 11: "skip", 12: "skip"},
    "Op": {1: "OpVar", 2: "OpVar", 3: "text", 4: "Attr", 5: "int"},
    "OpVar": {1: "text", 2: "text"},
    "Attr": {
        1: "text", 2: "int", 3: "int", 4: "fixed", 5: "text", 6: "int", 7: "fixed", 8: "text", 10: "int", 11: "int",
        12: "int", 13: "int", 14: "int", 15: "int", 16: "fixed", 17: "text", 18: "text", 19: "fixed", 20: "skip", 21: "skip",
    },
}  # fmt: skip
"""`int` and `fixed` are also packed; a packed field is length-delimited, and the walk lets both pass."""

BLOCK_INDEX, BLOCK_INDICES, STRING, STRINGS = 12, 14, 5, 8
CALLSTACK = "op_callstack"
"""The attribute that holds the Python lines which made the operator; paddle only prints it."""

DTYPES: dict[int, tuple[str, int]] = {
    0: ("BOOL", 1), 1: ("I16", 2), 2: ("I32", 4), 3: ("I64", 8), 4: ("F16", 2), 5: ("F32", 4), 6: ("F64", 8),
    19: ("U64", 8), 20: ("U8", 1), 21: ("I8", 1), 22: ("BF16", 2), 23: ("C64", 8), 24: ("C128", 16),
    32: ("F8_E4M3", 1), 33: ("F8_E5M2", 1), 36: ("U16", 2), 37: ("U32", 4), 38: ("U64", 8),
}  # fmt: skip
MAX_DESCRIPTION = 4096

DIALECTS = {"0": "builtin", "1": "pd_op", "2": "cf", "3": "custom_op", "4": "dist_op", "p": "builtin"}
"""Shortened dialect names of the JSON form."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """A program, or a parameter file. `InputError`: `not-this-format`."""
    if starts_like_paddle_parameters(source.read(0, 64)):
        return _parameters(source, budget, promised=name.endswith((".pdiparams", "__params__")))
    program = _Program(walk=ProtoWalk(source=source, budget=budget, schema=SCHEMA))
    return program.reading(source.size)


@dataclass(slots=True, kw_only=True)
class _Program:
    walk: ProtoWalk
    calls: list[Call] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    blocks: int = 0
    used: list[tuple[int, int]] = field(default_factory=list)
    """(block index, offset) that an operator's attribute names."""

    def reading(self, size: int) -> FrameworkReading:
        anomalies, gaps = flaws(lambda: self._program(size), lambda: bool(self.calls), "paddle program")
        if not self.calls and not self.blocks:
            raise InputError("not-this-format", "no block of a paddle program")
        return FrameworkReading(
            format="paddle",
            anomalies=(*anomalies, *self.walk.anomalies),
            gaps=gaps,
            calls=counted_calls(self.calls),
            texts=tuple(self.texts[:MAX_TEXTS]),
        )

    def _program(self, size: int) -> None:
        for item in self.walk.each("Program", 0, size):
            if item.number == 1:
                self._block(item)
                self.blocks += 1
        for index, offset in self.used:
            if not 0 <= index < self.blocks:
                raise ContradictionError(
                    "index-out-of-range", f"an operator calls block {index} of {self.blocks}", offset
                )

    def _block(self, item: Field) -> None:
        for part in self.walk.each("Block", item.start, item.end, 1):
            if part.number == 4 and part.wire == LENGTH:
                self._op(part)
            elif part.number == 3:
                self.walk.check("Var", part.start, part.end, 2)

    def _op(self, item: Field) -> None:
        name, attributes = "", []
        for part in self.walk.each("Op", item.start, item.end, 2):
            if part.number == 3:
                name = self.walk.text(part)
            elif part.number == 4:
                attributes.append(part)
        self.calls.append(Call(name, f"operator {visible(name, 80)}", item.start))
        for part in attributes:
            self._attribute(part, name)

    def _attribute(self, item: Field, op: str) -> None:
        key, values = "", []
        for part in self.walk.each("Attr", item.start, item.end, 3):
            if part.number == 1:
                key = self.walk.text(part)
            elif part.number in (STRING, STRINGS):
                values.append(Text(self.walk.text(part), f"operator {visible(op, 60)}", part.start))
            elif part.number in (BLOCK_INDEX, BLOCK_INDICES):
                self.used += [(index, part.start) for index in self.walk.numbers(part)]
        if key != CALLSTACK:
            where = f"operator {visible(op, 60)}, attribute {visible(key, 60)}"
            self.texts += [value._replace(where=where) for value in values]


def _parameters(source: Source, budget: Budget, *, promised: bool) -> FrameworkReading:
    """Tensor behind tensor to the last byte; their names stand in the program, so that they are numbered here."""
    cursor = Cursor(source, budget)
    tensors: list[TensorRef] = []
    parts: list[Part] = []
    anomalies: tuple[Anomaly, ...] = ()
    gaps: tuple[Gap, ...] = ()
    try:
        while cursor.left:
            budget.spend_members()
            tensor = _tensor(cursor, source, budget, f"parameter {len(tensors)}")
            part = program_part(source, *tensor.spans[0], tensor.name)
            parts += [part] if part else []
            tensors.append(tensor)
    except ContradictionError as error:
        if not (tensors or promised):
            raise InputError("not-this-format", f"no paddle parameters: {error.message}") from None
        anomalies, gaps = (error.anomaly(),), (error.gap(),)
    return FrameworkReading(
        format="paddle-params",
        anomalies=anomalies,
        gaps=gaps,
        parts=tuple(parts),
        tensors=None if gaps else tuple(tensors),
        tensors_unlisted=gaps[0].message if gaps else "",
    )


def _tensor(cursor: Cursor, source: Source, budget: Budget, name: str) -> TensorRef:
    at = cursor.at
    version = cursor.number("I", "a version")
    levels = cursor.number("Q", "levels of detail")
    if version or levels > MAX_LOD:
        raise ContradictionError(
            "count-overflow", f"no tensor: version {version}, {levels} levels of detail", at
        )
    for _ in range(levels):
        cursor.skip(cursor.count("Q", 1, "a level of detail"))
    if cursor.number("I", "a version"):
        raise ContradictionError("offset-invalid", "no tensor begins here", at)
    length = cursor.count("i", 1, "a tensor description")
    if length > MAX_DESCRIPTION:
        raise ContradictionError("length-overflow", f"a tensor description of {length} bytes", at)
    kind, dims = _description(source, budget, cursor.skip(length), length)
    if kind not in DTYPES:
        raise ContradictionError("type-invalid", f"data type {kind} is none of a tensor", at)
    dtype, width = DTYPES[kind]
    size = product(dims, where=name, offset=at) * width
    return TensorRef(name, dtype, dims, ((cursor.skip(size, "a tensor"), size),), None, width)


def _description(source: Source, budget: Budget, start: int, length: int) -> tuple[int, tuple[int, ...]]:
    kind, dims = -1, list[int]()
    wire = Wire(source, budget)
    try:
        for item in wire.fields(start, start + length):
            if item.number == 1:
                kind = item.value
            elif item.number == 2:
                values = wire.varints(item.start, item.end) if item.wire == LENGTH else (item.value,)
                dims += [signed(value) for value in values]
    except InputError as error:
        raise ContradictionError(
            "offset-invalid", f"a tensor description is broken: {error.message}", start
        ) from None
    return kind, tuple(dims)


def json_program(value: Any) -> bool:
    """Whether a JSON document is a program of paddle's newer intermediate representation."""
    base = value.get("base_code") if isinstance(value, dict) else None
    return isinstance(base, dict) and base.get("magic") == "pir" and "program" in value


def json_calls(value: Any) -> Iterator[Call]:
    """The operators of such a program, under their full names (`pd_op.matmul`)."""
    stack: list[Any] = [value.get("program")]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += reversed(item)
        elif isinstance(item, dict):
            ops = item.get("ops")
            for op in ops if isinstance(ops, list) else ():
                if isinstance(op, dict):
                    yield Call(_full_name(op.get("#")), "")
            stack += reversed(list(item.values()))


def _full_name(short: Any) -> str:
    if not isinstance(short, str):
        return ""
    if short == "p":
        return "builtin.parameter"
    dialect, dot, name = short.partition(".")
    return f"{DIALECTS.get(dialect, dialect)}.{name}" if dot else short


def json_texts(value: Any) -> Iterator[Text]:
    """Strings in the attributes of such a program."""
    stack: list[Any] = [value.get("program")]
    told = 0
    while stack and told < MAX_TEXTS:
        item = stack.pop()
        if isinstance(item, str):
            told += 1
            yield Text(item, "an attribute")
        elif isinstance(item, list):
            stack += reversed(item)
        elif isinstance(item, dict):
            stack += reversed(list(item.values()))
