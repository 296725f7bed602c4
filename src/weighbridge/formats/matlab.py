"""MATLAB files of version 5 to 7 (`.mat`): every element, compressed ones unpacked, function handles and objects named.

Numbers, text, cells, structures and sparse matrices are data. Function handles carry source text, and objects are made by
the code of their class; both are said. Version 7.3 is HDF5 and another reader's. Format: "MAT-File Format" of MathWorks.
"""

import zlib
from collections.abc import Callable

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Source
from weighbridge.core.text import visible
from weighbridge.formats.framework import ContradictionError, Cursor, FrameworkReading, Text, product
from weighbridge.formats.framework.sniff import starts_like_matlab
from weighbridge.formats.reading import Anomaly, Gap, Reading

HEADER = 128
INT8, UINT8, INT16, UINT16, INT32, UINT32, SINGLE, DOUBLE, INT64, UINT64 = 1, 2, 3, 4, 5, 6, 7, 9, 12, 13
MATRIX, COMPRESSED, UTF8, UTF16, UTF32 = 14, 15, 16, 17, 18
WIDTHS = {INT8: 1, UINT8: 1, INT16: 2, UINT16: 2, INT32: 4, UINT32: 4, SINGLE: 4, DOUBLE: 8, INT64: 8, UINT64: 8,
          UTF8: 1, UTF16: 2, UTF32: 4}  # fmt: skip
