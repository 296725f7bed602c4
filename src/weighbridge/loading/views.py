"""Arrays over held memory: no copy where the bytes lie as an array wants them, and never a write into verified bytes.

numpy arrays are read-only views. torch has no read-only tensors: it gets the same private pages, which are the loading
program's own. Element types that the library lacks are given as what they are, bytes: bfloat16 and the 8-bit floats through
`ml_dtypes` where that is installed, else as unsigned integers of their width; quantised blocks of GGUF and packed 4- and
6-bit floats as rows of uint8. `TensorInfo.dtype` always names what the bytes mean.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import UnavailableError, UsageError
from weighbridge.core.report import Report
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import TensorRef
from weighbridge.loading.memory import SealedFile
from weighbridge.loading.placed import Found
from weighbridge.measure.tensors import content

PLAIN = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1", "BOOL": "?", "C64": "<c8", "C128": "<c16",
}  # fmt: skip
"""Canonical dtype → numpy's."""

EXTRA = {
    "BF16": ("bfloat16", "<u2"), "F8_E4M3": ("float8_e4m3fn", "<u1"), "F8_E5M2": ("float8_e5m2", "<u1"),
    "F8_E8M0": ("float8_e8m0fnu", "<u1"), "F8_E4M3FNUZ": ("float8_e4m3fnuz", "<u1"), "F8_E5M2FNUZ": ("float8_e5m2fnuz", "<u1"),
}  # fmt: skip
"""Canonical dtype → (`ml_dtypes`' name, what it is without)."""

