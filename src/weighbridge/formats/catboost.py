"""CatBoost models (`.cbm`): `CBM1`, a flatbuffer of trees and features, then tables of categorical statistics.

Every table, vector and string of the flatbuffer is held against the bytes (as CatBoost's own verifier does), and the trees
against each other: splits, sizes, offsets and leaves. What stands in the model's notes is kept as text. Tables for text and
embedding features behind the trees are not read. Schema: model.fbs, features.fbs and ctr_data.fbs of catboost 1.2.
"""

import struct
from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.formats.framework import ContradictionError, FrameworkReading, Text, trailing
from weighbridge.formats.reading import Anomaly, Gap, Reading

MAGIC = b"CBM1"
CORE_VERSION = "FlabuffersModel_v1"
STATIC = "static_provider_v1"
MAX_TEXT = 256 * 1024
MAX_DEPTH = 32

Kind = int | str | tuple[str, str | int]
"""Bytes of a scalar; `text`, `texts`; ("table", name), ("tables", name), ("vector", bytes of an item)."""
SCHEMA: Mapping[str, tuple[Kind, ...]] = {
    "Core": ("text", ("table", "Trees"), ("tables", "Pair"), "texts"),
    "Pair": ("text", "text"),
    "Trees": (
        4, ("vector", 4), ("vector", 4), ("vector", 4), ("tables", "Cat"), ("tables", "Float"), ("tables", "OneHot"),
        ("tables", "Ctr"), ("vector", 8), ("vector", 8), ("vector", 4), ("vector", 4), ("tables", "Text"), ("tables", "Estimated"),
        8, 8, ("vector", 8), ("vector", 4), ("tables", "Embedding"),
    ),
    "Cat": (4, 4, "text", 1),
    "Float": (1, 4, 4, ("vector", 4), "text", 1),
    "OneHot": (4, ("vector", 4), "texts"),
    "Ctr": (("table", "ModelCtr"), ("vector", 4)),
    "ModelCtr": (("table", "CtrBase"), 4, 4, 4, 4, 4),
    "CtrBase": (("table", "Combination"), 1, 4),
    "Combination": (("vector", 4), ("vector", 8), ("vector", 8)),
    "Text": (4, 4, "text", 1),
    "Embedding": (4, 4, "text", 4, 1),
    "Estimated": (4, 16, 4, ("vector", 4), 1),
    "CtrTable": (("table", "CtrBase"), ("vector", 1), ("vector", 1), 4, 4),
}  # fmt: skip
DIMENSION, SPLITS, SIZES, STARTS, LEAVES, STEPS, LEAF_IDS = 0, 1, 2, 3, 8, 10, 11
MAX_TREE_DEPTH = 31


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read one model. `InputError`: `not-this-format`."""
    if source.read(0, 4) != MAGIC:
        raise InputError("not-this-format", "no CatBoost model")
    budget.need_memory(source.size * 2, "a CatBoost model")
    budget.spend_bytes(source.size)
    data = source.read(0, source.size)
    model = _Model(data, budget)
    try:
        model.walk()
    except ContradictionError as error:
        model.anomalies.append(error.anomaly())
        model.gaps.append(error.gap())
    return FrameworkReading(
        format="catboost",
        anomalies=tuple(model.anomalies),
        gaps=tuple(model.gaps),
        texts=tuple(model.texts),
        tensors_unlisted="a model of trees holds no tensors",
    )


class _Model:
    def __init__(self, data: bytes, budget: Budget) -> None:
        self.data, self.budget = data, budget
        self.anomalies: list[Anomaly] = []
        self.gaps: list[Gap] = []
        self.texts: list[Text] = []

    def walk(self) -> None:
        """The core, then the parts that it announces."""
        at = 8
        size = self._size(4, "the model's core")
        core = _Flatbuffer(self.data, at, at + size, self.budget)
        fields = core.root("Core")
        self.texts += core.texts
        if core.text_at(fields.get(0)) != CORE_VERSION:
            self.anomalies.append(Anomaly(code="version-unknown", message="a core of another version"))
        if 1 in fields:
            _Trees(core, core.table("Trees", core.target(fields[1]))).check()
        parts = list(core.texts_at(fields.get(3)))
        self._parts(parts, at + size)

    def _size(self, at: int, what: str) -> int:
        if at + 4 > len(self.data):
            raise ContradictionError("out-of-file", f"the file ends before {what}", at)
        size = int.from_bytes(self.data[at : at + 4], "little")
        if at + 4 + size > len(self.data):
            message = f"{what} of {size} bytes ends behind the file's {len(self.data)}"
            raise ContradictionError("out-of-file", message, at)
        return size

    def _parts(self, parts: list[str], at: int) -> None:
        for part in parts:
            if part != STATIC:
                message = f'a part "{visible(part, 60)}" behind the trees is not read'
                self.gaps.append(Gap(code="not-read", message=message, offset=at))
                return
            at = self._statistics(at)
        self.gaps += trailing(at, len(self.data))

    def _statistics(self, at: int) -> int:
        """Tables of categorical statistics, each with its size before it."""
        if at + 4 > len(self.data):
            raise ContradictionError("out-of-file", "the file ends before its tables", at)
        count = int.from_bytes(self.data[at : at + 4], "little")
        if count * 8 > len(self.data) - at:
            raise ContradictionError("count-overflow", f"{count} tables in {len(self.data) - at} bytes", at)
        at += 4
        for _ in range(count):
            size = self._size(at, "a table")
            table = _Flatbuffer(self.data, at + 4, at + 4 + size, self.budget)
            table.root("CtrTable")
            at += 4 + size
        return at


class _Flatbuffer:
    """One flatbuffer in `data[start:end)`, verified while it is walked."""

    def __init__(self, data: bytes, start: int, end: int, budget: Budget) -> None:
        self.data, self.start, self.end, self.budget = data, start, end, budget
        self.texts: list[Text] = []
        self._depth = 0

    def number(self, at: int, size: int = 4, what: str = "a number") -> int:
        if at < self.start or at + size > self.end:
            raise ContradictionError("offset-invalid", f"{what} lies outside of its buffer", at)
        return int.from_bytes(self.data[at : at + size], "little")

    def target(self, at: int) -> int:
        """Where the offset at `at` leads."""
        return at + self.number(at, 4, "an offset")

    def root(self, schema: str) -> dict[int, int]:
        return self.table(schema, self.start + self.number(self.start))

    def table(self, schema: str, at: int) -> dict[int, int]:
        """Field number → offset of its value; everything below it is verified."""
        self.budget.spend_members()
        back = self.number(at, 4, "a table")
        vtable = at - (back - 2**32 if back >= 2**31 else back)
        length, size = self.number(vtable, 2, "a table of fields"), self.number(vtable + 2, 2)
        if length < 4 or length % 2 or at + size > self.end:
            raise ContradictionError("offset-invalid", "a table has no fields' table", at)
        self.number(vtable, length, "a table of fields")
        kinds = SCHEMA[schema]
        fields = {}
        for index in range((length - 4) // 2):
            inner = self.number(vtable + 4 + 2 * index, 2)
            if not inner:
                continue
            if index >= len(kinds):
                raise ContradictionError(
                    "unknown-field", f"{schema} has a field {index} that is not known", at
                )
            kind = kinds[index]
            width = kind if isinstance(kind, int) else 4
            if inner < 4 or inner + width > size:
                raise ContradictionError(
                    "offset-invalid", f"field {index} of {schema} lies outside of its table", at
                )
            fields[index] = at + inner
        for index, place in fields.items():
            self._verify(kinds[index], place, f"{schema} {index}")
        return fields

    def _verify(self, kind: Kind, at: int, where: str) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ContradictionError("nesting-too-deep", f"tables nested deeper than {MAX_DEPTH}", at)
        if kind == "text":
            self.texts.append(Text(self.text_at(at), where, at))
        elif kind == "texts":
            self.texts += [Text(text, where, at) for text in self.texts_at(at)]
        elif isinstance(kind, tuple):
            form, inner = kind
            if form == "table":
                self.table(str(inner), self.target(at))
            elif form == "tables":
                for place in self.vector(at, 4)[1]:
                    self.table(str(inner), self.target(place))
            else:
                self.vector(at, int(inner))
        self._depth -= 1

    def vector(self, at: int, width: int) -> tuple[int, range]:
        """Count and the places of the items of the vector that the offset at `at` leads to."""
        begin = self.target(at)
        count = self.number(begin, 4, "a vector")
        if begin + 4 + count * width > self.end:
            raise ContradictionError(
                "count-overflow", f"a vector of {count} items ends behind its buffer", begin
            )
        return count, range(begin + 4, begin + 4 + count * width, width)

    def numbers(self, at: int | None, code: str) -> "array[Any]":
        """A vector of numbers, by `array` code; empty where there is none."""
        found = array(code)
        if at is not None:
            count, places = self.vector(at, struct.calcsize(f"<{code}"))
            found.frombytes(self.data[places.start : places.start + count * found.itemsize])
        return found

    def text_at(self, at: int | None) -> str:
        if at is None:
            return ""
        count, places = self.vector(at, 1)
        return self.data[places.start : places.start + min(count, MAX_TEXT)].decode(
            "utf-8", "surrogateescape"
        )

    def texts_at(self, at: int | None) -> Iterator[str]:
        if at is not None:
            for place in self.vector(at, 4)[1]:
                yield self.text_at(place)


class _Trees:
    """The numbers of the trees, against each other."""

    def __init__(self, buffer: _Flatbuffer, fields: dict[int, int]) -> None:
        self.dimension = buffer.number(fields[DIMENSION]) if DIMENSION in fields else 0
        self.splits = buffer.numbers(fields.get(SPLITS), "i")
        self.sizes = buffer.numbers(fields.get(SIZES), "i")
        self.starts = buffer.numbers(fields.get(STARTS), "i")
        self.leaves = len(buffer.numbers(fields.get(LEAVES), "d"))
        self.steps = buffer.numbers(fields.get(STEPS), "H")
        self.leaf_ids = buffer.numbers(fields.get(LEAF_IDS), "I")
        if STEPS in fields:
            count, places = buffer.vector(fields[STEPS], 4)
            self.steps.frombytes(buffer.data[places.start + len(self.steps) * 2 : places.start + count * 4])

    def check(self) -> None:
        """`ContradictionError` where a prediction would leave an array."""
        if len(self.sizes) != len(self.starts) and self.starts:
            raise ContradictionError(
                "size-mismatch", f"{len(self.starts)} starts for {len(self.sizes)} trees"
            )
        if not 1 <= self.dimension < 2**20 and self.leaves:
            raise ContradictionError("count-overflow", f"the model gives {self.dimension} values at once")
        if any(number < 0 for number in self.splits):
            raise ContradictionError("index-out-of-range", "a split of a tree is below zero")
        reached = 0
        for index, size in enumerate(self.sizes):
            start = self.starts[index] if self.starts else reached
            if size < 0 or start < 0 or start + size > len(self.splits):
                message = f"{size} splits from {start} on, of {len(self.splits)}"
                raise ContradictionError("index-out-of-range", message, None, f"tree {index}")
            reached = start + size
        if self.steps or self.leaf_ids:
            self._steps()
        else:
            self._symmetric()

    def _symmetric(self) -> None:
        if any(size > MAX_TREE_DEPTH for size in self.sizes):
            raise ContradictionError("count-overflow", f"a tree is deeper than {MAX_TREE_DEPTH}")
        wanted = self.dimension * sum(1 << size for size in self.sizes)
        if wanted != self.leaves:
            raise ContradictionError("size-mismatch", f"{self.leaves} leaf values where {wanted} belong")

    def _steps(self) -> None:
        """Trees that are not symmetric: each node says how far its children lie behind it."""
        nodes = len(self.splits)
        if len(self.steps) != 2 * nodes or len(self.leaf_ids) != nodes:
            raise ContradictionError("size-mismatch", f"{len(self.steps) // 2} steps for {nodes} nodes")
        for index, size in enumerate(self.sizes):
            start = self.starts[index]
            for node in range(start, start + size):
                if any(node + step >= start + size for step in self.steps[2 * node : 2 * node + 2]):
                    raise ContradictionError(
                        "index-out-of-range", "a child lies behind its tree", None, f"tree {index}"
                    )
        for leaf in self.leaf_ids:
            if leaf != 0xFFFFFFFF and leaf + self.dimension > self.leaves:
                raise ContradictionError("index-out-of-range", f"a leaf's value is none of the {self.leaves}")
