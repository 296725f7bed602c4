"""A crew: several processes measure one artifact together, where reading it is worth more than one core.

Reading hostile bytes is plain Python, which threads cannot share out. So the process forks helpers that have everything
already (the artifact, the examiner, the readers); all of them, the parent too, take batches of files from one pipe, and
each file is read, examined and hashed by the one process that took it. Results lie in anonymous memory files until the
parent has done its own share and merges them in member order, so that they do not depend on who did what.

Forked only where nothing can go wrong with it: on Linux, while the process has exactly one thread. A batch whose helper
died is done again by the parent. Budgets count in each process alone; where their sum is over the limit everything is
measured once more by one process, so that where it stops does not depend on chance either (`OverBudgetError`).
"""

import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn, Protocol

MIN_BYTES = 2 * 1024**2
"""Below it forking costs more than it saves."""
MAX_SHARE = 64 * 1024**2
"""Larger files are measured by the parent, whose threads hash them."""
MAX_HELPERS = 15
BATCH_BYTES = 512 * 1024
BATCH_FILES = 32
MAX_BATCHES = 8000
"""Their numbers lie in a pipe from the start, which holds 64 KiB."""
PLAIN = frozenset(
    ("builtins", name) for name in ("Ellipsis", "bytearray", "complex", "frozenset", "range", "set")
)
"""Values beside our own that a result may hold."""
_NUMBER = struct.Struct("=L")
_DONE = struct.Struct("=LQ")


class OverBudgetError(Exception):
    """All processes together spent more than the artifact's budget allows."""


class Meter(Protocol):
    """What a budget tells and takes (`core.budget.Budget`)."""

    @property
    def spent(self) -> tuple[int, int]:
        """(bytes, members) spent so far."""

    def spend_elsewhere(self, count: int, members: int) -> bool:
        """Count what another process spent; False where all together is over the limit."""

    def spend_anew(self) -> None:
        """Forget what was spent: everything is measured once more."""


class Hands(NamedTuple):
    """What a crew does with a batch; all of it in terms of member indexes."""

    work: Callable[[Sequence[int]], None]
    """Measure these files in this process."""
    alone: Callable[[], None]
    """Called once in every helper, before any work: let go of what belongs to the parent."""
    take: Callable[[Sequence[int]], Any]
    """What is known of these files now, to be pickled."""
    give: Callable[[Any], None]
    """Put in what another process took."""
    heard: Callable[[int], None]
    """So many bytes were measured elsewhere."""


