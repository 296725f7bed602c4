"""Tensors and the memory that they lie in, from what the examination of an admitted file found.

For containers whose header alone says where each tensor is; a pickle can do more with a tensor than name it, so its files
go through the same sieve as conversions (`convert.gather`).
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from weighbridge.core.source import Source
from weighbridge.formats.reading import TensorRef
from weighbridge.formats.safetensors import DTYPE_BITS
from weighbridge.measure.tensors import cost, refused

PLAIN = frozenset({"safetensors", "gguf", "npy", "npz"})
"""`FileResult.format` of files in which nothing happens to a tensor on the way."""

SLACK = 64 * 1024**2
"""Bytes that the tensors of a file may have beyond four times what they lie in."""


class Found(NamedTuple):
    """One tensor and the bytes that it lies in; as in `convert.gather`."""

    path: str
    ref: TensorRef
    source: Source
    size: int
    """Bytes of its canonical content."""

    @property
    def name(self) -> str:
        """Its name as the reader gives it."""
        return self.ref.name


def place(path: str, source: Source, refs: Iterable[TensorRef]) -> tuple[list[Found], dict[str, str]]:
    """Each tensor with its memory, and those that have none with the reason."""
    found: list[Found] = []
    left: dict[str, str] = {}
    spent: dict[int, int] = {}
    for ref in refs:
        behind = ref.source or source
        size = content_size(ref)
        why = refused(ref, behind.size) or _wrong_size(ref, size)
        spent[id(behind)] = spent.get(id(behind), 0) + cost(ref)
        if why:
            left[ref.name] = why
        elif spent[id(behind)] > 4 * behind.size + SLACK:
            return [], {path: "its tensors overlap far too often"}
        else:
            found.append(Found(path, ref, behind, size))
    return found, left


def content_size(ref: TensorRef) -> int:
    """Bytes of the canonical content."""
    if ref.strides is None:
        return sum(length for _, length in ref.spans)
    return math.prod(ref.shape) * ref.itemsize


def _wrong_size(ref: TensorRef, size: int) -> str:
    bits = DTYPE_BITS.get(ref.dtype, 0)
    # numpy's texts share names with numbers (`U8`); their item size tells them apart.
    if bits == ref.itemsize * 8 and math.prod(ref.shape) * ref.itemsize != size:
        return "its shape and its bytes do not agree"
    return ""