TORCH = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32", "I16": "int16",
    "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool", "C64": "complex64",
    "C128": "complex128", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
}  # fmt: skip
"""Canonical dtype → attribute of torch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """What one tensor is, whatever array it is given as."""

    dtype: str
    """Canonical name: safetensors' spelling (`F32`, `BF16`, …) or GGUF's type name (`Q4_K`)."""
    shape: tuple[int, ...]
    """Of the tensor; the array of a quantised one has rows of bytes instead."""
    path: str
    """The file it came from."""
    raw: bool
    """True where the array holds bytes or bit patterns and not numbers."""


class Tensors(Mapping[str, Any]):
    """Tensor name → array, out of verified memory. The memory lives as long as any array over it."""

    def __init__(
        self,
        arrays: Mapping[str, Any],
        infos: Mapping[str, TensorInfo],
        report: Report,
        left: Mapping[str, str],
        shared: Mapping[str, SealedFile],
    ) -> None:
        self._arrays, self._infos = dict(arrays), dict(infos)
        self.report = report
        """The weighing that admitted the model."""
        self.left = dict(left)
        """Tensor (or file) → why it is not here."""
        self.shared = dict(shared)
        """With `share=True`: path in the model → its sealed memfd."""

    def __getitem__(self, name: str) -> Any:
        try:
            return self._arrays[name]
        except KeyError:
            why = self.left.get(name)
            raise KeyError(f"{name}: {why}" if why else name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"<{len(self)} verified tensors of {visible(self.report.subject.name)}>"

    def info(self, name: str) -> TensorInfo:
        """What a tensor is and where it came from."""
        return self._infos[name]


Maker = Callable[[Found], tuple[Any, bool]]
"""An array of a tensor, and whether it is raw."""


def maker(framework: str, budget: Budget) -> Maker:
    """Makes the arrays of a framework. Raises `UsageError` (`framework-unknown`), `UnavailableError` (`extra-missing`)."""
    if framework == "numpy":
        return _Numpy(_imported("numpy"), budget)
    if framework == "torch":
        return _Torch(_imported("torch"), budget)
    raise UsageError(
        "framework-unknown", f'there are no arrays of "{visible(framework, 40)}"', "numpy or torch"
    )


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise UnavailableError(
            "extra-missing", f"{name} is not installed", 'pip install "weighbridge[load]"'
        ) from None


def _copied(found: Found, budget: Budget) -> bytearray:
    """The canonical bytes of a tensor that is compressed, or in several pieces."""
    budget.spend_bytes(found.size)
    data = bytearray()
    for piece in content(found.ref, found.source):
        data += piece
    return data


def _placed(found: Found) -> tuple[Any, int] | None:
    """(memory, offset) of a tensor that lies in memory in one piece; None for any other."""
    buffer = getattr(found.source, "buffer", None)
    spans = [span for span in found.ref.spans if span[1]]
    return (buffer, spans[0][0]) if buffer is not None and len(spans) == 1 else None


def _rows(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The shape of raw bytes: blocks lie along the innermost dimension."""
    outer = math.prod(shape[:-1])
    return (*shape[:-1], size // outer) if shape and outer and size % outer == 0 else (size,)


class _Numpy:
    """Read-only numpy views."""

    def __init__(self, numpy: Any, budget: Budget) -> None:
        self._np, self._budget = numpy, budget

    def __call__(self, found: Found) -> tuple[Any, bool]:
        ref = found.ref
        dtype, raw = self._dtype(ref)
        place = _placed(found)
        swap = ref.swap and ref.itemsize > 1
        if place is None or (swap and dtype.kind not in "biufcMm"):
            place, swap, strides = (_copied(found, self._budget), 0), False, None
        else:
            strides = ref.strides
        dtype = dtype.newbyteorder(">") if swap else dtype
        shape = (
            ref.shape
            if dtype.itemsize == ref.itemsize and not self._packed(ref)
            else _rows(ref.shape, found.size)
        )
        return self._array(place, dtype, shape, strides), raw

    def _packed(self, ref: TensorRef) -> bool:
        return ref.dtype not in PLAIN and ref.dtype not in EXTRA and self._own(ref) is None

    def _array(self, place: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...] | None) -> Any:
        if 0 in shape:
            array = self._np.empty(shape, dtype)
            array.flags.writeable = False
            return array
        buffer, offset = place
        steps = tuple(stride * dtype.itemsize for stride in strides) if strides is not None else None
        return self._np.ndarray(
            shape, dtype, buffer=memoryview(buffer).toreadonly(), offset=offset, strides=steps
        )

    def _dtype(self, ref: TensorRef) -> tuple[Any, bool]:
        plain = PLAIN.get(ref.dtype)
        if plain is not None and self._np.dtype(plain).itemsize == ref.itemsize:
            return self._np.dtype(plain), False
        if ref.dtype in EXTRA:
            name, bits = EXTRA[ref.dtype]
            try:
                return self._np.dtype(getattr(import_module("ml_dtypes"), name)), False
            except (ImportError, AttributeError):
                return self._np.dtype(bits), True
        own = self._own(ref)
        return (own, own.kind == "V") if own is not None else (self._np.dtype("u1"), True)

    def _own(self, ref: TensorRef) -> Any:
        """numpy's texts, dates and records (`S5`, `M8[ns]`, `V56`); None for anything else."""
        kind = ref.dtype[:1]
        name = (
            f"<U{ref.itemsize // 4}"
            if kind == "U"
            else f"{kind}{ref.itemsize}"
            if kind in "SV"
            else ref.dtype
        )
        if kind not in "USVMmfc" or "_" in ref.dtype or not ref.itemsize:
            return None
        try:
            found = self._np.dtype(name)
        except TypeError:
            return None
        return found if found.itemsize == ref.itemsize and found.kind == kind else None


class _Torch:
    """torch tensors over the same memory; little-endian machines only, as torch itself."""

    def __init__(self, torch: Any, budget: Budget) -> None:
        self._torch, self._budget = torch, budget
        self._writable: dict[int, tuple[Any, bytearray]] = {}

    def __call__(self, found: Found) -> tuple[Any, bool]:
        ref = found.ref
        dtype = getattr(self._torch, TORCH.get(ref.dtype, ""), None)
        raw = dtype is None or dtype.itemsize != ref.itemsize
        dtype = self._torch.uint8 if raw else dtype
        place = None if ref.swap else _placed(found)
        strides = ref.strides if place is not None else None
        shape = _rows(ref.shape, found.size) if raw else ref.shape
        if 0 in shape or not found.size:
            return self._torch.empty(shape, dtype=dtype), raw
        buffer, offset = place or (_copied(found, self._budget), 0)
        items = math.prod(shape)
        if strides is not None:
            items = 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        flat = self._torch.frombuffer(self._own(buffer), dtype=dtype, count=items, offset=offset)
        return flat.as_strided(shape, strides) if strides is not None else flat.reshape(shape), raw

    def _own(self, buffer: Any) -> Any:
        """Memory that torch may write to: private pages as they are, the plain bytes of a small file as a copy."""
        if not isinstance(buffer, bytes):
            return buffer
        kept = self._writable.setdefault(id(buffer), (buffer, bytearray(buffer)))
        return kept[1]
