"""Tap: a Source that remembers what the examiner saw, so that the digest covers exactly those bytes.

The examiner reads first, wherever it likes; then the rest of the file streams through the hashes with the remembered
pages put in their places. So every byte is read once, and there is no moment between check and use in which somebody
could swap the file's contents.

Memory is bounded. When the shared meter is empty, the tap hashes forward from its cursor through the page that is
being read, keeps only a BLAKE3 digest of each page passed, and lets the pages go. A page that is read again behind
the cursor must have that digest still, or the file changed under our hands: `InputError` (`file-changed`).
"""

import threading
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, Protocol

from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.measure.hashes import Feed, new_function
from weighbridge.store import LocalSource

PAGE = 64 * 1024

KEEP = 32 * 1024**2
"""Bytes of remembered pages over all files that are open at once."""

DIGEST = 32


class Backing(Source, Protocol):
    """What a tap stands on: a Source that can also fill a buffer and tell whether its file changed."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset`; never short. Threads may call it at the same time."""

    def check(self) -> None:
        """Raises `InputError` (`file-changed`) when the file is not what it was when it was listed."""

    def sequential(self) -> None:
        """The rest will be read in order."""

    def close(self) -> None:
        """No more reading."""


class _Plain:
    """Any other Source as a `Backing`."""

    def __init__(self, source: Source) -> None:
        self.size = source.size
        self.read = source.read

    def read_into(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.read(offset, len(buffer))

    def check(self) -> None:
        """Its own `read` notices changes."""

    def sequential(self) -> None:
        """Nothing to prepare."""

    def close(self) -> None:
        """Nothing to let go."""


class Memory:
    """A meter for the pages of all taps together."""

    def __init__(self, limit: int = KEEP) -> None:
        self._left = limit
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Reserve `count` bytes, or answer False."""
        with self._lock:
            if count > self._left:
                return False
            self._left -= count
            return True

    def give(self, count: int) -> None:
        """Give bytes back."""
        with self._lock:
            self._left += count


class Tap:
    """A Source for one examiner (one thread at a time); afterwards `fill` hands out the bytes to be hashed."""

    def __init__(
        self, source: Source, name: str, memory: Memory, feeds: Sequence[Feed], advance: Callable[[int], None]
    ) -> None:
        self._source: Backing = source if isinstance(source, LocalSource) else _Plain(source)
        self._name, self._memory, self._feeds, self._advanced = name, memory, feeds, advance
        self._kept: dict[int, bytes] = {}
        self._passed = bytearray()
        self._passed_digest: Callable[..., Any] | None = None
        self.size = source.size
        self.cursor = 0
        """Everything before it went through the feeds; a multiple of `PAGE`, or the size."""

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        if offset < 0 or length < 0:
            raise InputError("bad-offset", f"offset {offset} with length {length} is no place in a file")
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        first, last = offset // PAGE, (end - 1) // PAGE
        if first == last:
            return self._page(first)[offset - first * PAGE : end - first * PAGE]
        pieces = BytesIO()
        pieces.write(memoryview(self._page(first))[offset - first * PAGE :])
        for index in range(first + 1, last + 1):
            pieces.write(memoryview(self._page(index))[: end - index * PAGE])
        return pieces.getvalue()

    def fill(self, buffer: memoryview, start: int) -> None:
        """Put the bytes from `start` on into all of `buffer`: remembered ones where there are some, else the file's.

        Threads may fill different ranges at the same time.
        """
        end = start + len(buffer)
        at = start
        for index in range(start // PAGE, -(-end // PAGE)) if self._kept else ():
            page = self._kept.get(index)
            if page is None:
                continue
            low, high = max(index * PAGE, start), min(index * PAGE + len(page), end)
            self._from_file(buffer[at - start : low - start], at)
            buffer[low - start : high - start] = page[low - index * PAGE : high - index * PAGE]
            at = high
            if high - low == len(page):
                self._forget(index)
        self._from_file(buffer[at - start :], at)

    def close(self) -> None:
        """Let all pages go, and the file."""
        for index in tuple(self._kept):
            self._forget(index)
        self._source.close()

    def check(self) -> None:
        """See `Backing.check`."""
        self._source.check()

    def sequential(self) -> None:
        """See `Backing.sequential`."""
        self._source.sequential()

    def _page(self, index: int) -> bytes:
        page = self._kept.get(index)
        if page is not None:
            return page
        page = self._source.read(index * PAGE, PAGE)
        if index * PAGE < self.cursor:
            if self._digest(page) != self._passed[index * DIGEST : (index + 1) * DIGEST]:
                raise InputError("file-changed", f'"{visible(self._name)}" changed while it was read')
        elif self._memory.take(len(page)):
            self._kept[index] = page
        else:
            self._pass_through(index, page)
        return page

    def _pass_through(self, last: int, page: bytes) -> None:
        """Hash everything up to and including `page`, the page number `last`."""
        for index in range(self.cursor // PAGE, last + 1):
            data = page if index == last else self._kept.get(index)
            if data is None:
                data = self._source.read(index * PAGE, PAGE)
            for feed in self._feeds:
                feed.feed(memoryview(data), index * PAGE)
            self._passed += self._digest(data)
            self.cursor += len(data)
            self._advanced(len(data))
            self._forget(index)

    def _digest(self, page: bytes) -> bytes:
        if self._passed_digest is None:
            self._passed_digest = new_function("blake3")
        return bytes(self._passed_digest(page).digest())

    def _from_file(self, buffer: memoryview, start: int) -> None:
        if buffer:
            self._source.read_into(start, buffer)

    def _forget(self, index: int) -> None:
        page = self._kept.pop(index, None)
        if page is not None:
            self._memory.give(len(page))
