"""What a dtype of numpy says of one item, and contiguous bytes of such items as a tensor.

Dtypes come from the `descr` of a header and from type strings here; from pickles in `formats.numpy.pickled`.
"""

from math import prod
from typing import Any

from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import TensorRef

MAX_DEPTH = 32
"""Fields inside fields, and brackets inside brackets of a header."""

_CANONICAL = {
    "b1": "BOOL",
    "?1": "BOOL",
    "f2": "F16",
    "f4": "F32",
    "f8": "F64",
    "c8": "C64",
    "c16": "C128",
} | {f"{kind}{size}": f"{name}{size * 8}" for kind, name in (("i", "I"), ("u", "U")) for size in (1, 2, 4, 8)}
_TYPESTR = late(r"([<>|=]?)([biufcmMOSUVaG?])([0-9]{0,18})(\[[0-9A-Za-z /]{1,20}\])?\Z")
_FIXED = {"?": 1, "O": 8, "b": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class DType:
    """What a dtype says of one item."""

    kind: str
    """numpy's letter: `f`, `i`, `U`, `V`, `O`, …"""
    itemsize: int
    big: bool = False
    """True for big-endian items."""
    objects: bool = False
    """True when items hold Python objects: such an array is a pickle, not bytes."""
    detail: str = ""
    """What else belongs to its name: a datetime's unit."""

    @property
    def name(self) -> str:
        """The canonical name (`F32`, `BOOL`), or numpy's own without byte order (`U20`, `V56`)."""
        return _CANONICAL.get(f"{self.kind}{self.itemsize}", f"{self.kind}{self.itemsize}{self.detail}")


def dtype_of_descr(descr: Any, depth: int = 0) -> DType:
    """The dtype of an npy header's `descr`. Raises `InputError` (`bad-npy`)."""
    if depth > MAX_DEPTH:
        raise InputError("bad-npy", "npy fields are nested too deep")
    if isinstance(descr, str):
        found = dtype_of_typestr(descr)
        if found is None:
            raise InputError("bad-npy", f'npy type "{visible(descr, 40)}" is unknown')
        return found
    if isinstance(descr, tuple) and len(descr) == 2:
        return _subarray(dtype_of_descr(descr[0], depth + 1), descr[1])
    if isinstance(descr, list):
        return _record([_field(item, depth) for item in descr])
    raise InputError("bad-npy", "npy descr is neither a type nor a list of fields")


def _field(item: Any, depth: int) -> DType:
    if not isinstance(item, tuple) or len(item) not in (2, 3):
        raise InputError("bad-npy", "an npy field is no pair of name and type")
    found = dtype_of_descr(item[1], depth + 1)
    return _subarray(found, item[2]) if len(item) == 3 else found


def _subarray(item: DType, shape: Any) -> DType:
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not all(type(n) is int and 0 <= n < 2**31 for n in sizes):
        raise InputError("bad-npy", "an npy field's shape is no tuple of sizes")
    return DType(kind="V", itemsize=item.itemsize * prod(sizes), objects=item.objects)


def _record(fields: list[DType]) -> DType:
    return DType(kind="V", itemsize=sum(f.itemsize for f in fields), objects=any(f.objects for f in fields))


def dtype_of_typestr(text: str) -> DType | None:
    """The dtype of `<f8`, `|S5`, `O`, `M8[ns]`; None where it is none of numpy's own forms."""
    match = _TYPESTR.match(text)
    if match is None:
        return None
    order, kind, digits, unit = match.groups()
    if not digits and kind not in _FIXED and kind not in "SUV":
        return None
    size = int(digits) if digits else _FIXED.get(kind, 0)
    kind = {"a": "S"}.get(kind, kind)
    itemsize = size * 4 if kind == "U" else 8 if kind == "O" else size
    return DType(
        kind=kind,
        itemsize=itemsize,
        big=order == ">" and itemsize > 1,
        objects=kind == "O",
        detail=unit or "",
    )


def array_ref(
    name: str,
    dtype: DType,
    shape: tuple[int, ...],
    start: int,
    *,
    fortran: bool,
    source: Source | None = None,
) -> TensorRef:
    """Contiguous array bytes as a tensor: row-major, or column-major with strides."""
    strides = tuple(prod(shape[:axis]) for axis in range(len(shape))) if fortran and len(shape) > 1 else None
    return TensorRef(
        name=name,
        dtype=dtype.name,
        shape=shape,
        spans=((start, prod(shape) * dtype.itemsize),),
        source=source,
        itemsize=dtype.itemsize,
        strides=strides,
        swap=dtype.big,
    )
