"""Tensors of PyTorch's pickles: which call makes one, what its storage is, and whether it lies inside of it.

Follows `torch/_utils.py` and `torch/serialization.py` of 2.13. `TorchTensors` goes through one executed pickle and places each
tensor in the bytes behind its storage; what a tensor says and the bytes do not agree about becomes an anomaly (the shape
of CVE-2026-24747). Quantized, sparse, nested and wrapped tensors have no plain bytes of their own: they are named, with
the reason, and their storages are held to the same bounds.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.formats.embedded import program_part
from weighbridge.formats.membernames import Notes
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
from weighbridge.formats.pytorch.sparse import COMPRESSED, compressed_problem, coordinates_problem
from weighbridge.formats.reading import Gap, Part, TensorRef

MAX_DIMENSIONS = 64

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

TENSOR_CALLS = frozenset(f"torch._utils._rebuild_tensor{suffix}" for suffix in ("", "_v2", "_v3"))
SPARSE = "is sparse"
SPECIAL_TENSORS: dict[str, str] = {
    "torch._utils._rebuild_qtensor": "is quantized: its numbers mean nothing without scale and zero point",
    "torch._utils._rebuild_sparse_tensor": SPARSE,
    "torch._utils._rebuild_sparse_csr_tensor": SPARSE,
    "torch._utils._rebuild_nested_tensor": "is a nested tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "has no storage (device meta)",
    "torch._utils._rebuild_device_tensor_from_numpy": "is copied to another device from an array",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "is copied to another device from a tensor",
    "torch._utils._rebuild_wrapper_subclass": "is of a subclass that wraps other tensors",
    "torch._utils._rebuild_xla_tensor": "is copied to another device from an array",
    "torch.nested._internal.nested_tensor._rebuild_njt": "is a nested tensor",
}
"""Calls that make tensors without plain bytes of their own, and why."""
OTHER_TENSORS = frozenset(SPECIAL_TENSORS)
PARAMETER_CALLS = frozenset({"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"})
FROM_TYPE_CALLS = frozenset({"torch._tensor._rebuild_from_type", "torch._tensor._rebuild_from_type_v2"})


class Storage(NamedTuple):
    """The bytes behind one storage key."""

    source: Source | None
    """None for the file that was read."""
    start: int
    size: int


class Pid(NamedTuple):
    """What a persistent id says of its storage."""

    key: str
    dtype: str
    itemsize: int
    numel: int
    offset: int = 0
    """Items by which a legacy view is moved."""


class TorchTensors:
    """Collects the tensors of one load, and what their descriptions and the bytes do not agree about."""

    def __init__(self, source: Source, budget: Budget, *, swap: bool = False) -> None:
        self.source, self.budget, self.swap = source, budget, swap
        self.notes = Notes()
        self.tensors: list[TensorRef] = []
        self.parts: list[Part] = []
        self.gaps: list[Gap] = []
        self.used: set[str] = set()
        self.unlisted = ""
        self.left: list[tuple[str, str]] = []
        """(name, why) of tensors that were not listed."""
        self.broken = False
        """True where no tensor can be believed: the load itself ends in an error, or two readers would differ."""
        self._find: Callable[[str], Storage | None] = lambda key: None

    def collect(
        self, program: PickleProgram, find: Callable[[str], Storage | None], prefix: str = ""
    ) -> None:
        """All tensors of a program; `find` gives the bytes behind a storage key. `used` then names the keys."""
        self._find = find
        self.used = set()
        if program.broken is not None:
            self.unlisted, self.broken = f"the pickle breaks: {program.broken.why}", True
        self._check_storages(program)
        for path, call in tensor_calls(program.value, self.budget, prefix):
            why = SPECIAL_TENSORS.get(call.callable.name) if type(call.callable) is Global else None
            if why is None:
                self._tensor(path, call)
            else:
                self._special(path, call, why)
        if not self.unlisted and self._hidden(program):
            self.unlisted = "it holds quantized, sparse or other special tensors"

    def partial(self) -> dict[str, Any]:
        """What a reading says of tensors where not all were listed."""
        found = tuple(self.tensors) if self.unlisted and not self.broken else ()
        return {"tensors_found": found, "tensors_left": tuple(self.left)}

    def _hidden(self, program: PickleProgram) -> bool:
        return any(
            type(call.callable) is Global and call.callable.name in OTHER_TENSORS for call in program.calls
        )

    def _check_storages(self, program: PickleProgram) -> None:
        """Each storage's declared length against the record that holds it (the shape of CVE-2026-24747)."""
        longest: dict[str, tuple[int, int]] = {}
        for persistent in program.persistents:
            pid = storage_id(persistent)
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

    def _special(self, path: str, call: Call, why: str) -> None:
        """A tensor without plain bytes: named, and held to its storage where it has one."""
        self._misshapen(path, why)
        args = call.args if type(call.args) is tuple else ()
        if why == SPARSE:
            self._sparse(path, call)
            return
        pid = storage_id(args[0]) if args else None
        if (
            pid is None
            or len(args) < 4
            or not (is_count(args[1]) and _are_counts(args[2]) and _are_counts(args[3]))
        ):
            return
        if len(args[2]) == len(args[3]) <= MAX_DIMENSIONS:
            self._inside(path, call, args[1] + extent(args[2], args[3]), pid.numel)

    def _sparse(self, path: str, call: Call) -> None:
        """The indices of a sparse tensor against its size; a gap where nobody can say."""
        problem = self._sparse_problem(path, call)
        if problem is None:
            text = f'"{visible(path)}" is sparse in a way that is not followed'
            self.gaps.append(Gap(code="sparse-not-followed", message=text, offset=call.offset))
        elif problem:
            self.notes.add("tensor-out-of-bounds", f'tensor "{visible(path)}" {problem}', offset=call.offset)

    def _sparse_problem(self, path: str, call: Call) -> str | None:
        layout, parts = (*call.args, None, None)[:2] if type(call.args) is tuple else (None, None)
        if type(parts) is not tuple:
            return None
        name = _layout_name(layout)
        refs = [self._placed(path, tensor) for part in parts if (tensor := as_tensor(part)) is not None]
        found = [ref for ref in refs if ref is not None]
        sizes = next((_sizes_of(part) for part in parts if _sizes_of(part) is not None), None)
        if len(found) != len(refs) or sizes is None:
            return None
        if name == "sparse_coo" and len(found) == 2:
            return coordinates_problem(found[0], sizes, self.source)
        if name in COMPRESSED and len(found) == 3:
            return compressed_problem(name, found[0], found[1], found[2], sizes, self.source)
        return None

    def _placed(self, path: str, call: Call) -> TensorRef | None:
        """One tensor that is part of another."""
        work = TorchTensors(self.source, self.budget, swap=self.swap)
        work._find = self._find
        work._tensor(path, call)
        return work.tensors[0] if work.tensors else None

    def _inside(self, path: str, call: Call, last: int, numel: int) -> bool:
        """Whether a view ends inside its storage; says so where it does not."""
        if last > numel:
            text = f'tensor "{visible(path)}" reaches to item {last} of a storage of {numel}'
            self.notes.add("tensor-out-of-bounds", text, offset=call.offset)
        return last <= numel

    def _tensor(self, path: str, call: Call) -> None:
        args = call.args if type(call.args) is tuple else ()
        pid = storage_id(args[0]) if args else None
        if pid is None or len(args) < 4:
            self._misshapen(path, "has no storage that can be found")
            return
        dtype, itemsize, numel = _retyped(call, args, pid)
        offset, shape, strides = args[1], args[2], args[3]
        if not dtype or not (is_count(offset) and _are_counts(shape) and _are_counts(strides)):
            self._misshapen(path, "has a shape that is no row of sizes" if dtype else "has an unknown dtype")
            return
        if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
            self._misshapen(path, "has strides that do not fit its shape")
            return
        items = extent(shape, strides)
        if items and not self._inside(path, call, offset + items, numel):
            self._misshapen(path, "lies outside of its storage")
            return
        if _has_metadata(call, args):
            self._misshapen(path, "is a conjugate or negative view")
            return
        self._place(path, pid, dtype, itemsize, offset + pid.offset, shape, strides, items)

    def _misshapen(self, path: str, why: str) -> None:
        self.unlisted = self.unlisted or f'"{visible(path)}" {why}'
        self.left.append((path, why))

    def _place(
        self,
        path: str,
        pid: Pid,
        dtype: str,
        itemsize: int,
        offset: int,
        shape: Any,
        strides: Any,
        items: int,
    ) -> None:
        found = self._find(pid.key)
        if found is None or (offset + items) * itemsize > found.size:
            self._misshapen(path, "has no bytes behind it")
            return
        if self.swap and dtype.startswith("C"):
            self._misshapen(path, "is complex and big-endian")
            return
        ref = placed(path, dtype, itemsize, found, offset, tuple(shape), tuple(strides))
        self.tensors.append(ref._replace(swap=self.swap and itemsize > 1))


