"""Judge a program: everything it does is inside a contract, or is named.

The statement behind "proved": every name that CPython would look up while loading these bytes is in a contract, and
every call, state and item that it would make is inside the contract of its callable. By induction over the opcodes
nothing else runs. What is outside is `UNPROVED`; where the harm can be named it is `HARMFUL`.
"""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from weighbridge.core.value import dataclass
from weighbridge.formats.pickle import (
    Buffer,
    Call,
    Change,
    Dict,
    Extension,
    Global,
    Persistent,
    PickleProgram,
    Value,
)
from weighbridge.formats.pickle.helpers import array_call
from weighbridge.formats.pickle.values import CONTAINERS
from weighbridge.scan.contracts import harm
from weighbridge.scan.contracts.book import Contract, find
from weighbridge.scan.contracts.libraryshapes import executes_text
from weighbridge.scan.contracts.memory import broken_tree, outside_blocks
from weighbridge.scan.contracts.shapes import (
    Use,
    allowed,
    class_of,
    contract_of,
    failed_check,
    fits,
    storage_of,
)
from weighbridge.scan.contracts.values import reserved


class Level(StrEnum):
    """How far from proved."""

    UNPROVED = "unproved"
    HARMFUL = "harmful"


class Judged(NamedTuple):
    """One thing that a program does and that is not inside a contract."""

    level: Level
    what: Call | Change | Global | Persistent | Extension | Buffer
    name: str
    """The callable's or class's name as far as it is known."""
    does: str
    """The end of "loading this file …"."""
    certain: bool = True
    """False where only the look of the name or of the arguments says so."""
    kind: str = "call"
    """`call`, `lookup`, `state`, `persistent`, `extension`, `buffer`, `code`."""
    times: int = 1
    """How often the program does it; this is the first time."""

    @property
    def offset(self) -> int:
        """Where it stands in the stream."""
        return self.what.offset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """Everything outside the contracts, in stream order."""

    items: tuple[Judged, ...]
    ends_at: int | None = None
    """The number of an opcode at which every loader breaks although the machine went on."""

    @property
    def proved(self) -> bool:
        """Whether nothing is outside the contracts."""
        return not self.items and self.ends_at is None

    def at(self, level: Level) -> tuple[Judged, ...]:
        """The items of one level."""
        return tuple(item for item in self.items if item.level is level)


_judgements: WeakKeyDictionary[PickleProgram, Judgement] = WeakKeyDictionary()


def judge(program: PickleProgram) -> Judgement:
    """Judge one program; several rules ask, the work is done once."""
    known = _judgements.get(program)
    if known is None:
        known = _judgements[program] = _Judge(program).judgement()
    return known


