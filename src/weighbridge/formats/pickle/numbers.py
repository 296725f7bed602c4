"""Opcodes that push numbers, binary and in text.

Text is read as `Modules/_pickle.c` reads it; where `Lib/pickle.py` reads it differently an anomaly says so.
"""

import struct

from weighbridge.core.pattern import late
from weighbridge.formats.pickle.machine import BreakError, Machine
from weighbridge.formats.pickle.values import Opaque, Value

MAX_DIGITS = 4300
"""Decimal digits that newer interpreters convert at most (CVE-2020-10735)."""
PLAIN_DIGITS = 18
"""Decimal digits that fit into 64 bits."""

_DECIMAL = late(rb"(?:-?[1-9][0-9]{0,17}|0)\Z")
_PLAIN_FLOAT = late(rb"[-+]?(?:[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]{1,3})?|inf|nan)\Z")


def _unpack(layout: str, data: bytes) -> tuple[int, ...]:
    return struct.unpack(layout, data)


def int_(m: Machine) -> None:
    """INT."""
    text = number_line(m)
    if _is_plain(text):
        m.stack.append(int(text))
    elif text in (b"00", b"01"):
        m.stack.append(text == b"01")
    else:
        m.stack.append(_integer(m, text))


def long(m: Machine) -> None:
    """LONG."""
    text = number_line(m)
    digits = text[:-1] if text.endswith(b"L") else text
    m.stack.append(int(digits) if _is_plain(digits) else _integer(m, digits))


def _is_plain(text: bytes) -> bool:
    """Digits that mean the same to everybody; nearly all numbers are."""
    return text.isdigit() and len(text) < PLAIN_DIGITS and not text.startswith(b"0")


def number_line(m: Machine) -> bytes:
    """A line that must hold something."""
    text = m.stream.line()
    if not text:
        raise BreakError("a number is missing")
    return text


def _integer(m: Machine, text: bytes) -> Value:
    """The value in base 0, as C's `strtol` and Python's `int` agree on it."""
    if _DECIMAL.match(text):
        return int(text)
    if len(text) > MAX_DIGITS:
        m.note("number-too-long", f"a number of {len(text)} digits: newer interpreters refuse it")
        return Opaque("a number")
    try:
        value = int(text, 0)
    except ValueError:
        return _odd_integer(m, text)
    if not text.lstrip(b"-").isdigit():
        m.note("number-odd", "a number is written in a way that no pickler writes")
    return value


def _odd_integer(m: Machine, text: bytes) -> Value:
    """Only C reads this: an octal with a leading zero, or a number with junk behind a NUL."""
    head = text.partition(b"\0")[0].strip()
    try:
        value = int(head, 8) if head.lstrip(b"+-").startswith(b"0") else int(head, 0)
    except ValueError:
        raise BreakError("a number cannot be read") from None
    m.note("number-differs", "a number that the C loader reads and pickle.py refuses")
    return value


def float_(m: Machine) -> None:
    """FLOAT."""
    text = number_line(m)
    if _PLAIN_FLOAT.match(text) is None:
        m.note("number-odd", "a number is written in a way that no pickler writes")
    try:
        m.stack.append(float(text.partition(b"\0")[0]))
    except ValueError:
        raise BreakError("a number cannot be read") from None


def binint(m: Machine) -> None:
    """BININT."""
    stream = m.stream
    m.stack.append(_INT4(stream.data, stream.pos)[0])
    stream.pos += 4


def binint1(m: Machine) -> None:
    """BININT1."""
    stream = m.stream
    m.stack.append(stream.data[stream.pos])
    stream.pos += 1


def binint2(m: Machine) -> None:
    """BININT2."""
    stream = m.stream
    m.stack.append(_UINT2(stream.data, stream.pos)[0])
    stream.pos += 2


def binfloat(m: Machine) -> None:
    """BINFLOAT."""
    stream = m.stream
    m.stack.append(_DOUBLE(stream.data, stream.pos)[0])
    stream.pos += 8


def long1(m: Machine) -> None:
    """LONG1."""
    m.stack.append(int.from_bytes(m.stream.take(m.stream.take(1)[0]), "little", signed=True))


def long4(m: Machine) -> None:
    """LONG4."""
    (length,) = _unpack("<i", m.stream.take(4))
    if length < 0:
        raise BreakError("a number has a negative length")
    m.stack.append(int.from_bytes(m.stream.take(length), "little", signed=True))


_INT4 = struct.Struct("<i").unpack_from
_UINT2 = struct.Struct("<H").unpack_from
UINT4 = struct.Struct("<I").unpack_from
_DOUBLE = struct.Struct(">d").unpack_from
