"""What is called, worked out once for each callable: its contract, its name, what calling it does, and what it looks like.

Half a million calls may share one callable, or each may have its own. A callable is found again by its identity, and the
result of a call, which a stream may make anew each time, by a key (`alike`). What can be said of every call of a callable,
whatever its arguments, is said once.
"""

from weighbridge.formats.pickle import Call, Global, Value
from weighbridge.scan.contracts import looks, paths
from weighbridge.scan.contracts.alike import key_of
from weighbridge.scan.contracts.book import Contract, find
from weighbridge.scan.contracts.inside import call_allowed, is_timed
from weighbridge.scan.contracts.judged import Judged
from weighbridge.scan.contracts.texts import Texts

MAX_KEPT = 20_000
"""Callables that are remembered at a time."""
MISSES = 64
"""Calls of one callable whose arguments were new each time: from then on nobody looks whether they were seen before."""


MAKES, BARE, CALLS = "makes", "bare", "calls"
"""Calls that may have the same said of them: an object is made and no function called; without arguments; all others."""


def kind_of(call: Call) -> str:
    """The kind of a call."""
    if call.how in _MAKES:
        return MAKES
    return BARE if call.args == () else CALLS


_MAKES = frozenset({"NEWOBJ", "NEWOBJ_EX"})


class Callee:
    """What is called.

    `code`: calling it rebuilds code out of the stream. `timed`: the same call may be inside of the contract at one opcode and
    outside at another.
    """

    __slots__ = ("always", "code", "contract", "does", "key", "look", "looks", "misses", "name", "timed")

    def __init__(self, key: object, target: Value) -> None:
        self.key = key
        self.misses = 0
        self.always: dict[str, Judged | None] = {}
        """What is said of every call of a kind that is outside of all contracts, where all of that kind are alike."""
        self.contract = contract_of_callable(target)
        path = paths.resolved(target)
        self.name = path or spelled(target)
        self.does = paths.does(target, path)
        self.looks: str | None = None
        self.look: looks.Look | None = None
        if type(target) is Global:
            self.code = paths.carries_code(target)
            self.timed = self.contract is not None and is_timed(target.module, target.qualname)
        else:
            self.code = False
            self.timed = paths.is_getattr(target)

    def seen(self, call: Call, texts: Texts) -> str:
        """What a call of it outside all contracts looks like; "" when it looks like nothing bad."""
        if self.looks is None:
            self.looks = looks.always(call.callable, self.name)
        if call.how in _MAKES:
            return self.looks if self.looks == looks.COMPUTED else looks.opens_another(call)
        if self.looks or not call.args:
            return self.looks
        if self.look is None:
            self.look = looks.look_of(call.callable, self.name)
        return self.look.of(call.args, texts)


class Callees:
    """The callables of one program."""

    def __init__(self) -> None:
        self._known: dict[int, Callee] = {}
        self._alike: dict[object, Callee] = {}
        self._deep: Callee | None = None

    def of(self, target: Value) -> Callee:
        """What is known of a callable of the program."""
        known = self._known.get(id(target))
        if known is None:
            known = self._new(target)
            if len(self._known) >= MAX_KEPT:
                self._known.clear()
            self._known[id(target)] = known
        return known

    def _new(self, target: Value) -> Callee:
        if type(target) is Global:
            return Callee(id(target), target)
        if _is_deep(target):
            if self._deep is None:
                self._deep = Callee("a call of a call", target)
            return self._deep
        key = (key_of(target),)
        known = self._alike.get(key)
        if known is None:
            known = Callee(key, target)
            if len(self._alike) >= MAX_KEPT:
                self._alike.clear()
            self._alike[key] = known
        return known


def contract_of_callable(target: Value) -> Contract | None:
    """The contract of what is called: by its name, or by a `getattr` that is inside its own contract."""
    if type(target) is Global:
        return find(target.module, target.qualname)
    if not paths.is_getattr(target):
        return None
    getter = find("builtins", "getattr")
    if getter is None or not call_allowed(target, getter):
        return None
    owner, name = target.args[:2]
    return find(owner.module, f"{owner.qualname}.{name}") if type(owner) is Global else None


def _is_deep(target: Value) -> bool:
    """What a call gives that itself calls what a call gives: nobody can name it."""
    return type(target) is Call and type(target.callable) is Call and type(target.callable.callable) is Call


def spelled(target: Value) -> str:
    """What to call a callable that has no name."""
    if type(target) is Global:
        return target.name
    if type(target) is Call:
        inner = target.callable.name if type(target.callable) is Global else "a call"
        return f"what {inner} gives"
    return f"a {type(target).__name__.lower()}"