class _Judge:
    """One look over one program."""

    def __init__(self, program: PickleProgram) -> None:
        self._program = program
        self._called: set[int] = set()
        self._plain: dict[tuple[int, str], Judged | None] = {}
        self._told: dict[tuple[str, str], Judged] = {}
        self._changed: tuple[Value, Contract | None, str] = (None, None, "")
        """The object that was changed last, with the contract and the name of its class: one object may be changed half a million times."""
        self._names: dict[int, tuple[str, str]] = {}
        self._seen: set[int] | None = None
        self._ends = self._end()
        self._told.clear()  # what was asked for that is told in its place

    def judgement(self) -> Judgement:
        """Everything outside the contracts; what says the same of the same name stands once, with its count."""
        found: dict[tuple[str, str], Judged] = {}
        counts: Counter[tuple[str, str]] = Counter()
        last, key = None, ("", "")
        for item in self._items():
            if item is not last:
                last, key = item, (item.name, item.does)
                found.setdefault(key, item)
            counts[key] += 1
        items = [item._replace(times=counts[key]) for key, item in found.items()]
        return Judgement(items=tuple(sorted(items, key=lambda item: item.offset)), ends_at=self._ends)

    def _items(self) -> Iterator[Judged]:
        ends = self._ends
        for call in self._program.calls:
            if ends is None or call.index < ends:
                found = self._call(call) if call.args else self._plain_call(call)
                if found is not None:
                    yield found
        for change in self._program.changes:
            if ends is None or change.index < ends:
                found = self._change(change)
                if found is not None:
                    yield found
        yield from self._persistents()
        yield from self._extensions()
        yield from self._buffers()
        for name in self._program.globals:
            if self._happens(name):
                yield from self._lookup(name, self._passed())

    def _happens(self, what: Call | Change | Global | Persistent | Extension) -> bool:
        return self._ends is None or what.index < self._ends

    def _end(self) -> int | None:
        """A name taken from an object that is certainly no text: every loader breaks there."""
        for found in self._program.globals:
            if any(type(part) is Call and self._is_no_text(part) for part in found.parts):
                return found.index
        return None

    def _is_no_text(self, call: Call) -> bool:
        contract = contract_of(call)
        return contract is not None and contract.name != "builtins:str" and self._call(call) is None

    # -- calls

    def _plain_call(self, call: Call) -> Judged | None:
        """A call without arguments: what is said of the first is said of all that call the same name."""
        target = call.callable
        if call.kwargs is not None or not (type(target) is Global or _is_deep(target)):
            return self._call(call)
        key = (id(target) if type(target) is Global else 0, call.how)
        if key not in self._plain:
            self._plain[key] = self._call(call)
        return self._plain[key]

    def _call(self, call: Call) -> Judged | None:
        target = call.callable
        self._called.add(id(target))
        contract = self._contract(target)
        if contract is not None and self._allowed(call, contract):
            return None
        name, does = self._named(target)
        if type(target) is Global and harm.carries_code(target):
            return Judged(
                level=Level.HARMFUL,
                what=call,
                name=name,
                does="rebuilds Python code that it carries",
                kind="code",
            )
        if does and not harm.takes_a_member(call):
            return Judged(level=Level.HARMFUL, what=call, name=name, does=does)
        return self._unknown(call, name, contract)

    def _unproved(self, what: Any, name: str, does: str, kind: str) -> Judged:
        """What says the same of the same name stands for all of them: only the first is told, the others are counted."""
        told = self._told.get((name, does))
        if told is None:
            told = self._told[name, does] = Judged(Level.UNPROVED, what, name, does, kind=kind)
        return told

    def _named(self, target: Value) -> tuple[str, str]:
        """What a callable is called and what it does, worked out once for each name."""
        if type(target) is not Global:
            path = harm.resolved(target)
            return path or _spelled(target), harm.does(target, path)
        known = self._names.get(id(target))
        if known is None:
            path = harm.resolved(target)
            known = self._names[id(target)] = (path or target.name, harm.does(target, path))
        return known

    def _contract(self, target: Value) -> Contract | None:
        """The contract of what is called: by its name, or by a `getattr` that is inside its own contract."""
        if type(target) is Global:
            return find(target.module, target.qualname)
        if (
            type(target) is not Call
            or type(target.callable) is not Global
            or target.callable.name != "builtins.getattr"
        ):
            return None
        getter = find("builtins", "getattr")
        if getter is None or not self._allowed(target, getter):
            return None
        owner, name = target.args[:2]
        return find(owner.module, f"{owner.qualname}.{name}") if type(owner) is Global else None

    def _allowed(self, call: Call, contract: Contract) -> bool:
        if type(call.args) is not tuple:
            return False
        if call.how in ("NEWOBJ", "NEWOBJ_EX"):
            return self._keywords(call, contract) and allowed(contract.new, call.args, contract, call.index)
        if call.how in ("INST", "OBJ") and not call.args and contract.new:
            return () in contract.new
        if allowed(contract.call, call.args, contract, call.index):
            return True
        return self._reconstructs(call, contract)

    def _keywords(self, call: Call, contract: Contract) -> bool:
        """Keyword arguments of NEWOBJ_EX: none, or (for a tuple subclass and the like) not followed."""
        return call.kwargs is None or (type(call.kwargs) is Dict and not call.kwargs)

    def _reconstructs(self, call: Call, contract: Contract) -> bool:
        """`copyreg._reconstructor(cls, base, state)` and `copyreg.__newobj__(cls, …)`: `__new__` by another name."""
        if contract.name not in ("copyreg:_reconstructor", "copyreg:__newobj__") or not call.args:
            return False
        cls = call.args[0]
        inner = find(cls.module, cls.qualname) if type(cls) is Global else None
        if inner is None:
            return False
        if contract.name == "copyreg:__newobj__":
            return allowed(inner.new, call.args[1:], inner, call.index)
        return len(call.args) == 3 and _base_fits(call.args[1], call.args[2], call.index) and () in inner.new

    def _unknown(self, call: Call, name: str, contract: Contract | None) -> Judged:
        """Outside all contracts: worse where the name or the arguments look like harm."""
        if contract is not None:
            return self._outside(call, name, contract)
        looks = harm.looks(call, name)
        if looks:
            return Judged(level=Level.HARMFUL, what=call, name=name, does=looks, certain=False)
        verb = "makes an object of" if call.how.startswith("NEWOBJ") else "calls"
        return self._unproved(call, name, f"{verb} {name}, which is in no contract", "call")

    def _outside(self, call: Call, name: str, contract: Contract) -> Judged:
        """The name has a contract, but the arguments are outside it."""
        if type(call.args) is tuple and call.args:
            reaches = failed_check(contract.call, call.args, contract, call.index)
            if reaches:
                return Judged(level=Level.HARMFUL, what=call, name=name, does=reaches)
            made = call.args[0] if contract.makes == "@0" else None
            if type(made) is Global and made.module is not None and find(made.module, made.qualname) is None:
                does = f"makes an object of {made.name}, which is in no contract"
                return Judged(level=Level.UNPROVED, what=call, name=made.name, does=does)
        named_only = not (contract.call or contract.new)
        does = harm.outside(call, name, named_only=named_only)
        if does:
            return Judged(level=Level.HARMFUL, what=call, name=name, does=does, certain=False)
        return self._unproved(call, name, f"calls {name} with arguments outside its contract", "call")

    # -- names

    def _lookup(self, found: Global, passed: set[int]) -> Iterator[Judged]:
        contract = find(found.module, found.qualname)
        handed_on = id(found) in passed
        if contract is not None and contract.only_called and handed_on:
            yield self._handed(found, contract)
        if contract is not None or id(found) in self._called:
            return
        if found.module is None:
            yield Judged(
                level=Level.UNPROVED,
                what=found,
                name="?",
                does="imports a name that it computes",
                kind="lookup",
            )
            return
        does = harm.harm_of(found.name)
        if does and harm.grave(does) and handed_on:
            yield Judged(level=Level.HARMFUL, what=found, name=found.name, kind="lookup",
                         does=f"hands on {found.name}, which {does}")  # fmt: skip
        elif does:
            yield Judged(level=Level.UNPROVED, what=found, name=found.name, kind="lookup",
                         does=f"imports {found.name}, which {does} when it is called")  # fmt: skip
        else:
            yield Judged(level=Level.UNPROVED, what=found, name=found.name, kind="lookup",
                         does=f"imports {found.name}, which is in no contract")  # fmt: skip

    def _handed(self, found: Global, contract: Contract) -> Judged:
        """What is safe as it stands here, and is not where somebody else calls it."""
        harmful = harm.harm_of(found.name) if not contract.call else ""
        does = f"hands on {found.name}, which {harmful or 'is safe only with the arguments seen here'}"
        level = Level.HARMFUL if harmful else Level.UNPROVED
        return Judged(level=level, what=found, name=found.name, does=does, kind="lookup")

    def _passed(self) -> set[int]:
        """Names that stand in arguments or in state: somebody may call them."""
        if self._seen is None:
            self._seen = _handed_on(self._program)
        return self._seen

    # -- state

    def _change(self, change: Change) -> Judged | None:
        target = change.target
        if type(target) is not Call:
            return self._on_name(change, target)
        if target is not self._changed[0]:
            name = class_of(target).replace(":", ".") or _spelled(target.callable)
            self._changed = (target, contract_of(target), name)
        _, contract, name = self._changed
        if contract is not None and self._change_allowed(change, target, contract):
            return None
        if contract is None and _is_unproved(target):
            return None  # the object itself is named as unproved; its state is part of the same doubt
        does = _harm_of_state(change, contract) if contract is not None else ""
        if does:
            return Judged(level=Level.HARMFUL, what=change, name=name, kind="state", does=does)
        return self._unproved(change, name, f"sets state on {name} that is outside its contract", "state")

    def _change_allowed(self, change: Change, target: Call, contract: Contract) -> bool:
        if change.how == "BUILD":
            use = Use(at=change.index, target=target, lengths=change.lengths)
            return not _sets(change.value, contract.never) and any(
                fits(change.value, s, use) for s in contract.state
            )
        kind = _FILLED[change.how]
        if kind == "dict" and "members" in contract.items:
            return all(type(key) is str and not reserved(key) for key in change.value[::2])
        return kind in contract.items

    def _on_name(self, change: Change, target: Value) -> Judged:
        """State set on a class, a function or a module changes it for the whole process."""
        if type(target) is Global:
            does = f"changes {target.name} for the whole process"
            return Judged(level=Level.HARMFUL, what=change, name=target.name, does=does, kind="state")
        name = type(target).__name__.lower()
        return self._unproved(change, name, f"sets state on a {name}", "state")

    # -- the rest

    def _persistents(self) -> Iterator[Judged]:
        for found in self._program.persistents:
            if self._happens(found) and found.module is None and storage_of(found) is None:
                does = "asks the loading program for an object by an id that is no torch storage"
                yield self._unproved(found, "persistent id", does, "persistent")

    def _extensions(self) -> Iterator[Judged]:
        told: dict[int, Judged] = {}
        for found in self._program.extensions:
            if found.code in told:
                yield told[found.code]
                continue
            does = f"uses extension code {found.code}, whose name is not in the file"
            told[found.code] = self._unproved(found, f"extension {found.code}", does, "extension")
            yield told[found.code]

    def _buffers(self) -> Iterator[Judged]:
        found = (
            next((v for v in self._program.values() if type(v) is Buffer), None)
            if self._program.buffers
            else None
        )
        if found is not None:
            yield Judged(
                level=Level.UNPROVED,
                what=found,
                name="buffer",
                kind="buffer",
                does="needs data from outside the file",
            )


