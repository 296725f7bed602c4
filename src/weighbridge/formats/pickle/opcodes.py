"""The 68 opcodes of protocols 0 to 5, each a small function over the machine, and `run`.

Arguments are read as `Modules/_pickle.c` reads them; where `Lib/pickle.py` reads them differently an anomaly says so.
"""

import struct
from codecs import escape_decode

from weighbridge.core.budget import Budget
from weighbridge.core.pattern import late
from weighbridge.core.source import MemorySource, Source
from weighbridge.formats.pickle.fold import NOTHING
from weighbridge.formats.pickle.machine import INERT, BreakError, Handler, Hook, Machine, StopError, kind_of
from weighbridge.formats.pickle.program import PickleProgram
from weighbridge.formats.pickle.stream import TruncatedError
from weighbridge.formats.pickle.values import (
    Blob,
    Buffer,
    Call,
    Dict,
    FrozenSet,
    List,
    Opaque,
    Persistent,
    Set,
    Value,
)

HIGHEST_PROTOCOL = 5
LEAVE = 1024**2
"""Byte strings from this length on are left in the source."""
MAX_DIGITS = 4300
"""Decimal digits that newer interpreters convert at most (CVE-2020-10735)."""
PLAIN_DIGITS = 18
"""Decimal digits that fit into 64 bits."""
MEMO_STEP = 1_000_000
"""A memo index this far beyond what is used makes the C unpickler allocate for nothing."""


def _proto(m: Machine) -> None:
    protocol = m.stream.take(1)[0]
    if protocol > HIGHEST_PROTOCOL:
        raise BreakError(f"protocol {protocol} is unknown")
    m.protocol = protocol
    m.highest = max(m.highest, protocol)


def _frame(m: Machine) -> None:
    stream = m.stream
    before = stream.frame_end
    length = int.from_bytes(stream.take(8), "little")
    if before is not None and m.at < before < stream.here:
        m.crossed()
    if length > _MAX_SIZE:
        raise BreakError("a frame is longer than any file")
    if stream.jump is not None:
        raise BreakError("a frame begins inside another")
    inside = stream.frame_end is not None and stream.frame_end > stream.here
    if inside:
        m.note("frame-in-frame", "a frame begins inside another: pickle.py refuses, the C loader goes on")
        if stream.drops:
            stream.drop(length)
    end = stream.here + length
    if end > stream.size:
        m.note("frame-too-long", "a frame ends behind the file: the C loader refuses, pickle.py goes on")
    stream.frame_end = max(end, stream.frame_end or 0) if stream.drops else end
    stream.set_edge()


def _stop(m: Machine) -> None:
    if not m.stack:
        raise BreakError("there is nothing to return")
    end = m.stream.frame_end
    if end is not None and end > m.stream.here:
        m.note(
            "frame-past-stop",
            "a frame goes on behind STOP: loaders begin the next pickle at different places",
        )
    raise StopError


def _mark(m: Machine) -> None:
    m.marks.append(m.stack)
    m.stack = []


def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()


def _pop_mark(m: Machine) -> None:
    m.pop_mark()


def _dup(m: Machine) -> None:
    m.stack.append(m.stack[-1])


def _constant(value: Value) -> Handler:
    def push(m: Machine) -> None:
        m.stack.append(value)

    return push


def _container(kind: type) -> Handler:
    def push(m: Machine) -> None:
        m.stack.append(kind())

    return push


# ---- numbers

_DECIMAL = late(rb"(?:-?[1-9][0-9]{0,17}|0)\Z")
_PLAIN_FLOAT = late(rb"[-+]?(?:[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]{1,3})?|inf|nan)\Z")
_MAX_SIZE = 2**63 - 1


def _unpack(layout: str, data: bytes) -> tuple[int, ...]:
    return struct.unpack(layout, data)


def _int(m: Machine) -> None:
    text = _number_line(m)
    if _is_plain(text):
        m.stack.append(int(text))
    elif text in (b"00", b"01"):
        m.stack.append(text == b"01")
    else:
        m.stack.append(_integer(m, text))


