"""Opcodes that build tuples, lists, dicts and sets."""

from weighbridge.formats.pickle.machine import Machine
from weighbridge.formats.pickle.values import Dict, FrozenSet, List


def tuple_(m: Machine) -> None:
    """TUPLE."""
    items = m.pop_mark()
    m.stack.append(tuple(items))


def tuple1(m: Machine) -> None:
    """TUPLE1."""
    m.stack[-1] = (m.stack[-1],)


def tuple2(m: Machine) -> None:
    """TUPLE2."""
    last = m.stack.pop()
    m.stack[-1] = (m.stack[-1], last)


def tuple3(m: Machine) -> None:
    """TUPLE3."""
    last = m.stack.pop()
    middle = m.stack.pop()
    m.stack[-1] = (m.stack[-1], middle, last)


def list_(m: Machine) -> None:
    """LIST."""
    items = m.pop_mark()
    m.stack.append(List(items))


def dict_(m: Machine) -> None:
    """DICT."""
    items = m.pop_mark()
    found = Dict()
    m.set_items(found, items)
    m.stack.append(found)


def frozenset_(m: Machine) -> None:
    """FROZENSET."""
    items = m.pop_mark()
    m.hash_all(items)
    m.stack.append(FrozenSet(items))


def append(m: Machine) -> None:
    """APPEND."""
    item = m.stack.pop()
    m.extend(m.stack[-1], [item], "APPEND")


def appends(m: Machine) -> None:
    """APPENDS."""
    items = m.pop_mark()
    m.extend(m.stack[-1], items)


def setitem(m: Machine) -> None:
    """SETITEM."""
    value = m.stack.pop()
    key = m.stack.pop()
    m.set_items(m.stack[-1], [key, value])


def setitems(m: Machine) -> None:
    """SETITEMS."""
    items = m.pop_mark()
    m.set_items(m.stack[-1], items)


def additems(m: Machine) -> None:
    """ADDITEMS."""
    items = m.pop_mark()
    m.add_items(m.stack[-1], items)
