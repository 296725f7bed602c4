"""Opcodes that look names up, make objects, set their state, and ask the loading program for something."""

from weighbridge.core.errors import LimitError
from weighbridge.formats.pickle.fold import NOTHING
from weighbridge.formats.pickle.machine import INERT, BreakError, Handler, Machine
from weighbridge.formats.pickle.stream import TruncatedError
from weighbridge.formats.pickle.values import Call, Persistent, Value

MAX_TEXT_IDS = 500_000
"""Persistent ids before the last one that is a text; no loader of today's takes texts, and one would do."""


def global_(m: Machine) -> None:
    """GLOBAL."""
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


def stack_global(m: Machine) -> None:
    """STACK_GLOBAL."""
    name = m.stack.pop()
    module = m.stack.pop()
    if type(name) is str and type(module) is str:
        m.stack.append(m.find(module, name))
    elif type(name) in INERT - {str} or type(module) in INERT - {str}:
        raise BreakError("a name is no text")
    else:
        m.stack.append(m.find_computed(module, name))


def inst(m: Machine) -> None:
    """INST."""
    if not m.marks:
        m.note("inst-without-mark", "INST without a mark: pickle.py imports the name before it refuses")
    target = m.find(*_names(m, "ascii"))
    args = m.pop_mark()
    m.stack.append(m.call("INST", target, tuple(args)))


def obj(m: Machine) -> None:
    """OBJ."""
    target, *args = m.pop_mark() or _nothing()
    m.stack.append(m.call("OBJ", target, tuple(args)))


def _nothing() -> list[Value]:
    raise BreakError("there is no class to make an object of")


def newobj(m: Machine) -> None:
    """NEWOBJ."""
    args = m.stack.pop()
    target = m.stack[-1]
    m.stack[-1] = m.call("NEWOBJ", target, args)


def newobj_ex(m: Machine) -> None:
    """NEWOBJ_EX."""
    kwargs = m.stack.pop()
    args = m.stack.pop()
    target = m.stack[-1]
    if kwargs is None:
        raise BreakError("keyword arguments are no dict")
    m.stack[-1] = m.call("NEWOBJ_EX", target, args, kwargs)


def reduce(m: Machine) -> None:
    """REDUCE."""
    args = m.stack.pop()
    m.stack[-1] = m.call("REDUCE", m.stack[-1], args)


def build(m: Machine) -> None:
    """BUILD."""
    state = m.stack.pop()
    target = m.stack[-1]
    m.build(target, state)
    if m.hook is not None and type(target) is Call:
        replaced = m.hook(m, target)
        if replaced is not NOTHING:
            m.stack[-1] = replaced


def ext(size: int) -> Handler:
    """EXT1, EXT2, EXT4."""

    def push(m: Machine) -> None:
        m.stack.append(m.extension(int.from_bytes(m.stream.take(size), "little", signed=size == 4)))

    return push


def persid(m: Machine) -> None:
    """PERSID."""
    try:
        pid = m.stream.line()
    except TruncatedError:
        m.note(
            "name-missing", "a persistent id is missing: pickle.py asks for an empty one before it refuses"
        )
        _persistent(m, "")
        raise
    if len(m.persistents) >= MAX_TEXT_IDS:
        raise LimitError("limit-members", f"stopped after {MAX_TEXT_IDS} persistent ids")
    _persistent(m, pid.decode("ascii"))


def binpersid(m: Machine) -> None:
    """BINPERSID."""
    _persistent(m, m.stack.pop())


def _persistent(m: Machine, pid: Value) -> None:
    found = Persistent(pid, m.at, m.stream.index)
    m.persistents.append(found)
    m.stack.append((found.module or found) if type(pid) is tuple else found)
