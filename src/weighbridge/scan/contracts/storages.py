"""Torch's storages and tensors in contracts: what a persistent id says, and whether a view lies inside of it."""

from weighbridge.core.budget import Budget, Limits
from weighbridge.core.source import MemorySource, Slice
from weighbridge.core.value import dataclass
from weighbridge.formats.pickle import Blob, Call, Dict, Global, Persistent, Value
from weighbridge.scan.contracts.book import find
from weighbridge.scan.contracts.remembered import once
from weighbridge.scan.contracts.values import Use, are_sizes, class_of, is_size


def is_storage(value: Value, _: Use) -> bool:
    """A storage."""
    return storage_of(value) is not None


def is_tensor(value: Value, _: Use) -> bool:
    """A tensor or a parameter."""
    return type(value) is Call and class_of(value) in ("torch:Tensor", "torch.nn.parameter:Parameter")


def is_empty_ordered(value: Value, _: Use) -> bool:
    """An empty `OrderedDict`: the backward hooks of a tensor that has none."""
    if type(value) is not Call or class_of(value) != "collections:OrderedDict":
        return type(value) is Dict and not value
    return value.args == () and not value.changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What a torch persistent id says of a storage."""

    kind: str
    """`FloatStorage`, `UntypedStorage`, …"""
    key: str
    elements: int


def storage_of(value: Value) -> Storage | None:
    """The storage that a persistent id names, as `torch.save` writes it, or that a torch file in bytes holds; else None."""
    if type(value) is Call:
        return _storage_in_bytes(value)
    pid = value.pid if type(value) is Persistent else None
    if type(pid) is not tuple or len(pid) not in (5, 6) or type(pid[0]) is not str or pid[0] != "storage":
        return None
    kind, key, location, elements = pid[1:5]
    if (
        type(kind) is not Global
        or find(kind.module, kind.qualname) is None
        or not str(kind.qualname).endswith("Storage")
    ):
        return None
    if type(key) not in (str, int) or type(location) is not str or not is_size(elements):
        return None
    if len(pid) == 6 and not (pid[5] is None or type(pid[5]) is tuple):
        return None
    return Storage(kind=str(kind.qualname), key=str(key), elements=elements)


def _storage_in_bytes(call: Call) -> Storage | None:
    """How plain pickle writes a storage: `torch.storage._load_from_bytes` of a whole legacy file."""
    target = call.callable
    if type(target) is not Global or target.name != "torch.storage._load_from_bytes" or call.changes:
        return None
    from weighbridge.formats.pytorch.legacy import saved_object

    content = call.args[0] if type(call.args) is tuple and len(call.args) == 1 else None
    if type(content) is bytes:
        return once(
            content, "storage", lambda: storage_of(saved_object(MemorySource(content), Budget(_SMALL)))
        )
    if type(content) is Blob:
        window = Slice(content.source, content.offset, content.size)
        return once(content, "storage", lambda: storage_of(saved_object(window, Budget(_SMALL))))
    return None


_SMALL = Limits(members=10_000, seconds=10)
"""Enough for the five pickles of a storage."""

_ITEMSIZE = {
    "float64": 8, "double": 8, "float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2, "int64": 8, "long": 8,
    "int32": 4, "int": 4, "int16": 2, "short": 2, "int8": 1, "uint8": 1, "bool": 1, "complex64": 8, "cfloat": 8,
    "complex128": 16, "cdouble": 16, "complex32": 4, "uint16": 2, "uint32": 4, "uint64": 8,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
    "float4_e2m1fn_x2": 1, "quint8": 1, "qint8": 1, "qint32": 4, "quint4x2": 1, "quint2x4": 1, "bits8": 1, "bits16": 2,
    "bits1x8": 1, "bits2x4": 1, "bits4x2": 1, **{f"{sign}int{bits}": 1 for sign in ("", "u") for bits in range(1, 8)},
}  # fmt: skip


def tensor_in_storage(use: Use) -> bool:
    """(storage, offset, size, stride, …, dtype?): the last item that the strides reach lies inside (CVE-2026-24747)."""
    storage = storage_of(use.args[0])
    offset, size, stride = use.args[1:4]
    if (
        storage is None
        or not is_size(offset)
        or not are_sizes(tuple_of(size))
        or not are_sizes(tuple_of(stride))
    ):
        return False
    size, stride = tuple_of(size), tuple_of(stride)
    if len(size) != len(stride):
        return False
    if 0 in size:
        return bool(offset <= storage.elements)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    return bool((last + 1) * _width(use, storage) <= storage.elements)


def tuple_of(value: Value) -> Value:
    """A tuple, or the tuple inside `torch.Size(…)`."""
    if (
        type(value) is Call
        and class_of(value) == "torch:Size"
        and type(value.args) is tuple
        and len(value.args) == 1
    ):
        return value.args[0]
    return value


def _width(use: Use, storage: Storage) -> int:
    """Bytes of an item where the storage counts bytes."""
    if storage.kind != "UntypedStorage":
        return 1
    dtypes = [str(a.qualname) for a in use.args if type(a) is Global and a.module == "torch"]
    return max((_ITEMSIZE.get(name, 16) for name in dtypes), default=16)
