"""The 68 opcodes of protocols 0 to 5: which handler each has, and `run`.

Arguments are read as `Modules/_pickle.c` reads them; where `Lib/pickle.py` reads them differently an anomaly says so.
"""

from weighbridge.core.budget import Budget
from weighbridge.core.source import MemorySource, Source
from weighbridge.formats.pickle import containers, memo, numbers, objects, strings
from weighbridge.formats.pickle.machine import BreakError, Handler, Hook, Machine, StopError
from weighbridge.formats.pickle.program import PickleProgram
from weighbridge.formats.pickle.values import (
    Dict,
    List,
    Set,
    Value,
)

HIGHEST_PROTOCOL = 5


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
    if length > strings.MAX_SIZE:
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


def _unknown(m: Machine) -> None:
    raise BreakError(f"0x{m.code:02x} is no opcode")


OPCODES: tuple[tuple[bytes, str, Handler], ...] = (
    (b"(", "MARK", _mark),
    (b".", "STOP", _stop),
    (b"0", "POP", _pop),
    (b"1", "POP_MARK", _pop_mark),
    (b"2", "DUP", _dup),
    (b"F", "FLOAT", numbers.float_),
    (b"I", "INT", numbers.int_),
    (b"J", "BININT", numbers.binint),
    (b"K", "BININT1", numbers.binint1),
    (b"L", "LONG", numbers.long),
    (b"M", "BININT2", numbers.binint2),
    (b"N", "NONE", _constant(None)),
    (b"P", "PERSID", objects.persid),
    (b"Q", "BINPERSID", objects.binpersid),
    (b"R", "REDUCE", objects.reduce),
    (b"S", "STRING", strings.string),
    (b"T", "BINSTRING", strings.binstring),
    (b"U", "SHORT_BINSTRING", strings.short_binstring),
    (b"V", "UNICODE", strings.unicode),
    (b"X", "BINUNICODE", strings.unicode_of(4)),
    (b"a", "APPEND", containers.append),
    (b"b", "BUILD", objects.build),
    (b"c", "GLOBAL", objects.global_),
    (b"d", "DICT", containers.dict_),
    (b"}", "EMPTY_DICT", _container(Dict)),
    (b"e", "APPENDS", containers.appends),
    (b"g", "GET", memo.get),
    (b"h", "BINGET", memo.binget),
    (b"i", "INST", objects.inst),
    (b"j", "LONG_BINGET", memo.long_binget),
    (b"l", "LIST", containers.list_),
    (b"]", "EMPTY_LIST", _container(List)),
    (b"o", "OBJ", objects.obj),
    (b"p", "PUT", memo.put),
    (b"q", "BINPUT", memo.binput),
    (b"r", "LONG_BINPUT", memo.long_binput),
    (b"s", "SETITEM", containers.setitem),
    (b"t", "TUPLE", containers.tuple_),
    (b")", "EMPTY_TUPLE", _constant(())),
    (b"u", "SETITEMS", containers.setitems),
    (b"G", "BINFLOAT", numbers.binfloat),
    (b"\x80", "PROTO", _proto),
    (b"\x81", "NEWOBJ", objects.newobj),
    (b"\x82", "EXT1", objects.ext(1)),
    (b"\x83", "EXT2", objects.ext(2)),
    (b"\x84", "EXT4", objects.ext(4)),
    (b"\x85", "TUPLE1", containers.tuple1),
    (b"\x86", "TUPLE2", containers.tuple2),
    (b"\x87", "TUPLE3", containers.tuple3),
    (b"\x88", "NEWTRUE", _constant(True)),
    (b"\x89", "NEWFALSE", _constant(False)),
    (b"\x8a", "LONG1", numbers.long1),
    (b"\x8b", "LONG4", numbers.long4),
    (b"B", "BINBYTES", strings.bytes_of(4)),
    (b"C", "SHORT_BINBYTES", strings.bytes_of(1)),
    (b"\x8c", "SHORT_BINUNICODE", strings.unicode_of(1)),
    (b"\x8d", "BINUNICODE8", strings.unicode_of(8)),
    (b"\x8e", "BINBYTES8", strings.bytes_of(8)),
    (b"\x8f", "EMPTY_SET", _container(Set)),
    (b"\x90", "ADDITEMS", containers.additems),
    (b"\x91", "FROZENSET", containers.frozenset_),
    (b"\x92", "NEWOBJ_EX", objects.newobj_ex),
    (b"\x93", "STACK_GLOBAL", objects.stack_global),
    (b"\x94", "MEMOIZE", memo.memoize),
    (b"\x95", "FRAME", _frame),
    (b"\x96", "BYTEARRAY8", strings.bytearray8),
    (b"\x97", "NEXT_BUFFER", strings.next_buffer),
    (b"\x98", "READONLY_BUFFER", strings.readonly_buffer),
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
