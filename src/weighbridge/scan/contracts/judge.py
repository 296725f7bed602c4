"""Judge a program: everything it does is inside a contract, or is named.

The statement behind "proved": every name that CPython would look up while loading these bytes is in a contract, and
every call, state and item that it would make is inside the contract of its callable. By induction over the opcodes
nothing else runs. What is outside is `UNPROVED`; where the harm can be named it is `HARMFUL`.
"""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

from weighbridge.formats.pickle import Call, Change, Global, PickleProgram, Value
from weighbridge.scan.contracts import looks
from weighbridge.scan.contracts.alike import key_of
from weighbridge.scan.contracts.book import Contract, find
from weighbridge.scan.contracts.callees import CALLS, MAKES, MISSES, Callee, Callees, kind_of, spelled
from weighbridge.scan.contracts.inside import call_allowed
from weighbridge.scan.contracts.judged import Judged, Judgement, Level
from weighbridge.scan.contracts.named import buffers, extensions, lookups, persistents
from weighbridge.scan.contracts.remembered import forget
from weighbridge.scan.contracts.shapes import class_of, contract_of, failed_check
from weighbridge.scan.contracts.states import (
    ALONE,
    IN_PLACE,
    change_allowed,
    hangs_on_order,
    harm_of_state,
)
from weighbridge.scan.contracts.texts import Texts

_judgements: WeakKeyDictionary[PickleProgram, Judgement] = WeakKeyDictionary()


def judge(program: PickleProgram) -> Judgement:
    """Judge one program; several rules ask, the work is done once."""
    known = _judgements.get(program)
    if known is None:
        try:
            known = _judgements[program] = _Judge(program).judgement()
        finally:
            forget()
    return known


MAX_KNOWN = 20_000
"""Kinds of calls and changes that are remembered at a time."""
MAX_FILLED = 8
"""Items that something is filled with at once for them to be compared with others."""
MAX_ARGUED = 1000
"""Arguments whose keys are remembered at a time."""


_Class = tuple[Contract | None, str, bool, bool]
"""The contract of an object's class, its name, whether the order of its states counts, whether the object is named as unproved."""


