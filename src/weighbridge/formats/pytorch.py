"""PyTorch files: the zip layout (1.6 and later), TorchScript, the legacy layout of five pickles, and the older tar.

Follows `torch/serialization.py` of 2.13 and the record reader behind it: records are looked up as `ROOT/name` without
regard to case, `ROOT` is the first entry's folder, storages are `ROOT/data/KEY`. Every pickle is a part of its own and is
judged there; here it is executed symbolically once more to find the tensors and to hold each storage and view against
the bytes that are there. Records that nothing refers to stay parts, so that nothing hides between the storages.

TorchScript code is collected, not parsed. Quantized, sparse and nested tensors are not listed.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import program_part
from weighbridge.formats.membernames import Notes
from weighbridge.formats.pickle.opcodes import run
from weighbridge.formats.pickle.program import PickleProgram
from weighbridge.formats.pickle.values import (
    Call,
    Dict,
    Global,
    List,
    Persistent,
    Value,
    is_constant,
    pairs_of,
)
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef
from weighbridge.formats.tar import TarTree
from weighbridge.formats.ziptree import STORED, ZipEntry, ZipTree

MAX_DIMENSIONS = 64
MAX_RECORD = 4096
"""Bytes of the small records that say version and byte order."""
MAX_CODE = 16 * 1024**2
"""Bytes of TorchScript code that are kept."""

DTYPES: dict[str, tuple[str, int]] = {
    "DoubleStorage": ("F64", 8), "FloatStorage": ("F32", 4), "HalfStorage": ("F16", 2), "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("I64", 8), "IntStorage": ("I32", 4), "ShortStorage": ("I16", 2), "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1), "BoolStorage": ("BOOL", 1), "UntypedStorage": ("U8", 1),
    "ComplexFloatStorage": ("C64", 8), "ComplexDoubleStorage": ("C128", 16),
    "QInt8Storage": ("I8", 1), "QUInt8Storage": ("U8", 1), "QInt32Storage": ("I32", 4),
    "QUInt4x2Storage": ("U8", 1), "QUInt2x4Storage": ("U8", 1),
}  # fmt: skip
"""Storage class → canonical dtype and bytes of one item."""

TORCH_DTYPES: dict[str, tuple[str, int]] = {
    "float64": ("F64", 8), "float32": ("F32", 4), "float16": ("F16", 2), "bfloat16": ("BF16", 2),
    "int64": ("I64", 8), "int32": ("I32", 4), "int16": ("I16", 2), "int8": ("I8", 1),
    "uint64": ("U64", 8), "uint32": ("U32", 4), "uint16": ("U16", 2), "uint8": ("U8", 1), "bool": ("BOOL", 1),
    "float8_e4m3fn": ("F8_E4M3", 1), "float8_e5m2": ("F8_E5M2", 1), "float8_e8m0fnu": ("F8_E8M0", 1),
    "complex64": ("C64", 8), "complex128": ("C128", 16),
}  # fmt: skip
"""`torch.NAME` as `_rebuild_tensor_v3` gets it."""

SMALL_RECORDS = frozenset({
    "version", "byteorder", ".format_version", ".storage_alignment", ".data/version", ".data/serialization_id",
})  # fmt: skip
"""Records that PyTorch reads as short texts (`torch.save`, `PyTorchStreamWriter`)."""

TENSOR_CALLS = frozenset(f"torch._utils._rebuild_tensor{suffix}" for suffix in ("", "_v2", "_v3"))
OTHER_TENSORS = frozenset({
    "torch._utils._rebuild_qtensor", "torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_sparse_csr_tensor",
    "torch._utils._rebuild_nested_tensor", "torch._utils._rebuild_meta_tensor_no_storage",
    "torch._utils._rebuild_device_tensor_from_numpy", "torch._utils._rebuild_device_tensor_from_cpu_tensor",
    "torch._utils._rebuild_wrapper_subclass", "torch._utils._rebuild_xla_tensor",
})  # fmt: skip
PARAMETER_CALLS = frozenset({"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"})
FROM_TYPE_CALLS = frozenset({"torch._tensor._rebuild_from_type", "torch._tensor._rebuild_from_type_v2"})


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


class Storage(NamedTuple):
    """The bytes behind one storage key."""

    source: Source | None
    """None for the file that was read."""
    start: int
    size: int


class _Pid(NamedTuple):
    """What a persistent id says of its storage."""

    key: str
    dtype: str
    itemsize: int
    numel: int
    offset: int = 0
    """Items by which a legacy view is moved."""


# -- zip -----------------------------------------------------------------------------------------------------------


def read_zip(tree: ZipTree, source: Source, budget: Budget, name: str) -> Reading:
    """PyTorch's view of a zip file."""
    root = _root(tree)
    records = [(_record(entry.name, root), entry) for entry in tree.entries]
    script = any(record == "constants.pkl" for record, _ in records)
    work = _Tensors(source, budget, swap=_byte_order(records) == "big")
    explained: set[int] = set()
    for record, folder, prefix in (("data.pkl", "data/", ""), ("constants.pkl", "constants/", "constants")):
        if record == "data.pkl" or script:
            explained |= _collect(work, records, record, folder, prefix)
    code, parts = _sort_records(records, explained, script, budget)
    return _finished(tree, root, script, work, (*parts, *tree.spare), code)


