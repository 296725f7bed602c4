"""What is wrong with single numbers: none at all (NaN), without end, or all the same.

IEEE 754 for F16, F32 and F64, the same cut short for BF16, the OCP and FNUZ types for F8. Quantised blocks and whole
numbers have no such values.
"""

import sys
from array import array
from collections.abc import Sequence
from typing import Literal, NamedTuple

FEW = 16
"""Numbers; bounds and fill values stand in tensors as small as this."""


class Float(NamedTuple):
    """A floating-point type: its exponent bits in an unsigned number, and what holds such a number."""

    bits: int
    exponent: int
    code: Literal["H", "I", "Q"]
    mantissa: int
    """Bits."""


FLOATS = {
    "F16": Float(16, 0x7C00, "H", 10),
    "BF16": Float(16, 0x7F80, "H", 7),
    "F32": Float(32, 0x7F80_0000, "I", 23),
    "F64": Float(64, 0x7FF0_0000_0000_0000, "Q", 52),
}
PAIRS = {"C64": "F32", "C128": "F64"}
"""Complex numbers are two of these."""
SMALL_NANS = {
    "F8_E4M3": b"\x7f\xff",
    "F8_E5M2": b"\x7d\x7e\x7f\xfd\xfe\xff",
    "F8_E4M3FNUZ": b"\x80",
    "F8_E5M2FNUZ": b"\x80",
    "F8_E8M0": b"\xff",
}
SMALL_INFINITIES = {"F8_E5M2": b"\x7c\xfc"}
_WIDTHS = {"I16": 2, "U16": 2, "I32": 4, "U32": 4, "I64": 8, "U64": 8}
_EVERY = bytes(range(256))


def plain(dtype: str) -> str:
    """The type of the numbers in it: F32 for C64."""
    return PAIRS.get(dtype, dtype)


def width(dtype: str) -> int:
    """Bytes of one number; 1 for everything that has no numbers of whole bytes."""
    kind = FLOATS.get(plain(dtype))
    return kind.bits // 8 if kind else _WIDTHS.get(dtype, 1)


def not_finite(dtype: str, data: bytes) -> tuple[int, int]:
    """(how many numbers are NaN, how many infinite)."""
    kind = FLOATS.get(plain(dtype))
    if kind is None:
        return _count(data, SMALL_NANS.get(dtype, b"")), _count(data, SMALL_INFINITIES.get(dtype, b""))
    if not _count(data[kind.bits // 8 - 1 :: kind.bits // 8], _tops(kind)):
        return 0, 0
    sign = 1 << (kind.bits - 1)
    strange = [item & ~sign for item in items(dtype, data) if item & kind.exponent == kind.exponent]
    infinities = strange.count(kind.exponent)
    return len(strange) - infinities, infinities


def items(dtype: str, data: bytes) -> Sequence[int]:
    """The numbers as unsigned ones, bit for bit."""
    size = width(dtype)
    if size == 1:
        return data
    codes: dict[int, Literal["H", "I", "Q"]] = {2: "H", 4: "I", 8: "Q"}
    found = array(codes[size], data[: len(data) // size * size])
    if sys.byteorder == "big":
        found.byteswap()
    return found


def looks_usual(dtype: str, data: bytes) -> bool:
    """Whether infinities in it are a mask's or a bound's: beside at most two other values, or in very few numbers."""
    found = items(dtype, data)
    return len(found) <= FEW or len(set(found)) <= FEW // 4


def is_constant(dtype: str, data: bytes) -> bool:
    """Whether all numbers are the first one."""
    size = width(dtype)
    return len(data) >= 2 * size and data == data[:size] * (len(data) // size)


def _count(data: bytes, which: bytes) -> int:
    return len(data.translate(None, _EVERY.translate(None, which))) if which else 0


def _tops(kind: Float) -> bytes:
    """Highest bytes that a number without end or meaning can have."""
    top = kind.exponent >> (kind.bits - 8)
    return bytes(byte for byte in range(256) if byte & top == top)
