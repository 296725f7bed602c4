"""R's serialised objects (`.rds`, `.rda`, `.RData`): every item of the stream, versions 2 and 3, all three encodings.

Walks the whole object without making any of it. Says where the stream carries code (promises, closures, language, byte
code, functions of R's own), which functions that code names, which packages loading would attach, and which ALTREP
classes and hooks it asks for. Text and numbers are stepped over. Compressed files come unpacked, as parts of another
reader. Format: R Internals, section "Serialization Formats"; byte code as serialize.c of R 4.4 has it.
"""

import re
from collections.abc import Callable
from dataclasses import field
from typing import NamedTuple, Protocol

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.framework import ContradictionError, Cursor, trailing
from weighbridge.formats.reading import Anomaly, Gap, Reading

HEADS = (
    b"X\n",
    b"A\n",
    b"B\n",
    b"RDX2\nX\n",
    b"RDX3\nX\n",
    b"RDA2\nA\n",
    b"RDA3\nA\n",
    b"RDB2\nB\n",
    b"RDB3\nB\n",
)
NIL, SYMBOL, PAIRS, CLOSURE, ENVIRONMENT, PROMISE, LANGUAGE, SPECIAL, BUILTIN, CHARS = range(10)
LOGICAL, INTEGER, REAL, COMPLEX, STRINGS, DOTS, VECTOR, EXPRESSION = 10, 13, 14, 15, 16, 17, 19, 20
BYTECODE, POINTER, WEAK, RAW, OBJECT = 21, 22, 23, 24, 25
(
    ALTREP,
    ATTR_PAIRS,
    ATTR_LANGUAGE,
    BASE_ENV,
    EMPTY_ENV,
    REP_REF,
    REP_DEF,
    GENERIC_REF,
    CLASS_REF,
    PERSISTENT,
) = range(238, 248)
PACKAGE, NAMESPACE, BASE_NAMESPACE, MISSING, UNBOUND, GLOBAL_ENV, NIL_VALUE, REFERENCE = range(248, 256)
SIMPLE = frozenset({NIL, NIL_VALUE, GLOBAL_ENV, UNBOUND, MISSING, BASE_NAMESPACE, EMPTY_ENV, BASE_ENV})
WIDTHS = {LOGICAL: 4, INTEGER: 4, REAL: 8, COMPLEX: 16, RAW: 1}
PAIRLIKE = frozenset({PAIRS, LANGUAGE, CLOSURE, PROMISE, DOTS})
HAS_ATTRIBUTES, HAS_TAG = 1 << 9, 1 << 10
FIRST_R = 0x010000
"""Version 1.0.0 of R, which no later writer goes below."""
MAX_RECORDS = 2000
MAX_NAMES = 2000
MAX_NAME = 512
MAX_PENDING = 1_000_000
MAX_STEPS = 20_000_000
"""Items of one stream; each costs a few microseconds."""
TICK = 4096


@dataclass(slots=True, kw_only=True)
class Code:
    """One piece of code in the stream."""

    kind: str
    """`promise`, `forced` (a promise that was kept already), `closure`, `language`, `expression`, `bytecode`, `builtin`."""
    offset: int
    bound: str = ""
    """The name it is bound to, where it has one."""
    natural: bool = True
    """False where R itself would never have put it: a promise outside of an environment, loose byte code."""
    called: set[str] = field(default_factory=set)
    """Names in the place of the function; `` for a computed one."""
    words: set[str] = field(default_factory=set)
    """All other names and strings in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RReading(Reading):
    """What loading the stream makes."""

    codes: tuple[Code, ...] = ()
    packages: tuple[str, ...] = ()
    """Packages whose namespaces are loaded together with the object."""
    altreps: tuple[str, ...] = ()
    """`package:class` of compact vectors, whose loader is that class's own code."""
    hooks: int = 0
    """Objects that only a hook of the caller's could restore."""
    names: tuple[str, ...] = ()
    """Variables that `load` would set."""


class _Input(Protocol):
    at: int

    @property
    def left(self) -> int: ...
    def integer(self) -> int: ...
    def skip(self, count: int, width: int) -> None: ...
    def chars(self, length: int) -> str: ...