def _collect(
    work: "_Tensors", records: list[tuple[str, ZipEntry]], record: str, folder: str, prefix: str
) -> set[int]:
    """The tensors of one pickle; returns the identities of the records that it uses as storages."""
    pickles = [entry for name, entry in records if name == record and entry.source is not None]
    storages, twice = _storages(records, folder)
    if len(pickles) != 1:
        work.unlisted = f"{len(pickles)} records may be {record}"
    elif twice:
        work.unlisted = "two storages have one name"
    used: set[str] = set()
    for entry in pickles:
        try:
            used |= work.collect(run(_source(entry), work.budget), storages, prefix)
        except InputError as error:
            work.unlisted = work.unlisted or error.message
    return {id(storages[key]) for key in used}


def _finished(
    tree: ZipTree,
    root: str,
    script: bool,
    work: "_Tensors",
    parts: tuple[Part, ...],
    code: tuple[tuple[str, str], ...],
) -> PytorchZip:
    kept: dict[str, Any] = {field.name: getattr(tree, field.name) for field in fields(tree)}
    kept["format"] = "torchscript" if script else "pytorch-zip"
    kept["anomalies"] = (*tree.anomalies, *work.notes.all())
    kept["parts"] = (*parts, *work.parts)
    kept["tensors"] = None if work.unlisted else tuple(work.tensors)
    kept["tensors_unlisted"] = work.unlisted
    return PytorchZip(**kept, root=root, code=code)


def _root(tree: ZipTree) -> str:
    """The first entry's folder, as PyTorch's record reader settles it."""
    first = next((entry.name for entry in tree.entries), "")
    return first.partition("/")[0] if "/" in first else ""


def _record(name: str, root: str) -> str:
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
) -> tuple[tuple[tuple[str, str], ...], tuple[Part, ...]]:
    """TorchScript code, and every record that is neither a storage in use nor a plain little text."""
    code: list[tuple[str, str]] = []
    parts: list[Part] = []
    left = MAX_CODE
    for record, entry in records:
        if entry.source is None or id(entry) in explained:
            continue
        if record in SMALL_RECORDS and _is_small_text(entry.source):
            continue
        if script and record.startswith("code/") and record.endswith(".py") and entry.size <= left:
            left -= entry.size
            budget.need_memory(MAX_CODE - left, "TorchScript code")
            code.append((entry.label, entry.source.read(0, entry.size).decode("utf-8", "replace")))
        elif script and record.endswith((".pkl", ".debug_pkl")) and _is_script_pickle(entry.source, budget):
            continue
        elif record.endswith((".pkl", ".debug_pkl")):
            parts.append(entry.part("pickle"))
        else:
            parts.append(entry.part())
    return tuple(code), tuple(parts)


