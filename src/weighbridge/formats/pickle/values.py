"""Abstract values: what a pickle program would build, as nodes that nobody executed.

Constants are Python's own (None, bool, int, float, str, bytes) and tuples are tuples of values; everything that
would be an object, a call or a mutable container is a node of this module. Nodes are shared exactly as the memo
shares them and may form cycles: never compare, hash, copy or print them recursively. `walk` and `described` are the
two safe ways through.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from weighbridge.core.source import Source
from weighbridge.core.value import dataclass

Value = Any
"""None | bool | int | float | str | bytes | tuple of values | a node below."""


class _Node:
    """Identity is the only equality, and the default `repr` never looks inside."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class _Items(list[Any]):
    """A container that is a list inside, compared by identity so that cycles and deep nesting cost nothing."""

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}>"


class List(_Items):
    """A list."""

    __slots__ = ()


class Dict(_Items):
    """A dict, flat: key, value, key, value in stream order; a key that stands twice stands here twice."""

    __slots__ = ()

    def pairs(self) -> Iterator[tuple[Value, Value]]:
        """(key, value) in stream order; the last of equal keys is the one a loader keeps."""
        return zip(self[::2], self[1::2], strict=True)


class Set(_Items):
    """A set, in stream order."""

    __slots__ = ()


class FrozenSet(_Items):
    """A frozenset, in stream order."""

    __slots__ = ()


@dataclass(slots=True, eq=False, repr=False)
class Blob(_Node):
    """Bytes that were left where they are because they are long, or because they are a bytearray."""

    source: Source
    offset: int
    size: int
    mutable: bool = False
    """True for a bytearray."""

    def read(self) -> bytes:
        """The bytes; ask the budget first."""
        return self.source.read(self.offset, self.size)


@dataclass(slots=True, eq=False, repr=False)
class Global(_Node):
    """What `find_class` would import: a class, a function, a module, anything with a name."""

    module: str | None
    """After the renaming of Python 2 names that protocols 0 to 2 get; None where the stream computes the name in a
    way that was not followed."""
    qualname: str | None
    offset: int
    """Where it is looked up first."""
    index: int
    """The opcode's number, from 0."""
    parts: tuple[Value, ...] = ()
    """What a computed name is computed from."""
    helps: bool = False
    """True where calling it may be something else by another name: it gives a constant, a type, a registered extension."""

    @property
    def name(self) -> str:
        """`os.system`, or `?` for a computed name."""
        return f"{self.module}.{self.qualname}" if self.module is not None else "?"

    def __repr__(self) -> str:
        return f"<Global {self.name[:200]}>"


@dataclass(slots=True, eq=False, repr=False)
class Extension(_Node):
    """An object from the `copyreg` extension registry whose name is not in the stream."""

    code: int
    offset: int
    index: int


@dataclass(slots=True, eq=False, repr=False)
class Persistent(_Node):
    """What the loader's own `persistent_load` gives for `pid`: in torch files a storage, in old ones also a class."""

    pid: Value
    offset: int
    index: int

    @property
    def module(self) -> Global | None:
        """The class of `("module", class, file, source)`: torch's legacy loader compares sources and gives the class."""
        pid = self.pid
        if type(pid) is not tuple or len(pid) != 4 or type(pid[0]) is not str or pid[0] != "module":
            return None
        texts = all(text is None or type(text) is str for text in pid[2:])
        return pid[1] if type(pid[1]) is Global and texts else None


@dataclass(slots=True, eq=False, repr=False)
class Buffer(_Node):
    """The next out-of-band buffer, which only the loading program has."""

    number: int
    offset: int


@dataclass(slots=True, eq=False, repr=False)
class Opaque(_Node):
    """A constant that loaders read differently, or that is too costly to compute."""

    what: str


@dataclass(slots=True, eq=False, repr=False)
class Change(_Node):
    """State set on something, in the order in which it happens: each is a method call unless noted."""

    how: str
    """BUILD (`__setstate__`, or attributes), APPENDS (`extend`, `append`), SETITEMS (`__setitem__`), ADDITEMS (`add`)."""
    target: Value
    value: Value
    """The state of a BUILD; else the items, flat, in a `List`."""
    offset: int
    index: int
    lengths: tuple[int, ...] = ()
    """Of the lists in a state that is a tuple, at that moment: they may grow later. -1 for other members."""