class _Binary:
    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor

    @property
    def at(self) -> int:
        return self.cursor.at

    @at.setter
    def at(self, offset: int) -> None:
        self.cursor.at = offset

    @property
    def left(self) -> int:
        return self.cursor.left

    def integer(self) -> int:
        return self.cursor.number("i", "an item")

    def skip(self, count: int, width: int) -> None:
        self.cursor.skip(count * width, "a vector")

    def chars(self, length: int) -> str:
        start = self.cursor.skip(length, "a string")
        if length > MAX_NAME:
            return ""
        self.cursor.at = start
        return self.cursor.take(length).decode("utf-8", "surrogateescape")


class _Ascii:
    """The same stream as words, one a line."""

    _WORD = re.compile(rb"\s*(\S+)")
    _ESCAPES = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def _word(self) -> bytes:
        match = self._WORD.match(self.data, self.at)
        if match is None:
            raise ContradictionError("out-of-file", "the text ends within an item", self.at)
        self.at = match.end()
        return match[1]

    def integer(self) -> int:
        word = self._word()
        if word == b"NA":
            return -(2**31)
        if not re.fullmatch(rb"-?[0-9]{1,10}", word):
            raise ContradictionError("type-invalid", "no number stands where one belongs", self.at)
        return int(word)

    def skip(self, count: int, width: int) -> None:
        for _ in range(count * 2 if width == 16 else count):
            self._word()

    def chars(self, length: int) -> str:
        while self.data[self.at : self.at + 1].isspace():
            self.at += 1
        pieces = bytearray()
        for _ in range(length):
            if self.data[self.at : self.at + 1] != b"\\":
                pieces += self.data[self.at : self.at + 1]
                self.at += 1
                continue
            match = self._ESCAPES.match(self.data, self.at)
            if match is None:
                raise ContradictionError("out-of-file", "the text ends within a string", self.at)
            pieces += bytes([int(match[1], 8) & 255]) if match[1].isdigit() else match[1]
            self.at = match.end()
        if self.at > len(self.data):
            raise ContradictionError("out-of-file", "the text ends within a string", self.at)
        return pieces.decode("utf-8", "surrogateescape") if length <= MAX_NAME else ""


class _Here(NamedTuple):
    """What is known about the place of an item."""

    code: Code | None = None
    """The innermost code that it is part of."""
    head: bool = False
    """In the place of the function of a call."""
    frame: bool = False
    """A binding of an environment."""
    bound: str = ""
    body: bool = False
    """The body of a closure, where byte code belongs."""
    top: bool = False