def placed(
    path: str,
    dtype: str,
    itemsize: int,
    storage: Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
) -> TensorRef:
    """A view of a storage as a tensor of the file; it must lie inside."""
    items = extent(shape, strides)
    return TensorRef(
        name=path,
        dtype=dtype,
        shape=shape,
        spans=((storage.start + offset * itemsize, items * itemsize),) if items else (),
        source=storage.source,
        itemsize=itemsize,
        strides=None if _row_major(shape, strides) else strides,
    )


def storage_id(value: Value) -> Pid | None:
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
    key, numel = key_text(pid[2]), pid[4]
    if known is None or key is None or not is_count(numel):
        return None
    view = pid[5] if len(pid) == 6 else None
    if view is None:
        return Pid(key, *known, numel)
    if type(view) is not tuple or len(view) != 3 or not (is_count(view[1]) and is_count(view[2])):
        return None
    return Pid(key, *known, max(numel, view[1] + view[2]), view[1])


def _text(value: Value) -> str | None:
    if type(value) is bytes:
        return value.decode("latin-1")
    return value if type(value) is str else None


def key_text(value: Value) -> str | None:
    """A storage's key, which old files write as a number."""
    return str(value) if type(value) is int else _text(value)


def is_count(value: Value) -> bool:
    """Whether a value is a size or an offset."""
    return type(value) is int and 0 <= value < 2**63


