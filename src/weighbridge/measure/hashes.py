"""What is computed while bytes stream by: whole-file digests, OMS shards, and tensors that lie in the file in order.

A `Feed` is handed every byte of a file once, in order, in pieces of any size; the size of the pieces never changes a
digest. Nothing here reads. Formats: docs/formats/digests.md for tensors, OMS v1.0 for shards.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from weighbridge.core.errors import UsageError

Span = tuple[int, int]
"""(offset, length)."""


class Feed(Protocol):
    """Takes a file's bytes in order."""

    def feed(self, data: memoryview, offset: int) -> None:
        """The next bytes, which start at `offset`. Not called twice at the same time."""


def hasher(algorithm: str, threads: int = 1) -> Any:
    """A new hash object. `threads` is a permission, which only BLAKE3 uses."""
    if algorithm == "blake3":
        from blake3 import blake3

        return blake3(max_threads=threads)
    return new_function(algorithm)()


def new_function(algorithm: str) -> Callable[..., Any]:
    """The constructor of one of the four algorithms that statements use. Raises `UsageError` (`hash-unknown`)."""
    match algorithm:
        case "sha256":
            return hashlib.sha256
        case "blake3":
            from blake3 import blake3

            return blake3
        case "blake2b":
            return hashlib.blake2b
    raise UsageError(
        "hash-unknown", f'there is no hash "{algorithm[:40]}" here', "sha256, blake3 and blake2b are known"
    )


class Whole:
    """One digest over all bytes."""

    __slots__ = ("_hasher", "algorithm")

    def __init__(self, algorithm: str, threads: int = 1) -> None:
        self.algorithm = algorithm
        self._hasher = hasher(algorithm, threads)

    def feed(self, data: memoryview, offset: int) -> None:
        """See `Feed.feed`."""
        self._hasher.update(data)

    def digest(self) -> bytes:
        """The digest of what was fed."""
        return bytes(self._hasher.digest())


class Shards:
    """Digests over `[0, n), [n, 2n), …` of a file that is longer than one shard."""

    __slots__ = ("_hasher", "_new", "algorithm", "digests", "shard_size")

    def __init__(self, algorithm: str, shard_size: int) -> None:
        self.algorithm, self.shard_size = algorithm, shard_size
        self._new = new_function(algorithm)
        self._hasher: Any = None
        self.digests: list[bytes] = []

    def feed(self, data: memoryview, offset: int) -> None:
        """See `Feed.feed`."""
        at = 0
        while at < len(data):
            room = self.shard_size - (offset + at) % self.shard_size
            if room == self.shard_size:
                self._end()
                self._hasher = self._new()
            self._hasher.update(data[at : at + room])
            at += room

    def ended(self, size: int) -> list[tuple[int, int, bytes]]:
        """The file of `size` bytes is over: (start, end, digest) of each shard."""
        self._end()
        starts = range(0, size, self.shard_size)
        return [(at, min(at + self.shard_size, size), d) for at, d in zip(starts, self.digests, strict=True)]

    def _end(self) -> None:
        if self._hasher is not None:
            self.digests.append(bytes(self._hasher.digest()))
            self._hasher = None


class Tensors:
    """BLAKE3 over each of many span lists, all in one pass. Spans may overlap each other between lists.

    Every list must ascend without overlap in itself: `in_order` tells. Hash objects live only from a list's first
    byte to its last, so a million tensors cost no memory to speak of.
    """

    __slots__ = ("_active", "_hashers", "_left", "_new", "_next", "_spans", "digests")

    def __init__(self, lists: Sequence[tuple[Span, ...]]) -> None:
        self._new = new_function("blake3")
        self._spans = sorted(
            (offset, offset + length, which)
            for which, spans in enumerate(lists)
            for offset, length in spans
            if length
        )
        self._left = [sum(length > 0 for _, length in spans) for spans in lists]
        empty = bytes(self._new().digest())
        self.digests: list[bytes] = [empty for _ in lists]
        self._hashers: dict[int, Any] = {}
        self._active: list[tuple[int, int, int]] = []
        self._next = 0

    def feed(self, data: memoryview, offset: int) -> None:
        """See `Feed.feed`."""
        end = offset + len(data)
        active, self._active = self._active, []
        while self._next < len(self._spans) and self._spans[self._next][0] < end:
            active.append(self._spans[self._next])
            self._next += 1
        for span in active:
            start, stop, which = span
            self._update(which, data[max(start, offset) - offset : min(stop, end) - offset])
            if stop > end:
                self._active.append(span)
            else:
                self._ended(which)

    def _update(self, which: int, data: memoryview) -> None:
        found = self._hashers.get(which)
        if found is None:
            found = self._hashers[which] = self._new()
        found.update(data)

    def _ended(self, which: int) -> None:
        self._left[which] -= 1
        if not self._left[which]:
            self.digests[which] = bytes(self._hashers.pop(which).digest())

    @property
    def complete(self) -> bool:
        """True when every list has been fed to its end."""
        return not any(self._left)


def in_order(spans: Sequence[Span], start: int = 0) -> bool:
    """Whether the spans ascend without overlap and all lie at or behind `start`: `Tensors` can take them."""
    at = start
    for offset, length in spans:
        if not length:
            continue
        if offset < at:
            return False
        at = offset + length
    return True
