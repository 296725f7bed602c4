"""Opcodes that push strings, bytes, bytearrays and buffers; long ones are left in the source."""

from codecs import escape_decode

from weighbridge.formats.pickle.machine import INERT, BreakError, Handler, Machine, kind_of
from weighbridge.formats.pickle.values import Blob, Buffer

LEAVE = 1024**2
"""Byte strings from this length on are left in the source."""
MAX_SIZE = 2**63 - 1


def _length(m: Machine, size: int) -> int:
    length = int.from_bytes(m.stream.take(size), "little")
    if length > MAX_SIZE:
        raise BreakError("a string is longer than any file")
    m.stream.need(length)
    return length


def unicode(m: Machine) -> None:
    """UNICODE."""
    m.stack.append(m.stream.line().decode("raw-unicode-escape"))


def _counted(m: Machine, size: int) -> bytes:
    """What stands behind its length, a number of `size` bytes; taken out of the window where all of it lies there."""
    stream = m.stream
    data = stream.data
    start = stream.pos + size
    end = start + int.from_bytes(data[stream.pos : start], "little")
    if start <= end <= len(data) and not stream.drops:
        stream.pos = end
        return data[start:end]
    return stream.take(_length(m, size))


def unicode_of(size: int) -> Handler:
    """BINUNICODE, SHORT_BINUNICODE, BINUNICODE8."""

    def push(m: Machine) -> None:
        m.stack.append(_counted(m, size).decode("utf-8", "surrogatepass"))

    return push


def bytes_of(size: int) -> Handler:
    """BINBYTES, SHORT_BINBYTES, BINBYTES8."""

    def push(m: Machine) -> None:
        stream = m.stream
        pos = stream.pos
        if int.from_bytes(stream.data[pos : pos + size], "little") < LEAVE:
            m.stack.append(_counted(m, size))
        else:
            m.stack.append(_blob(m, _length(m, size)))

    return push


def bytearray8(m: Machine) -> None:
    """BYTEARRAY8."""
    m.stack.append(_blob(m, _length(m, 8), mutable=True))


def _blob(m: Machine, length: int, *, mutable: bool = False) -> Blob:
    return Blob(m.stream.source, m.stream.skip(length), length, mutable)


def string(m: Machine) -> None:
    """STRING."""
    text = m.stream.line()
    if len(text) < 2 or text[0] != text[-1] or text[:1] not in (b"'", b'"'):
        raise BreakError("a string is not quoted")
    try:
        m.stack.append(_python2(m, escape_decode(text[1:-1])[0]))
    except ValueError:
        raise BreakError("a string has a broken escape") from None


def short_binstring(m: Machine) -> None:
    """SHORT_BINSTRING."""
    m.stack.append(_python2(m, _counted(m, 1)))


def binstring(m: Machine) -> None:
    """BINSTRING."""
    m.stack.append(_python2(m, _counted(m, 4)))


def _python2(m: Machine, data: bytes) -> str:
    """A Python 2 string: ASCII by default; with other bytes the loading program must name an encoding."""
    if not data.isascii():
        m.note(
            "python2-string",
            'a Python 2 string that is not ASCII: loads only with encoding="latin1" or "bytes"',
        )
    return data.decode("latin-1")


def next_buffer(m: Machine) -> None:
    """NEXT_BUFFER."""
    m.stack.append(Buffer(m.buffers, m.at))
    m.buffers += 1


def readonly_buffer(m: Machine) -> None:
    """READONLY_BUFFER."""
    kind = type(m.stack[-1])
    if kind in INERT and kind not in (bytes, Blob):
        raise BreakError(f"a {kind_of(m.stack[-1])} is no buffer")