_FILLED = {"APPEND": "list", "APPENDS": "list", "SETITEMS": "dict", "ADDITEMS": "set"}
"""How something is filled → like what."""


def _base_fits(base: Value, state: Value, index: int) -> bool:
    """The base class and its state: `object, None`, or a plain container with what it holds."""
    name = f"{base.module}:{base.qualname}" if type(base) is Global else ""
    if name == "builtins:object":
        return state is None
    shape = _BASES.get(name)
    return shape is not None and fits(state, shape, Use(at=index))


def _handed_on(program: PickleProgram) -> set[int]:
    """Names that stand in arguments or in state, at any depth; being called is not being handed on.

    Arguments and states of objects inside are arguments and states of the program too, so that only containers are entered.
    """
    todo: list[Value] = [change.value for change in program.changes]
    todo += [found.pid for found in program.persistents]
    for call in program.calls:
        todo += _arguments(call)
    names: set[int] = set()
    seen: set[int] = set()
    while todo:
        value = todo.pop()
        kind = type(value)
        if kind is Global:
            names.add(id(value))
        elif kind in CONTAINERS:
            if value and id(value) not in seen:
                seen.add(id(value))
                todo += value
        elif kind is Persistent:
            todo.append(value.pid)
    return names


def _arguments(call: Call) -> tuple[Value, ...]:
    """What a call hands on: not the function or class that a known maker takes as its first argument and is judged with."""
    if array_call(call) is not None:
        return tuple(call.args[1:3])
    target = call.callable
    contract = find(target.module, target.qualname) if type(target) is Global else None
    takes = contract is not None and (contract.makes == "@0" or "typed-rebuild" in contract.checks)
    first = call.args[0] if takes and type(call.args) is tuple and call.args else None
    known = type(first) is Global and find(first.module, first.qualname) is not None
    return (call.args[1:] if known else call.args, call.kwargs)


