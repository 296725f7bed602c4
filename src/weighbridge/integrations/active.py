"""Which guards are active, and what all of them say of a file that a library is about to open.

A guard is the process's, not a thread's: a file that another thread opens is opened all the same. Guards nest, and each
must admit; an inner one cannot widen what an outer one allows. Not here: how one guard weighs (`guarding`).
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from weighbridge.core.refused import LoadRefused
from weighbridge.core.text import visible
from weighbridge.loading import Asked, Held


class Weigher(Protocol):
    """What the hooks ask of a guard (`guarding.Guard`)."""

    asked: Asked
    weighed: int

    def admit(self, path: str, beside: Sequence[str] = ()) -> dict[str, Held]:
        """The bytes of a file, and of those beside it."""

    def weigh(self, path: str) -> None:
        """Judge a folder where it lies."""

    def admit_bytes(self, data: Any, name: str) -> None:
        """Judge bytes that lie nowhere."""


_lock = threading.RLock()
_active: tuple[Weigher, ...] = ()
_inside = threading.local()


def enter(one: Weigher) -> None:
    """From here on this guard is asked too."""
    global _active
    with _lock:
        _active = (*_active, one)


def leave(one: Weigher) -> None:
    """Ask it once less; the innermost of several goes first."""
    global _active
    with _lock:
        at = max(index for index, other in enumerate(_active) if other is one)
        _active = _active[:at] + _active[at + 1 :]


def guards() -> tuple[Weigher, ...]:
    """All that are active, outermost first."""
    return _active


def active() -> bool:
    """Whether what this thread opens now is to be weighed."""
    return bool(_active) and not getattr(_inside, "depth", 0)


@contextmanager
def inside() -> Iterator[None]:
    """The admitted load itself: what it opens in turn was weighed with it."""
    _inside.depth = getattr(_inside, "depth", 0) + 1
    try:
        yield
    finally:
        _inside.depth -= 1


def admit(path: str, beside: Sequence[str] = ()) -> dict[str, Held]:
    """The sealed bytes of a file and of those beside it, if every guard admits them, and all have seen the same. Raises `LoadRefused`."""
    first, *others = _active
    with inside():
        found = first.admit(path, beside)
        for other in others:
            again = other.admit(path, beside)
            if any(again[name].view != held.view for name, held in found.items()):
                raise refuse(path, "the file changed while it was weighed")
    return found


def weigh(path: str) -> None:
    """Judge a folder by every guard, where it lies. Raises `LoadRefused`."""
    with inside():
        for one in _active:
            one.weigh(path)


def admit_bytes(data: Any, name: str) -> None:
    """Judge bytes by every guard. Raises `LoadRefused`."""
    with inside():
        for one in _active:
            one.admit_bytes(data, name)


def refuse(name: str, why: str, *hints: str) -> LoadRefused:
    """The exception for what cannot be weighed at all."""
    return LoadRefused(f'REFUSED, so nothing was loaded: "{visible(name)}"', *hints, reasons=(why,))
