"""A Source over bytes elsewhere: pages are fetched when somebody reads them, once, and counted.

Fetched pages lie in an unnamed temporary file, so that memory stays small and a file that was fetched whole can still
be hashed. All pages of one file come from one version of it: the fetcher holds on to the tag (ETag, generation) that
it saw first and reports any other as a change.
"""

import hashlib
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any

from weighbridge.core.artifact import Member
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass

PAGE = 16 * 1024
AHEAD = 16
"""Pages fetched at once where the one before is here: headers are read in small steps, signatures are looked for far
apart."""
MAX_FETCH = 64 * 1024**2
"""Bytes of one request."""
WHOLE = 1024**2
"""Files up to this size are fetched whole with the first byte that is asked for."""

Fetch = Callable[[int, int], bytes]
"""(start, end) → exactly those bytes. Raises `InputError` (`file-changed`, `unreadable`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """How much of a file came here."""

    size: int
    fetched: int
    requests: int

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.fetched == self.size


class RangeSource:
    """See the module. Threads may read at the same time; close it when done."""

    __slots__ = ("_fetch", "_file", "_have", "_lock", "_pages", "_requests", "size")

    def __init__(self, size: int, fetch: Fetch) -> None:
        self.size = size
        self._fetch = fetch
        self._pages = -(-size // PAGE)
        self._have: set[int] = set()
        self._requests = 0
        self._lock = threading.Lock()
        self._file: Any = tempfile.TemporaryFile(prefix="weighbridge-")  # noqa: SIM115 - lives as long as we do

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        if offset < 0 or length < 0:
            raise InputError("bad-offset", f"offset {offset} with length {length} is no place in a file")
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        with self._lock:
            self._need(offset // PAGE, (end - 1) // PAGE)
            self._file.seek(offset)
            data: bytes = self._file.read(end - offset)
            return data

    @property
    def fetched(self) -> Fetched:
        """What came here so far."""
        got = len(self._have) * PAGE
        last = self._pages - 1
        got -= (self._pages * PAGE - self.size) if last in self._have else 0
        return Fetched(size=self.size, fetched=got, requests=self._requests)

    def sha256(self) -> bytes | None:
        """Of the whole file; None while something is missing."""
        if not self.fetched.whole:
            return None
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").digest()

    def close(self) -> None:
        """Let the pages go."""
        self._file.close()

    __del__ = close

    def _need(self, first: int, last: int) -> None:
        if self.size <= WHOLE:
            first, last = 0, self._pages - 1
        page = first
        while page <= last:
            if page in self._have:
                page += 1
                continue
            stop = page
            ahead = max(last, page + AHEAD - 1) if page - 1 in self._have else last
            while stop < min(ahead + 1, self._pages, page + MAX_FETCH // PAGE) and stop not in self._have:
                stop += 1
            self._take(page, stop)
            page = stop

    def _take(self, first: int, stop: int) -> None:
        start, end = first * PAGE, min(stop * PAGE, self.size)
        data = self._fetch(start, end)
        self._requests += 1
        if len(data) != end - start:
            raise InputError("file-changed", f"asked for {end - start} bytes at {start}, got {len(data)}")
        self._file.seek(start)
        self._file.write(data)
        self._have.update(range(first, stop))


class RemoteFiles:
    """`core.artifact.Files` over what a store lists. `stated` is path → SHA-256 that the store claims."""

    def __init__(self, fetchers: Mapping[str, Fetch], stated: Mapping[str, bytes] | None = None) -> None:
        self._fetchers = fetchers
        self.stated: Mapping[str, bytes] = stated or {}

    def open(self, member: Member) -> Source:
        """See `Files.open`."""
        return RangeSource(member.size, self._fetchers[member.path])
