"""The symbolic pickle machine: every opcode of protocols 0 to 5 over abstract values, nothing imported or called.

Follows `Modules/_pickle.c` and `Lib/pickle.py` of CPython 3.8 to 3.14. Where the two would go different ways the
machine goes on as long as *either* of them would, and says so in an anomaly: what it reports is a superset of what
any of them calls. Where both stop, it stops, and what was called until then is kept.

It works in time and memory linear in the stream: values are shared nodes, nothing is copied, compared or printed in
depth. Hashing is the one thing that a real loader pays more for, so its cost is counted and reported.
"""

import struct
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Sequence

from weighbridge.core.budget import Budget
from weighbridge.core.errors import LimitError
from weighbridge.core.source import Source
from weighbridge.formats.pickle.fold import NOTHING, fold, folds
from weighbridge.formats.pickle.helpers import array_call, is_helper, named_type
from weighbridge.formats.pickle.program import Break, PickleProgram, RawArray
from weighbridge.formats.pickle.stream import Stream, TruncatedError
from weighbridge.formats.pickle.values import (
    Blob,
    Call,
    Change,
    Dict,
    Extension,
    FrozenSet,
    Global,
    List,
    Persistent,
    Set,
    Value,
)
from weighbridge.formats.reading import Anomaly

MAX_NAMES = 100_000
"""Different names that one program may look up; the largest real files use a few hundred."""
HASH_STEPS = 1_000_000
"""Steps of hashing nested keys that one program may cost a real loader before it is said to be a bomb."""

Handler = Callable[["Machine"], None]
"""One opcode."""
Hook = Callable[["Machine", Call], Value]
"""Called after BUILD on a call's result; returns the value that takes its place, or NOTHING."""


class BreakError(Exception):
    """Every loader raises here."""


class StopError(Exception):
    """The STOP opcode."""


