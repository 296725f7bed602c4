"""Bits taken out of the items of a tensor and put together to bytes, in the ways in which programs hide bytes there.

Low bits of every number, one to eight; of every byte, one or two; the sign and the lowest exponent bit; whole low bytes,
two to four. Within a number high bits first or low bits first, and so within the bytes that come out.
"""

from collections.abc import Iterator
from typing import NamedTuple

from weighbridge.scan.weights.numbers import FLOATS, plain, width

_DIGITS = tuple(bytes(0x30 + (byte >> bit & 1) for byte in range(256)) for bit in range(8))
"""For each bit: byte → the digit `0` or `1`."""
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""byte → the same bits the other way round."""


class Stream(NamedTuple):
    """Bytes that were taken out of a tensor, and how."""

    how: str
    data: bytes
    stride: float
    """Bytes of the tensor for one byte of the stream."""


def low_bytes(dtype: str, data: bytes) -> bytes:
    """The lowest byte of every item."""
    return data[:: width(dtype)]


def packed(low: bytes, bits: int, *, high_first: bool = True) -> bytes:
    """The lowest `bits` of every byte in a row, as bytes whose highest bit comes first."""
    if bits == 8 and high_first:
        return low
    order = range(bits - 1, -1, -1) if high_first else range(bits)
    digits = bytearray(bits * len(low))
    for index, bit in enumerate(order):
        digits[index::bits] = low.translate(_DIGITS[bit])
    return joined(digits)


def joined(digits: bytes | bytearray) -> bytes:
    """Binary digits as bytes; what is left over at the end is dropped."""
    usable = len(digits) // 8 * 8
    return int(digits[:usable], 2).to_bytes(usable // 8, "big") if usable else b""


def shifted(data: bytes, bits: int) -> bytes:
    """The stream without its first `bits` bits."""
    if not bits or len(data) < 2:
        return data
    number = int.from_bytes(data, "big") & ((1 << (8 * len(data) - bits)) - 1)
    return (number >> (8 - bits)).to_bytes(len(data) - 1, "big")


def streams(dtype: str, data: bytes) -> Iterator[Stream]:
    """Everything that bits of these items may spell."""
    item = width(dtype)
    yield from _low_bits(dtype, data, item)
    if item > 1:
        for bits in (1, 2):
            yield from _both(packed(data, bits), f"{_bits(bits)} of every byte", 8 / bits)
    kind = FLOATS.get(plain(dtype))
    if kind is None:
        return
    yield from _both(packed(_bit(data, item, kind.bits - 1), 1), f"the sign of every {dtype}", 8 * item)
    exponent = _bit(data, item, kind.mantissa)
    yield from _both(packed(exponent, 1), f"the lowest exponent bit of every {dtype}", 8 * item)
    for count in range(2, min(item, 5)):
        yield from _whole_bytes(dtype, data, item, count)


def usual_streams(dtype: str, data: bytes) -> Iterator[Stream]:
    """The most usual of them: the low eight, four, two or one bits of every number of several bytes."""
    item = width(dtype)
    low = data[::item]
    for bits in (8, 4, 2, 1) if item > 1 else ():
        yield from _both(packed(low, bits), f"{_bits(bits)} of every {dtype}", 8 * item / bits)


def _low_bits(dtype: str, data: bytes, item: int) -> Iterator[Stream]:
    low = data[::item]
    for bits in range(1, 9 if item > 1 else 8):
        how = f"{_bits(bits)} of every {dtype if item > 1 else 'byte'}"
        yield from _both(packed(low, bits), how, 8 * item / bits)
        if bits > 1:
            turned = packed(low, bits, high_first=False)
            yield from _both(turned, f"{how} from the lowest up", 8 * item / bits)


def _whole_bytes(dtype: str, data: bytes, item: int, count: int) -> Iterator[Stream]:
    usable = len(data) // item * item
    for up in (True, False):
        taken = bytearray(usable // item * count)
        for index in range(count):
            taken[index::count] = data[(index if up else count - 1 - index) : usable : item]
        order = "lowest first" if up else "highest first"
        yield Stream(f"the low {count} bytes of every {dtype}, {order}", bytes(taken), item / count)


def _both(data: bytes, how: str, stride: float) -> Iterator[Stream]:
    yield Stream(f"{how}, first bit highest", data, stride)
    yield Stream(f"{how}, first bit lowest", data.translate(REVERSED), stride)


def _bit(data: bytes, item: int, bit: int) -> bytes:
    """One bit of every item, as the lowest of a byte."""
    return data[bit // 8 :: item].translate(_SHIFTS[bit % 8])


_SHIFTS = tuple(bytes(byte >> bit & 1 for byte in range(256)) for bit in range(8))


def _bits(bits: int) -> str:
    return "bit 0" if bits == 1 else f"bits 0 to {bits - 1}"