def _is_script_pickle(source: Source, budget: Budget) -> bool:
    """Whether TorchScript's own unpickler, which imports nothing, takes every name in it for something of its own."""
    try:
        program = run(source, budget)
    except InputError:
        return False
    if program.broken is not None or program.end != source.size or program.extensions or program.buffers:
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


def _is_small_text(source: Source) -> bool:
    text = _head(source, MAX_RECORD + 1)
    return len(text) <= MAX_RECORD and text.isascii() and text.decode("ascii").strip().isprintable()


# -- tensors -------------------------------------------------------------------------------------------------------


class _Tensors:
    """Collects the tensors of one load, and what their descriptions and the bytes do not agree about."""

    def __init__(self, source: Source, budget: Budget, *, swap: bool = False) -> None:
        self.source, self.budget, self.swap = source, budget, swap
        self.notes = Notes()
        self.tensors: list[TensorRef] = []
        self.parts: list[Part] = []
        self.used: set[str] = set()
        self.unlisted = ""
        self._find: Callable[[str], Storage | None] = lambda key: None

    def collect(self, program: PickleProgram, records: dict[str, ZipEntry], prefix: str) -> set[str]:
        """All tensors of a pickle in a zip file; returns the storages that it uses."""

        def storage(key: str) -> Storage | None:
            entry = records.get(key.lower())
            if entry is None:
                return None
            if entry.method == STORED:
                return Storage(None, entry.start, entry.size)
            return Storage(entry.source, 0, entry.size)

        self.used = set()
        self.collect_from(program, storage, prefix)
        return {key.lower() for key in self.used}

    def collect_from(
        self, program: PickleProgram, find: Callable[[str], Storage | None], prefix: str = ""
    ) -> None:
        """All tensors of a program; `find` gives the bytes behind a storage key."""
        self._find = find
        if program.broken is not None:
            self.unlisted = f"the pickle breaks: {program.broken.why}"
        self._check_storages(program)
        for path, call in _tensor_calls(program.value, self.budget, prefix):
            self._tensor(path, call)
        if not self.unlisted and self._hidden(program):
            self.unlisted = "it holds quantized, sparse or other special tensors"

    def _hidden(self, program: PickleProgram) -> bool:
        return any(
            type(call.callable) is Global and call.callable.name in OTHER_TENSORS for call in program.calls
        )

    def _check_storages(self, program: PickleProgram) -> None:
        """Each storage's declared length against the record that holds it (the shape of CVE-2026-24747)."""
        longest: dict[str, tuple[int, int]] = {}
        for persistent in program.persistents:
            pid = _storage_id(persistent)
            if pid is not None:
                need = max(longest.get(pid.key, (0, 0))[0], pid.numel * pid.itemsize)
                longest[pid.key] = (need, pid.itemsize)
        for key, (need, itemsize) in longest.items():
            self.used.add(key)
            found = self._find(key)
            if found is None:
                self.used.discard(key)
                self.unlisted = self.unlisted or f'storage "{visible(key)}" is missing'
            elif need > found.size:
                text = f'storage "{visible(key)}" is said to have {need} bytes, there are {found.size}'
                self.notes.add("tensor-out-of-bounds", text, offset=found.start)
            elif need + itemsize <= found.size:
                text = f'storage "{visible(key)}" has {found.size - need} bytes that nothing uses'
                self.notes.add("storage-spare-bytes", text, offset=found.start)
                self.parts.append(self._spare(key, found, need))
            if found is not None:
                self._look_for_program(key, found)

    def _look_for_program(self, key: str, found: Storage) -> None:
        try:
            part = program_part(found.source or self.source, found.start, found.size, f"storage {key}")
        except InputError:
            self.used.discard(key)  # its stream is broken: it stays a part, and is reported there
            return
        self.parts += [part] if part is not None else []

    def _spare(self, key: str, found: Storage, need: int) -> Part:
        inner = Slice(found.source or self.source, found.start + need, found.size - need)
        return Part(name=f"storage {visible(key)} from byte {need}", source=inner)

    def _tensor(self, path: str, call: Call) -> None:
        args = call.args if type(call.args) is tuple else ()
        pid = _storage_id(args[0]) if args else None
        if pid is None or len(args) < 4:
            self.unlisted = self.unlisted or f'"{visible(path)}" has no storage that can be found'
            return
        dtype, itemsize, numel = _retyped(call, args, pid)
        offset, shape, strides = args[1], args[2], args[3]
        if not dtype or not (_is_count(offset) and _are_counts(shape) and _are_counts(strides)):
            self._misshapen(path, "has a shape that is no row of sizes" if dtype else "has an unknown dtype")
            return
        if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
            self._misshapen(path, "has strides that do not fit its shape")
            return
        extent = _extent(shape, strides)
        if extent and offset + extent > numel:
            text = f'tensor "{visible(path)}" reaches to item {offset + extent} of a storage of {numel}'
            self.notes.add("tensor-out-of-bounds", text, offset=call.offset)
            self.unlisted = self.unlisted or f'"{visible(path)}" lies outside of its storage'
            return
        if _has_metadata(call, args):
            self.unlisted = self.unlisted or f'"{visible(path)}" is a conjugate or negative view'
            return
        self._place(path, pid, dtype, itemsize, offset + pid.offset, shape, strides, extent)

    def _misshapen(self, path: str, why: str) -> None:
        self.unlisted = self.unlisted or f'"{visible(path)}" {why}'

    def _place(
        self,
        path: str,
        pid: _Pid,
        dtype: str,
        itemsize: int,
        offset: int,
        shape: Any,
        strides: Any,
        extent: int,
    ) -> None:
        found = self._find(pid.key)
        if found is None or (offset + extent) * itemsize > found.size:
            self._misshapen(path, "has no bytes behind it")
            return
        if self.swap and dtype.startswith("C"):
            self._misshapen(path, "is complex and big-endian")
            return
        start = found.start + offset * itemsize
        self.tensors.append(
            TensorRef(
                name=path,
                dtype=dtype,
                shape=tuple(shape),
                spans=((start, extent * itemsize),) if extent else (),
                source=found.source,
                itemsize=itemsize,
                strides=None if _row_major(shape, strides) else tuple(strides),
                swap=self.swap and itemsize > 1,
            )
        )


