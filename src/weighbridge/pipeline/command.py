"""Run a command to its end: hand on signals, and answer as it did."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO

HANDED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT, signal.SIGINT)


def run(command: Sequence[str], executable: str, *, output: IO[bytes] | int | None = None) -> int:
    """The exit code, 128 and the number of a signal that ended it. `output` gets what it prints, where not our own."""
    with _handed_on() as post:
        process = subprocess.Popen([*command], executable=executable, stdout=output)
        post.deliver_to(process)
        code = process.wait()
    return code if code >= 0 else 128 - code


class _Post:
    """Signals for a process that may not be there yet."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: list[int] = []

    def take(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and _at_terminal():
            return  # the terminal has told the command itself
        if self._process is None:
            self._waiting.append(number)
        else:
            self._process.send_signal(number)

    def deliver_to(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        for number in self._waiting:
            process.send_signal(number)


@contextmanager
def _handed_on() -> Iterator[_Post]:
    post = _Post()
    kept = {number: signal.signal(number, post.take) for number in HANDED_ON if _is_heard(number)}
    try:
        yield post
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _is_heard(number: int) -> bool:
    """What was ignored when we were started (`nohup`) stays ignored, by the command too."""
    return signal.getsignal(number) is not signal.SIG_IGN


def _at_terminal() -> bool:
    """Whether we are what the terminal in front of somebody runs: it tells the whole group, and so the command."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
