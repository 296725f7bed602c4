"""PyTorch's exported programs (`.pt2`): weights, constants, a graph in JSON, sample inputs, and compiled code.

Follows `torch/export/pt2_archive` and `torch/_export/serde` of 2.13: `archive_format` says `pt2`, graphs are `models/NAME.json`,
tensors lie in `data/weights` and `data/constants` as `NAME_(weights|constants)_config.json` says, samples in `data/sample_inputs`,
and `data/aotinductor` holds libraries that the loader unpacks and opens. The layout before it (2.1 to 2.8) has
`serialized_exported_program.json` and torch files for everything else. Graphs are only collected here; the rules judge
them. Everything that is not a weight stays a part.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.membernames import Notes
from weighbridge.formats.pytorch import is_small_text, record_name, root_of
from weighbridge.formats.pytorch.tensors import MAX_DIMENSIONS, Storage, extent, is_count, placed
from weighbridge.formats.reading import Part, Reading, TensorRef
from weighbridge.formats.zip.entry import ZipEntry
from weighbridge.formats.zip.records import STORED
from weighbridge.formats.zip.tree import ZipTree

MAX_JSON = 64 * 1024**2
"""Bytes of one graph."""
NATIVE = (
    ".so", ".dylib", ".dll", ".pyd", ".o", ".a", ".lib", ".cubin", ".fatbin", ".hsaco", ".spv", ".metallib",
)  # fmt: skip
"""Suffixes of machine code that the loader opens."""
SOURCES = (".cpp", ".cc", ".c", ".h", ".cu", ".ptx", ".ttir", ".ll", ".py")

DTYPES: dict[int, tuple[str, int]] = {
    1: ("U8", 1), 2: ("I8", 1), 3: ("I16", 2), 4: ("I32", 4), 5: ("I64", 8), 6: ("F16", 2), 7: ("F32", 4), 8: ("F64", 8),
    10: ("C64", 8), 11: ("C128", 16), 12: ("BOOL", 1), 13: ("BF16", 2), 28: ("U16", 2), 29: ("F8_E4M3", 1), 30: ("F8_E5M2", 1),
    33: ("F8_E8M0", 1), 34: ("U32", 4), 35: ("U64", 8),
}  # fmt: skip
"""`ScalarType` of torch/_export/serde/schema.py."""


class Graph(NamedTuple):
    """One exported program."""

    record: str
    value: Any
    """The JSON value, as `json.loads` gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pt2Reading(ZipTree):
    """An archive of exported programs."""

    graphs: tuple[Graph, ...] = ()
    native: tuple[str, ...] = ()
    """Records of machine code that the loader opens."""
    sources: tuple[str, ...] = ()
    """Records of source code that compiled models were made of; the loader does not run them."""


def is_pt2(tree: ZipTree) -> bool:
    """Whether PyTorch would take the archive for exported programs."""
    root = root_of(tree)
    records = {record_name(entry.name, root): entry for entry in tree.entries}
    if {"serialized_exported_program.json", "models/model.json"} & records.keys():
        return True
    if any(entry.name.lower() == "serialized_exported_program.json" for entry in tree.entries):
        return True
    mark = records.get("archive_format")
    return mark is not None and mark.source is not None and mark.source.read(0, 16).strip() == b"pt2"


def read_pt2(tree: ZipTree, source: Source, budget: Budget, name: str) -> Reading:
    """PyTorch's view of the archive."""
    root = root_of(tree)
    records = [(record_name(entry.name, root) or entry.name.lower(), entry) for entry in tree.entries]
    work = _Work(records, budget)
    for record, entry in records:
        if entry.source is not None and record.endswith("_config.json"):
            work.config(record, entry)
    graphs = tuple(work.graphs())
    kept: dict[str, Any] = {field.name: getattr(tree, field.name) for field in fields(tree)}
    kept |= {"format": "pt2", "anomalies": (*tree.anomalies, *work.notes.all())}
    kept["parts"] = (*_parts(records, work.explained), *tree.spare)
    kept["tensors"] = None if work.unlisted else tuple(work.tensors)
    kept["tensors_unlisted"] = work.unlisted
    kept["tensors_found"] = tuple(work.tensors) if work.unlisted else ()
    kept["tensors_left"] = tuple(work.left)
    native = tuple(entry.label for record, entry in records if record.endswith(NATIVE))
    sources = tuple(entry.label for record, entry in records if record.endswith(SOURCES))
    return Pt2Reading(**kept, graphs=graphs, native=native, sources=sources)


def _parts(records: Iterable[tuple[str, ZipEntry]], explained: set[int]) -> Iterator[Part]:
    for record, entry in records:
        if entry.source is None or id(entry) in explained:
            continue
        if record in _SMALL and is_small_text(entry.source):
            continue
        pickled = record.rpartition("/")[2].startswith(("opaque_obj_", "custom_obj_opaque"))
        yield entry.part("pickle" if pickled or record.endswith(".pkl") else "")


