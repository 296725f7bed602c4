"""Torch7 (`.t7`, `.th`): every object of the binary form, whose loader also compiles Lua functions that stand in it.

Walks tables, tensors, storages and objects of classes without making any; says which classes are looked up and where
functions stand. The text form is recognised and its strings are kept, but it is not walked. Format: File.lua of torch7.
"""

from collections.abc import Callable

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.formats.framework import (
    Call,
    ContradictionError,
    Cursor,
    FrameworkReading,
    Text,
    counted_calls,
    product,
    trailing,
)
from weighbridge.formats.framework.sniff import starts_like_torch7
from weighbridge.formats.reading import Anomaly, Gap, Reading

NIL, NUMBER, STRING, TABLE, OBJECT, BOOLEAN, FUNCTION, OLD_RECURSIVE, RECURSIVE = range(9)
FUNCTIONS = frozenset({FUNCTION, OLD_RECURSIVE, RECURSIVE})
WIDTHS = {
    "Byte": 1, "Char": 1, "Short": 2, "Int": 4, "Long": 8, "Float": 4, "Double": 8, "Half": 2, "Cuda": 4,
    "CudaDouble": 8, "CudaHalf": 2, "CudaByte": 1, "CudaChar": 1, "CudaShort": 2, "CudaInt": 4, "CudaLong": 8,
}  # fmt: skip
MAX_DIMS = 32
MAX_PENDING = 1_000_000
MAX_CLASS = 200
MAX_TEXTS = 20_000
MAX_STEPS = 20_000_000
TICK = 4096
SUFFIXES = (".t7", ".th", ".net")


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Walk one object. `InputError`: `not-this-format`."""
    head = source.read(0, 64)
    if starts_like_text_form(head):
        return _text_form(source, budget)
    if not starts_like_torch7(head) and not _promised(head, name):
        raise InputError("not-this-format", "no Torch7 object")
    walk = _Walk(Cursor(source, budget), budget)
    anomalies: tuple[Anomaly, ...] = ()
    gaps: tuple[Gap, ...] = ()
    try:
        walk.run()
        gaps = trailing(walk.cursor.at, source.size)
        if gaps and not (walk.calls or walk.anomalies or name.lower().endswith(SUFFIXES)):
            raise InputError("not-this-format", "an empty table of Torch7's, or any numbers")
    except ContradictionError as error:
        if not (walk.calls or walk.anomalies or name.lower().endswith(SUFFIXES)):
            raise InputError("not-this-format", f"no Torch7 object: {error.message}") from None
        anomalies, gaps = (error.anomaly(),), (error.gap(),)
    return FrameworkReading(
        format="torch7",
        anomalies=(*walk.anomalies, *anomalies),
        gaps=(*gaps, *walk.gaps),
        calls=counted_calls(walk.calls),
        texts=tuple(walk.texts),
        tensors_unlisted="tensors of Torch7 share storages by number",
    )


def _promised(head: bytes, name: str) -> bool:
    """Whether a file with the suffix of Torch7 begins with one of its objects, whatever that says of its length."""
    return name.lower().endswith((".t7", ".th")) and 1 <= int.from_bytes(head[:4], "little") <= RECURSIVE


def starts_like_text_form(head: bytes) -> bool:
    """The same as lines of numbers: an object, its index, the length of `V 1`."""
    return head.startswith((b"4\n1\n3\nV 1\n", b"3\n1\n"))


def _text_form(source: Source, budget: Budget) -> FrameworkReading:
    budget.need_memory(source.size, "a Torch7 object as text")
    budget.spend_bytes(source.size)
    data = source.read(0, source.size)
    if b"\nV 1\n" not in data or b"\0" in data[:64]:
        raise InputError("not-this-format", "no Torch7 object")
    gap = Gap(code="not-read", message="the text form of Torch7 is not walked")
    lines = (line for line in data.decode("utf-8", "surrogateescape").split("\n") if not _is_number(line))
    texts = tuple(Text(line, "line") for _, line in zip(range(MAX_TEXTS), lines, strict=False))
    return FrameworkReading(format="torch7", gaps=(gap,), texts=texts, tensors_unlisted=gap.message)


def _is_number(line: str) -> bool:
    return not line or set(line) <= set("0123456789.-+e naif")


class _Walk:
    def __init__(self, cursor: Cursor, budget: Budget) -> None:
        self.cursor, self.budget = cursor, budget
        self.seen: set[int] = set()
        self.index = 0
        self.storages: dict[int, int] = {}
        self.calls: list[Call] = []
        self.texts: list[Text] = []
        self.anomalies: list[Anomaly] = []
        self.gaps: list[Gap] = []
        self.pending: list[Callable[[], None]] = []
        self.steps = 0

    def run(self) -> None:
        """One object, and all that it holds."""
        self.pending.append(self._object)
        while self.pending:
            self.steps += 1
            if self.steps % TICK == 0:
                self.budget.tick()
                if self.steps > MAX_STEPS:
                    raise LimitError("limit-members", f"stopped after {MAX_STEPS} objects")
            if len(self.pending) > MAX_PENDING:
                raise ContradictionError(
                    "nesting-too-deep", "too many objects wait for others", self.cursor.at
                )
            self.pending.pop()()

    def _object(self) -> None:
        at, kind = self.cursor.at, self.cursor.number("i", "an object")
        if kind == NIL:
            return
        if kind == NUMBER:
            self.cursor.skip(8, "a number")
        elif kind == BOOLEAN:
            self.cursor.skip(4, "a boolean")
        elif kind == STRING:
            self._string(at)
        elif kind == TABLE:
            if self._new():
                self._pairs(self.cursor.count("i", 8, "a table"))
        elif kind == OBJECT:
            if self._new():
                self._instance(at)
        elif kind in FUNCTIONS:
            self._function(at)
        else:
            raise ContradictionError("type-invalid", f"objects of type {kind} do not exist", at)

    def _new(self) -> bool:
        """Whether this index stands here for the first time; its content follows then."""
        self.index = index = self.cursor.number("i", "an index")
        if index in self.seen:
            return False
        self.seen.add(index)
        return True

    def _pairs(self, count: int) -> None:
        if count:
            self.pending += [lambda: self._pairs(count - 1), self._object, self._object]

    def _string(self, at: int) -> None:
        text = self.cursor.text("i", "a string")
        if len(self.texts) < MAX_TEXTS:
            self.texts.append(Text(text, "string", at))

    def _function(self, at: int) -> None:
        if not self._new():
            return
        size = self.cursor.count("i", 1, "a function")
        begin = self.cursor.at
        head = self.cursor.take(min(size, 64), "a function")
        self.cursor.at = begin + size
        what = "compiled Lua" if head[:1] == b"\x1b" else "Lua source"
        message = f"a function of {size} bytes of {what}, which loading compiles"
        self.anomalies.append(Anomaly(code="function", message=message, offset=at))
        self.pending.append(self._object)

    def _instance(self, at: int) -> None:
        version = self.cursor.text("i", "a version", MAX_CLASS)
        name = self.cursor.text("i", "a class name", MAX_CLASS) if version.startswith("V ") else version
        self.calls.append(Call(name, f"class {visible(name, 80)}", at))
        kind = name.removeprefix("torch.")
        if name.startswith("torch.") and kind.removesuffix("Tensor") in WIDTHS and kind.endswith("Tensor"):
            self._tensor(at)
        elif (
            name.startswith("torch.") and kind.removesuffix("Storage") in WIDTHS and kind.endswith("Storage")
        ):
            count = self.cursor.count("q", WIDTHS[kind.removesuffix("Storage")], "a storage")
            self.storages[self.index] = count
            self.cursor.skip(count * WIDTHS[kind.removesuffix("Storage")], "a storage")
        else:
            self.pending.append(self._object)

    def _tensor(self, at: int) -> None:
        dims = self.cursor.number("i", "a tensor's dimensions")
        if not 0 <= dims <= MAX_DIMS:
            raise ContradictionError("too-many-dims", f"a tensor of {dims} dimensions", at)
        sizes = [self.cursor.number("q", "a dimension") for _ in range(dims)]
        strides = [self.cursor.number("q", "a stride") for _ in range(dims)]
        first = self.cursor.number("q", "a storage offset")
        if first < 1:
            raise ContradictionError("index-out-of-range", "a tensor begins before its storage", at)
        empty = not product(sizes, offset=at) or not dims
        steps = [(size - 1) * stride for size, stride in zip(sizes, strides, strict=True)]
        if not empty and first + sum(step for step in steps if step < 0) < 1:
            raise ContradictionError("index-out-of-range", "a tensor leads before its storage", at)
        last = 0 if empty else first + sum(step for step in steps if step > 0)
        self.pending.append(lambda: self._storage(last, at))

    def _storage(self, last: int, at: int) -> None:
        """The storage of a tensor whose last item is number `last` of it."""
        self.index = 0
        self._object()
        held = self.storages.get(self.index, last if self.index else 0)
        if last > held:
            message = f"a tensor needs {last} items of a storage that has {held}"
            raise ContradictionError("index-out-of-range", message, at)
