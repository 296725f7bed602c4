"""torch.package: a zip file of pickles, resources, storages and Python files that importing from it runs.

Follows `torch/package/package_importer.py` of 2.13: `.data/extern_modules` lists modules that come from outside, every other
module is compiled from the `.py` files in the archive, storages are `.data/KEY.storage`. Every Python file is a part for the
Python pass, every `.pkl` one for the pickle machine. A module in the archive takes the place of an installed one of the
same name, so that a contract about that name says nothing about it.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.pickle.executed import Executed
from weighbridge.formats.pytorch import is_small_text, record_name, root_of
from weighbridge.formats.pytorch.tensors import Storage, TorchTensors
from weighbridge.formats.reading import Part, Reading
from weighbridge.formats.zip.entry import ZipEntry
from weighbridge.formats.zip.records import STORED
from weighbridge.formats.zip.tree import ZipTree

MARKS = frozenset({".data/extern_modules", ".data/python_version"})
MAX_LIST = 1024**2
_SMALL = frozenset({*MARKS, ".data/version", ".data/serialization_id", "byteorder", "version"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageReading(ZipTree):
    """A package."""

    modules: tuple[str, ...] = ()
    """Names of the modules whose source is in the archive."""
    externs: tuple[str, ...] = ()
    """Modules that it takes from outside."""


def is_package(tree: ZipTree) -> bool:
    """Whether the archive says that it is a package."""
    root = root_of(tree)
    return any(record_name(entry.name, root) in MARKS for entry in tree.entries)


def read_package(tree: ZipTree, source: Source, budget: Budget, name: str) -> Reading:
    """The importer's view of the archive."""
    root = root_of(tree)
    records = [(record_name(entry.name, root), entry) for entry in tree.entries]
    work = TorchTensors(source, budget)
    explained: set[int] = set()
    parts = list(_parts(records, work, explained))
    kept: dict[str, Any] = {field.name: getattr(tree, field.name) for field in fields(tree)}
    kept |= {"format": "torch-package", "anomalies": (*tree.anomalies, *work.notes.all())}
    kept["gaps"] = (*tree.gaps, *work.gaps)
    kept["parts"] = (*(part for part, entry in parts if id(entry) not in explained), *tree.spare, *work.parts)
    kept["tensors"] = None if work.unlisted else tuple(work.tensors)
    kept["tensors_unlisted"] = work.unlisted
    kept |= work.partial()
    modules = tuple(_module(record) for record, _ in records if record.endswith(".py"))
    return PackageReading(**kept, modules=modules, externs=tuple(_externs(records)))


def _parts(
    records: list[tuple[str, ZipEntry]], work: TorchTensors, explained: set[int]
) -> Iterator[tuple[Part, ZipEntry]]:
    """Every record that is not a plain little text, with its entry; `explained` gets the storages that pickles use."""
    storages = {
        record: entry for record, entry in records if record.endswith(".storage") and entry.source is not None
    }

    def storage(key: str) -> Storage | None:
        entry = storages.get(f".data/{key}.storage".lower())
        if entry is None:
            return None
        return (
            Storage(None, entry.start, entry.size)
            if entry.method == STORED
            else Storage(entry.source, 0, entry.size)
        )

    for record, entry in records:
        if entry.source is None or (record in _SMALL and is_small_text(entry.source)):
            continue
        if not record.endswith(".pkl"):
            yield entry.part("python" if record.endswith(".py") else ""), entry
            continue
        try:
            known = Executed.of(entry.source, work.budget)
        except InputError as error:
            work.unlisted, work.broken = work.unlisted or error.message, True
            yield entry.part("pickle"), entry
            continue
        work.collect(known.program, storage, record.removesuffix(".pkl").replace("/", "."))
        explained |= {id(storages[f".data/{key}.storage".lower()]) for key in work.used}
        yield Part(name=entry.label, source=known, kind="pickle"), entry


def _module(record: str) -> str:
    return record.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _externs(records: list[tuple[str, ZipEntry]]) -> Iterator[str]:
    for record, entry in records:
        if record == ".data/extern_modules" and entry.source is not None:
            yield from entry.source.read(0, MAX_LIST).decode("utf-8", "replace").split()
