"""Memory that holds one file's bytes and that nobody else can change: private anonymous pages, or a sealed memfd.

Never a mapping of the file itself: whoever can write the file could change such memory after it was checked. Private
pages are filled and hashed piece by piece, while each piece is still in the processor's cache. A memfd is filled, then
sealed against writing, growing, shrinking and further seals, and only then hashed: what has the digest can no longer
change, in whatever process it is open (memfd_create(2), fcntl(2) "File Sealing").
"""

import errno
import fcntl
import mmap
import os
import time
from contextlib import suppress
from typing import Any

from weighbridge.core.errors import InputError, UnavailableError
from weighbridge.core.source import MemorySource
from weighbridge.core.text import human_bytes

UNIT = 2 * 1024**2
"""A huge page; fresh memory is asked for in pieces of this size, just before they are filled."""

HUGE = 2 * UNIT
"""From here on memory is asked for in huge pages: five hundred times fewer of them."""

SLOW = 0.001
"""CPU seconds for one huge page, which takes a tenth of that where there is one at hand. Virtual machines that give free
memory back to their host take up to ten times as long, and small pages that were not given back are cheaper there."""

PAUSE = 32
"""Units with small pages after a slow huge one, before the next is tried."""

POPULATE_WRITE = 23
"""`MADV_POPULATE_WRITE` (Linux 5.14), which Python does not name: fresh pages in one step, not one fault each."""

NOEXEC_SEAL = 0x8
"""`MFD_NOEXEC_SEAL` (Linux 6.3), which Python 3.11 does not name: the memory can never be run."""


class Held(MemorySource):
    """A Source over one file's bytes in memory. `view` is read-only; `buffer` is what it is a view of."""

    __slots__ = ("buffer", "fd", "view")

    def __init__(self, buffer: Any, fd: int = -1) -> None:
        self.buffer = buffer
        self.view = memoryview(buffer).toreadonly()
        self.fd = fd
        """The sealed memfd; -1 for private memory. Closed with this object."""
        super().__init__(self.view)

    def __del__(self) -> None:
        self.close_fd()

    def close_fd(self) -> None:
        """Let go of the memfd; memory that is mapped stays."""
        fd, self.fd = getattr(self, "fd", -1), -1
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)


def private(size: int) -> mmap.mmap:
    """Anonymous pages of our own. Raises `InputError` (`limit-memory`)."""
    try:
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError, ValueError):
        raise _no_room(size) from None


class Supply:
    """Hands out the fresh pages of a mapping, in order, in the page size that costs least on this machine right now."""

    def __init__(self, pages: mmap.mmap | None) -> None:
        self._pages, self._size = pages, len(pages) if pages is not None else 0
        self._end = 0
        self._small = 0 if self._size >= HUGE and hasattr(mmap, "MADV_HUGEPAGE") else -1
        """Units that are still to be small; -1 for all."""
        self._advise("MADV_HUGEPAGE", 0, self._size if self._small == 0 else 0)

    def upto(self, end: int) -> None:
        """Have everything before `end` there, or as much as the kernel gives ahead of its use."""
        while self._end < min(end, self._size):
            length = min(UNIT, self._size - self._end)
            started = time.thread_time()
            self._populate(self._end, length)
            if self._small > 0:
                self._small -= 1
                if self._small == 0:
                    self._advise("MADV_HUGEPAGE", self._end + length, self._size)
            elif self._small == 0 and time.thread_time() - started > SLOW:
                self._small = PAUSE
                self._advise("MADV_NOHUGEPAGE", self._end + length, self._end + length + PAUSE * UNIT)
            self._end += length

    def _populate(self, at: int, length: int) -> None:
        if self._pages is not None:
            with suppress(OSError, ValueError):
                self._pages.madvise(POPULATE_WRITE, at, length)

    def _advise(self, name: str, start: int, end: int) -> None:
        end = min(end, self._size)
        if self._pages is not None and start < end:
            with suppress(OSError, ValueError):
                self._pages.madvise(getattr(mmap, name), start, end - start)


class Sealing:
    """A memfd on its way: write into `view`, then `seal` it."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._fd = _memfd(name)
        try:
            os.ftruncate(self._fd, size)
            self._pages = mmap.mmap(self._fd, size, flags=mmap.MAP_SHARED) if size else None
        except (OSError, OverflowError, ValueError):
            os.close(self._fd)
            raise _no_room(size) from None
        self.supply = Supply(self._pages)
        self.view = memoryview(self._pages if self._pages is not None else b"")

    def seal(self) -> Held:
        """Nobody can write from here on; the memory to read is mapped anew."""
        self._unmap()
        fd, self._fd = self._fd, -1
        try:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
            if not self._size:
                return Held(b"", fd)
            # Private and writable: whoever gets it writes into a copy of their own (copy on write), never into the memfd.
            return Held(mmap.mmap(fd, self._size, flags=mmap.MAP_PRIVATE), fd)
        except BaseException:
            os.close(fd)
            raise

    def drop(self) -> None:
        """Give it up; a piece of it that an error still holds is let go with the error."""
        with suppress(BufferError):
            self._unmap()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _unmap(self) -> None:
        """No writable mapping may be left, or the kernel refuses the seal."""
        self.view.release()
        self.supply = Supply(None)
        if self._pages is not None:
            self._pages.close()
            self._pages = None


SEALS = 0xF if not hasattr(fcntl, "F_SEAL_SEAL") else (
    fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
)  # fmt: skip


def _memfd(name: str) -> int:
    if not hasattr(os, "memfd_create"):
        raise UnavailableError("no-memfd", "this system has no memfd_create, so that nothing can be sealed")
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    label = name.encode("utf-8", "replace")[:200].decode("utf-8", "replace").replace("\0", "?")
    try:
        return os.memfd_create(label, flags | NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.memfd_create(label, flags)


class SealedFile:
    """One verified file in a sealed memfd: nobody can write, grow or shrink it, this process included."""

    def __init__(self, path: str, held: Held) -> None:
        self.path = path
        """In the model."""
        self.size = held.size
        self._held = held

    @property
    def fd(self) -> int:
        """The descriptor; it is inherited by nobody unless you say so (`pass_fds`)."""
        return self._held.fd

    @property
    def name(self) -> str:
        """A path that this process can open, and every thread of it: `/proc/self/fd/N`."""
        return f"/proc/self/fd/{self.fd}"

    @property
    def name_for_others(self) -> str:
        """The same for other processes of this user: `/proc/PID/fd/N`."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def close(self) -> None:
        """Let go of it; who has opened it keeps it."""
        self._held.close_fd()

    def __repr__(self) -> str:
        return f"<sealed {self.path} at {self.name}>"


def available() -> int | None:
    """Bytes that this machine can still give without swapping; None where nobody says."""
    with suppress(OSError, ValueError), open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _no_room(size: int) -> InputError:
    return InputError("limit-memory", f"there is no room for {human_bytes(size)} in memory")
