"""Holding: the measurer of a load. Each file is read once, into memory, and hashed there; it stays for whoever loads.

Stands in the place of `measure.measure` in a weighing (`check.weigh`): the same questions get the same answers, but the
examiners, and afterwards the tensors, see the very memory that has the digest. What is not wanted is let go as soon as
it is examined. Not here: what is signed, and what a verdict makes of it.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.finding import Place, Unread
from weighbridge.core.manifest import Entry, Manifest
from weighbridge.core.source import Source
from weighbridge.core.text import human_bytes, visible
from weighbridge.formats.reading import TensorRef
from weighbridge.loading.memory import Held, Sealing, Supply, available, private
from weighbridge.measure import Measurement, Plan, Progress
from weighbridge.measure.hashes import Feed, Shards, Whole
from weighbridge.measure.tensors import WEIGHTS
from weighbridge.store import LocalFiles, LocalSource

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

CHUNK = 1024**2
"""Bytes that are read and hashed at a time: they stay in the processor's second-level cache."""

AHEAD = 8 * 1024**2
"""Bytes that another thread reads ahead while a big file is hashed."""

SMALL = 1024**2
"""Files below this are plain bytes: a mapping of their own would cost more than it saves."""

WIDE = 64 * 1024**2
"""From here on two threads work on one file, if it is most of the work."""

ROOM = 0.9
"""How much of the memory that is available one load may take."""


class Taken(NamedTuple):
    """One file that was read."""

    held: Held
    digests: Mapping[str, bytes]
    rows: tuple[tuple[str, int, int, str, bytes], ...]


class _Failed:
    """Stands for a file that was not read; says so whatever is asked of it."""

    def __init__(self, error: InputError) -> None:
        self._error = error

    @property
    def size(self) -> int:
        raise self._error

    def read(self, offset: int, length: int) -> bytes:
        raise self._error


class HeldFiles:
    """`core.artifact.Files` over memory: what was held, and nothing else."""

    def __init__(self, held: Mapping[str, Held]) -> None:
        self._held = held

    def open(self, member: Member) -> Source:
        """See `Files.open`."""
        found = self._held.get(member.path)
        if found is None:
            raise InputError("unreadable", f'"{visible(member.path)}" was not kept in memory')
        return found


class Filler:
    """Fills fresh memory from a file, in order, by one thread at a time."""

    def __init__(self, source: Source, view: memoryview, supply: Supply) -> None:
        self._source, self._view, self._supply = source, view, supply
        self.size = len(view)

    def filled(self, at: int, length: int) -> memoryview:
        """The next piece, with the file's bytes in it. Raises `InputError` (`file-changed`, `unreadable`)."""
        piece = self._view[at : at + length]
        for start in range(0, len(piece), CHUNK):
            self._supply.upto(at + start + CHUNK)
            with piece[start : start + CHUNK] as part:
                read_into(self._source, at + start, part)
        return piece


