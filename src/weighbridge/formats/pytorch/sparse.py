"""Sparse tensors: whether the indices of one lie inside of its size.

Follows the invariants of `torch/csrc/utils/tensor_new.cpp` and `_validate_compressed_sparse_indices`: whoever uses a tensor
whose indices lie outside reads or writes memory that is not its own, and newer releases check only where they are asked to.
Two dimensions of compressed layouts are followed, any of coordinates; batches are not.
"""

from array import array
from itertools import pairwise

from weighbridge.core.source import Source
from weighbridge.formats.reading import TensorRef

MAX_INDICES = 64 * 1024**2
"""Bytes of one table of indices that are looked at."""
COMPRESSED = {"sparse_csr": (0, 1), "sparse_bsr": (0, 1), "sparse_csc": (1, 0), "sparse_bsc": (1, 0)}
"""Layout → the dimension that is compressed, and the other one."""


def coordinates_problem(indices: TensorRef, sizes: tuple[int, ...], source: Source) -> str | None:
    """What is wrong with the indices of a COO tensor; "" where all lie inside; None where nobody can say."""
    if len(indices.shape) != 2 or indices.shape[0] > len(sizes):
        return "has indices of another number of dimensions"
    table = _numbers(indices, source)
    if table is None:
        return None
    count = indices.shape[1]
    row, step = indices.strides or (count, 1)
    for dimension in range(indices.shape[0]):
        first = dimension * row
        values = table[first : first + (count - 1) * step + 1 : step or 1] if count else array("q")
        if count and not (min(values) >= 0 and max(values) < sizes[dimension]):
            return f"has an index outside of its dimension {dimension} of {sizes[dimension]}"
    return ""


def compressed_problem(
    layout: str, outer: TensorRef, inner: TensorRef, values: TensorRef, sizes: tuple[int, ...], source: Source
) -> str | None:
    """The same of the compressed layouts."""
    first, second = COMPRESSED[layout]
    blocks = values.shape[-2:] if layout in ("sparse_bsr", "sparse_bsc") else (1, 1)
    if len(sizes) != 2 or len(outer.shape) != 1 or len(inner.shape) != 1 or len(blocks) != 2 or 0 in blocks:
        return None
    starts, others = _numbers(outer, source), _numbers(inner, source)
    if starts is None or others is None or outer.strides or inner.strides:
        return None
    lines, across = sizes[first] // blocks[first], sizes[second] // blocks[second]
    if (
        len(starts) != lines + 1
        or starts[0] != 0
        or starts[-1] != len(others)
        or len(others) != values.shape[0]
    ):
        return "has compressed indices that do not fit its size"
    if any(low > high for low, high in pairwise(starts)):
        return "has compressed indices that go back"
    if len(others) and not (min(others) >= 0 and max(others) < across):
        return f"has an index outside of its dimension {second} of {across}"
    return ""


def _numbers(ref: TensorRef, source: Source) -> "array[int] | None":
    kind = {"I64": "q", "I32": "i"}.get(ref.dtype)
    length = sum(size for _, size in ref.spans)
    if kind is None or ref.swap or length > MAX_INDICES:
        return None
    found = array(kind)
    for at, size in ref.spans:
        found.frombytes((ref.source or source).read(at, size))
    return found