CELL, STRUCT, OBJECT, CHAR, SPARSE, FIRST_NUMBER, LAST_NUMBER, FUNCTION, OPAQUE, NEW_OBJECT = (
    1,
    2,
    3,
    4,
    5,
    6,
    15,
    16,
    17,
    18,
)
MAX_UNPACKED = 64 * 1024**2
BOMB_RATIO = 500
"""Deflate reaches 1,000 for zeros alone."""
MAX_PENDING = 200
"""Arrays inside of arrays: one waits for each level, and readers call themselves for each."""
MAX_FIELDS = 100_000
COMPLEX = 0x0800


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Walk one file. `InputError`: `not-this-format`."""
    head = source.read(0, HEADER)
    if not starts_like_matlab(head):
        raise InputError("not-this-format", "no MATLAB file of version 5")
    order = "<" if head[126:128] == b"IM" else ">"
    walk = _Walk(budget, order)
    try:
        walk.elements(source, HEADER)
    except ContradictionError as error:
        walk.anomalies.append(error.anomaly())
        walk.gaps.append(error.gap())
    return FrameworkReading(
        format="matlab",
        anomalies=tuple(walk.anomalies),
        gaps=tuple(walk.gaps),
        texts=tuple(walk.texts),
        tensors_unlisted="variables of a MATLAB file are not listed",
    )


class _Walk:
    def __init__(self, budget: Budget, order: str) -> None:
        self.budget, self.order = budget, order
        self.anomalies: list[Anomaly] = []
        self.gaps: list[Gap] = []
        self.texts: list[Text] = []
        self.pending: list[Callable[[], None]] = []

    def elements(self, source: Source, start: int) -> None:
        """The elements of the file, and then what lies inside of them."""
        cursor = Cursor(source, self.budget, at=start, order=self.order)
        while cursor.left:
            self._element(cursor, "", packed=False)
            self._drain()

    def _drain(self) -> None:
        while self.pending:
            self.budget.spend_members()
            if len(self.pending) > MAX_PENDING:
                raise ContradictionError(
                    "nesting-too-deep", f"arrays are nested more than {MAX_PENDING} deep"
                )
            self.pending.pop()()

    def _tag(self, cursor: Cursor) -> tuple[int, int, int]:
        """Type, length and beginning of the next element; the cursor steps over it and its padding."""
        at, first = cursor.at, cursor.number("I", "an element")
        if first >> 16:
            length = first >> 16
            if length > 4:
                raise ContradictionError("length-overflow", f"a small element of {length} bytes", at)
            return first & 0xFFFF, length, cursor.skip(4)
        length = cursor.number("I", "an element")
        begin = cursor.skip(length, "an element")
        if first != COMPRESSED:
            cursor.skip(min(-length % 8, cursor.left))
        return first, length, begin

    def _element(self, cursor: Cursor, where: str, *, packed: bool) -> None:
        at = cursor.at
        kind, length, begin = self._tag(cursor)
        if kind == COMPRESSED and not packed:
            self._unpack(cursor, begin, length)
        elif kind == MATRIX:
            if length:
                self._matrix(_window(cursor, begin, length, self.budget, self.order), where)
        elif kind not in WIDTHS:
            raise ContradictionError("type-invalid", f"elements of type {kind} do not exist", at)

    def _unpack(self, cursor: Cursor, begin: int, length: int) -> None:
        here = cursor.at
        cursor.at = begin
        run = zlib.decompressobj()
        limit = min(MAX_UNPACKED, self.budget.limits.memory)
        try:
            data = run.decompress(cursor.take(length, "a compressed element"), limit)
        except zlib.error as error:
            raise ContradictionError(
                "stream-broken", f"a compressed element is broken: {error}", begin
            ) from None
        cursor.at = here
        self.budget.spend_bytes(len(data))
        if run.unconsumed_tail:
            if limit > BOMB_RATIO * (length - len(run.unconsumed_tail)):
                raise ContradictionError(
                    "unpacks-too-large", f"{length} compressed bytes that unpack to more than {limit}", begin
                )
            self.gaps.append(
                Gap(code="limit-memory", message=f"an element of more than {limit} bytes", offset=begin)
            )
            return
        if not run.eof:
            raise ContradictionError("stream-broken", "a compressed element ends early", begin)
        inner = Cursor(MemorySource(data), self.budget, order=self.order)
        self.pending.append(lambda: self._element(inner, "", packed=True))

    def _matrix(self, cursor: Cursor, where: str) -> None:
        at = cursor.at
        kind, flags = self._flags(cursor)
        if kind == OPAQUE:
            self._note("object", "an object of a class, which the class's own code restores", at, where)
            return
        dims = self._numbers(cursor, INT32)
        product(dims, offset=at)
        name = self._text(cursor) or where
        if kind == FUNCTION:
            self._note("function", "a function handle", at, name)
            self.pending.append(lambda: self._rest(cursor, name))
        elif kind in (OBJECT, NEW_OBJECT):
            shown = self._text(cursor)
            self._note(
                "object",
                f"an object of the class {visible(shown, 60)}, which its own code restores",
                at,
                name,
            )
            self.pending.append(lambda: self._struct(cursor, name))
        elif kind == STRUCT:
            self._struct(cursor, name)
        elif kind == CELL:
            self.pending.append(lambda: self._rest(cursor, name))
        elif kind == CHAR:
            self._char(cursor, name)
        elif kind == SPARSE or FIRST_NUMBER <= kind <= LAST_NUMBER:
            self._values(cursor, dims, kind, bool(flags & COMPLEX))
        else:
            raise ContradictionError("type-invalid", f"arrays of class {kind} do not exist", at)

    def _flags(self, cursor: Cursor) -> tuple[int, int]:
        at = cursor.at
        kind, length, begin = self._tag(cursor)
        if kind != UINT32 or length != 8:
            raise ContradictionError("type-invalid", "an array has no flags", at)
        here, cursor.at = cursor.at, begin
        flags = cursor.number("I")
        cursor.at = here
        return flags & 0xFF, flags & 0xFF00

    def _numbers(self, cursor: Cursor, wanted: int) -> list[int]:
        at = cursor.at
        kind, length, begin = self._tag(cursor)
        if kind != wanted or length % 4 or length > 4 * 64:
            raise ContradictionError("type-invalid", "an array has no dimensions", at)
        here, cursor.at = cursor.at, begin
        found = [cursor.number("i") for _ in range(length // 4)]
        cursor.at = here
        return found

    def _text(self, cursor: Cursor) -> str:
        _, length, begin = self._tag(cursor)
        here, cursor.at = cursor.at, begin
        data = cursor.take(min(length, 4096))
        cursor.at = here
        return data.decode("latin-1")

    def _struct(self, cursor: Cursor, where: str) -> None:
        at = cursor.at
        widths = self._numbers(cursor, INT32)
        _, length, _ = self._tag(cursor)
        if len(widths) != 1 or widths[0] <= 0 or length % widths[0] or length // widths[0] > MAX_FIELDS:
            raise ContradictionError("size-mismatch", "the names of a structure do not fit their length", at)
        self.pending.append(lambda: self._rest(cursor, where))

    def _rest(self, cursor: Cursor, where: str) -> None:
        """The elements that are left inside of one, one at a time."""
        if cursor.left:
            self.pending.append(lambda: self._rest(cursor, where))
            self._element(cursor, where, packed=True)

    def _char(self, cursor: Cursor, where: str) -> None:
        if cursor.left:
            kind, length, begin = self._tag(cursor)
            cursor.at = begin
            data = cursor.take(min(length, 16 * 1024))
            text = (
                data.decode("utf-16-le" if self.order == "<" else "utf-16-be", "replace")
                if WIDTHS.get(kind) == 2
                else data.decode("latin-1")
            )
            self.texts.append(Text(text, visible(where, 80)))

    def _values(self, cursor: Cursor, dims: list[int], kind: int, imaginary: bool) -> None:
        at, parts = cursor.at, []
        while cursor.left:
            form, length, _ = self._tag(cursor)
            if form not in WIDTHS:
                raise ContradictionError("type-invalid", f"elements of type {form} do not exist", at)
            parts.append(length // WIDTHS[form])
        wanted = [product(dims)] * (2 if imaginary else 1)
        if kind != SPARSE and parts != wanted:
            raise ContradictionError("size-mismatch", f"{parts} values in an array of {product(dims)}", at)

    def _note(self, fact: str, message: str, at: int, where: str) -> None:
        self.anomalies.append(Anomaly(code=fact, message=message, offset=at, part=visible(where, 80)))


def _window(cursor: Cursor, begin: int, length: int, budget: Budget, order: str) -> Cursor:
    """A cursor over the inside of one element."""
    from weighbridge.core.source import Slice

    return Cursor(Slice(cursor.source, begin, length), budget, order=order)