class Machine:
    """The state of one run: the stream, the stack with its marks, the memo, and what was seen."""

    def __init__(
        self,
        source: Source,
        budget: Budget,
        *,
        offset: int = 0,
        hook: Hook | None = None,
        registry: dict[int, Value] | None = None,
        view: str = "",
        drops: bool = False,
    ) -> None:
        self.stream = Stream(source, budget, offset, drops=drops)
        self.view = view
        self.budget = budget
        self.hook = hook
        self.registry = {} if registry is None else registry
        self.stack: list[Value] = []
        self.marks: list[list[Value]] = []
        self.memo: dict[int, Value] = {}
        self.protocol = 0
        self.highest = 0
        self.at = offset
        self.code = 0
        self.globals: dict[tuple[str, str], Global] = {}
        self.computed: list[Global] = []
        self.calls: list[Call] = []
        self.changes: list[Change] = []
        self.persistents: list[Persistent] = []
        self.extensions: list[Extension] = []
        self.unregistered: dict[int, Extension] = {}
        self.buffers = 0
        self.arrays: list[RawArray] = []
        self.nested: list[PickleProgram] = []
        self.anomalies: dict[str, Anomaly] = {}
        self.hashed = 0

    def run(self, handlers: Sequence["Handler"]) -> PickleProgram:
        """Execute until STOP, a break or a limit; what happened until then is kept."""
        start = self.stream.start
        value: Value = None
        broken = None
        try:
            self.stream.go(start)
            self._execute(handlers)
        except StopError:
            value = self.stack.pop()
        except LimitError as error:
            broken = Break(offset=self.at, opcode=self.code, why=error.message, code=error.code)
        except (IndexError, TruncatedError, struct.error, BreakError, UnicodeDecodeError) as error:
            broken = self._broken(error)
        if self.stream.unended:
            self.note(
                "line-unended",
                "the last line has no end: the C loader refuses, pickle.py takes what is there",
            )
        return PickleProgram(
            start=start,
            end=self.at if broken else self.stream.here,
            frame_end=self.stream.frame_end or 0,
            protocol=self.highest,
            opcodes=self.stream.index + 1,
            value=value,
            globals=tuple(sorted([*self.globals.values(), *self.computed], key=lambda g: g.index)),
            calls=tuple(self.calls),
            changes=tuple(self.changes),
            persistents=tuple(self.persistents),
            extensions=tuple(self.extensions),
            buffers=self.buffers,
            arrays=tuple(self.arrays),
            nested=tuple(self.nested),
            broken=broken,
            anomalies=tuple(self.anomalies.values()),
            memo=len(self.memo),
            view=self.view,
        )

    def _execute(self, handlers: Sequence["Handler"]) -> None:
        stream = self.stream
        while True:
            if stream.pos >= stream.edge and stream.advance():
                self.crossed()
            pos = stream.pos
            self.at = stream.base + pos
            self.code = code = stream.data[pos]
            stream.pos = pos + 1
            stream.index += 1
            handlers[code](self)

    def _broken(self, error: Exception) -> Break:
        code = "broken"
        if isinstance(error, BreakError):
            why = str(error)
        elif isinstance(error, UnicodeDecodeError):
            why = "text is not valid in its encoding"
        elif isinstance(error, (TruncatedError, struct.error)) or self.stream.here >= self.stream.size:
            code, why = "truncated", "the stream ends before STOP"
        else:
            why = "the stack is empty, or there is no mark"
        return Break(offset=self.at, opcode=self.code, why=why, code=code)

    def note(self, code: str, message: str) -> None:
        """Keep the first anomaly of each kind."""
        if code not in self.anomalies:
            self.anomalies[code] = Anomaly(code=code, message=message, offset=self.at)

    def crossed(self) -> None:
        """An argument lay across the end of a frame."""
        self.note(
            "frame-crossed",
            "an opcode lies across the end of a frame: pickle.py refuses, the C loader goes on",
        )

    def pop_mark(self) -> list[Value]:
        """What was pushed since the last MARK."""
        items = self.stack
        if not self.marks:
            raise BreakError("there is no mark")
        self.stack = self.marks.pop()
        return items

    # -- globals

    def find(self, module: str, qualname: str) -> Global:
        """`find_class`, without the import."""
        if self.protocol < 3:
            module, qualname = _renamed(module, qualname)
        known = self.globals.get((module, qualname))
        if known is None:
            if len(self.globals) >= MAX_NAMES:
                raise LimitError("limit-members", f"stopped after {MAX_NAMES} different names")
            known = self.globals[(module, qualname)] = self._named(module, qualname)
        return known

    def _named(self, module: str, qualname: str) -> Global:
        helps = folds(module, qualname) or is_helper(module, qualname) or module == "copyreg"
        return Global(module, qualname, self.at, self.stream.index, (), helps)

    def find_computed(self, *parts: Value) -> Global:
        """`find_class` with a name that was not followed."""
        found = Global(None, None, self.at, self.stream.index, parts)
        self.computed.append(found)
        return found

    def extension(self, code: int) -> Value:
        """An entry of the extension registry: the stream's own, or one that only the loading program knows."""
        if code <= 0:
            raise BreakError("an extension code is not positive")
        known = self.registry.get(code)
        if type(known) is tuple:
            return self.find(*known)
        if known is not None:
            return known
        found = self.unregistered.get(code)
        if found is None:
            if len(self.unregistered) >= MAX_NAMES:
                raise LimitError("limit-members", f"stopped after {MAX_NAMES} different extension codes")
            found = self.unregistered[code] = Extension(code, self.at, self.stream.index)
        self.extensions.append(found)
        return found

    # -- calls

    def call(self, how: str, target: Value, args: Value, kwargs: Value = None) -> Value:
        """Record a call; returns its result, folded where it is a constant."""
        if type(target) in INERT:
            raise BreakError(f"a {kind_of(target)} cannot be called")
        if type(args) is not tuple:
            self._odd_arguments(args)
        if kwargs is not None and type(kwargs) is not Dict:
            if type(kwargs) in INERT:
                raise BreakError("keyword arguments are no dict")
            self.note("keywords-computed", "keyword arguments are not a plain dict")
        if how.startswith("NEWOBJ") and type(target) is not Global:
            self.note(
                "class-computed",
                "an object is made of what may be no class: the C loader refuses, pickle.py tries",
            )
        call = Call(how, target, args, kwargs, self.at, self.stream.index)
        self.calls.append(call)
        if type(target) is not Global or not target.helps:
            return call
        if target.module == "copyreg" and target.qualname == "add_extension":
            self._register(args)
        folded = fold(call)
        return self._unfolded(call) if folded is NOTHING else folded

    def _unfolded(self, call: Call) -> Value:
        """The result of a helper that does something by another name, with what it does inside recorded."""
        named = named_type(call)
        if named is not None:
            return self.globals.setdefault(named, self._named(*named))
        inner = array_call(call)
        if inner is None:
            return call
        made = self.call("REDUCE", inner[0], inner[1])
        if type(made) is Call:
            self.build(made, inner[2])
        return made

    def _odd_arguments(self, args: Value) -> None:
        if args is None or type(args) in (bool, int, float):
            raise BreakError("arguments are not a tuple")
        self.note(
            "arguments-not-a-tuple",
            "arguments are no tuple: the C loader refuses, pickle.py calls all the same",
        )

    def _register(self, args: Value) -> None:
        if (
            type(args) is tuple
            and len(args) == 3
            and type(args[0]) is str
            and type(args[1]) is str
            and type(args[2]) is int
        ):
            self.registry[args[2]] = (args[0], args[1])

    # -- state

    def change(self, how: str, target: Value, value: Value) -> None:
        """Record state that is set on something which is no plain container."""
        lengths = _lengths(value) if type(value) is tuple else ()
        change = Change(how, target, value, self.at, self.stream.index, lengths)
        self.changes.append(change)
        if type(target) is Call:
            if type(target.changes) is list:
                target.changes.append(change)
            else:
                target.changes = [change]
        elif type(target) is Global and target.module == "copyreg" and how == "SETITEMS":
            self._register_items(value)

    def _register_items(self, items: Value) -> None:
        for code, entry in zip(items[::2], items[1::2], strict=False):
            if (type(code) is int and type(entry) is not tuple) or (
                type(code) is int and len(entry) == 2 and type(entry[0]) is str and type(entry[1]) is str
            ):
                self.registry[code] = entry

    def build(self, target: Value, state: Value) -> None:
        """BUILD on anything."""
        if type(target) in INERT:
            self._build_on_inert(target, state)
        else:
            self.change("BUILD", target, state)

    def _build_on_inert(self, target: Value, state: Value) -> None:
        """pickle.py takes any empty state; whether an object is empty nobody knows."""
        parts = state if type(state) is tuple and len(state) == 2 else (state, None)
        if all(part is None for part in parts):
            return
        if any(type(part) in INERT and (type(part) is Blob or part) for part in parts):
            raise BreakError(f"state is set on a {kind_of(target)}")
        self.note(
            "empty-state",
            f"empty state is set on a {kind_of(target)}: the C loader refuses, pickle.py goes on",
        )

    def extend(self, target: Value, items: list[Value], how: str = "APPENDS") -> None:
        """APPEND and APPENDS on anything."""
        kind = type(target)
        if kind is List:
            target += items
        elif not items:
            self._nothing(target)
            if kind not in INERT:
                self.change(how, target, List())
        elif kind in INERT and not (kind is Blob and target.mutable):
            raise BreakError(f"items are appended to a {kind_of(target)}")
        else:
            self.change(how, target, List(items))

    def set_items(self, target: Value, items: list[Value]) -> None:
        """SETITEM and SETITEMS on anything."""
        kind = type(target)
        if len(items) % 2:
            self._odd_items(target, items)
        if kind is Dict:
            self.hash_all(items[::2])
            target += items
        elif not items:
            return
        elif kind in INERT and kind is not List and not (kind is Blob and target.mutable):
            raise BreakError(f"items are set on a {kind_of(target)}")
        else:
            self.change("SETITEMS", target, List(items))

    def _odd_items(self, target: Value, items: list[Value]) -> None:
        """pickle.py sets the whole pairs before it stumbles over the last key."""
        if type(target) not in INERT and len(items) > 1:
            self.note(
                "odd-items", "an odd number of items: pickle.py sets all but the last before it refuses"
            )
            self.change("SETITEMS", target, List(items[:-1]))
        raise BreakError("an odd number of items for a dict")

    def add_items(self, target: Value, items: list[Value]) -> None:
        """ADDITEMS on anything."""
        kind = type(target)
        if kind is Set:
            self.hash_all(items)
            target += items
        elif not items:
            self._nothing(target)
        elif kind in INERT:
            raise BreakError(f"items are added to a {kind_of(target)}")
        else:
            self.change("ADDITEMS", target, List(items))

    def _nothing(self, target: Value) -> None:
        what = kind_of(target)
        self.note(
            "nothing-added",
            f"nothing is added to a {what}: pickle.py asks it for a method, the C loader does not",
        )

    # -- hashing

    def hash_all(self, keys: list[Value]) -> None:
        """Break where a loader would (`unhashable type`); count what nested keys cost it."""
        if set(map(type, keys)) <= _CHEAP_KEYS:
            return
        for key in keys:
            self._hash(key)

    def _hash(self, key: Value) -> None:
        todo = [key]
        while todo and self.hashed <= HASH_STEPS:
            value = todo.pop()
            self.hashed += 1
            if type(value) in (List, Dict, Set) or (type(value) is Blob and value.mutable):
                raise BreakError(f"a {kind_of(value)} is no key")
            if type(value) is tuple:
                todo += value
        if self.hashed > HASH_STEPS:
            self.note("hash-bomb", "hashing the keys of this pickle costs a loader time without bound")

    # -- raw bytes between opcodes, for hooks

    def raw_position(self) -> int:
        """Where a loader that reads its file directly stands: behind the current frame."""
        stream = self.stream
        if stream.jump is not None:
            return stream.jump[1]
        return max(stream.here, stream.frame_end or 0)

    def raw_done(self, end: int) -> None:
        """The hook has taken everything up to `end`."""
        stream = self.stream
        if end > stream.size:
            raise TruncatedError
        frame_end = stream.jump[0] if stream.jump is not None else (stream.frame_end or stream.here)
        if frame_end <= stream.here:
            stream.frame_end = stream.jump = None
            stream.skipped += end - stream.here
            stream.go(end)
            return
        self.note("raw-inside-frame", "raw bytes are taken from behind a frame that is not finished")
        stream.jump = (frame_end, end)
        stream.set_edge()


INERT = frozenset({type(None), bool, int, float, str, bytes, tuple, List, Dict, Set, FrozenSet, Blob})
_CHEAP_KEYS = frozenset({type(None), bool, int, float, str, bytes, Global, Call, Persistent, FrozenSet})


def _lengths(value: tuple[Value, ...]) -> tuple[int, ...]:
    """Nothing where no list stands in the tuple."""
    if List not in map(type, value[:16]):
        return ()
    return tuple(len(item) if type(item) is List else -1 for item in value[:16])


def kind_of(value: Value) -> str:
    """What to call a value's type in a message."""
    if type(value) is Blob:
        return "bytearray" if value.mutable else "bytes"
    return type(value).__name__.lower()


def _renamed(module: str, qualname: str) -> tuple[str, str]:
    """What protocols 0 to 2 make of Python 2 names (`fix_imports`, on by default)."""
    pair = NAME_MAPPING.get((module, qualname))
    if pair is not None:
        return pair
    return IMPORT_MAPPING.get(module, module), qualname
