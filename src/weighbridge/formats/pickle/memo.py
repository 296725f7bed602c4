"""Opcodes of the memo: values by their numbers, binary and in text."""

from weighbridge.formats.pickle.machine import BreakError, Machine
from weighbridge.formats.pickle.numbers import MAX_DIGITS, PLAIN_DIGITS, UINT4, number_line
from weighbridge.formats.pickle.strings import MAX_SIZE
from weighbridge.formats.pickle.values import Value

MEMO_STEP = 1_000_000
"""A memo index this far beyond what is used makes the C unpickler allocate for nothing."""


def _index(m: Machine) -> int:
    text = number_line(m)
    if text.isdigit() and len(text) < PLAIN_DIGITS:
        return int(text)
    digits, junk, _ = text.partition(b"\0")
    try:
        number = int(digits) if len(digits) <= MAX_DIGITS else -1
    except ValueError:
        number = -1
    if junk or number > MAX_SIZE:
        m.note("number-differs", "a memo index that only one of the C loader and pickle.py takes")
    if number < 0:
        raise BreakError("a memo index cannot be read")
    return number


def get(m: Machine) -> None:
    """GET."""
    m.stack.append(_recall(m, _index(m)))


def binget(m: Machine) -> None:
    """BINGET."""
    stream = m.stream
    m.stack.append(_recall(m, stream.data[stream.pos]))
    stream.pos += 1


def long_binget(m: Machine) -> None:
    """LONG_BINGET."""
    stream = m.stream
    m.stack.append(_recall(m, UINT4(stream.data, stream.pos)[0]))
    stream.pos += 4


def _recall(m: Machine, index: int) -> Value:
    try:
        return m.memo[index]
    except KeyError:
        raise BreakError(f"memo entry {index} was never stored") from None


def put(m: Machine) -> None:
    """PUT."""
    value = m.stack[-1]
    _store(m, _index(m), value)


def binput(m: Machine) -> None:
    """BINPUT."""
    stream = m.stream
    m.memo[stream.data[stream.pos]] = m.stack[-1]
    stream.pos += 1


def long_binput(m: Machine) -> None:
    """LONG_BINPUT."""
    stream = m.stream
    _store(m, UINT4(stream.data, stream.pos)[0], m.stack[-1])
    stream.pos += 4


def _store(m: Machine, index: int, value: Value) -> None:
    if index > 2 * len(m.memo) + MEMO_STEP:
        m.note("memo-index", f"memo index {index} makes the C loader allocate {16 * index} bytes or more")
    m.memo[index] = value


def memoize(m: Machine) -> None:
    """MEMOIZE."""
    m.memo[len(m.memo)] = m.stack[-1]