def _storage_id(value: Value) -> _Pid | None:
    """`("storage", class, key, location, numel[, view])`, else None."""
    pid = value.pid if type(value) is Persistent else None
    if (
        type(pid) is not tuple
        or len(pid) not in (5, 6)
        or _text(pid[0]) != "storage"
        or type(pid[1]) is not Global
    ):
        return None
    known = DTYPES.get((pid[1].qualname or "").rpartition(".")[2])
    key, numel = _key(pid[2]), pid[4]
    if known is None or key is None or not _is_count(numel):
        return None
    view = pid[5] if len(pid) == 6 else None
    if view is None:
        return _Pid(key, *known, numel)
    if type(view) is not tuple or len(view) != 3 or not (_is_count(view[1]) and _is_count(view[2])):
        return None
    return _Pid(key, *known, max(numel, view[1] + view[2]), view[1])


def _text(value: Value) -> str | None:
    if type(value) is bytes:
        return value.decode("latin-1")
    return value if type(value) is str else None


def _key(value: Value) -> str | None:
    return str(value) if type(value) is int else _text(value)


def _is_count(value: Value) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _are_counts(value: Value) -> bool:
    """A tuple of sizes; `torch.Size` and TorchScript's lists included."""
    return type(value) in (tuple, List) and all(_is_count(item) for item in value)