def batches(sizes: Sequence[int], indexes: Sequence[int]) -> list[list[int]]:
    """Files shared out: the large ones first and alone, then small ones a few at a time."""
    large = sorted((i for i in indexes if sizes[i] >= BATCH_BYTES), key=lambda index: (-sizes[index], index))
    made = [[index] for index in large]
    per_batch = max(BATCH_FILES, -(-len(indexes) // (MAX_BATCHES - len(made) or 1)))
    batch: list[int] = []
    total = 0
    for index in indexes:
        if sizes[index] >= BATCH_BYTES:
            continue
        if batch and (total + sizes[index] > BATCH_BYTES or len(batch) >= per_batch):
            made.append(batch)
            batch, total = [], 0
        batch.append(index)
        total += sizes[index]
    return [*made, batch] if batch else made


def worth_it(sizes: Sequence[int], jobs: int) -> bool:
    """Whether helpers pay for files of these sizes, and may be forked now."""
    return jobs > 1 and sum(sizes) >= MIN_BYTES and sys.platform == "linux" and _only_thread()


def _only_thread() -> bool:
    """One thread of the operating system, native libraries' own included: whoever forks then takes no lock along."""
    try:
        return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - one call in place of an iterator
    except OSError:
        return False


class Crew:
    """Helpers over a list of batches. Use as a context manager: leaving it ends every helper."""

    def __init__(self, hands: Hands, batches: Sequence[Sequence[int]], helpers: int, meter: Meter) -> None:
        self._hands, self._batches, self._meter = hands, batches, meter
        self._queue = _queue(len(batches))
        self._news, self._tell = os.pipe()
        os.set_blocking(self._news, False)
        os.set_blocking(self._tell, False)
        self._helpers: list[tuple[int, int]] = []
        self._mine: set[int] = set()
        try:
            for _ in range(min(helpers, MAX_HELPERS, len(batches) - 1)):
                self._helpers.append(self._fork())
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for pid, _held in self._helpers:
            if pid:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                with suppress(OSError):
                    os.waitpid(pid, 0)
        for fd in (self._queue, self._news, self._tell, *(held for _, held in self._helpers)):
            with suppress(OSError):
                os.close(fd)
        self._helpers = []

    def run(self) -> None:
        """Do the parent's share, wait for the helpers, merge, and do again what got lost."""
        for number in self._taken():
            self._hands.work(self._batches[number])
            self._mine.add(number)
            self._listen()
        missing = set(range(len(self._batches))) - self._mine - self._collected()
        for number in sorted(missing):
            self._hands.work(self._batches[number])

    def _taken(self) -> Iterator[int]:
        """The numbers of batches that nobody else took."""
        while data := os.read(self._queue, _NUMBER.size):
            yield _NUMBER.unpack(data)[0]

    def _listen(self) -> None:
        """Tell the progress line what the helpers did meanwhile."""
        with suppress(BlockingIOError):
            while data := os.read(self._news, _DONE.size * 256):
                for _number, count in _DONE.iter_unpack(data):
                    self._hands.heard(count)
                if len(data) < _DONE.size * 256:
                    return

    # -- helpers

    def _fork(self) -> tuple[int, int]:
        held = os.memfd_create("weighbridge")
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._help(held, parent)
        return pid, held

    def _help(self, held: int, parent: int) -> NoReturn:
        """The whole life of a helper. It never returns into the parent's code, whatever happens."""
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._hands.alone()
            before = self._meter.spent
            with os.fdopen(held, "wb", closefd=False) as out:
                for number in self._taken():
                    self._hands.work(self._batches[number])
                    found = self._hands.take(self._batches[number])
                    after = self._meter.spent
                    pickle.dump((number, found, after[0] - before[0], after[1] - before[1]), out, protocol=5)
                    out.flush()
                    before = after
                    self._say(number, found)
                    if os.getppid() != parent:
                        break
        except BaseException:
            os._exit(1)
        os._exit(0)

    def _say(self, number: int, found: Any) -> None:
        count = getattr(found, "size", 0)
        with suppress(BlockingIOError):
            os.write(self._tell, _DONE.pack(number, count))

    def _collected(self) -> set[int]:
        """The batches whose results arrived whole."""
        there: set[int] = set()
        for at, (pid, held) in enumerate(self._helpers):
            os.waitpid(pid, 0)
            self._helpers[at] = (0, held)
            self._listen()
            os.lseek(held, 0, os.SEEK_SET)
            with os.fdopen(os.dup(held), "rb") as results:
                for number, found, count, members in _records(results):
                    if not self._meter.spend_elsewhere(count, members):
                        raise OverBudgetError
                    self._hands.give(found)
                    there.add(number)
        return there


def _queue(count: int) -> int:
    """A pipe that holds the numbers of all batches. Whoever reads one has taken it; at its end nothing is left."""
    out, into = os.pipe()
    os.write(into, b"".join(_NUMBER.pack(number) for number in range(count)))
    os.close(into)
    return out


def _records(results: Any) -> Iterator[tuple[int, Any, int, int]]:
    """What a helper wrote, up to where it died. Its own process wrote it: no byte of it comes from a model as such."""
    while True:
        try:
            yield _Results(results).load()
        except (
            Exception
        ):  # its end, or whatever else bytes that were not written whole raise: done again here
            return


class _Results(pickle.Unpickler):
    """Takes values of our own classes and nothing else, whatever came of the memory that they lie in."""

    def find_class(self, module: str, name: str) -> Any:
        """See `pickle.Unpickler.find_class`."""
        ours = module.startswith("weighbridge.") and "." not in name
        if ours or (module, name) in PLAIN:
            found = super().find_class(module, name)
            if isinstance(found, type) or found is ...:
                return found
        raise pickle.UnpicklingError(f"a helper sent {module}.{name}")