Task = Callable[[], None]


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Walk one stream. `InputError`: `not-this-format`, `version-unknown`."""
    head = source.read(0, 8)
    start = next((start for start in sorted(HEADS, key=len, reverse=True) if head.startswith(start)), None)
    if start is None:
        raise InputError("not-this-format", "no R object")
    stream: _Input
    if start.endswith(b"A\n"):
        budget.need_memory(source.size, "an R object as text")
        budget.spend_bytes(source.size)
        stream = _Ascii(source.read(0, source.size), len(start))
    else:
        order = ">" if start.endswith(b"X\n") else "<"
        stream = _Binary(Cursor(source, budget, at=len(start), order=order))
    walk = _Walk(stream, budget, several=len(start) > 2)
    return walk.reading(source.size)


class _Walk:
    """Reads item after item; what still has to be read lies on a pile, so that nesting costs no recursion."""

    def __init__(self, stream: _Input, budget: Budget, *, several: bool) -> None:
        self.stream, self.budget, self.several = stream, budget, several
        self.pending: list[Task] = []
        self.refs: list[str] = []
        self.codes: list[Code] = []
        self.packages: dict[str, None] = {}
        self.altreps: dict[str, None] = {}
        self.names: list[str] = []
        self.hooks = self.steps = 0
        self.lost = 0

    def reading(self, size: int) -> RReading:
        anomalies: tuple[Anomaly, ...] = ()
        gaps: tuple[Gap, ...] = ()
        self._header()
        try:
            self._item(_Here(top=True))
            while self.pending:
                self._step()
            rest = self.stream.at + (1 if isinstance(self.stream, _Ascii) else 0)
            gaps = trailing(rest, size)
        except ContradictionError as error:
            anomalies, gaps = (error.anomaly(),), (error.gap(),)
        if self.lost:
            gaps += (Gap(code="limit-findings", message=f"{self.lost} more pieces of code were not kept"),)
        return RReading(
            format="r",
            anomalies=anomalies,
            gaps=gaps,
            codes=tuple(self.codes),
            packages=tuple(self.packages),
            altreps=tuple(self.altreps),
            hooks=self.hooks,
            names=tuple(self.names),
            tensors_unlisted="vectors of an R object are not listed",
        )

    def _header(self) -> None:
        try:
            version, writer = self.stream.integer(), self.stream.integer()
            self.stream.integer()
            if writer < FIRST_R:
                raise InputError("not-this-format", "no header of an R object")
            if version == 3:
                self.stream.chars(self._length(1))
        except ContradictionError as error:
            raise InputError("not-this-format", f"no header of an R object: {error.message}") from None
        if version not in (2, 3):
            raise InputError("version-unknown", f"version {version} of R's format is not known (2 and 3 are)")

    def _step(self) -> None:
        self.steps += 1
        if self.steps % TICK == 0:
            self.budget.tick()
            if self.steps > MAX_STEPS:
                raise LimitError("limit-members", f"stopped after {MAX_STEPS} items of an R object")
        if len(self.pending) > MAX_PENDING:
            raise ContradictionError(
                "nesting-too-deep", f"more than {MAX_PENDING} items wait for others", self.stream.at
            )
        self.pending.pop()()

    def _push(self, *tasks: Task) -> None:
        """What is to be read next, in this order."""
        self.pending += reversed(tasks)

    # -- items

    def _item(self, here: _Here) -> None:
        at, flags = self.stream.at, self.stream.integer()
        kind = flags & 0xFF
        if kind in PAIRLIKE:
            self._pair(kind, flags, here, at)
        elif kind in SIMPLE:
            pass
        elif kind == REFERENCE:
            self._reference(flags, here, at)
        elif kind == SYMBOL:
            self.refs.append(self._string())
            self._name(self.refs[-1], here)
        elif kind in (PERSISTENT, PACKAGE, NAMESPACE):
            self._names_of(kind)
        elif kind == ENVIRONMENT:
            self._environment()
        else:
            self._plain(kind, flags, here, at)

    def _plain(self, kind: int, flags: int, here: _Here, at: int) -> None:
        attributes: tuple[Task, ...] = ()
        if flags & HAS_ATTRIBUTES:
            attributes = (lambda: self._item(_Here(code=here.code)),)
        inner: tuple[Task, ...] = ()
        if kind == CHARS:
            text = self._characters()
            if here.code is not None:
                self._word(text, here)
        elif kind in WIDTHS:
            self.stream.skip(self._length(self._width(kind)), WIDTHS[kind])
        elif kind in (STRINGS, VECTOR, EXPRESSION):
            count = self._length(self._width(INTEGER))
            if kind == STRINGS and here.code is None:
                count = self._plain_strings(count)
            inside = here._replace(head=False, body=False, top=False)
            if kind == EXPRESSION:
                inside = inside._replace(code=self._code("expression", here, at))
            inner = (lambda: self._items(count, inside),)
        elif kind in (SPECIAL, BUILTIN):
            code = self._code("builtin", here, at)
            code.called.add(self._characters())
        elif kind == BYTECODE:
            self.stream.integer()
            nested = here.code is not None and here.code.kind in ("bytecode", "closure")
            code = self._code("bytecode", here, at, natural=here.body or nested)
            inner = (lambda: self._bytecode(_Here(code=code)),)
        elif kind == POINTER:
            self.refs.append("")
            inner = (lambda: self._item(_Here()), lambda: self._item(_Here()))
        elif kind == WEAK:
            self.refs.append("")
        elif kind == ALTREP:
            self._push(lambda: self._altrep(here, at))
            return
        elif kind != OBJECT:
            raise ContradictionError("type-invalid", f"items of type {kind} do not exist", at)
        self._push(*inner, *attributes)

    def _plain_strings(self, count: int) -> int:
        """Read strings without attributes, which nearly all are, as long as there are such; how many are left."""
        stream = self.stream
        for done in range(count):
            at, flags = stream.at, stream.integer()
            if flags & 0xFF != CHARS or flags & HAS_ATTRIBUTES:
                stream.at = at
                return count - done
            self._characters()
            if done % TICK == 0:
                self.budget.tick()
        return 0

    def _width(self, kind: int) -> int:
        """The least that one item takes in the stream."""
        return 1 if isinstance(self.stream, _Ascii) else WIDTHS[kind]

    def _items(self, count: int, here: _Here) -> None:
        """`count` items behind each other."""
        if count > 1:
            self._push(lambda: self._item(here), lambda: self._items(count - 1, here))
        elif count:
            self._item(here)

    def _pair(self, kind: int, flags: int, here: _Here, at: int) -> None:
        tasks: list[Task] = []
        code, tag = here.code, ""
        if kind == LANGUAGE and code is None:
            code = self._code("language", here, at)
        elif kind == CLOSURE:
            code = self._code("closure", here, at)
        elif kind == PROMISE:
            code = self._code("promise", here, at, natural=here.frame)
            if not flags & HAS_TAG:
                code.kind = "forced"
        if flags & HAS_ATTRIBUTES:
            tasks.append(lambda: self._item(_Here(code=code)))
        if kind in (PAIRS, DOTS, LANGUAGE) and flags & HAS_TAG:
            tasks.append(lambda: self._tagged(kind, code, here))
            self._push(*tasks)
            return
        if flags & HAS_TAG:
            tasks.append(lambda: self._item(_Here()))
        tasks.append(lambda: self._halves(kind, code, here, tag))
        self._push(*tasks)

    def _tagged(self, kind: int, code: Code | None, here: _Here) -> None:
        """A pair's tag, which is a name, and then its halves."""
        at, flags = self.stream.at, self.stream.integer()
        tag = ""
        if flags & 0xFF == SYMBOL:
            tag = self._string()
            self.refs.append(tag)
        elif flags & 0xFF == REFERENCE:
            tag = self._referred(flags, at)
        elif flags & 0xFF not in SIMPLE:
            raise ContradictionError("type-invalid", "a tag is no name", at)
        if here.top:
            self.names.append(tag)
        self._halves(kind, code, here, tag)

    def _halves(self, kind: int, code: Code | None, here: _Here, tag: str) -> None:
        bound = tag or here.bound
        if kind == CLOSURE:
            self._push(lambda: self._item(_Here(code=code)), lambda: self._item(_Here(code=code, body=True)))
        elif kind == PROMISE:
            self._push(lambda: self._item(_Here()), lambda: self._item(_Here(code=code)))
        else:
            head = _Here(code=code, head=kind == LANGUAGE, frame=here.frame or kind == DOTS, bound=bound)
            rest = _Here(code=code, frame=here.frame, top=here.top)
            self._push(lambda: self._item(head), lambda: self._item(rest))

    def _environment(self) -> None:
        self.stream.integer()
        self.refs.append("")
        inside = _Here(frame=True)
        self._push(
            lambda: self._item(_Here()),
            lambda: self._item(inside),
            lambda: self._item(inside),
            lambda: self._item(_Here()),
        )

    def _names_of(self, kind: int) -> None:
        """A package, a namespace, or what a hook would restore: by its name."""
        at = self.stream.at
        if self.stream.integer() != 0:
            raise ContradictionError("type-invalid", "names of names do not exist", at)
        found = [self._string() for _ in range(self._length(4))]
        self.refs.append("")
        if kind == PERSISTENT:
            self.hooks += 1
        elif found:
            self.packages[found[0].removeprefix("package:")] = None

    def _altrep(self, here: _Here, at: int) -> None:
        """A compact vector: the class that loads it, its state, its attributes."""
        words: set[str] = set()
        info = Code(kind="altrep", offset=at, words=words)
        start = len(self.refs)

        def known() -> None:
            names = [*self.refs[start:], *sorted(words)]
            self.altreps[":".join(name for name in dict.fromkeys(names) if name)[:200]] = None

        inside = _Here(code=info)
        rest = here._replace(head=False)
        self._push(
            lambda: self._item(inside),
            known,
            lambda: self._item(rest),
            lambda: self._item(_Here(code=here.code)),
        )

    # -- byte code

    def _bytecode(self, here: _Here) -> None:
        self._push(lambda: self._item(_Here()), lambda: self._constants(here))

    def _constants(self, here: _Here) -> None:
        count = self._length(self._width(INTEGER))
        self._push(lambda: self._constant(count, here))

    def _constant(self, count: int, here: _Here) -> None:
        if not count:
            return
        kind = self.stream.integer()
        following: Task = lambda: self._constant(count - 1, here)  # noqa: E731 - one of many small tasks
        if kind == BYTECODE:
            self._push(lambda: self._bytecode(here), following)
        elif kind in (LANGUAGE, PAIRS, REP_DEF, REP_REF, ATTR_LANGUAGE, ATTR_PAIRS):
            self._push(lambda: self._compact(kind, here), following)
        else:
            self._push(lambda: self._item(here), following)

    def _compact(self, kind: int, here: _Here) -> None:
        """Language inside of byte code, which has a spelling of its own."""
        if kind == REP_REF:
            self.stream.integer()
            return
        if kind == REP_DEF:
            self.stream.integer()
            kind = self.stream.integer()
        if kind not in (LANGUAGE, PAIRS, ATTR_LANGUAGE, ATTR_PAIRS):
            self._item(here)
            return
        language = kind in (LANGUAGE, ATTR_LANGUAGE)
        tasks: list[Task] = []
        if kind in (ATTR_LANGUAGE, ATTR_PAIRS):
            tasks.append(lambda: self._item(here._replace(head=False)))
        tasks.append(lambda: self._item(here._replace(head=False)))
        tasks.append(lambda: self._compact(self.stream.integer(), here._replace(head=language)))
        tasks.append(lambda: self._compact(self.stream.integer(), here._replace(head=False)))
        self._push(*tasks)

    # -- names

    def _name(self, name: str, here: _Here) -> None:
        if here.code is not None:
            self._note(here.code.called if here.head else here.code.words, name)

    def _word(self, text: str, here: _Here) -> None:
        if here.code is not None and text:
            self._note(here.code.words, text)

    def _note(self, names: set[str], name: str) -> None:
        if len(names) < MAX_NAMES:
            names.add(name)
        else:
            self.lost += 1

    def _reference(self, flags: int, here: _Here, at: int) -> None:
        self._name(self._referred(flags, at), here)

    def _referred(self, flags: int, at: int) -> str:
        index = (flags >> 8) & 0xFFFFFF or self.stream.integer()
        if not 1 <= index <= len(self.refs):
            raise ContradictionError("index-out-of-range", f"reference {index} of {len(self.refs)}", at)
        return self.refs[index - 1]

    def _string(self) -> str:
        at, flags = self.stream.at, self.stream.integer()
        if flags & 0xFF != CHARS:
            raise ContradictionError("type-invalid", "a name is no string", at)
        return self._characters()

    def _characters(self) -> str:
        at, length = self.stream.at, self.stream.integer()
        if length == -1:
            return ""
        if length < 0 or length > self.stream.left:
            message = f"a string of {length} bytes, and {self.stream.left} are left in the file"
            raise ContradictionError("length-overflow", message, at)
        return self.stream.chars(length)

    def _length(self, width: int) -> int:
        """The length of a vector, which must fit into what is left."""
        at, length = self.stream.at, self.stream.integer()
        if length == -1:
            high, low = self.stream.integer(), self.stream.integer()
            length = (high & 0xFFFFFFFF) * 2**32 + (low & 0xFFFFFFFF)
        if length < 0 or length * width > self.stream.left:
            message = f"a vector of {length} items, and {self.stream.left} bytes are left in the file"
            raise ContradictionError("count-overflow", message, at)
        return length

    def _code(self, kind: str, here: _Here, at: int, *, natural: bool = True) -> Code:
        if here.head and here.code is not None:
            self._note(here.code.called, "")
        code = Code(kind=kind, offset=at, bound=here.bound, natural=natural)
        if len(self.codes) < MAX_RECORDS:
            self.codes.append(code)
        else:
            self.lost += 1
        return code