class Holder:
    """Measures by holding. `held` is path → memory, once `measure` is done."""

    def __init__(
        self,
        plan: Plan,
        *,
        wanted: Callable[[str], bool] = lambda path: True,
        sealed: bool = False,
        max_bytes: int,
    ) -> None:
        self._plan, self._wanted, self._sealed, self._max = plan, wanted, sealed, max_bytes
        self.held: dict[str, Held] = {}
        self.refs: dict[str, tuple[TensorRef, ...]] = {}
        """Path of each file that may hold tensors → those tensors, () where not all of them are known."""
        self.artifact: Artifact | None = None
        """What was measured, as `measure` got it."""
        self._deadline: tuple[float, float] | None = None
        self._progress: Progress | None = None
        self._stopped = False

    def files(self) -> HeldFiles:
        """The held bytes as the files of an artifact."""
        return HeldFiles(self.held)

    def measure(
        self,
        artifact: Artifact,
        plan: Plan,
        *,
        examine: Callable[[Member, Source], Any] | None = None,
        expected: Mapping[str, bytes] | None = None,
        progress: Progress | None = None,
        jobs: int | None = None,
        seconds: float | None = None,
        meter: Any = None,
    ) -> Measurement:
        """As `measure.measure`. The plan is the holder's own, which asks for no more than what was signed."""
        started = time.monotonic()
        self.artifact, self._progress = artifact, progress
        self._deadline = (started + seconds, seconds) if seconds is not None else None
        self._plan.refuse_too_many_shards(artifact)
        entries: dict[str, Entry] = {}
        unread: list[Unread] = []
        rows: list[tuple[str, int, int, str, bytes]] = []
        examined: list[Any] = []
        for member, taken in self._all(artifact, max(1, jobs or _cores())):
            if isinstance(taken, InputError):
                entries[member.path] = Entry(member.path, member.size, None, None, member.link)
                unread.append(Unread(place=Place(path=member.path), code=taken.code, message=taken.message))
                if examine is not None:  # so that no file vanishes from the examiner's account
                    examined.append(examine(member, _Failed(taken)))
                continue
            digests = taken.digests
            entries[member.path] = Entry(
                member.path, member.size, digests.get("sha256"), digests.get("blake3"), member.link
            )
            rows += taken.rows
            if examine is not None:
                examined.append(examine(member, taken.held))
                self._note(member.path, examined[-1])
            if self._wanted(member.path):
                self.held[member.path] = taken.held
        return Measurement(
            manifest=Manifest(entries=tuple(entries[m.path] for m in artifact.members), shards=tuple(rows)),
            unread=tuple(unread),
            examined=tuple(examined),
            seconds=time.monotonic() - started,
        )

    def _note(self, path: str, examination: Any) -> None:
        """Where the tensors are, as the examination of these very bytes has it."""
        found, unlisted = getattr(examination, "tensors", ()), getattr(examination, "tensors_unlisted", "")
        if found or unlisted or path.lower().endswith(WEIGHTS):
            self.refs[path] = () if unlisted else found

    # Reading, in threads where there are several files.

    def _all(self, artifact: Artifact, jobs: int) -> Any:
        """(member, what was read or why not), in order; a few files are read ahead of whoever examines them."""
        too_much = self._too_much(artifact.members)
        if too_much is not None:
            yield from ((member, too_much) for member in artifact.members)
            return
        members = artifact.members
        if jobs == 1 or len(members) == 1:
            yield from ((member, self._tried(artifact, member, jobs)) for member in members)
            return
        todo: deque[tuple[Member, Future[Taken | InputError]]] = deque()
        with _threads(jobs, "weighbridge") as pool:
            try:
                for member in members:
                    wide = jobs if 2 * member.size > sum(m.size for m in members) else 1
                    todo.append((member, pool.submit(self._tried, artifact, member, wide)))
                    if len(todo) > 2 * jobs:
                        first, task = todo.popleft()
                        yield first, task.result()
                while todo:
                    first, task = todo.popleft()
                    yield first, task.result()
            finally:
                self._stopped = True
                pool.shutdown(cancel_futures=True)

    def _too_much(self, members: Sequence[Member]) -> InputError | None:
        total = sum(member.size for member in members)
        if total > self._max:
            return _over(
                LimitError(
                    "limit-bytes", f"the files have {human_bytes(total)}, limit {human_bytes(self._max)}"
                )
            )
        room = available()
        if room is not None and total > room * ROOM and total > WIDE:
            return _over(
                LimitError(
                    "limit-memory",
                    f"the files have {human_bytes(total)}, and {human_bytes(room)} of memory is free",
                )
            )
        return None

    def _tried(self, artifact: Artifact, member: Member, threads: int) -> Taken | InputError:
        try:
            return self._take(artifact, member, threads)
        except InputError as error:
            return error
        except MemoryError:
            return InputError("limit-memory", f"there is no room for {human_bytes(member.size)} in memory")

    def _take(self, artifact: Artifact, member: Member, threads: int) -> Taken:
        self._tick()
        wholes = [Whole(name, threads) for name in sorted(self._plan.hashes)]
        wholes += [Whole("blake2b")] if self._plan.blake2b else []
        shards = [Shards(*shard) for shard in self._plan.shards]
        held = self._read(artifact, member, [*wholes, *shards], threads)
        digests = {whole.algorithm: whole.digest() for whole in wholes}
        rows = [
            (member.path, start, end, shard.algorithm, digest)
            for shard in shards
            for start, end, digest in shard.ended(member.size)
        ]
        if "blake2b" in digests:
            rows.append((member.path, 0, member.size, "blake2b", digests["blake2b"]))
        return Taken(held, digests, tuple(rows))

    def _read(self, artifact: Artifact, member: Member, feeds: Sequence[Feed], threads: int) -> Held:
        files = artifact.files
        if not self._sealed and member.size < SMALL and isinstance(files, LocalFiles):
            held = Held(files.read_whole(member))
            self._feed(held.view, feeds, member.path)
            return held
        source = files.open(member)
        try:
            if source.size != member.size:
                raise InputError("file-changed", f'"{visible(member.path)}" changed since it was listed')
            if self._sealed:
                return self._read_sealed(source, member, feeds)
            if not member.size:
                return Held(b"")
            pages = private(member.size)
            fill = self._fill_ahead if threads > 1 and member.size >= WIDE else self._fill
            fill(Filler(source, memoryview(pages), Supply(pages)), feeds, member.path)
            _unchanged(source)
            return Held(pages)
        finally:
            if isinstance(source, LocalSource):
                source.close()

    def _read_sealed(self, source: Source, member: Member, feeds: Sequence[Feed]) -> Held:
        memory = Sealing(member.size, member.path)
        try:
            self._fill(Filler(source, memory.view, memory.supply), (), member.path)
            _unchanged(source)
            held = memory.seal()
        except BaseException:
            memory.drop()
            raise
        self._feed(held.view, feeds, member.path)
        return held

    def _fill(self, filler: Filler, feeds: Sequence[Feed], path: str) -> None:
        """Read a piece and hash it, in this thread."""
        for at in range(0, filler.size, CHUNK):
            with filler.filled(at, CHUNK) as piece:
                for feed in feeds:
                    feed.feed(piece, at)
                self._advance(len(piece), path)

    def _fill_ahead(self, filler: Filler, feeds: Sequence[Feed], path: str) -> None:
        """The same, with the next pieces read by another thread meanwhile; both let go of the interpreter."""
        starts = range(0, filler.size, AHEAD)
        with _threads(1, "weighbridge-read") as reader:
            tasks = deque(reader.submit(filler.filled, at, AHEAD) for at in starts[:2])
            for number, at in enumerate(starts):
                with tasks.popleft().result() as piece:
                    if number + 2 < len(starts):
                        tasks.append(reader.submit(filler.filled, starts[number + 2], AHEAD))
                    self._feed(piece, feeds, path, at)

    def _feed(self, view: memoryview, feeds: Sequence[Feed], path: str, base: int = 0) -> None:
        step = (
            AHEAD if any(isinstance(feed, Whole) and feed.algorithm == "blake3" for feed in feeds) else CHUNK
        )
        for at in range(0, len(view), step):
            with view[at : at + step] as piece:
                for feed in feeds:
                    feed.feed(piece, base + at)
                self._advance(len(piece), path)

    def _advance(self, count: int, path: str) -> None:
        self._tick()
        if self._progress is not None:
            self._progress.advance(count, path)

    def _tick(self) -> None:
        if self._stopped:
            raise InputError("not-examined", "the work stopped before")
        if self._deadline is not None and time.monotonic() > self._deadline[0]:
            raise InputError("limit-seconds", f"stopped after {self._deadline[1]:g} s")


def _threads(count: int, name: str) -> "ThreadPoolExecutor":
    """Threads; what runs them takes 10 ms to be imported, and one file in one thread needs none."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(count, thread_name_prefix=name)


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_into(source: Source, at: int, piece: memoryview) -> None:
    """Fill `piece` from `at`."""
    if isinstance(source, LocalSource):
        source.read_into(at, piece)
    else:
        piece[:] = source.read(at, len(piece))


def _unchanged(source: Source) -> None:
    """The file is still the one that was listed: what was read is one state of it, not a mixture of two."""
    if isinstance(source, LocalSource):
        source.check()


def _over(error: LimitError) -> InputError:
    """A limit that concerns every file of the model; the weighing counts it as unread."""
    return InputError(error.code, error.message, *error.hints)
