"""What stands in a checkpoint beside its tensors, and which tensors its program would touch again.

The program is executed over abstract values and walked with the names that the reader gives. Plain texts and numbers
can go along as metadata; objects are named by their class and left behind. A tensor is refused where the bytes that are
stored need not be what the load would give: it is handed to a call that no contract proves, or state is set on it. What
code in the pickle would do besides (walk through memory and change it) is not simulated: it is not run either.
"""

from collections.abc import Iterator
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.value import dataclass
from weighbridge.formats.joblib import is_wrapper
from weighbridge.formats.pickle import (
    Blob,
    Buffer,
    Call,
    Dict,
    Extension,
    FrozenSet,
    Global,
    Opaque,
    Persistent,
    PickleProgram,
    PickleReading,
    Set,
    Value,
    is_constant,
    pairs_of,
    run,
    walk,
)
from weighbridge.formats.pytorch.tensors import SPECIAL_TENSORS, as_tensor, inside
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts import judge

CONTAINERS = frozenset({
    "collections.OrderedDict", "collections.defaultdict", "builtins.dict", "builtins.list", "builtins.tuple",
    "builtins.set", "builtins.frozenset", "collections.deque",
})  # fmt: skip
"""Calls whose results only hold what is put into them."""

MAX_TEXT = 4096
"""Characters of one value that goes along as metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The object that a load would give, beside its tensors."""

    top: frozenset[str] = frozenset()
    """Keys of the outermost dict whose values hold something themselves."""
    plain: tuple[tuple[str, str], ...] = ()
    """(path of keys, text) of texts, numbers and booleans."""
    objects: tuple[tuple[str, str], ...] = ()
    """(path of keys, what it is) of everything else."""
    refused: dict[str, str]
    """Tensor → why its stored bytes need not be what a load gives."""


def contents(reading: Reading, budget: Budget) -> Contents | None:
    """What a file of the pickle family holds; None for other files, and for TorchScript, which no pickle loader reads."""
    program = _program(reading, budget)
    if program is None:
        return None
    look = _Look(_handed_over(program), budget, tar=reading.format == "pytorch-tar")
    for path, value, owned in look.steps(program.value):
        look.take(path, value, owned)
    return Contents(
        top=frozenset(_top(program.value)),
        plain=tuple(look.plain),
        objects=tuple(look.objects),
        refused=look.refused,
    )


def _program(reading: Reading, budget: Budget) -> PickleProgram | None:
    if isinstance(reading, PickleReading):
        return reading.programs[0] if reading.programs else None
    if not reading.format.startswith("pytorch-"):
        return None
    names = ("data.pkl", "pickle", "object")
    for part in reading.parts:
        if part.kind == "pickle" and part.name.rpartition("/")[2].lower() in names:
            try:
                return run(part.source, budget)
            except InputError:
                return None
    return None


def _top(value: Value) -> Iterator[str]:
    for key, inner in pairs_of(value):
        if type(key) is str and not is_constant(inner) and as_tensor(inner) is None:
            yield key


def _handed_over(program: PickleProgram) -> dict[int, str]:
    """id of each value that a call outside of all contracts is given → the call's name."""
    outside = {item.name for item in judge(program).items}
    found: dict[int, str] = {}
    for call in program.calls:
        name = call.callable.name if type(call.callable) is Global else ""
        if not name or name in outside:
            found |= {id(node): name or "a computed call" for node in walk(call.args, call.kwargs)}
    return found


class _Look:
    """One walk through the object."""

    def __init__(self, handed: dict[int, str], budget: Budget, *, tar: bool) -> None:
        self._handed, self._budget, self._tar = handed, budget, tar
        self.plain: list[tuple[str, str]] = []
        self.objects: list[tuple[str, str]] = []
        self.refused: dict[str, str] = {}

    def steps(self, root: Value) -> Iterator[tuple[str, Value, bool]]:
        """(path, value, inside an object of somebody's class) of everything that is no mere container."""
        seen: set[int] = set()
        todo: list[tuple[str, Value, bool]] = [("", root, False)]
        while todo:
            path, value, owned = todo.pop()
            if is_constant(value) or as_tensor(value) is not None:
                yield path, value, owned
                continue
            if id(value) in seen:
                continue
            seen.add(id(value))
            self._budget.spend_members()
            if not _is_container(value):
                yield path, value, owned
                owned = True
            todo += reversed([(_joined(path, key), item, owned) for key, item in _members(value)])

    def take(self, path: str, value: Value, owned: bool) -> None:
        """Note one of them."""
        tensor = as_tensor(value)
        if tensor is not None:
            self._tensor(path, value, tensor)
        elif not owned and not self._is_listed(value):
            text = _text(value)
            if text is not None:
                self.plain.append((path, text))
            elif value is not None:
                self.objects.append((path, _kind(value)))

    def _is_listed(self, value: Value) -> bool:
        """Whether it is something that the reader lists, or names as a tensor without plain bytes."""
        if type(value) is Persistent:
            return self._tar
        special = (
            type(value) is Call and type(value.callable) is Global and value.callable.name in SPECIAL_TENSORS
        )
        return special or (type(value) is Call and is_wrapper(value))

    def _tensor(self, path: str, value: Call, tensor: Call) -> None:
        handed = self._handed.get(id(tensor)) or self._handed.get(id(value))
        if handed:
            self.refused[path] = f"it is handed to {handed}, which may change it"
        elif value.changes or tensor.changes:
            self.refused[path] = "state is set on it after it is made"


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _is_container(value: Value) -> bool:
    if type(value) is Call:
        return type(value.callable) is Global and value.callable.name in CONTAINERS
    return type(value) not in (Set, FrozenSet, Global, Persistent, Buffer, Extension)


def _members(value: Value) -> Iterator[tuple[str, Value]]:
    """What is inside; the layer versions that every state dict of torch carries as an attribute are left out."""
    for key, item in inside(value):
        if not (key == "_metadata" and type(value) is Call and type(item) in (Dict, Call)):
            yield key, item


def _text(value: Value) -> str | None:
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is str:
        return value if len(value) <= MAX_TEXT else None
    if type(value) is int:
        return str(value) if value.bit_length() <= 256 else None
    return repr(value) if type(value) is float else None


def _kind(value: Any) -> str:
    """What it is, in few words."""
    if type(value) is Call:
        target = value.callable
        if type(target) is Global and target.name in ("copyreg._reconstructor", "copyreg.__newobj__"):
            target = value.args[0] if type(value.args) is tuple and value.args else target
        return f"an object of {target.name}" if type(target) is Global else "the result of a computed call"
    words = {
        Global: "a name", Persistent: "a bare storage", Set: "a set", FrozenSet: "a set", Blob: "bytes", bytes: "bytes",
        str: "a long text", int: "a long number", Buffer: "an outside buffer", Extension: "an outside object",
        Opaque: "a value that was not followed",
    }  # fmt: skip
    word = words.get(type(value), "a value")
    return f"{word}: {value.name}" if type(value) is Global else word