def _long(m: Machine) -> None:
    text = _number_line(m)
    digits = text[:-1] if text.endswith(b"L") else text
    m.stack.append(int(digits) if _is_plain(digits) else _integer(m, digits))


def _is_plain(text: bytes) -> bool:
    """Digits that mean the same to everybody; nearly all numbers are."""
    return text.isdigit() and len(text) < PLAIN_DIGITS and not text.startswith(b"0")


def _number_line(m: Machine) -> bytes:
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


def _float(m: Machine) -> None:
    text = _number_line(m)
    if _PLAIN_FLOAT.match(text) is None:
        m.note("number-odd", "a number is written in a way that no pickler writes")
    try:
        m.stack.append(float(text.partition(b"\0")[0]))
    except ValueError:
        raise BreakError("a number cannot be read") from None


def _binint(m: Machine) -> None:
    stream = m.stream
    m.stack.append(_INT4(stream.data, stream.pos)[0])
    stream.pos += 4


def _binint1(m: Machine) -> None:
    stream = m.stream
    m.stack.append(stream.data[stream.pos])
    stream.pos += 1


def _binint2(m: Machine) -> None:
    stream = m.stream
    m.stack.append(_UINT2(stream.data, stream.pos)[0])
    stream.pos += 2


def _binfloat(m: Machine) -> None:
    stream = m.stream
    m.stack.append(_DOUBLE(stream.data, stream.pos)[0])
    stream.pos += 8


def _long1(m: Machine) -> None:
    m.stack.append(int.from_bytes(m.stream.take(m.stream.take(1)[0]), "little", signed=True))


def _long4(m: Machine) -> None:
    (length,) = _unpack("<i", m.stream.take(4))
    if length < 0:
        raise BreakError("a number has a negative length")
    m.stack.append(int.from_bytes(m.stream.take(length), "little", signed=True))


_INT4 = struct.Struct("<i").unpack_from
_UINT2 = struct.Struct("<H").unpack_from
_UINT4 = struct.Struct("<I").unpack_from
_DOUBLE = struct.Struct(">d").unpack_from


# ---- strings


def _length(m: Machine, size: int) -> int:
    length = int.from_bytes(m.stream.take(size), "little")
    if length > _MAX_SIZE:
        raise BreakError("a string is longer than any file")
    m.stream.need(length)
    return length


def _unicode(m: Machine) -> None:
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


def _unicode_of(size: int) -> Handler:
    def push(m: Machine) -> None:
        m.stack.append(_counted(m, size).decode("utf-8", "surrogatepass"))

    return push


def _bytes_of(size: int) -> Handler:
    def push(m: Machine) -> None:
        stream = m.stream
        pos = stream.pos
        if int.from_bytes(stream.data[pos : pos + size], "little") < LEAVE:
            m.stack.append(_counted(m, size))
        else:
            m.stack.append(_blob(m, _length(m, size)))

    return push


def _bytearray8(m: Machine) -> None:
    m.stack.append(_blob(m, _length(m, 8), mutable=True))


def _blob(m: Machine, length: int, *, mutable: bool = False) -> Blob:
    return Blob(m.stream.source, m.stream.skip(length), length, mutable)


def _string(m: Machine) -> None:
    text = m.stream.line()
    if len(text) < 2 or text[0] != text[-1] or text[:1] not in (b"'", b'"'):
        raise BreakError("a string is not quoted")
    try:
        m.stack.append(_python2(m, escape_decode(text[1:-1])[0]))
    except ValueError:
        raise BreakError("a string has a broken escape") from None


def _short_binstring(m: Machine) -> None:
    m.stack.append(_python2(m, _counted(m, 1)))


def _binstring(m: Machine) -> None:
    m.stack.append(_python2(m, _counted(m, 4)))


def _python2(m: Machine, data: bytes) -> str:
    """A Python 2 string: ASCII by default; with other bytes the loading program must name an encoding."""
    if not data.isascii():
        m.note(
            "python2-string",
            'a Python 2 string that is not ASCII: loads only with encoding="latin1" or "bytes"',
        )
    return data.decode("latin-1")


def _next_buffer(m: Machine) -> None:
    m.stack.append(Buffer(m.buffers, m.at))
    m.buffers += 1


