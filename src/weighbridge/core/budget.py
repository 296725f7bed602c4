"""A Budget bounds what one examination may cost: bytes, depth, members, seconds.

Every reader of hostile bytes takes one and spends from it; whatever is left unread when it runs out is reported
as UNKNOWN by the caller. A budget is the one mutable value on the ground floor, because it is a meter.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from weighbridge.core.errors import LimitError
from weighbridge.core.value import dataclass

GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What people set with `--max-bytes --max-depth --max-members --timeout`."""

    bytes: int = 64 * GIB
    """Bytes read or unpacked for one artifact, nested contents included."""
    depth: int = 16
    """Containers inside containers, and structures inside structures."""
    members: int = 1_000_000
    """Entries over all containers, and items over all structures."""
    seconds: float = 3600.0
    """Wall time for one artifact."""
    memory: int = 256 * 1024**2
    """Bytes that one reader may hold at a time (a header, a pickle's memo, an unpacked member)."""


class Budget:
    """A meter over `Limits`. Spending past a limit raises `LimitError` with the code `limit-…`.

    Threads may share one: bytes, members and the clock are the artifact's, depth is each thread's own.
    """

    __slots__ = ("_bytes", "_deadline", "_members", "_nesting", "limits")

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._bytes = 0
        self._nesting = threading.local()
        self._members = 0
        self._deadline = time.monotonic() + self.limits.seconds

    def spend_bytes(self, count: int) -> None:
        """Count bytes that were read or unpacked; raises `LimitError` (`limit-bytes`)."""
        self._bytes += count
        if self._bytes > self.limits.bytes:
            raise LimitError(
                "limit-bytes",
                f"stopped after {self.limits.bytes} bytes",
                f"--max-bytes {self.limits.bytes * 4}",
            )
        self.tick()

    def spend_members(self, count: int = 1) -> None:
        """Count container entries or structure items; raises `LimitError` (`limit-members`)."""
        self._members += count
        if self._members > self.limits.members:
            raise LimitError(
                "limit-members",
                f"stopped after {self.limits.members} members",
                f"--max-members {self.limits.members * 4}",
            )

    @property
    def spent(self) -> tuple[int, int]:
        """(bytes, members) that were spent so far."""
        return self._bytes, self._members

    def spend_elsewhere(self, count: int, members: int) -> bool:
        """Count bytes and members that another process spent; False where that is over the limit."""
        self._bytes += count
        self._members += members
        return self._bytes <= self.limits.bytes and self._members <= self.limits.members

    def spend_anew(self) -> None:
        """Forget what was spent, since all work begins again; the clock goes on."""
        self._bytes = self._members = 0

    def need_memory(self, count: int, what: str) -> None:
        """Ask before holding `count` bytes at once; raises `LimitError` (`limit-memory`)."""
        if count > self.limits.memory:
            raise LimitError(
                "limit-memory", f"{what} would need {count} bytes at once, limit {self.limits.memory}"
            )

    def tick(self) -> None:
        """Look at the clock; raises `LimitError` (`limit-seconds`). Call it inside long loops."""
        if time.monotonic() > self._deadline:
            raise LimitError(
                "limit-seconds",
                f"stopped after {self.limits.seconds:g} s",
                f"--timeout {self.limits.seconds * 4:g}",
            )

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Enter one level of nesting for the length of the `with` block; raises `LimitError` (`limit-depth`)."""
        depth: int = getattr(self._nesting, "depth", 0)
        if depth >= self.limits.depth:
            raise LimitError("limit-depth", f"stopped at nesting level {depth}", f"--max-depth {depth * 2}")
        self._nesting.depth = depth + 1
        try:
            yield
        finally:
            self._nesting.depth = depth
