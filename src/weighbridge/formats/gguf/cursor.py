"""The cursor through a GGUF header: numbers in the file's byte order, with one chunk of the file in memory."""

import struct
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.formats.gguf.types import SCALARS

CHUNK = 256 * 1024


class TooLongError(Exception):
    """A string that is longer than the whole file."""


class Cursor:
    """Steps through the header with one chunk of it in memory."""

    def __init__(self, source: Source, budget: Budget, order: str, *, wide: bool) -> None:
        self.at = 8
        self._source, self._budget = source, budget
        self._chunk, self._base = b"", 0
        self._u32 = struct.Struct(f"{order}I")
        self._u64 = struct.Struct(f"{order}Q")
        self._count = self._u64 if wide else self._u32
        self._codes = {kind: struct.Struct(order + code) for kind, code in SCALARS.items()}

    def take(self, length: int) -> bytes:
        """The next bytes. `InputError` (`truncated`)."""
        if self.at + length > self._source.size:
            raise InputError("truncated", f"the header ends behind the file's {self._source.size} bytes")
        start = self.at - self._base
        if start < 0 or start + length > len(self._chunk):
            self._chunk, self._base = self._source.read(self.at, max(CHUNK, length)), self.at
            self._budget.spend_bytes(len(self._chunk))
            start = 0
        self.at += length
        return self._chunk[start : start + length]

    def skip(self, length: int) -> None:
        """Step over bytes that are in the file. `InputError` (`truncated`)."""
        if self.at + length > self._source.size:
            raise InputError("truncated", f"the header ends behind the file's {self._source.size} bytes")
        self.at += length

    def u32(self) -> int:
        """The next four bytes."""
        number: int = self._u32.unpack(self.take(4))[0]
        return number

    def u64(self) -> int:
        """The next eight bytes."""
        number: int = self._u64.unpack(self.take(8))[0]
        return number

    def count(self) -> int:
        """A count or length: four bytes in version 1, eight since."""
        number: int = self._count.unpack(self.take(self._count.size))[0]
        return number

    def scalar(self, kind: int) -> Any:
        """One number or boolean."""
        return self._codes[kind].unpack(self.take(self._codes[kind].size))[0]

    def width(self, kind: int) -> int:
        """Bytes of one number or boolean."""
        return self._codes[kind].size

    @property
    def count_size(self) -> int:
        """Bytes that `count` takes."""
        return self._count.size

    def skip_strings(self, count: int) -> None:
        """Step over strings: a vocabulary has hundreds of thousands, so whole chunks are walked at once."""
        unpack, width = self._count.unpack_from, self._count.size
        while count:
            self.take(width)
            chunk, at, end, length = self._chunk, self.at - width - self._base, len(self._chunk) - width, 0
            while count and at <= end:
                (length,) = unpack(chunk, at)
                at += width + length
                count -= 1
            if length > self._source.size:
                raise TooLongError(length)
            self.at = self._base + at
            self.skip(0)