@dataclass(slots=True, eq=False, repr=False)
class Call(_Node):
    """A call that the loader makes, and the value that it returns."""

    how: str
    """REDUCE, INST, OBJ (a call, or `__new__` of a class without arguments), NEWOBJ, NEWOBJ_EX (`__new__`)."""
    callable: Value
    args: Value
    """A tuple, except in hostile streams."""
    kwargs: Value
    """A `Dict` for NEWOBJ_EX; else None."""
    offset: int
    index: int
    changes: Sequence[Change] = ()
    """What is set on the result later; a list as soon as there is something."""

    def state(self) -> Value:
        """The last BUILD state, or None."""
        return next((change.value for change in reversed(self.changes) if change.how == "BUILD"), None)

    def __repr__(self) -> str:
        return f"<Call of {self.callable!r}>" if isinstance(self.callable, Global) else "<Call>"


def is_constant(value: Value) -> bool:
    """Whether the value is a constant that holds nothing else."""
    return value is None or type(value) in _CONSTANTS


_CONSTANTS = frozenset({bool, int, float, str, bytes, Blob, Opaque})


CONTAINERS = frozenset({tuple, List, Dict, Set, FrozenSet})


def children(value: Value) -> Iterable[Value]:
    """The values directly inside one value, later state included."""
    kind = type(value)
    if kind is tuple or isinstance(value, _Items):
        return value  # type: ignore[no-any-return]
    if kind is Call:
        return (value.callable, value.args, value.kwargs, *(change.value for change in value.changes))
    if kind is Persistent:
        return (value.pid,)
    return ()


def walk(*roots: Value) -> Iterator[Value]:
    """Every value reachable from `roots`, each shared node once, without recursion; constants are left out."""
    seen: set[int] = set()
    todo = [root for root in roots if not is_constant(root)]
    while todo:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        todo += [child for child in children(value) if not is_constant(child)]


def pairs_of(value: Value) -> tuple[tuple[Value, Value], ...]:
    """Key and value pairs of a dict, or of an object filled like one (`OrderedDict`, `defaultdict`)."""
    if type(value) is Dict:
        return tuple(value.pairs())
    if type(value) is Call:
        flat = [item for change in value.changes if change.how == "SETITEMS" for item in change.value]
        first = value.args[0] if type(value.args) is tuple and value.args else None
        listed = (
            [tuple(p) for p in first if type(p) in (tuple, List) and len(p) == 2]
            if type(first) is List
            else []
        )
        return (*listed, *zip(flat[::2], flat[1::2], strict=False))
    return ()


def described(value: Value, limit: int = 60) -> str:
    """A short text for people, two levels deep at most."""
    text = _described(value, 2, limit)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _described(value: Value, depth: int, limit: int) -> str:
    kind = type(value)
    if kind is int:
        return repr(value) if value.bit_length() < 256 else f"int of {value.bit_length()} bits"
    if kind in (str, bytes):
        return repr(value[:limit]) + ("…" if len(value) > limit else "")
    if value is None or kind in (bool, float):
        return repr(value)
    if kind is Global:
        return str(value.name)[:limit]
    if kind is Call:
        return f"{_described(value.callable, 0, limit)}(…)"
    if kind is tuple or isinstance(value, _Items):
        return _container(value, depth, limit)
    return f"<{kind.__name__.lower()}>"


_BRACKETS: dict[Any, tuple[str, str]] = {
    tuple: ("(", ")"),
    List: ("[", "]"),
    Dict: ("{", "}"),
    Set: ("{", "}"),
    FrozenSet: ("{", "}"),
}


def _container(value: Value, depth: int, limit: int) -> str:
    left, right = _BRACKETS[type(value)]
    if depth == 0:
        return f"{left}…{right}" if value else left + right
    shown = [_described(item, depth - 1, limit) for item in value[:4]]
    if type(value) is Dict:
        shown = [f"{k}: {v}" for k, v in zip(shown[::2], shown[1::2], strict=False)]
    comma = "," if type(value) is tuple and len(value) == 1 else ""
    return left + ", ".join(shown) + (", …" if len(value) > 4 else comma) + right
