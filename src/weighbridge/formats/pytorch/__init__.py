"""PyTorch's zip layout (1.6 and later) and TorchScript.

Follows `torch/serialization.py` of 2.13 and the record reader behind it: records are looked up as `ROOT/name` without
regard to case, `ROOT` is the first entry's folder, storages are `ROOT/data/KEY`. Every pickle is a part of its own and is
judged there; its program, executed symbolically once, also tells the tensors, and each storage and view is held against
the bytes that are there. Records that nothing refers to stay parts, so that nothing hides between the storages.

TorchScript code is collected here; `torchcode` says which operators it calls. Older layouts: `pytorchlegacy`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.pickle.executed import Executed
from weighbridge.formats.pickle.program import PickleProgram
from weighbridge.formats.pickle.values import Global
from weighbridge.formats.pytorch.bytecode import Bytecode, bytecode
from weighbridge.formats.pytorch.tensors import DTYPES, Storage, TorchTensors
from weighbridge.formats.reading import Part, Reading
from weighbridge.formats.zip.entry import ZipEntry
from weighbridge.formats.zip.records import STORED
from weighbridge.formats.zip.tree import ZipTree

MAX_RECORD = 4096
"""Bytes of the small records that say version and byte order."""
MAX_CODE = 16 * 1024**2
"""Bytes of TorchScript code that are kept."""
SMALL_RECORDS = frozenset({
    "version", "byteorder", ".format_version", ".storage_alignment", ".data/version", ".data/serialization_id",
})  # fmt: skip
"""Records that PyTorch reads as short texts (`torch.save`, `PyTorchStreamWriter`)."""


SCRIPT_NAMES = frozenset({
    "collections.OrderedDict", "torch.device", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_qtensor", "torch.jit._pickle.build_intlist", "torch.jit._pickle.build_tensorlist",
    "torch.jit._pickle.build_doublelist", "torch.jit._pickle.build_boollist", "torch.jit._pickle.restore_type_tag",
    "torch.jit._pickle.build_tensor_from_id",
})  # fmt: skip
"""Names that the unpickler of `torch.jit.load` knows (torch/csrc/jit/serialization/unpickler.cpp); it finds classes
of `__torch__` among the archive's own code and refuses all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PytorchZip(ZipTree):
    """A zip file in which PyTorch looks for records."""

    root: str = ""
    """The folder that all records lie in."""
    code: tuple[tuple[str, str], ...] = ()
    """TorchScript: (record, source text)."""
    bytecode: tuple[tuple[str, Bytecode], ...] = ()
    """Of the mobile interpreter: (record, what it calls and indexes)."""


class _Ran:
    """Each pickle of the archive is executed once; its part carries the program along."""

    def __init__(self) -> None:
        self._programs: dict[int, Executed] = {}

    def program(self, entry: ZipEntry, budget: Budget) -> PickleProgram:
        """The program of one record. Raises `InputError`."""
        found = self._programs.get(id(entry))
        if found is None:
            found = self._programs[id(entry)] = Executed.of(_source(entry), budget)
        return found.program

    def part(self, entry: ZipEntry) -> Part:
        """The record as a pickle."""
        known = self._programs.get(id(entry))
        return entry.part("pickle") if known is None else Part(name=entry.label, source=known, kind="pickle")


def read_zip(tree: ZipTree, source: Source, budget: Budget, name: str) -> Reading:
    """PyTorch's view of a zip file."""
    root = root_of(tree)
    records = [(record_name(entry.name, root), entry) for entry in tree.entries]
    # torch.load looks for this one name as it is written; everything else goes to Python's unpickler.
    script = any(entry.name.replace("\\", "/") == f"{root}/constants.pkl" for entry in tree.entries)
    work = TorchTensors(source, budget, swap=_byte_order(records) == "big")
    explained: set[int] = set()
    ran = _Ran()
    for record, folder, prefix in (("data.pkl", "data/", ""), ("constants.pkl", "constants/", "constants")):
        if record == "data.pkl" or script:
            explained |= _collect(work, ran, records, record, folder, prefix)
    code, parts = _sort_records(records, explained, script, budget, ran)
    mobile = tuple(_bytecode(records, budget, ran)) if script else ()
    return _finished(tree, root, script, work, (*parts, *tree.spare), code, mobile)


def _bytecode(
    records: Iterable[tuple[str, ZipEntry]], budget: Budget, ran: _Ran
) -> Iterator[tuple[str, Bytecode]]:
    """The bytecode of the mobile interpreter."""
    for record, entry in records:
        if record == "bytecode.pkl" and entry.source is not None:
            program = ran.program(entry, budget)
            if program.broken is None:
                yield entry.label, bytecode(program.value)


def _collect(
    work: TorchTensors,
    ran: _Ran,
    records: list[tuple[str, ZipEntry]],
    record: str,
    folder: str,
    prefix: str,
) -> set[int]:
    """The tensors of one pickle; returns the identities of the records that it uses as storages."""
    pickles = [entry for name, entry in records if name == record and entry.source is not None]
    storages, twice = _storages(records, folder)
    if len(pickles) != 1:
        work.unlisted, work.broken = f"{len(pickles)} records may be {record}", True
    elif twice:
        work.unlisted, work.broken = "two storages have one name", True
    used: set[str] = set()
    for entry in pickles:
        try:
            program = ran.program(entry, work.budget)
            work.collect(program, _finder(storages), prefix)
        except InputError as error:
            work.unlisted, work.broken = work.unlisted or error.message, True
            continue
        used |= {key.lower() for key in work.used}
    return {id(storages[key]) for key in used}


