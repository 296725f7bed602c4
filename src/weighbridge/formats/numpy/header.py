"""The header of a `.npy` file: what it says of the array, and where the array's bytes begin."""

from math import prod
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.numpy.dtypes import DType, array_ref, dtype_of_descr
from weighbridge.formats.numpy.literal import Literal
from weighbridge.formats.reading import TensorRef

MAGIC = b"\x93NUMPY"
MAX_HEADER = 1024**2
"""numpy refuses headers beyond 10,000 bytes unless told otherwise; structured dtypes may be longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NpyHeader:
    """The header of a `.npy` file, and where its data begins."""

    descr: Any
    dtype: DType
    shape: tuple[int, ...]
    fortran_order: bool
    start: int
    version: tuple[int, int]
    odd: tuple[str, ...] = ()
    """Codes of what no writer of numpy would do: `duplicate-key`, `unknown-key`."""

    @property
    def size(self) -> int:
        """Bytes of data that the header promises; 0 for objects."""
        return 0 if self.dtype.objects else prod(self.shape) * self.dtype.itemsize


def read_header(source: Source, budget: Budget) -> NpyHeader:
    """The header alone. Raises `InputError` (`not-this-format`, `bad-npy`)."""
    head = source.read(0, 12)
    if head[:6] != MAGIC or len(head) < 10:
        raise InputError("not-this-format", "no npy magic")
    version = (head[6], head[7])
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise InputError("bad-npy", f"npy version {version[0]}.{version[1]} is unknown")
    wide = 2 if version == (1, 0) else 4
    length = int.from_bytes(head[8 : 8 + wide], "little")
    start = 8 + wide + length
    if start > source.size:
        raise InputError("bad-npy", f"an npy header of {length} bytes ends behind the file")
    if length > MAX_HEADER:
        raise InputError("bad-npy", f"an npy header of {length} bytes, limit {MAX_HEADER}")
    budget.need_memory(length, "an npy header")
    text = source.read(8 + wide, length).decode("utf-8" if version == (3, 0) else "latin-1", "replace")
    return _header(Literal(text).document(), start, version)


def _header(document: list[tuple[Any, Any]], start: int, version: tuple[int, int]) -> NpyHeader:
    fields = {key: value for key, value in document if isinstance(key, str)}
    odd = []
    if len(fields) != len(document):
        odd.append("duplicate-key")
    if set(fields) != {"descr", "fortran_order", "shape"}:
        raise InputError("bad-npy", "an npy header has not the three keys that it must have")
    shape, order = fields["shape"], fields["fortran_order"]
    if (
        not isinstance(shape, tuple)
        or not all(type(n) is int and 0 <= n < 2**63 for n in shape)
        or len(shape) > 64
    ):
        raise InputError("bad-npy", "an npy shape is no tuple of sizes")
    if not isinstance(order, bool):
        raise InputError("bad-npy", "npy fortran_order is no bool")
    dtype = dtype_of_descr(fields["descr"])
    return NpyHeader(
        descr=fields["descr"],
        dtype=dtype,
        shape=shape,
        fortran_order=order,
        start=start,
        version=version,
        odd=tuple(odd),
    )


def tensor(header: NpyHeader, name: str, source: Source | None = None) -> TensorRef:
    """The array as a tensor; `source` as in `TensorRef`."""
    return array_ref(
        name, header.dtype, header.shape, header.start, fortran=header.fortran_order, source=source
    )