_SMALL = frozenset({
    "archive_format", "archive_version", "byteorder", "version", ".data/version", ".data/serialization_id",
    ".format_version", ".storage_alignment",
})  # fmt: skip


class _Work:
    """Places the tensors that the archive's own lists name."""

    def __init__(self, records: list[tuple[str, ZipEntry]], budget: Budget) -> None:
        self.records, self.budget = records, budget
        self.notes = Notes()
        self.tensors: list[TensorRef] = []
        self.left: list[tuple[str, str]] = []
        self.unlisted = ""
        self.explained: set[int] = set()
        self._configs = 0

    def graphs(self) -> Iterator[Graph]:
        """Every graph."""
        for record, entry in self.records:
            if entry.source is None or not record.endswith(".json") or record.endswith("_config.json"):
                continue
            if record.startswith("models/") or record.endswith("serialized_exported_program.json"):
                yield Graph(entry.label, self._json(entry))

    def config(self, record: str, entry: ZipEntry) -> None:
        """One list of weights or constants; the names of a second list get its model's name in front."""
        folder = record.rpartition("/")[0]
        value = self._json(entry)
        config = value.get("config") if type(value) is dict else None
        if type(config) is not dict:
            self._leave(record, "is no list of tensors")
            return
        model = (
            record.rpartition("/")[2]
            .removesuffix("_config.json")
            .removesuffix("_weights")
            .removesuffix("_constants")
        )
        prefix = "" if model == "model" else f"{model}."
        for fqn, payload in config.items():
            self.budget.spend_members()
            self._payload(f"{prefix}{fqn}", folder, payload)

    def _payload(self, fqn: str, folder: str, payload: Any) -> None:
        payload = payload if type(payload) is dict else {}
        path = payload.get("path_name")
        found = self._entries(f"{folder}/{path}".lower()) if type(path) is str else []
        if len(found) != 1 or found[0].source is None:
            self._leave(fqn, f"{len(found)} records may hold it")
            return
        meta = payload.get("tensor_meta")
        if payload.get("use_pickle") or type(meta) is not dict:
            self._leave(fqn, "is pickled on its own")
            return
        self._place(fqn, found[0], meta)

    def _place(self, fqn: str, entry: ZipEntry, meta: dict[str, Any]) -> None:
        known = DTYPES.get(meta.get("dtype", 0)) if type(meta.get("dtype")) is int else None
        shape, strides = _ints(meta.get("sizes")), _ints(meta.get("strides"))
        offset = _int(meta.get("storage_offset"))
        if known is None or shape is None or strides is None or offset is None or len(shape) != len(strides):
            self._leave(fqn, "has no shape or dtype that is a constant")
            return
        if meta.get("layout", 7) != 7:
            self._leave(fqn, "is sparse")
            return
        storage = (
            Storage(None, entry.start, entry.size)
            if entry.method == STORED
            else Storage(entry.source, 0, entry.size)
        )
        end = (offset + extent(shape, strides)) * known[1]
        if end > entry.size:
            text = f'tensor "{visible(fqn)}" reaches to byte {end} of a record of {entry.size}'
            self.notes.add("tensor-out-of-bounds", text, offset=entry.start)
            self._leave(fqn, "lies outside of its record")
            return
        self.explained.add(id(entry))
        self.tensors.append(placed(fqn, *known, storage, offset, shape, strides))

    def _leave(self, fqn: str, why: str) -> None:
        self.left.append((fqn, why))
        self.unlisted = self.unlisted or f'"{visible(fqn)}" {why}'

    def _entries(self, record: str) -> list[ZipEntry]:
        return [entry for name, entry in self.records if name == record]

    def _json(self, entry: ZipEntry) -> Any:
        """The value, or None where it is none; the part itself is read by the JSON reader as well."""
        assert entry.source is not None  # noqa: S101 - callers choose entries that have one
        if entry.size > MAX_JSON:
            raise InputError("limit-memory", f'"{entry.label}" has {entry.size} bytes')
        self.budget.need_memory(8 * entry.size, "a graph")
        try:
            return json.loads(entry.source.read(0, entry.size))
        except (ValueError, RecursionError):
            return None


def _int(value: Any) -> int | None:
    if type(value) is dict and len(value) == 1:
        value = value.get("as_int")
    return value if is_count(value) else None


def _ints(value: Any) -> tuple[int, ...] | None:
    if type(value) is not list or len(value) > MAX_DIMENSIONS:
        return None
    found = [_int(item) for item in value]
    return tuple(item for item in found if item is not None) if None not in found else None
