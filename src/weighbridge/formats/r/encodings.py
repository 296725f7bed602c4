"""The three encodings of R's streams: binary in either byte order, and words of text, one a line."""

import re
from typing import Protocol

from weighbridge.core.pattern import late
from weighbridge.formats.framework import ContradictionError, Cursor

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
MAX_NAME = 512


class Input(Protocol):
    """A stream in one of the encodings. What is not there is a `ContradictionError`."""

    at: int
    """Byte of the file at which the next item begins."""

    @property
    def left(self) -> int:
        """Bytes up to the end of the file."""
        ...

    def integer(self) -> int:
        """The next whole number."""
        ...

    def skip(self, count: int, width: int) -> None:
        """Step over `count` elements of `width` bytes each in the binary form."""
        ...

    def chars(self, length: int) -> str:
        """A string of `length` bytes; one longer than `MAX_NAME` is stepped over and comes back empty."""
        ...


class Binary:
    """Numbers of fixed width."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor

    @property
    def at(self) -> int:
        """Byte of the file at which the next item begins."""
        return self.cursor.at

    @at.setter
    def at(self, offset: int) -> None:
        self.cursor.at = offset

    @property
    def left(self) -> int:
        """Bytes up to the end of the file."""
        return self.cursor.left

    def integer(self) -> int:
        """The next whole number."""
        return self.cursor.number("i", "an item")

    def skip(self, count: int, width: int) -> None:
        """Step over elements."""
        self.cursor.skip(count * width, "a vector")

    def chars(self, length: int) -> str:
        """A string, or nothing where it is too long for a name."""
        start = self.cursor.skip(length, "a string")
        if length > MAX_NAME:
            return ""
        self.cursor.at = start
        return self.cursor.take(length).decode("utf-8", "surrogateescape")


class Ascii:
    """The same stream as words, one a line."""

    _WORD = late(rb"\s*(\S+)")
    _ESCAPES = late(rb"\\([0-7]{1,3}|.)", re.DOTALL)

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    @property
    def left(self) -> int:
        """Bytes up to the end of the file."""
        return len(self.data) - self.at

    def _word(self) -> bytes:
        match = self._WORD.match(self.data, self.at)
        if match is None:
            raise ContradictionError("out-of-file", "the text ends within an item", self.at)
        self.at = match.end()
        return match[1]

    def integer(self) -> int:
        """The next whole number."""
        word = self._word()
        if word == b"NA":
            return -(2**31)
        if not re.fullmatch(rb"-?[0-9]{1,10}", word):
            raise ContradictionError("type-invalid", "no number stands where one belongs", self.at)
        return int(word)

    def skip(self, count: int, width: int) -> None:
        """Step over elements."""
        for _ in range(count * 2 if width == 16 else count):
            self._word()

    def chars(self, length: int) -> str:
        """A string, or nothing where it is too long for a name."""
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