def _are_counts(value: Value) -> bool:
    """A tuple of sizes; `torch.Size` and TorchScript's lists included."""
    return type(value) in (tuple, List) and all(is_count(item) for item in value)


def extent(shape: Iterable[int], strides: Iterable[int]) -> int:
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


def _layout_name(value: Value) -> str:
    """`torch.sparse_coo`, as a name or by `_get_layout("torch.sparse_coo")`."""
    if (
        type(value) is Call
        and type(value.args) is tuple
        and len(value.args) == 1
        and type(value.args[0]) is str
    ):
        return value.args[0].removeprefix("torch.")
    return (value.qualname or "") if type(value) is Global and value.module == "torch" else ""


def _sizes_of(value: Value) -> tuple[int, ...] | None:
    """A tuple of sizes, or what stands in `torch.Size(…)`."""
    if type(value) is Call and type(value.callable) is Global and value.callable.name == "torch.Size":
        value = value.args[0] if type(value.args) is tuple and len(value.args) == 1 else None
    return tuple(value) if type(value) in (tuple, List) and _are_counts(value) else None


def _retyped(call: Call, args: tuple[Value, ...], pid: Pid) -> tuple[str, int, int]:
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


def tensor_calls(root: Value, budget: Budget, prefix: str) -> Iterator[tuple[str, Call]]:
    """(name, call) of every tensor in the loaded object; names are the keys on the way, joined by dots.

    A container that stands in several places is entered once; a tensor is named for every place it stands in.
    """
    seen: set[int] = set()
    todo: list[tuple[str, Value]] = [(prefix, root)]
    while todo:
        path, value = todo.pop()
        if is_constant(value):
            continue
        tensor = as_tensor(value) or _as_special(value)
        if tensor is not None:
            yield path, tensor
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        budget.spend_members()
        todo += reversed([(f"{path}.{key}" if path else key, inner) for key, inner in inside(value)])


def as_tensor(value: Value) -> Call | None:
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
            value = Call("REDUCE", args[0], args[2], None, value.offset, value.index)
        else:
            return None
    return None


def _as_special(value: Value) -> Call | None:
    """The call of a tensor without plain bytes, also inside a parameter or a subclass."""
    for _ in range(8):
        if type(value) is not Call or type(value.callable) is not Global or type(value.args) is not tuple:
            return None
        name, args = value.callable.name, value.args
        if name in SPECIAL_TENSORS:
            return value
        if name in PARAMETER_CALLS and args:
            value = args[0]
        elif name in FROM_TYPE_CALLS and len(args) > 2 and type(args[0]) is Global:
            value = Call("REDUCE", args[0], args[2], None, value.offset, value.index)
        else:
            return None
    return None


def persistent_paths(root: Value, budget: Budget) -> Iterator[tuple[str, str]]:
    """(name, key) of every object that the loader puts in for a persistent id: the tensors of the tar layout."""
    seen: set[int] = set()
    todo: list[tuple[str, Value]] = [("", root)]
    while todo:
        path, value = todo.pop()
        if type(value) is Persistent:
            key = key_text(value.pid)
            if key is not None:
                yield path, key
            continue
        if is_constant(value) or id(value) in seen:
            continue
        seen.add(id(value))
        budget.spend_members()
        todo += reversed([(f"{path}.{key}" if path else key, inner) for key, inner in inside(value)])


def inside(value: Value) -> Iterator[tuple[str, Value]]:
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