def _extent(shape: Iterable[int], strides: Iterable[int]) -> int:
    """Items from the first to the last that a view touches."""
    pairs = list(zip(shape, strides, strict=True))
    return 1 + sum((size - 1) * stride for size, stride in pairs) if all(size for size, _ in pairs) else 0


def _row_major(shape: Any, strides: Any) -> bool:
    if 0 in shape:
        return True
    expected = 1
    for size, stride in reversed(list(zip(shape, strides, strict=True))):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def _retyped(call: Call, args: tuple[Value, ...], pid: _Pid) -> tuple[str, int, int]:
    """dtype, item size and items of the storage; `_rebuild_tensor_v3` names its own dtype."""
    if type(call.callable) is not Global or not call.callable.name.endswith("_v3"):
        return pid.dtype, pid.itemsize, pid.numel
    wanted = args[6] if len(args) > 6 else None
    name = wanted.name.removeprefix("torch.") if type(wanted) is Global else ""
    dtype, itemsize = TORCH_DTYPES.get(name, ("", 1))
    return dtype, itemsize, pid.numel * pid.itemsize // itemsize


def _has_metadata(call: Call, args: tuple[Value, ...]) -> bool:
    at = 7 if type(call.callable) is Global and call.callable.name.endswith("_v3") else 6
    return len(args) > at and bool(args[at])


def _tensor_calls(root: Value, budget: Budget, prefix: str) -> Iterator[tuple[str, Call]]:
    """(name, call) of every tensor in the loaded object; names are the keys on the way, joined by dots.

    A container that stands in several places is entered once; a tensor is named for every place it stands in.
    """
    seen: set[int] = set()
    todo: list[tuple[str, Value]] = [(prefix, root)]
    while todo:
        path, value = todo.pop()
        if is_constant(value):
            continue
        tensor = _as_tensor(value)
        if tensor is not None:
            yield path, tensor
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        budget.spend_members()
        todo += reversed([(f"{path}.{key}" if path else key, inner) for key, inner in _inside(value)])


def _as_tensor(value: Value) -> Call | None:
    """The `_rebuild_tensor` call of a tensor, a parameter, or a tensor of a subclass."""
    for _ in range(8):
        if type(value) is not Call or type(value.callable) is not Global or type(value.args) is not tuple:
            return None
        name, args = value.callable.name, value.args
        if name in TENSOR_CALLS:
            return value
        if name in PARAMETER_CALLS and args:
            value = args[0]
        elif name in FROM_TYPE_CALLS and len(args) > 2 and type(args[0]) is Global:
            value = Call(
                how="REDUCE",
                callable=args[0],
                args=args[2],
                kwargs=None,
                offset=value.offset,
                index=value.index,
            )
        else:
            return None
    return None


def _inside(value: Value) -> Iterator[tuple[str, Value]]:
    """(key, value) of what a container or object holds."""
    if type(value) in (tuple, List):
        yield from ((str(number), item) for number, item in enumerate(value))
    elif type(value) is Dict:
        yield from _last_wins(value.pairs())
    elif type(value) is Call:
        yield from _last_wins(pairs_of(value))
        for change in value.changes:
            if change.how == "BUILD":
                yield from _state(change.value)


def _state(value: Value) -> Iterator[tuple[str, Value]]:
    """The attributes that BUILD sets."""
    states = value if type(value) is tuple and len(value) == 2 else (value,)
    for state in states:
        if type(state) is Dict:
            yield from _last_wins(state.pairs())


def _last_wins(pairs: Iterable[tuple[Value, Value]]) -> Iterator[tuple[str, Value]]:
    yield from {_name(key): value for key, value in pairs}.items()


def _name(key: Value) -> str:
    return key if type(key) is str else str(key) if type(key) is int else _text(key) or "?"