def _is_deep(target: Value) -> bool:
    """What a call gives that itself calls what a call gives: nobody can name it."""
    return type(target) is Call and type(target.callable) is Call and type(target.callable.callable) is Call


def _harm_of_state(change: Change, contract: Contract) -> str:
    """What state outside of a contract does, where that has a name."""
    if "members" in contract.items or change.how == "BUILD":
        names = change.value[::2] if change.how == "SETITEMS" else _attributes(change.value)
        found = next((name for name in names if type(name) is str and name in HOOKS), "")
        if found:
            return f"sets {found}, which the interpreter or numpy calls"
    if change.how == "BUILD" and _sets(change.value, contract.never):
        return f"replaces what {contract.name.replace(':', '.')} itself calls while it is loaded"
    if contract.otherwise and not contract.state:
        return contract.otherwise
    if not contract.otherwise:
        return ""
    attacks = _executes(change.value) or broken_tree(change.value) or outside_blocks(change.value)
    return contract.otherwise if attacks else ""


HOOKS = frozenset({
    "__setstate__", "__reduce__", "__reduce_ex__", "__class__", "__call__", "__del__", "__init__", "__new__", "__getattr__",
    "__getattribute__", "__setattr__", "__array__", "__array_interface__", "__array_struct__", "__globals__", "__code__",
})  # fmt: skip
"""Names that are looked up on an object while it, or what holds it, is loaded."""


def _attributes(state: Value) -> Iterator[Value]:
    """Names that BUILD sets."""
    for part in state if type(state) is tuple else (state,):
        if type(part) is Dict:
            yield from part[::2]


def _executes(state: Value) -> bool:
    """Whether a state holds a text that the class would execute, and that is not the library's own."""
    if executes_text(state):
        return True
    return type(state) is Dict and any(
        key == "formula" and harm.suspicious((item,)) for key, item in state.pairs()
    )


def _sets(state: Value, names: tuple[str, ...]) -> bool:
    """Whether a state sets one of these attributes."""
    if not names:
        return False
    return any(type(key) is str and key in names for key in _attributes(state))


_BASES = {
    "builtins:dict": "dict|@collections:OrderedDict",
    "builtins:list": "list",
    "builtins:tuple": "tuple",
    "builtins:set": "list|set",
    "builtins:int": "int",
    "builtins:float": "float",
    "builtins:str": "str",
    "builtins:bytes": "bytes",
}


def _spelled(target: Value) -> str:
    if type(target) is Global:
        return target.name
    if type(target) is Call:
        inner = target.callable.name if type(target.callable) is Global else "a call"
        return f"what {inner} gives"
    return f"a {type(target).__name__.lower()}"


def _is_unproved(call: Call) -> bool:
    return type(call.callable) is not Global or find(call.callable.module, call.callable.qualname) is None
