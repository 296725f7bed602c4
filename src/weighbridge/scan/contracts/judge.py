"""Judge a program: everything it does is inside a contract, or is named.

The statement behind "proved": every name that CPython would look up while loading these bytes is in a contract, and
every call, state and item that it would make is inside the contract of its callable. By induction over the opcodes
nothing else runs. What is outside is `UNPROVED`; where the harm can be named it is `HARMFUL`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple
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
from weighbridge.scan.contracts.shapes import (
    Use,
    allowed,
    class_of,
    contract_of,
    failed_check,
    fits,
    storage_of,
)


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
        self._plain: dict[tuple[int, str], tuple[Judged, ...]] = {}
        self._names: dict[int, tuple[str, str]] = {}
        self._seen: set[int] | None = None
        self._ends = self._end()

    def judgement(self) -> Judgement:
        """Everything outside the contracts; what says the same of the same name stands once, with its count."""
        found: dict[tuple[str, str], Judged] = {}
        counts: Counter[tuple[str, str]] = Counter()
        for item in self._items():
            key = (item.name, item.does)
            found.setdefault(key, item)
            counts[key] += 1
        items = [item._replace(times=counts[key]) for key, item in found.items()]
        return Judgement(items=tuple(sorted(items, key=lambda item: item.offset)), ends_at=self._ends)

    def _items(self) -> Iterator[Judged]:
        for call in self._program.calls:
            if self._happens(call):
                yield from self._call(call) if call.args else self._plain_call(call)
        for change in self._program.changes:
            if self._happens(change):
                yield from self._change(change)
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
        return contract is not None and contract.name != "builtins:str" and not any(self._call(call))

    # -- calls

    def _plain_call(self, call: Call) -> Iterable[Judged]:
        """A call without arguments: what is said of the first is said of all that call the same name."""
        target = call.callable
        if call.kwargs is not None or not (type(target) is Global or _is_deep(target)):
            return self._call(call)
        key = (id(target) if type(target) is Global else 0, call.how)
        known = self._plain.get(key)
        if known is None:
            known = self._plain[key] = tuple(self._call(call))
        return known

    def _call(self, call: Call) -> Iterator[Judged]:
        target = call.callable
        self._called.add(id(target))
        contract = self._contract(target)
        if contract is not None and self._allowed(call, contract):
            return
        name, does = self._named(target)
        if type(target) is Global and harm.carries_code(target):
            yield Judged(
                level=Level.HARMFUL,
                what=call,
                name=name,
                does="rebuilds Python code that it carries",
                kind="code",
            )
            return
        if does and not harm.takes_a_member(call):
            yield Judged(level=Level.HARMFUL, what=call, name=name, does=does)
        else:
            yield self._unknown(call, name, contract)

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
        return Judged(
            level=Level.UNPROVED, what=call, name=name, does=f"{verb} {name}, which is in no contract"
        )

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
        does = f"calls {name} with arguments outside its contract"
        return Judged(level=Level.UNPROVED, what=call, name=name, does=does)

    # -- names

    def _lookup(self, found: Global, passed: set[int]) -> Iterator[Judged]:
        contract = find(found.module, found.qualname)
        handed_on = id(found) in passed
        if contract is not None and contract.only_called and handed_on:
            does = f"hands on {found.name}, which is safe only with the arguments seen here"
            yield Judged(level=Level.UNPROVED, what=found, name=found.name, does=does, kind="lookup")
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

    def _passed(self) -> set[int]:
        """Names that stand in arguments or in state: somebody may call them."""
        if self._seen is None:
            self._seen = _handed_on(self._program)
        return self._seen

    # -- state

    def _change(self, change: Change) -> Iterator[Judged]:
        target = change.target
        if type(target) is not Call:
            yield self._on_name(change, target)
            return
        contract = contract_of(target)
        if contract is not None and self._change_allowed(change, target, contract):
            return
        if contract is None and _is_unproved(target):
            return  # the object itself is named as unproved; its state is part of the same doubt
        name = class_of(target).replace(":", ".") or _spelled(target.callable)
        if contract is not None and contract.otherwise and _executes(change.value):
            yield Judged(level=Level.HARMFUL, what=change, name=name, kind="state", does=contract.otherwise)
            return
        does = f"sets state on {name} that is outside its contract"
        yield Judged(level=Level.UNPROVED, what=change, name=name, kind="state", does=does)

    def _change_allowed(self, change: Change, target: Call, contract: Contract) -> bool:
        if change.how == "BUILD":
            use = Use(at=change.index, target=target, lengths=change.lengths)
            return not _sets(change.value, contract.never) and any(
                fits(change.value, s, use) for s in contract.state
            )
        kind = {"APPEND": "list", "APPENDS": "list", "SETITEMS": "dict", "ADDITEMS": "set"}[change.how]
        return kind in contract.items

    def _on_name(self, change: Change, target: Value) -> Judged:
        """State set on a class, a function or a module changes it for the whole process."""
        if type(target) is Global:
            does = f"changes {target.name} for the whole process"
            return Judged(level=Level.HARMFUL, what=change, name=target.name, does=does, kind="state")
        name = type(target).__name__.lower()
        return Judged(
            level=Level.UNPROVED, what=change, name=name, does=f"sets state on a {name}", kind="state"
        )

    # -- the rest

    def _persistents(self) -> Iterator[Judged]:
        for found in self._program.persistents:
            if self._happens(found) and found.module is None and storage_of(found) is None:
                yield Judged(level=Level.UNPROVED, what=found, name="persistent id", kind="persistent",
                             does="asks the loading program for an object by an id that is no torch storage")  # fmt: skip

    def _extensions(self) -> Iterator[Judged]:
        for found in self._program.extensions:
            yield Judged(level=Level.UNPROVED, what=found, name=f"extension {found.code}", kind="extension",
                         does=f"uses extension code {found.code}, whose name is not in the file")  # fmt: skip

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
    for call in program.calls:
        todo += (call.args, call.kwargs) if array_call(call) is None else call.args[1:3]
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


def _is_deep(target: Value) -> bool:
    """What a call gives that itself calls what a call gives: nobody can name it."""
    return type(target) is Call and type(target.callable) is Call and type(target.callable.callable) is Call


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
    parts = state if type(state) is tuple else (state,)
    return any(
        type(part) is Dict and any(type(key) is str and key in names for key in part[::2]) for part in parts
    )


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