class _Judge:
    """One look over one program."""

    def __init__(self, program: PickleProgram) -> None:
        self._program = program
        self._called: dict[int, Contract | None] = {}
        self._known: dict[object, Judged | None] = {}
        """What was said of a call or of a change → all that are alike."""
        self._callees = Callees()
        self._argued: dict[int, object] = {}
        self._classes: dict[object, _Class] = {}
        self._harms: dict[tuple[int, str, int], str] = {}
        self._changed_at: list[int] | None = None
        self._dtypes_at: list[int] | None = None
        self._texts = Texts()
        self._told: dict[tuple[str, str], Judged] = {}
        self._changed: tuple[Value, _Class] = (None, (None, "", False, False))
        """The object that was changed last, and its class: one object may be changed half a million times."""
        self._ends = self._end()
        self._told.clear()  # what was asked for that is told in its place
        self._callees = Callees()

    def judgement(self) -> Judgement:
        """Everything outside the contracts; what says the same of the same name stands once, with its count."""
        found: dict[tuple[str, str], Judged] = {}
        counts: dict[tuple[str, str], int] = {}
        last, key = None, ("", "")
        for item in self._items():
            if item is not last:
                last, key = item, (item.name, item.does)
                found.setdefault(key, item)
            counts[key] = counts.get(key, 0) + 1
        items = [i if counts[key] == 1 else i._replace(times=counts[key]) for key, i in found.items()]
        return Judgement(items=tuple(sorted(items, key=lambda item: item.what.offset)), ends_at=self._ends)

    def _items(self) -> Iterator[Judged]:
        ends = self._ends
        for call in self._program.calls:
            if ends is None or call.index < ends:
                found = self._call(call)
                if found is not None:
                    yield found
        for change in self._program.changes:
            if ends is None or change.index < ends:
                found = self._change(change)
                if found is not None:
                    yield found
        yield from persistents(self._program, ends)
        yield from extensions(self._program)
        yield from buffers(self._program)
        yield from lookups(self._program, self._called, ends)

    def _end(self) -> int | None:
        """A name taken from an object that is certainly no text: every loader breaks there."""
        for found in self._program.globals:
            if any(type(part) is Call and self._is_no_text(part) for part in found.parts):
                return found.index
        return None

    def _is_no_text(self, call: Call) -> bool:
        contract = contract_of(call)
        return (
            contract is not None
            and contract.name != "builtins:str"
            and self._judged(call, self._callees.of(call.callable)) is None
        )

    # -- calls

    def _call(self, call: Call) -> Judged | None:
        """What is said of the first call of its kind is said of all: see `alike`."""
        target = call.callable
        callee = self._callees.of(target)
        if callee.contract is None:
            kind = kind_of(call)
            if kind in callee.always:
                return callee.always[kind]
        self._called[id(target)] = callee.contract
        if callee.misses > MISSES or call.args == () or looks.reads_state(target):
            return self._judged(call, callee)
        key = self._key(call, callee)
        try:
            return self._known[key]
        except KeyError:
            callee.misses += 1
            return self._keep(key, self._judged(call, callee))

    def _keep(self, key: object, said: Judged | None) -> Judged | None:
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[key] = said
        return said

    def _key(self, call: Call, callee: Callee) -> object:
        """What decides over a call."""
        when = self._when(call.index) if callee.timed else 0
        return (callee.key, call.how, when, self._arguments(call.args), key_of(call.kwargs))

    def _arguments(self, args: Value) -> object:
        """The key of arguments, which many calls may share."""
        known = self._argued.get(id(args))
        if known is None:
            known = key_of(args)
            if len(self._argued) >= MAX_ARGUED:
                self._argued.clear()
            self._argued[id(args)] = known
        return known

    def _when(self, index: int) -> int:
        """How many changes stand before an opcode: between two of them nothing is set on anything."""
        if self._changed_at is None:
            self._changed_at = [change.index for change in self._program.changes]
        return bisect_right(self._changed_at, index)

    def _judged(self, call: Call, callee: Callee) -> Judged | None:
        contract, name, does = callee.contract, callee.name, callee.does
        if contract is not None and call_allowed(call, contract):
            return None
        if callee.code:
            does = "rebuilds Python code that it carries"
            return self._always(call, callee, Judged(Level.HARMFUL, call, name, does, kind="code"))
        if does and not looks.takes_a_member(call):
            return self._always(call, callee, Judged(Level.HARMFUL, call, name, does))
        if contract is not None:
            return self._outside(call, callee, contract)
        return self._unknown(call, callee)

    def _always(self, call: Call, callee: Callee, said: Judged | None) -> Judged | None:
        """What is said of every call of this kind, as long as no contract takes some of them."""
        if callee.contract is None:
            callee.always[kind_of(call)] = said
        return said

    def _unproved(self, what: Any, name: str, does: str, kind: str) -> Judged:
        """What says the same of the same name stands for all of them: only the first is told, the others are counted."""
        told = self._told.get((name, does))
        if told is None:
            told = self._told[name, does] = Judged(Level.UNPROVED, what, name, does, kind=kind)
        return told

    def _unknown(self, call: Call, callee: Callee) -> Judged | None:
        """Outside all contracts: worse where the name or the arguments look like harm."""
        name, kind = callee.name, kind_of(call)
        seen = callee.seen(call, self._texts)
        if seen:
            said = Judged(level=Level.HARMFUL, what=call, name=name, does=seen, certain=False)
        else:
            verb = "makes an object of" if kind == MAKES else "calls"
            said = self._unproved(call, name, f"{verb} {name}, which is in no contract", "call")
        if looks.reads_state(call.callable) or (kind == CALLS and not callee.looks):
            return said
        return self._always(call, callee, said)

    def _outside(self, call: Call, callee: Callee, contract: Contract) -> Judged:
        """The name has a contract, but the arguments are outside it."""
        name, args = callee.name, call.args
        if type(args) is tuple and args:
            reaches = failed_check(contract.call, args, contract, call.index) if contract.checks else ""
            if reaches:
                return Judged(level=Level.HARMFUL, what=call, name=name, does=reaches)
            made = args[0] if contract.makes == "@0" else None
            if type(made) is Global and made.module is not None and find(made.module, made.qualname) is None:
                does = f"makes an object of {made.name}, which is in no contract"
                return Judged(level=Level.UNPROVED, what=call, name=made.name, does=does)
        named_only = not (contract.call or contract.new)
        seen = callee.seen(call, self._texts) if named_only else ""
        does = looks.outside(call, name, seen)
        if does:
            return Judged(level=Level.HARMFUL, what=call, name=name, does=does, certain=False)
        return self._unproved(call, name, f"calls {name} with arguments outside its contract", "call")

    # -- state

    def _change(self, change: Change) -> Judged | None:
        target = change.target
        if type(target) is not Call:
            return self._on_name(change, target)
        if target is not self._changed[0]:
            self._changed = (target, self._class(target))
        contract, name, ordered, unproved = self._changed[1]
        if unproved:
            return None  # the object itself is named as unproved; its state is part of the same doubt
        key = None if contract is None else self._alike(change, target, contract, ordered=ordered)
        if key is None:
            return self._state(change, target, contract, name)
        try:
            return self._known[key]
        except KeyError:
            return self._keep(key, self._state(change, target, contract, name))

    def _alike(self, change: Change, target: Call, contract: Contract, *, ordered: bool) -> object:
        """What decides over a change; None where more decides than a key holds."""
        value = change.value
        if ordered and len(target.changes) == 1:
            if not IN_PLACE.issuperset(contract.state):
                return None
            return (id(value), change.how, id(contract), change.lengths, self._dtypes(change.index))
        if ordered and not ALONE.issuperset(contract.state):
            return None
        if change.how == "BUILD":
            return (
                id(contract),
                self._changed[1][1],
                "BUILD",
                self._arguments(value) if value else key_of(value),
            )
        if len(value) <= MAX_FILLED:
            value = tuple(value)  # the machine makes a list of its own each time
        return (id(contract), self._changed[1][1], change.how, key_of(value))

    def _dtypes(self, index: int) -> int:
        """How many states were set on dtypes before an opcode: what an array's own state hangs on."""
        if self._dtypes_at is None:
            self._dtypes_at = [change.index for change in self._program.changes if _is_dtype(change.target)]
        return bisect_right(self._dtypes_at, index)

    def _class(self, target: Call) -> _Class:
        """What decides over the changes of an object of its class."""
        first = target.args[0] if type(target.args) is tuple and target.args else None
        key = (id(target.callable), target.how, id(first))
        known = self._classes.get(key)
        if known is None:
            contract = contract_of(target)
            name = class_of(target).replace(":", ".") or spelled(target.callable)
            if len(self._classes) >= MAX_ARGUED:
                self._classes.clear()
            unproved = contract is None and _is_unproved(target)
            ordered = contract is not None and hangs_on_order(contract)
            known = self._classes[key] = (contract, name, ordered, unproved)
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


def _is_dtype(value: Value) -> bool:
    return type(value) is Call and type(value.callable) is Global and value.callable.name == "numpy.dtype"


def _is_unproved(call: Call) -> bool:
    return type(call.callable) is not Global or find(call.callable.module, call.callable.qualname) is None
