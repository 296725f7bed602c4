"""The ledger of one measuring: what is known of each member so far, and whether the work is over.

The calling thread and the hashing threads share it. Each file belongs to one of them at a time, so nobody writes
another's rows; the only thing they tell each other is to stop.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.errors import InputError
from weighbridge.core.finding import Place, Unread
from weighbridge.core.manifest import Entry, Manifest, TensorEntry
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.measure.plan import Measurement, Plan
from weighbridge.measure.progress import Progress

Examiner = Callable[[Member, Source], Any]
"""Looks at one file and says what it saw."""

ShardRow = tuple[str, int, int, str, bytes]
"""A row of `Manifest.shards`."""


class StoppedError(Exception):
    """Somebody found the mismatch that ends the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Rows of a ledger, on their way from one process to another."""

    size: int
    """Bytes of the files that they are about."""
    entries: dict[int, Entry]
    rows: dict[int, list[ShardRow]]
    tensors: dict[int, list[TensorEntry]]
    examined: dict[int, Any]
    unread: dict[int, Unread]
    unlisted: dict[str, str]


Row = TypeVar("Row")


def _of(rows: Mapping[int, Row], indexes: Sequence[int]) -> dict[int, Row]:
    return {index: rows[index] for index in indexes if index in rows}


class Ledger:
    """Rows by member index."""

    def __init__(
        self,
        artifact: Artifact,
        plan: Plan,
        expected: Mapping[str, bytes],
        progress: Progress | None,
        seconds: float | None = None,
    ) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds if seconds is not None else None
        self.artifact, self.plan, self.expected, self.progress = artifact, plan, expected, progress
        self.entries: dict[int, Entry] = {}
        self.rows: dict[int, list[ShardRow]] = {}
        self.tensors: dict[int, list[TensorEntry]] = {}
        self.unlisted: dict[str, str] = {}
        self.examined: dict[int, Any] = {}
        self.unread: dict[int, Unread] = {}
        self.stopped = ""
        self._stop = threading.Event()

    def measured(self, index: int, sha256: bytes | None, blake3: bytes | None) -> None:
        """A file is done."""
        path, size, link = self.artifact.members[index]
        self.entries[index] = Entry(path, size, sha256, blake3, link)
        if self.expected and self.expected.get(path, sha256) != sha256:
            self.stop(path)

    def failed(self, index: int, error: InputError) -> None:
        """A file could not be read whole: it has no digest, and neither has anything that would contain it."""
        path, size, link = self.artifact.members[index]
        self.entries[index] = Entry(path, size, None, None, link)
        self.rows.pop(index, None)
        self.unread[index] = Unread(place=Place(path=path), code=error.code, message=error.message)
        self.unlisted[path] = error.message
        if path in self.expected:
            self.stop(path)

    def stop(self, path: str = "") -> None:
        """End the work; `path` names the file that differs, if that is why."""
        if not self._stop.is_set():
            self.stopped = path
            self._stop.set()

    def over(self) -> bool:
        """Whether the work is to end."""
        return self._stop.is_set()

    def tick(self) -> None:
        """Raises `StoppedError` when the work is to end. Called between pieces of any long work."""
        if self._stop.is_set():
            raise StoppedError

    def in_time(self) -> None:
        """Raises `InputError` (`limit-seconds`) once the time is over: the file in work, and each behind it, is unread."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise InputError("limit-seconds", f"stopped after {self._seconds:g} s", "--timeout SECONDS")

    def taken(self, indexes: Sequence[int]) -> "Taken":
        """Everything that is known of these members, to be put into the ledger of another process."""
        paths = [self.artifact.members[index].path for index in indexes]
        return Taken(
            size=sum(self.artifact.members[index].size for index in indexes),
            entries=_of(self.entries, indexes),
            rows=_of(self.rows, indexes),
            tensors=_of(self.tensors, indexes),
            examined=_of(self.examined, indexes),
            unread=_of(self.unread, indexes),
            unlisted={path: self.unlisted[path] for path in paths if path in self.unlisted},
        )

    def given(self, taken: "Taken") -> None:
        """Put in what another process took out of its own."""
        self.entries |= taken.entries
        self.rows |= taken.rows
        self.tensors |= taken.tensors
        self.examined |= taken.examined
        self.unread |= taken.unread
        self.unlisted |= taken.unlisted

    def advance(self, count: int, path: str) -> None:
        """`count` more bytes of `path` are hashed; a `tick` as well, and `in_time`."""
        self.tick()
        self.in_time()
        if self.progress is not None:
            self.progress.advance(count, path)

    def measurement(self, seconds: float) -> Measurement:
        """Everything, in member order."""
        members = range(len(self.artifact.members))
        tensors = None
        if self.plan.tensors and not self.unlisted and not self.over():
            tensors = tuple(tensor for index in members for tensor in self.tensors.get(index, ()))
        return Measurement(
            manifest=Manifest(
                entries=tuple(self.entries[index] for index in members if index in self.entries),
                tensors=tensors,
                shards=tuple(row for index in members for row in self.rows.get(index, ())),
            ),
            unread=tuple(self.unread[index] for index in sorted(self.unread)),
            examined=tuple(self.examined[index] for index in sorted(self.examined)),
            seconds=seconds,
            stopped=self.stopped,
            unlisted=tuple(sorted(self.unlisted.items())) if self.plan.tensors else (),
        )