def _readonly_buffer(m: Machine) -> None:
    kind = type(m.stack[-1])
    if kind in INERT and kind not in (bytes, Blob):
        raise BreakError(f"a {kind_of(m.stack[-1])} is no buffer")


# ---- containers


def _tuple(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(tuple(items))


def _tuple1(m: Machine) -> None:
    m.stack[-1] = (m.stack[-1],)


def _tuple2(m: Machine) -> None:
    last = m.stack.pop()
    m.stack[-1] = (m.stack[-1], last)


def _tuple3(m: Machine) -> None:
    last = m.stack.pop()
    middle = m.stack.pop()
    m.stack[-1] = (m.stack[-1], middle, last)


def _list(m: Machine) -> None:
    items = m.pop_mark()
    m.stack.append(List(items))


def _dict(m: Machine) -> None:
    items = m.pop_mark()
    found = Dict()
    m.set_items(found, items)
    m.stack.append(found)


def _frozenset(m: Machine) -> None:
    items = m.pop_mark()
    m.hash_all(items)
    m.stack.append(FrozenSet(items))


def _append(m: Machine) -> None:
    item = m.stack.pop()
    m.extend(m.stack[-1], [item], "APPEND")


def _appends(m: Machine) -> None:
    items = m.pop_mark()
    m.extend(m.stack[-1], items)


def _setitem(m: Machine) -> None:
    value = m.stack.pop()
    key = m.stack.pop()
    m.set_items(m.stack[-1], [key, value])


def _setitems(m: Machine) -> None:
    items = m.pop_mark()
    m.set_items(m.stack[-1], items)


def _additems(m: Machine) -> None:
    items = m.pop_mark()
    m.add_items(m.stack[-1], items)


# ---- memo


def _index(m: Machine) -> int:
    text = _number_line(m)
    if text.isdigit() and len(text) < PLAIN_DIGITS:
        return int(text)
    digits, junk, _ = text.partition(b"\0")
    try:
        number = int(digits) if len(digits) <= MAX_DIGITS else -1
    except ValueError:
        number = -1
    if junk or number > _MAX_SIZE:
        m.note("number-differs", "a memo index that only one of the C loader and pickle.py takes")
    if number < 0:
        raise BreakError("a memo index cannot be read")
    return number


def _get(m: Machine) -> None:
    m.stack.append(_recall(m, _index(m)))


def _binget(m: Machine) -> None:
    stream = m.stream
    m.stack.append(_recall(m, stream.data[stream.pos]))
    stream.pos += 1


def _long_binget(m: Machine) -> None:
    stream = m.stream
    m.stack.append(_recall(m, _UINT4(stream.data, stream.pos)[0]))
    stream.pos += 4


def _recall(m: Machine, index: int) -> Value:
    try:
        return m.memo[index]
    except KeyError:
        raise BreakError(f"memo entry {index} was never stored") from None


def _put(m: Machine) -> None:
    value = m.stack[-1]
    _store(m, _index(m), value)


def _binput(m: Machine) -> None:
    stream = m.stream
    m.memo[stream.data[stream.pos]] = m.stack[-1]
    stream.pos += 1


def _long_binput(m: Machine) -> None:
    stream = m.stream
    _store(m, _UINT4(stream.data, stream.pos)[0], m.stack[-1])
    stream.pos += 4


def _store(m: Machine, index: int, value: Value) -> None:
    if index > 2 * len(m.memo) + MEMO_STEP:
        m.note("memo-index", f"memo index {index} makes the C loader allocate {16 * index} bytes or more")
    m.memo[index] = value


def _memoize(m: Machine) -> None:
    m.memo[len(m.memo)] = m.stack[-1]


# ---- names, objects


def _global(m: Machine) -> None:
    m.stack.append(m.find(*_names(m, "utf-8")))


def _names(m: Machine, encoding: str) -> tuple[str, str]:
    """Module and name, a line each. Without a name pickle.py imports the module before it refuses."""
    module = m.stream.line().decode(encoding)
    if not module:
        raise BreakError("a name is missing")
    try:
        name = m.stream.line().decode(encoding)
    except TruncatedError:
        name = ""
    if not name:
        m.note("name-missing", "a name is missing: pickle.py imports the module before it refuses")
        m.find(module, "")
        raise BreakError("a name is missing")
    return module, name


def _stack_global(m: Machine) -> None:
    name = m.stack.pop()
    module = m.stack.pop()
    if type(name) is str and type(module) is str:
        m.stack.append(m.find(module, name))
    elif type(name) in INERT - {str} or type(module) in INERT - {str}:
        raise BreakError("a name is no text")
    else:
        m.stack.append(m.find_computed(module, name))


def _inst(m: Machine) -> None:
    if not m.marks:
        m.note("inst-without-mark", "INST without a mark: pickle.py imports the name before it refuses")
    target = m.find(*_names(m, "ascii"))
    args = m.pop_mark()
    m.stack.append(m.call("INST", target, tuple(args)))


def _obj(m: Machine) -> None:
    target, *args = m.pop_mark() or _nothing()
    m.stack.append(m.call("OBJ", target, tuple(args)))


def _nothing() -> list[Value]:
    raise BreakError("there is no class to make an object of")


def _newobj(m: Machine) -> None:
    args = m.stack.pop()
    target = m.stack[-1]
    m.stack[-1] = m.call("NEWOBJ", target, args)


def _newobj_ex(m: Machine) -> None:
    kwargs = m.stack.pop()
    args = m.stack.pop()
    target = m.stack[-1]
    if kwargs is None:
        raise BreakError("keyword arguments are no dict")
    m.stack[-1] = m.call("NEWOBJ_EX", target, args, kwargs)


def _reduce(m: Machine) -> None:
    args = m.stack.pop()
    m.stack[-1] = m.call("REDUCE", m.stack[-1], args)


def _build(m: Machine) -> None:
    state = m.stack.pop()
    target = m.stack[-1]
    m.build(target, state)
    if m.hook is not None and type(target) is Call:
        replaced = m.hook(m, target)
        if replaced is not NOTHING:
            m.stack[-1] = replaced


def _ext(size: int) -> Handler:
    def push(m: Machine) -> None:
        m.stack.append(m.extension(int.from_bytes(m.stream.take(size), "little", signed=size == 4)))

    return push


def _persid(m: Machine) -> None:
    try:
        pid = m.stream.line()
    except TruncatedError:
        m.note(
            "name-missing", "a persistent id is missing: pickle.py asks for an empty one before it refuses"
        )
        _persistent(m, "")
        raise
    _persistent(m, pid.decode("ascii"))


def _binpersid(m: Machine) -> None:
    _persistent(m, m.stack.pop())


def _persistent(m: Machine, pid: Value) -> None:
    found = Persistent(pid, m.at, m.stream.index)
    m.persistents.append(found)
    m.stack.append(found.module or found)


def _unknown(m: Machine) -> None:
    raise BreakError(f"0x{m.code:02x} is no opcode")


OPCODES: tuple[tuple[bytes, str, Handler], ...] = (
    (b"(", "MARK", _mark),
    (b".", "STOP", _stop),
    (b"0", "POP", _pop),
    (b"1", "POP_MARK", _pop_mark),
    (b"2", "DUP", _dup),
    (b"F", "FLOAT", _float),
    (b"I", "INT", _int),
    (b"J", "BININT", _binint),
    (b"K", "BININT1", _binint1),
    (b"L", "LONG", _long),
    (b"M", "BININT2", _binint2),
    (b"N", "NONE", _constant(None)),
    (b"P", "PERSID", _persid),
    (b"Q", "BINPERSID", _binpersid),
    (b"R", "REDUCE", _reduce),
    (b"S", "STRING", _string),
    (b"T", "BINSTRING", _binstring),
    (b"U", "SHORT_BINSTRING", _short_binstring),
    (b"V", "UNICODE", _unicode),
    (b"X", "BINUNICODE", _unicode_of(4)),
    (b"a", "APPEND", _append),
    (b"b", "BUILD", _build),
    (b"c", "GLOBAL", _global),
    (b"d", "DICT", _dict),
    (b"}", "EMPTY_DICT", _container(Dict)),
    (b"e", "APPENDS", _appends),
    (b"g", "GET", _get),
    (b"h", "BINGET", _binget),
    (b"i", "INST", _inst),
    (b"j", "LONG_BINGET", _long_binget),
    (b"l", "LIST", _list),
    (b"]", "EMPTY_LIST", _container(List)),
    (b"o", "OBJ", _obj),
    (b"p", "PUT", _put),
    (b"q", "BINPUT", _binput),
    (b"r", "LONG_BINPUT", _long_binput),
    (b"s", "SETITEM", _setitem),
    (b"t", "TUPLE", _tuple),
    (b")", "EMPTY_TUPLE", _constant(())),
    (b"u", "SETITEMS", _setitems),
    (b"G", "BINFLOAT", _binfloat),
    (b"\x80", "PROTO", _proto),
    (b"\x81", "NEWOBJ", _newobj),
    (b"\x82", "EXT1", _ext(1)),
    (b"\x83", "EXT2", _ext(2)),
    (b"\x84", "EXT4", _ext(4)),
    (b"\x85", "TUPLE1", _tuple1),
    (b"\x86", "TUPLE2", _tuple2),
    (b"\x87", "TUPLE3", _tuple3),
    (b"\x88", "NEWTRUE", _constant(True)),
    (b"\x89", "NEWFALSE", _constant(False)),
    (b"\x8a", "LONG1", _long1),
    (b"\x8b", "LONG4", _long4),
    (b"B", "BINBYTES", _bytes_of(4)),
    (b"C", "SHORT_BINBYTES", _bytes_of(1)),
    (b"\x8c", "SHORT_BINUNICODE", _unicode_of(1)),
    (b"\x8d", "BINUNICODE8", _unicode_of(8)),
    (b"\x8e", "BINBYTES8", _bytes_of(8)),
    (b"\x8f", "EMPTY_SET", _container(Set)),
    (b"\x90", "ADDITEMS", _additems),
    (b"\x91", "FROZENSET", _frozenset),
    (b"\x92", "NEWOBJ_EX", _newobj_ex),
    (b"\x93", "STACK_GLOBAL", _stack_global),
    (b"\x94", "MEMOIZE", _memoize),
    (b"\x95", "FRAME", _frame),
    (b"\x96", "BYTEARRAY8", _bytearray8),
    (b"\x97", "NEXT_BUFFER", _next_buffer),
    (b"\x98", "READONLY_BUFFER", _readonly_buffer),
)
"""All 68, in the order of `pickle.py`."""

FIXED = {
    "BININT": 4,
    "BININT1": 1,
    "BININT2": 2,
    "BINFLOAT": 8,
    "BINGET": 1,
    "LONG_BINGET": 4,
    "BINPUT": 1,
    "LONG_BINPUT": 4,
}
"""Opcodes whose handlers read their argument straight from the window."""


def _dropping(size: int, handler: Handler) -> Handler:
    def run_it(m: Machine) -> None:
        m.stream.drop(size)
        handler(m)

    return run_it


NAMES = {code[0]: name for code, name, _ in OPCODES}
_HANDLERS: list[Handler] = [_unknown] * 256
for _code, _name, _handler in OPCODES:
    _HANDLERS[_code[0]] = _handler
_DROPPING = list(_HANDLERS)
for _code, _name, _handler in OPCODES:
    if _name in FIXED:
        _DROPPING[_code[0]] = _dropping(FIXED[_name], _handler)


def run(
    source: Source | bytes,
    budget: Budget,
    *,
    offset: int = 0,
    hook: Hook | None = None,
    registry: dict[int, Value] | None = None,
    view: str = "",
    drops: bool = False,
) -> PickleProgram:
    """Execute the pickle that starts at `offset`. Raises only what the source raises, never for content or limits.

    `hook` sees every object after BUILD (joblib reads raw bytes there); `registry` carries extension codes from one
    pickle of a process to the next; `drops` reads as the C loader does from a file without look-ahead, which drops the
    rest of a frame when an argument lies across its end.
    """
    data = MemorySource(source) if isinstance(source, bytes) else source
    machine = Machine(data, budget, offset=offset, hook=hook, registry=registry, view=view, drops=drops)
    return machine.run(_DROPPING if drops else _HANDLERS)
