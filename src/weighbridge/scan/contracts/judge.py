"""Judge a program: everything it does is inside a contract, or is named.

The statement behind "proved": every name that CPython would look up while loading these bytes is in a contract, and
every call, state and item that it would make is inside the contract of its callable. By induction over the opcodes
nothing else runs. What is outside is `UNPROVED`; where the harm can be named it is `HARMFUL`.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from weighbridge.formats.pickle import (
    Buffer,
    Call,
    Change,
    Extension,
    Global,
    Persistent,
    PickleProgram,
    Value,
)
from weighbridge.scan.contracts import harm, looks, paths
from weighbridge.scan.contracts.alike import key_of
from weighbridge.scan.contracts.book import Contract, find
from weighbridge.scan.contracts.handed import handed_on
from weighbridge.scan.contracts.inside import call_allowed, is_timed
from weighbridge.scan.contracts.judged import Judged, Judgement, Level
from weighbridge.scan.contracts.shapes import (
    class_of,
    contract_of,
    failed_check,
    storage_of,
)
from weighbridge.scan.contracts.states import change_allowed, hangs_on_order, harm_of_state
from weighbridge.scan.contracts.texts import Texts

_judgements: WeakKeyDictionary[PickleProgram, Judgement] = WeakKeyDictionary()


def judge(program: PickleProgram) -> Judgement:
    """Judge one program; several rules ask, the work is done once."""
    known = _judgements.get(program)
    if known is None:
        known = _judgements[program] = _Judge(program).judgement()
    return known


MAX_KNOWN = 20_000
"""Kinds of calls and changes that are remembered at a time."""
MAX_FILLED = 8
"""Items that something is filled with at once for them to be compared with others."""
MAX_ARGUED = 1000
"""Arguments whose keys are remembered at a time."""


class _Callee(NamedTuple):
    """What is called."""

    key: object
    timed: bool = False
    """Whether the same call may be inside of the contract at one opcode and outside at another."""
    alike: bool = True
    """False where more than the call itself decides."""


_DEEP = _Callee("a call of a call")


class _Judge:
    """One look over one program."""

    def __init__(self, program: PickleProgram) -> None:
        self._program = program
        self._called: set[int] = set()
        self._known: dict[object, Judged | None] = {}
        """What was said of a call or of a change → all that are alike."""
        self._callees: dict[int, _Callee] = {}
        self._argued: dict[int, object] = {}
        self._classes: dict[object, tuple[Contract | None, str, bool]] = {}
        self._harms: dict[tuple[int, str, int], str] = {}
        self._changed_at: list[int] = []
        self._texts = Texts()
        self._told: dict[tuple[str, str], Judged] = {}
        self._changed: tuple[Value, tuple[Contract | None, str, bool]] = (None, (None, "", False))
        """The object that was changed last, and its class: one object may be changed half a million times."""
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
        items = [i if counts[key] == 1 else i._replace(times=counts[key]) for key, i in found.items()]
        return Judgement(items=tuple(sorted(items, key=lambda item: item.offset)), ends_at=self._ends)

    def _items(self) -> Iterator[Judged]:
        ends = self._ends
        for call in self._program.calls:
            if ends is None or call.index < ends:
                found = self._alike(call)
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

    def _alike(self, call: Call) -> Judged | None:
        """What is said of the first call of its kind is said of all: see `alike`."""
        key = self._key(call)
        if key is None:
            return self._call(call)
        try:
            return self._known[key]
        except KeyError:
            return self._keep(key, self._call(call))

    def _keep(self, key: object, said: Judged | None) -> Judged | None:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[key] = said
        return said

    def _key(self, call: Call) -> object:
        """What decides over a call; None where more decides than a key holds."""
        target, args = call.callable, call.args
        callee = self._callees.get(id(target)) or self._callee(target)
        if not callee.alike:
            return None
        when = self._when(call.index) if callee.timed else 0
        if call.kwargs is None and args == ():
            return (callee.key, call.how, when)
        return (callee.key, call.how, when, self._arguments(args), key_of(call.kwargs))

    def _arguments(self, args: Value) -> object:
        """The key of arguments, which many calls may share."""
        known = self._argued.get(id(args))
        if known is None:
            known = key_of(args)
            if len(self._argued) >= MAX_ARGUED:
                self._argued.clear()
            self._argued[id(args)] = known
        return known

    def _callee(self, target: Value) -> "_Callee":
        if type(target) is Global:
            timed = is_timed(target.module, target.qualname)
            found = self._callees[id(target)] = _Callee(id(target), timed, not looks.reads_state(target))
            return found
        if _is_deep(target):
            return _DEEP
        return _Callee((key_of(target),), timed=paths.is_getattr(target))

    def _when(self, index: int) -> int:
        """How many changes stand before an opcode: between two of them nothing is set on anything."""
        if not self._changed_at:
            self._changed_at = [change.index for change in self._program.changes]
        return bisect_right(self._changed_at, index)

    def _call(self, call: Call) -> Judged | None:
        target = call.callable
        self._called.add(id(target))
        contract = self._contract(target)
        if contract is not None and call_allowed(call, contract):
            return None
        name, does = self._named(target)
        if type(target) is Global and paths.carries_code(target):
            return Judged(
                level=Level.HARMFUL,
                what=call,
                name=name,
                does="rebuilds Python code that it carries",
                kind="code",
            )
        if does and not looks.takes_a_member(call):
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
            path = paths.resolved(target)
            return path or _spelled(target), paths.does(target, path)
        known = self._names.get(id(target))
        if known is None:
            path = paths.resolved(target)
            known = self._names[id(target)] = (path or target.name, paths.does(target, path))
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
        if getter is None or not call_allowed(target, getter):
            return None
        owner, name = target.args[:2]
        return find(owner.module, f"{owner.qualname}.{name}") if type(owner) is Global else None

    def _unknown(self, call: Call, name: str, contract: Contract | None) -> Judged:
        """Outside all contracts: worse where the name or the arguments look like harm."""
        if contract is not None:
            return self._outside(call, name, contract)
        seen = looks.looks(call, name, self._texts)
        if seen:
            return Judged(level=Level.HARMFUL, what=call, name=name, does=seen, certain=False)
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
        does = looks.outside(call, name, self._texts, named_only=named_only)
        if does:
            return Judged(level=Level.HARMFUL, what=call, name=name, does=does, certain=False)
        return self._unproved(call, name, f"calls {name} with arguments outside its contract", "call")

    # -- names

    def _lookup(self, found: Global, passed: set[int]) -> Iterator[Judged]:
        contract = find(found.module, found.qualname)
        passed_on = id(found) in passed
        if contract is not None and contract.only_called and passed_on:
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
        if does and harm.grave(does) and passed_on:
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
            self._seen = handed_on(self._program)
        return self._seen

    # -- state

    def _change(self, change: Change) -> Judged | None:
        target = change.target
        if type(target) is not Call:
            return self._on_name(change, target)
        if target is not self._changed[0]:
            self._changed = (target, self._class(target))
        contract, name, ordered = self._changed[1]
        if contract is None and _is_unproved(target):
            return None  # the object itself is named as unproved; its state is part of the same doubt
        if ordered:
            return self._state(change, target, contract, name)
        value = change.value
        if change.how != "BUILD" and len(value) <= MAX_FILLED:
            value = tuple(value)  # the machine makes a list of its own each time
        key = (name, change.how, id(contract), key_of(value))
        try:
            return self._known[key]
        except KeyError:
            return self._keep(key, self._state(change, target, contract, name))

    def _class(self, target: Call) -> tuple[Contract | None, str, bool]:
        """The contract and the name of an object's class, and whether the order of its states counts."""
        first = target.args[0] if type(target.args) is tuple and target.args else None
        key = (id(target.callable), target.how, id(first))
        known = self._classes.get(key)
        if known is None:
            contract = contract_of(target)
            name = class_of(target).replace(":", ".") or _spelled(target.callable)
            if len(self._classes) >= MAX_ARGUED:
                self._classes.clear()
            known = self._classes[key] = (contract, name, contract is not None and hangs_on_order(contract))
        return known

    def _state(self, change: Change, target: Call, contract: Contract | None, name: str) -> Judged | None:
        if contract is not None and change_allowed(change, target, contract):
            return None
        does = self._harm(change, contract) if contract is not None else ""
        if does:
            return Judged(level=Level.HARMFUL, what=change, name=name, kind="state", does=does)
        return self._unproved(change, name, f"sets state on {name} that is outside its contract", "state")

    def _harm(self, change: Change, contract: Contract) -> str:
        """What setting this state does; one state may be set on many objects."""
        key = (id(change.value), change.how, id(contract))
        known = self._harms.get(key)
        if known is None:
            if len(self._harms) >= MAX_ARGUED:
                self._harms.clear()
            known = self._harms[key] = harm_of_state(change, contract)
        return known

    def _on_name(self, change: Change, target: Value) -> Judged:
        """State set on a class, a function or a module changes it for the whole process."""
        if type(target) is Global:
            does = f"changes {target.name} for the whole process"
            return Judged(level=Level.HARMFUL, what=change, name=target.name, does=does, kind="state")
        name = type(target).__name__.lower()
        return self._unproved(change, name, f"sets state on a {name}", "state")

    # -- the rest

    def _persistents(self) -> Iterator[Judged]:
        does = "asks the loading program for an object by an id that is no torch storage"
        ends = self._ends
        for found in self._program.persistents:
            if ends is not None and found.index >= ends:
                continue
            if type(found.pid) is not tuple or (found.module is None and storage_of(found) is None):
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


def _is_deep(target: Value) -> bool:
    """What a call gives that itself calls what a call gives: nobody can name it."""
    return type(target) is Call and type(target.callable) is Call and type(target.callable.callable) is Call


def _spelled(target: Value) -> str:
    if type(target) is Global:
        return target.name
    if type(target) is Call:
        inner = target.callable.name if type(target.callable) is Global else "a call"
        return f"what {inner} gives"
    return f"a {type(target).__name__.lower()}"


def _is_unproved(call: Call) -> bool:
    return type(call.callable) is not Global or find(call.callable.module, call.callable.qualname) is None
