"""What the shapes of contracts are made of: one use of a contract, classes of objects, and the plain words."""

from collections.abc import Callable
from typing import NamedTuple

from weighbridge.formats.pickle import Blob, Call, Dict, Global, List, Value
from weighbridge.scan.contracts.book import Contract, find, find_named
from weighbridge.scan.contracts.remembered import WIDE, once


class Use(NamedTuple):
    """One use of a contract: where it happens, on what. A named tuple, since a stream may have half a million of them."""

    at: int
    """The opcode's number: what is set on an argument later than this is not part of it."""
    args: tuple[Value, ...] = ()
    target: Value = None
    """The object that a state is set on."""
    lengths: tuple[int, ...] = ()
    """`Change.lengths` of that state."""


Word = Callable[[Value, Use], bool]


def class_of(call: Call) -> str:
    """`module:qualname` of the class that a call makes an object of; "" when it is not known."""
    target = call.callable
    for _ in range(3):
        if type(target) is not Global:
            return ""
        contract = find(target.module, target.qualname)
        if contract is None or call.how.startswith("NEWOBJ") or not contract.makes:
            return f"{target.module}:{target.qualname}"
        if not contract.makes.startswith("@"):
            return contract.makes
        position = int(contract.makes[1:])
        target = call.args[position] if type(call.args) is tuple and len(call.args) > position else None
        if type(target) is Global:
            return f"{target.module}:{target.qualname}"
    return ""


def contract_of(call: Call) -> Contract | None:
    """The contract of the class that a call makes an object of."""
    name = class_of(call)
    return find_named(name) if name else None


# ---- words

MAX_ITEMS = 10_000
"""Items of one container that a shape looks at; longer ones have no such shape."""


def is_a(*kinds: type) -> Word:
    """A word: of one of these kinds."""
    return lambda value, _: type(value) in kinds


def each_is(kinds: tuple[type, ...], inner: Callable[[Value], bool]) -> Word:
    """A word: a container of one of these kinds whose items are all so."""

    def word(value: Value, _: Use) -> bool:
        if type(value) not in kinds or len(value) > MAX_ITEMS:
            return False
        if len(value) < WIDE:
            return all(map(inner, value))
        return once(value, inner, lambda: all(map(inner, value)))

    return word


def is_size(value: Value, _: Use | None = None) -> bool:
    """A size or an offset."""
    return type(value) is int and 0 <= value < 2**63


def is_bytes(value: Value, _: Use) -> bool:
    """Bytes, wherever they were left."""
    return type(value) is bytes or type(value) is Blob or is_bytearray(value)


def is_bytearray(value: Value) -> bool:
    """A bytearray that nothing is done to later."""
    return type(value) is Call and class_of(value) == "builtins:bytearray" and not value.changes


def is_dict(value: Value, _: Use) -> bool:
    """A plain dict."""
    return type(value) is Dict


def are_attributes(value: Value, _: Use) -> bool:
    """A dict of plain attribute names: BUILD fills `__dict__` with it, or sets it attribute by attribute."""
    if type(value) is not Dict:
        return False
    return (
        _plain_names(value) if len(value) < WIDE else once(value, "attributes", lambda: _plain_names(value))
    )


def _plain_names(value: Dict) -> bool:
    return all(type(key) is str and not reserved(key) for key in value[::2])


def reserved(name: str) -> bool:
    """Names whose meaning is the interpreter's: `__class__`, `__reduce__`, …"""
    return name.startswith("__") and name.endswith("__") and name not in _ONLY_TEXT


_ONLY_TEXT = frozenset({"__doc__", "__name__", "__qualname__", "__module__", "__version__"})


def are_slots(value: Value, use: Use) -> bool:
    """The pair of `__dict__` and slots; slots are set by `setattr`."""
    if type(value) is not tuple or len(value) != 2:
        return False
    return all(part is None or are_attributes(part, use) for part in value)


def is_class(value: Value, _: Use) -> bool:
    """A class whose objects may be made without arguments."""
    contract = find(value.module, value.qualname) if type(value) is Global else None
    return contract is not None and () in contract.new


def is_maker(value: Value, _: Use) -> bool:
    """What may be called without arguments: a `defaultdict`'s factory."""
    contract = find(value.module, value.qualname) if type(value) is Global else None
    return contract is not None and (() in contract.new or () in contract.call)


def is_public(value: Value, _: Use) -> bool:
    """A dotted name of attributes that are nobody's inner ones."""
    return type(value) is str and all(
        word.isidentifier() and not word.startswith("_") for word in value.split(".")
    )


def is_name(value: Value, _: Use) -> bool:
    """One identifier that is nobody's inner one."""
    return type(value) is str and value.isidentifier() and not value.startswith("_")


def is_plain(value: Value, _: Use) -> bool:
    """A constant."""
    return value is None or type(value) in (bool, int, float, str, bytes, Blob)


def has_only(value: Value, names: frozenset[str]) -> bool:
    """A dict of no other attributes than these."""
    return type(value) is Dict and all(type(key) is str and key in names for key in value[::2])


def are_sizes(value: Value) -> bool:
    """A tuple of sizes."""
    return type(value) is tuple and len(value) <= 64 and all(is_size(item) for item in value)


LIBRARIES = frozenset({"numpy", "pandas", "pyarrow", "datetime", "builtins", "joblib", "zoneinfo"})
MAX_NESTED = 8


def of_library(value: Value, depth: int = 0) -> bool:
    """Objects of known libraries, and plain values in containers: methods of theirs may be called."""
    if type(value) in (tuple, List):
        return depth < MAX_NESTED and once(value, depth, lambda: _all_of_library(value, depth))
    if type(value) is not Call:
        return type(value) is Global
    top = class_of(value).partition(":")[0].partition(".")[0]
    return top in LIBRARIES


def _all_of_library(value: Value, depth: int) -> bool:
    return all(is_plain(item, _ANY) or of_library(item, depth + 1) for item in value[:MAX_ITEMS])


_ANY = Use(at=0)
