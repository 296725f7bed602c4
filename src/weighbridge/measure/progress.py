"""Progress: whoever measures reports bytes to an object that does nothing unless a door hangs a line on it."""

import threading
import time
from typing import Protocol, TextIO

from weighbridge.core.text import human_bytes, visible


class Progress(Protocol):
    """Hears of every piece of work; called from several threads."""

    def advance(self, count: int, path: str) -> None:
        """`count` more bytes are done, of the file `path`."""


class ProgressLine:
    """One line on a terminal: file, bytes, rate, time left. Silent off a terminal and for the first half second.

    Use it as a context manager: the line is wiped at the end, so that it never stands in the way of the answer.
    """

    DELAY = 0.5
    INTERVAL = 0.1

    def __init__(self, total: int, stream: TextIO, *, verb: str = "hashing", enabled: bool = True) -> None:
        self._total, self._stream, self._verb = total, stream, verb
        self._enabled = enabled and stream.isatty()
        self._done = 0
        self._started = time.monotonic()
        self._next = self._started + self.DELAY
        self._shown = False
        self._lock = threading.Lock()

    def advance(self, count: int, path: str) -> None:
        """See `Progress.advance`."""
        if not self._enabled:
            return
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now >= self._next:
                self._next = now + self.INTERVAL
                self._show(self.line(path, now - self._started))

    def line(self, path: str, seconds: float) -> str:
        """What the terminal shows after `seconds`."""
        rate = self._done / seconds if seconds > 0 else 0.0
        left = max(0, self._total - self._done) / rate if rate else 0.0
        done = f"{human_bytes(self._done)} of {human_bytes(max(self._total, self._done))}"
        return (
            f"{self._verb}  {_short(visible(path))}  {done}  {human_bytes(int(rate))}/s  {_clock(left)} left"
        )

    def close(self) -> None:
        """Wipe the line."""
        with self._lock:
            self._enabled = False
            if self._shown:
                self._stream.write("\r\x1b[K")
                self._stream.flush()
                self._shown = False

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _show(self, line: str) -> None:
        import shutil  # takes 8 ms to be imported; most runs show nothing

        width = max(20, shutil.get_terminal_size().columns - 1)
        self._stream.write("\r" + line[:width] + "\x1b[K")
        self._stream.flush()
        self._shown = True


def _short(path: str, width: int = 40) -> str:
    return path if len(path) <= width else "…" + path[1 - width :]


def _clock(seconds: float) -> str:
    whole = int(seconds + 0.999)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"