# -- legacy --------------------------------------------------------------------------------------------------------

_LEGACY_PICKLES = ("magic number", "protocol version", "system info", "object", "storage keys")


def read_legacy(source: Source, budget: Budget, name: str) -> Reading:
    """The layout of before 1.6: five pickles, then each storage as a 64-bit count of items and the items."""
    programs, end = _five(source, budget)
    work = _Tensors(source, budget, swap=False)
    gaps: list[Gap] = []
    if len(programs) == len(_LEGACY_PICKLES) and programs[-1].broken is None:
        found, end = _legacy_storages(source, budget, programs, end, gaps)
        work.collect_from(programs[3], found.get)
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
        gaps=tuple(gaps),
        parts=(*_pickle_parts(source, programs), *rest, *work.parts),
        tensors=None if work.unlisted else tuple(work.tensors),
        tensors_unlisted=work.unlisted,
    )


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
    for pid in map(_storage_id, programs[3].persistents):
        if pid is not None:
            sizes.setdefault(pid.key, pid.itemsize)
    keys = programs[4].value if type(programs[4].value) is List else ()
    found: dict[str, Storage] = {}
    for value in keys:
        key, head = _key(value), source.read(end, 8)
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
    if length <= 0 or (length <= MAX_RECORD and not source.read(end, length).strip(b"\0")):
        return ()
    return (Part(name=f"bytes {end} to {source.size}", source=Slice(source, end, length)),)


# -- tar -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PytorchTar(TarTree):
    """The layout of PyTorch 0.1: a tar file with `sys_info`, `pickle`, `tensors` and `storages`."""


def read_tar(tree: TarTree, source: Source, budget: Budget, name: str) -> Reading:
    """PyTorch's view of a tar file: every pickle in the three members is a part."""
    parts: list[Part] = []
    gaps = list(tree.gaps)
    readers = {"storages": _tar_storages, "tensors": _tar_tensors}
    for member, part in zip([m for m in tree.members if m.source is not None], tree.parts, strict=False):
        record = member.name.removeprefix("./")
        if record == "pickle":
            parts.append(Part(name=part.name, source=part.source, kind="pickle"))
        elif record in readers and member.source is not None:
            try:
                parts += readers[record](member.source, budget, part.name)
            except InputError as error:
                parts.append(part)
                gaps.append(Gap(code=error.code, message=error.message, part=part.name))
        else:
            parts.append(part)
    parts += tree.parts[len([m for m in tree.members if m.source is not None]) :]
    kept: dict[str, Any] = {field.name: getattr(tree, field.name) for field in fields(tree)}
    kept |= {"format": "pytorch-tar", "parts": tuple(parts), "gaps": tuple(gaps)}
    kept["tensors_unlisted"] = "tensors of PyTorch's tar layout are not listed"
    return PytorchTar(**kept)


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
        if not _is_count(value):
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


def _tar_storages(source: Source, budget: Budget, label: str) -> list[Part]:
    sequence = _Sequence(source, budget, label)
    for _ in range(sequence.count()):
        value = sequence.pickle().value
        kind = value[2] if type(value) is tuple and len(value) == 3 else None
        known = DTYPES.get((kind.qualname or "").rpartition(".")[2]) if type(kind) is Global else None
        if known is None:
            raise InputError("bad-header", "a storage has no known type")
        (numel,) = struct.unpack("<q", sequence.raw(8))
        sequence.skip(numel * known[1])
    sequence.pickle()
    return sequence.done()


def _tar_tensors(source: Source, budget: Budget, label: str) -> list[Part]:
    sequence = _Sequence(source, budget, label)
    for _ in range(sequence.count()):
        sequence.pickle()
        (dimensions,) = struct.unpack("<i4x", sequence.raw(8))
        sequence.skip(16 * max(0, dimensions) + 8)
    return sequence.done()
