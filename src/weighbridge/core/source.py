"""Source: the port through which every reader sees bytes. Readers never open a path.

Three or four methods with the guarantee in the docstring; the engine behind it decides where bytes come from
(`measure` shares one disk read between hashing and reading; tests and nested members use `MemorySource`).
"""

from typing import Protocol

from weighbridge.core.errors import InputError


class Source(Protocol):
    """Random access to `size` bytes that do not change for as long as the source lives."""

    @property
    def size(self) -> int:
        """Length in bytes, known before anything is read."""

    def read(self, offset: int, length: int) -> bytes:
        """The bytes `[offset, offset + length)` cut at `size`: never short otherwise.

        Raises `InputError` (`file-changed`) when the bytes behind are no longer those first seen, and `LimitError`
        when the budget of the artifact is spent.
        """


class MemorySource:
    """A Source over bytes that are already in memory."""

    __slots__ = ("_view",)

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data)

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self._view)

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        _refuse_negative(offset, length)
        return bytes(self._view[offset : offset + length])


class Slice:
    """A Source that is the window `[start, start + size)` of another one: a stored zip member, a tar member."""

    __slots__ = ("_inner", "_size", "_start")

    def __init__(self, inner: Source, start: int, size: int) -> None:
        _refuse_negative(start, size)
        if start + size > inner.size:
            raise InputError(
                "truncated", f"a part of {size} bytes at {start} ends behind the file's {inner.size}"
            )
        self._inner, self._start, self._size = inner, start, size

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        _refuse_negative(offset, length)
        return self._inner.read(self._start + offset, max(0, min(length, self._size - offset)))


def _refuse_negative(offset: int, length: int) -> None:
    if offset < 0 or length < 0:
        raise InputError("bad-offset", f"offset {offset} with length {length} is no place in a file")