def _finder(records: dict[str, ZipEntry]) -> Callable[[str], Storage | None]:
    """The bytes behind a storage key; stored records lie in the file as they are."""

    def storage(key: str) -> Storage | None:
        entry = records.get(key.lower())
        if entry is None:
            return None
        if entry.method == STORED:
            return Storage(None, entry.start, entry.size)
        return Storage(entry.source, 0, entry.size)

    return storage


def _finished(
    tree: ZipTree,
    root: str,
    script: bool,
    work: TorchTensors,
    parts: tuple[Part, ...],
    code: tuple[tuple[str, str], ...],
    mobile: tuple[tuple[str, Bytecode], ...],
) -> PytorchZip:
    kept: dict[str, Any] = {field.name: getattr(tree, field.name) for field in fields(tree)}
    kept["format"] = "torchscript" if script else "pytorch-zip"
    kept["anomalies"] = (*tree.anomalies, *work.notes.all())
    kept["gaps"] = (*tree.gaps, *work.gaps)
    kept["parts"] = (*parts, *work.parts)
    kept["tensors"] = None if work.unlisted else tuple(work.tensors)
    kept["tensors_unlisted"] = work.unlisted
    kept |= work.partial()
    return PytorchZip(**kept, root=root, code=code, bytecode=mobile)


def has_object(tree: ZipTree) -> bool:
    """Whether the record that `torch.load` and `torch.jit.load` begin with is there, in any folder of the first level."""
    names = (entry.name.replace("\\", "/").lower() for entry in tree.entries)
    return any(name.count("/") == 1 and name.endswith("/data.pkl") for name in names)


def root_of(tree: ZipTree) -> str:
    """The first entry's folder, as PyTorch's record reader settles it."""
    first = next((entry.name for entry in tree.entries), "")
    return first.partition("/")[0] if "/" in first else ""


def record_name(name: str, root: str) -> str:
    """A member's name as a record of the archive, in lower case; "" for what lies outside of the root."""
    path, prefix = name.replace("\\", "/"), f"{root}/"
    return path[len(prefix) :].lower() if path.lower().startswith(prefix.lower()) else ""


def _source(entry: ZipEntry) -> Source:
    assert entry.source is not None  # noqa: S101 - callers choose entries that have one
    return entry.source


def _byte_order(records: Iterable[tuple[str, ZipEntry]]) -> str:
    for record, entry in records:
        if record == "byteorder" and entry.source is not None:
            return _head(entry.source, 16).decode("latin-1")
    return "little"


def _storages(records: Iterable[tuple[str, ZipEntry]], folder: str) -> tuple[dict[str, ZipEntry], bool]:
    """Key → its record, and whether two records have one name."""
    found: dict[str, ZipEntry] = {}
    twice = False
    for record, entry in records:
        if record.startswith(folder) and entry.source is not None:
            key = record.removeprefix(folder)
            twice = twice or key in found
            found.setdefault(key, entry)
    return found, twice


def _sort_records(
    records: Iterable[tuple[str, ZipEntry]],
    explained: set[int],
    script: bool,
    budget: Budget,
    ran: _Ran,
) -> tuple[tuple[tuple[str, str], ...], tuple[Part, ...]]:
    """TorchScript code, and every record that is neither a storage in use nor a plain little text."""
    code: list[tuple[str, str]] = []
    parts: list[Part] = []
    left = MAX_CODE
    for record, entry in records:
        if entry.source is None or id(entry) in explained:
            continue
        if record in SMALL_RECORDS and is_small_text(entry.source):
            continue
        if script and record.startswith("code/") and record.endswith(".py") and entry.size <= left:
            left -= entry.size
            budget.need_memory(MAX_CODE - left, "TorchScript code")
            code.append((entry.label, entry.source.read(0, entry.size).decode("utf-8", "replace")))
        elif script and record.endswith((".pkl", ".debug_pkl")) and _is_script_pickle(entry, budget, ran):
            continue
        elif record.endswith((".pkl", ".debug_pkl")):
            parts.append(ran.part(entry))
        else:
            parts.append(entry.part())
    return tuple(code), tuple(parts)


def _is_script_pickle(entry: ZipEntry, budget: Budget, ran: _Ran) -> bool:
    """Whether TorchScript's own unpickler, which imports nothing, takes every name in it for something of its own."""
    try:
        program = ran.program(entry, budget)
    except InputError:
        return False
    if program.broken is not None or program.end != entry.size or program.extensions or program.buffers:
        return False
    return all(_is_script_name(found) for found in program.globals)


def _is_script_name(found: Global) -> bool:
    if found.module is None or found.qualname is None:
        return False
    if found.module == "__torch__" or found.module.startswith("__torch__."):
        return True
    return found.name in SCRIPT_NAMES or (found.module == "torch" and found.qualname in DTYPES)


def _head(source: Source, length: int) -> bytes:
    """The first bytes; as if it were too long where it cannot be read, so that it stays a part."""
    try:
        return source.read(0, length)
    except InputError:
        return b"\xff" * length


def is_small_text(source: Source) -> bool:
    """Whether a record is one of the short texts that PyTorch writes beside the content."""
    text = _head(source, MAX_RECORD + 1)
    return len(text) <= MAX_RECORD and text.isascii() and text.decode("ascii").strip().isprintable()
