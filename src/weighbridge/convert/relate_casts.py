"""Casts computed again: is every number of the child what IEEE 754 makes of the parent's, rounded to nearest, ties to even?

Numbers are compared bit by bit, block by block. Two things are not settled by the standard, so that each known way counts,
the same way for the whole tensor: F64 goes to a short type directly (numpy) or by way of F32 (torch). A NaN stays a NaN,
in one of the forms that hardware and libraries give it; any other payload is no cast, since a NaN has room for a message.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

from weighbridge.convert.relate_sides import One, blocks
from weighbridge.core.budget import Budget

ITEMS = 256 * 1024
"""Numbers that are computed at once."""


class Float(NamedTuple):
    """An IEEE 754 layout: sign, exponent, mantissa."""

    bits: int
    mantissa: int
    half_ulp: float
    """The largest relative error of rounding to it."""


FLOATS = {
    "F64": Float(64, 52, 2.0**-53), "F32": Float(32, 23, 2.0**-24),
    "F16": Float(16, 10, 2.0**-11), "BF16": Float(16, 7, 2.0**-8),
}  # fmt: skip
"""Types that a cast is computed between; of any other, nothing is said."""


def numpy() -> Any:
    """The library, or None without the extra that brings it."""
    try:
        return import_module("numpy")
    except ImportError:
        return None


def pairs(parent: One, parent_bits: int, child: One, child_bits: int, budget: Budget) -> Iterator[Any]:
    """The bytes of the same `ITEMS` numbers on both sides, in order."""
    return zip(
        blocks(parent, ITEMS * parent_bits // 8, budget),
        blocks(child, ITEMS * child_bits // 8, budget),
        strict=True,
    )


def is_cast(np: Any, parent: One, child: One, budget: Budget) -> str:
    """Why the child's tensor is no cast of the parent's; "" where it is. Both of `FLOATS`, of one shape."""
    old, new = parent.entry.dtype, child.entry.dtype
    left: set[int] | None = None
    at = 0
    for before, after in pairs(parent, FLOATS[old].bits, child, FLOATS[new].bits, budget):
        source, there = bits(np, before, old), bits(np, after, new)
        wrong = [_differs(np, source, old, ways, there, new) for ways in _ways(np, source, old, new)]
        fits = {number for number, row in enumerate(wrong) if not row.any()}
        left = fits if left is None else left & fits
        if not left:
            where = min((int(row.argmax()) for row in wrong if row.any()), default=0)
            return f"item {at + where} is not the {new} of the parent's {old}"
        at += ITEMS
    return ""


def is_zeroed(np: Any, parent: One, child: One, budget: Budget) -> bool:
    """Whether each number of the child is the parent's or zero, and some are zero that were not."""
    dtype = child.entry.dtype
    sign = 1 << (FLOATS[dtype].bits - 1)
    width = FLOATS[dtype].bits
    for before, after in pairs(parent, width, child, width, budget):
        old, new = bits(np, before, dtype), bits(np, after, dtype)
        if ((new != old) & ((new & (sign - 1)) != 0)).any():
            return False
    return True


def bits(np: Any, data: bytes, dtype: str) -> Any:
    """The bit patterns of numbers, as unsigned integers."""
    return np.frombuffer(data, dtype=f"<u{FLOATS[dtype].bits // 8}")


def numbers(np: Any, data: bytes, dtype: str) -> Any:
    """The numbers themselves; BF16 as F32, which holds each of them."""
    if dtype == "BF16":
        return (bits(np, data, dtype).astype("<u4") << 16).view("<f4")
    return np.frombuffer(data, dtype=f"<f{FLOATS[dtype].bits // 8}")


def _ways(np: Any, source: Any, old: str, new: str) -> Iterator[Any]:
    """The bit patterns of the cast, by each way that is in use. NaN is not looked at here."""
    values = numbers(np, source.tobytes(), old)
    with np.errstate(all="ignore"):
        if new == "BF16":
            yield _bfloat(np, values.astype("<f4"))
        else:
            yield _bits_of(values.astype(f"<f{FLOATS[new].bits // 8}"), new)
            if old == "F64" and new == "F16":
                yield _bits_of(values.astype("<f4").astype("<f2"), new)


def _bits_of(values: Any, dtype: str) -> Any:
    return values.view(f"<u{FLOATS[dtype].bits // 8}")


def _bfloat(np: Any, values: Any) -> Any:
    """The upper half of an F32, rounded to nearest, ties to even."""
    wide = values.view("<u4").astype("<u8")
    return ((wide + 0x7FFF + ((wide >> 16) & 1)) >> 16).astype("<u2")


def _differs(np: Any, source: Any, old: str, wanted: Any, there: Any, new: str) -> Any:
    """Where the child has something else than what the cast gives."""
    nan = _is_nan(source, old)
    wrong = wanted != there
    if nan.any():
        wrong[nan] = ~_is_nan_of(np, source[nan], old, there[nan], new)
    return wrong


def _is_nan(patterns: Any, dtype: str) -> Any:
    layout = FLOATS[dtype]
    infinity = ((1 << (layout.bits - 1 - layout.mantissa)) - 1) << layout.mantissa
    return (patterns & ((1 << (layout.bits - 1)) - 1)) > infinity


def _is_nan_of(np: Any, source: Any, old: str, there: Any, new: str) -> Any:
    """Whether the child's NaN is one that a cast of the parent's NaN leaves: its payload cut or widened, or none."""
    a, b = FLOATS[old], FLOATS[new]
    quiet = 1 << (b.mantissa - 1)
    payload = (source & ((1 << a.mantissa) - 1)).astype("<u8")
    shift = a.mantissa - b.mantissa
    kept = payload >> shift if shift >= 0 else payload << -shift
    mantissa = (there & ((1 << b.mantissa) - 1)).astype("<u8")
    same_sign = (source >> (a.bits - 1)).astype("<u8") == (there >> (b.bits - 1)).astype("<u8")
    carried = same_sign & ((mantissa == (kept | quiet)) | (mantissa == np.maximum(kept, 1)))
    plain = (mantissa == quiet) | (mantissa == (1 << b.mantissa) - 1)
    return _is_nan(there, new) & (carried | plain)
