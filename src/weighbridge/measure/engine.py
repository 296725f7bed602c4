"""Measure an artifact: one read of the bytes gives every name that is asked for.

Big files stream through their hashes in threads (hashlib and BLAKE3 let go of the interpreter), small ones go one
after the other in the calling thread, where threads would only get in each other's way. An examiner, where there is
one, looks at each file in the calling thread before its bytes are hashed, through a `Tap`; what it saw and what the
digest covers are the same bytes. A file that cannot be read whole, or changes meanwhile, is `Unread` and has no
digest: neither has then the file set. Not here: what the bytes mean, and whether anybody signed them.
"""

import mmap
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError, UsageError
from weighbridge.core.finding import Place, Unread
from weighbridge.core.manifest import Entry, Manifest, TensorEntry
from weighbridge.core.source import MemorySource, Source
from weighbridge.core.text import visible
from weighbridge.formats.reading import TensorRef
from weighbridge.measure.hashes import Feed, Shards, Tensors, Whole, hasher, new_function, streams
from weighbridge.measure.progress import Progress
from weighbridge.measure.tap import Memory, Tap
from weighbridge.measure.tensors import Listing, content, cost, external_path, list_tensors, listing, refused
from weighbridge.store import LocalFiles

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

SMALL = 1024**2
"""Files below this are read whole by the calling thread."""

CHUNK = 1024**2
"""What one thread reads and hashes at a time: fits its second-level cache."""

WIDE_CHUNK = 8 * 1024**2
"""What several threads together read and hash at a time, when one file is all there is to do."""

MAX_SHARDS = 1_000_000

HASHES = frozenset({"sha256", "blake3"})

ShardRow = tuple[str, int, int, str, bytes]
Examiner = Callable[[Member, Source], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to compute."""

    hashes: frozenset[str] = frozenset({"sha256"})
    """Of `sha256` and `blake3`: the digests of `Manifest.entries`."""
    tensors: bool = False
    """Whether to fill `Manifest.tensors`."""
    shards: tuple[tuple[str, int], ...] = ()
    """(algorithm, shard size): the rows of `Manifest.shards`."""
    blake2b: bool = False
    """Also a row (path, 0, size, "blake2b", digest) for every file: old OMS bundles have these."""

    def __post_init__(self) -> None:
        if self.hashes - HASHES:
            unknown = ", ".join(sorted(self.hashes - HASHES))
            raise UsageError(
                "hash-unknown", f'files are not named by "{unknown[:40]}"', "sha256 and blake3 are known"
            )
        for algorithm, size in self.shards:
            new_function(algorithm)
            if size < 1:
                raise UsageError("bad-shard-size", f"a shard of {size} bytes is none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured. `unread` does not repeat the artifact's obstacles."""

    manifest: Manifest
    """Has an entry for every member; one without digests for what is in `unread`. Partial after an early stop."""
    unread: tuple[Unread, ...]
    examined: tuple[Any, ...]
    """What `examine` answered, in member order. A file that cannot be opened is examined too: its source raises."""
    seconds: float
    stopped: str = ""
    """The file that differed from `expected` and ended the work; "" when everything was measured."""
    unlisted: tuple[tuple[str, str], ...] = ()
    """(path, why) of files whose tensors are unknown, when tensors were asked for."""


def measure(
    artifact: Artifact,
    plan: Plan,
    *,
    examine: Examiner | None = None,
    expected: Mapping[str, bytes] | None = None,
    progress: Progress | None = None,
    jobs: int | None = None,
) -> Measurement:
    """Read every member once. `expected` (path → SHA-256) ends the work at the first file that differs.

    `examine` is called in the calling thread, once for each member; if what it answers has `tensors` (as
    `scan.engine.Examination` has) they are hashed in the same read. `jobs` is the number of threads that hash.
    """
    if expected is not None and "sha256" not in plan.hashes:
        raise UsageError("hash-missing", "an early stop needs sha256 among the hashes")
    started = time.perf_counter()
    work = _Work(
        artifact=artifact,
        plan=plan,
        examine=examine,
        expected=expected or {},
        progress=progress,
        jobs=jobs or _cores(),
    )
    work.run()
    return work.measurement(time.perf_counter() - started)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _StoppedError(Exception):
    """Another thread found the mismatch that ends the work."""


@dataclass(slots=True)
class _File:
    """One member on its way: what feeds on its bytes, and what is known about its tensors."""

    index: int
    member: Member
    wholes: list[Whole] = field(default_factory=list)
    shards: list[Shards] = field(default_factory=list)
    pending: list[tuple[str, TensorRef]] = field(default_factory=list)
    """(file that owns it, tensor) for those that the streaming pass hashes."""
    tensors: list[TensorEntry] = field(default_factory=list)
    stream: Tensors | None = None

    @property
    def feeds(self) -> list[Feed]:
        return [*self.wholes, *self.shards]


@dataclass(slots=True, kw_only=True)
class _Work:
    """One measuring: shared by the calling thread and the hashing threads, each of which writes only its own rows."""

    artifact: Artifact
    plan: Plan
    examine: Examiner | None
    expected: Mapping[str, bytes]
    progress: Progress | None
    jobs: int
    entries: dict[int, Entry] = field(default_factory=dict)
    examined: dict[int, Any] = field(default_factory=dict)
    rows: dict[int, list[ShardRow]] = field(default_factory=dict)
    tensors: dict[int, list[TensorEntry]] = field(default_factory=dict)
    unlisted: dict[str, str] = field(default_factory=dict)
    unread: dict[int, Unread] = field(default_factory=dict)
    externals: dict[str, list[tuple[str, TensorRef]]] = field(default_factory=dict)
    """Path of a raw data file → tensors of other files that lie in it."""
    stopped: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    memory: Memory = field(default_factory=Memory)
    budget: Budget = field(default_factory=Budget)

    def run(self) -> None:
        self._refuse_too_many_shards()
        referring, others = self._order()
        with _Pool(self) as pool:
            for index in (*referring, *others):
                if self.stop.is_set():
                    break
                with suppress(_StoppedError):
                    self._one(index, pool)
        for path, refs in self.externals.items():
            for owner, _ in refs:
                self.unlisted[owner] = (
                    f'its data file "{visible(path)}" is not in the model, or was read before it'
                )

    def _one(self, index: int, pool: "_Pool") -> None:
        if self.artifact.members[index].size < SMALL:
            self._small(index)
        else:
            pool.big(index)

    def _order(self) -> tuple[list[int], list[int]]:
        """Files that refer to others' bytes first; then big ones, the biggest ahead; small ones while those stream."""
        sizes = [member.size for member in self.artifact.members]
        everything = range(len(sizes))
        refers = (
            [i for i in everything if self.artifact.members[i].path.lower().endswith(".onnx")]
            if self.plan.tensors
            else []
        )
        first = frozenset(refers)
        big = sorted(
            (i for i in everything if sizes[i] >= SMALL and i not in first), key=lambda i: (-sizes[i], i)
        )
        return refers, [*big, *(i for i in everything if sizes[i] < SMALL and i not in first)]

    def _refuse_too_many_shards(self) -> None:
        for _, size in self.plan.shards:
            count = sum(-(-member.size // size) for member in self.artifact.members)
            if count > MAX_SHARDS:
                raise LimitError(
                    "limit-members", f"shards of {size} bytes would be {count} in all, limit {MAX_SHARDS}"
                )

    # Small files: read whole, in the calling thread.

    def _small(self, index: int) -> None:
        member = self.artifact.members[index]
        files = self.artifact.files
        try:
            if isinstance(files, LocalFiles):
                data = files.read_whole(member)
            else:
                data = _read_whole(files.open(member), member)
        except InputError as error:
            self._failed(index, error)
            return
        if self.examine is not None or self.plan.tensors:
            self._look_small(index, data)
        sha256 = new_function("sha256")(data).digest() if "sha256" in self.plan.hashes else None
        blake3 = new_function("blake3")(data).digest() if "blake3" in self.plan.hashes else None
        if self.plan.shards or self.plan.blake2b:
            self.rows[index] = self._small_rows(member, data)
        self._measured(index, sha256, blake3)
        if self.progress is not None:
            self.progress.advance(len(data), member.path)

    def _small_rows(self, member: Member, data: bytes) -> list[ShardRow]:
        rows: list[ShardRow] = []
        for algorithm, size in self.plan.shards:
            new = new_function(algorithm)
            rows += [
                (member.path, at, min(at + size, len(data)), algorithm, new(data[at : at + size]).digest())
                for at in range(0, len(data), size)
            ]
        if self.plan.blake2b:
            rows.append((member.path, 0, len(data), "blake2b", new_function("blake2b")(data).digest()))
        return rows

    def _look_small(self, index: int, data: bytes) -> None:
        file = _File(index, self.artifact.members[index])
        source = MemorySource(data)
        self._look(file, source)
        self._plan_stream(file)
        if file.stream is not None:
            file.stream.feed(memoryview(data), 0)
        self._tensors_done(file)

    # Looking: the examiner, or the readers alone when only tensors are wanted.

    def _look(self, file: _File, source: Source) -> None:
        found: Listing | None = None
        path = file.member.path
        if self.examine is not None:
            answer = self.examine(file.member, source)
            found = self._listing(path, answer)
            self.examined[file.index] = _without_sources(answer)
        if self.plan.tensors:
            self._take_tensors(file, source, found or list_tensors(source, path, self.budget))

    def _listing(self, path: str, answer: Any) -> Listing | None:
        """The tensors in an examiner's answer, if it is one that knows of tensors."""
        if not hasattr(answer, "tensors_unlisted"):
            return None
        formats = getattr(getattr(answer, "result", None), "format", "unknown")
        return listing(path, formats, answer.tensors, answer.tensors_unlisted)

    def _take_tensors(self, file: _File, source: Source, found: Listing) -> None:
        """Hash now what does not lie in the file in order; leave the rest to the streaming pass."""
        path = file.member.path
        start = source.cursor if isinstance(source, Tap) else 0
        if found.unlisted:
            self.unlisted[path] = found.unlisted
        if sum(cost(ref) for ref in _distinct(found.tensors)) > 4 * source.size + 64 * SMALL:
            self.unlisted[path] = "its tensors overlap far too often"
            return
        for ref in found.tensors:
            try:
                self._take_tensor(file, source, ref, start)
            except (InputError, LimitError) as error:
                self.unlisted[path] = f'tensor "{visible(ref.name, 100)}": {error.message}'

    def _take_tensor(self, file: _File, source: Source, ref: TensorRef, start: int) -> None:
        path = file.member.path
        if ref.external:
            self._take_external(path, ref)
            return
        why = refused(ref, ref.source.size if ref.source is not None else source.size)
        if why:
            raise InputError("bad-tensor", why)
        if streams(ref, start):
            file.pending.append((path, ref))
            return
        digest = hasher("blake3")
        for piece in content(ref, ref.source or source):
            digest.update(piece)
            self._tick()
        file.tensors.append(_tensor_entry(path, ref, digest.digest()))

    def _take_external(self, path: str, ref: TensorRef) -> None:
        """Leave a tensor that lies in a sibling to that sibling's own streaming pass."""
        target = external_path(path, ref)
        if not streams(ref):
            raise InputError("bad-tensor", "its items lie out of order in another file")
        self.externals.setdefault(target, []).append((path, ref))

    def _plan_stream(self, file: _File) -> None:
        """Bring together this file's tensors and those of others that lie in it; equal spans are hashed once."""
        for owner, ref in self.externals.pop(file.member.path, ()):
            why = refused(ref, file.member.size)
            if why:
                self.unlisted[owner] = f'tensor "{visible(ref.name, 100)}": {why}'
            else:
                file.pending.append((owner, ref))
        if file.pending:
            file.stream = Tensors(list(dict.fromkeys(ref.spans for _, ref in file.pending)))

    def _tensors_done(self, file: _File) -> None:
        if file.stream is not None:
            places = {spans: i for i, spans in enumerate(dict.fromkeys(ref.spans for _, ref in file.pending))}
            file.tensors += [
                _tensor_entry(owner, ref, file.stream.digests[places[ref.spans]])
                for owner, ref in file.pending
            ]
        if file.tensors:
            self.tensors[file.index] = file.tensors

    # Big files: a tap for the examiner, then a stream.

    def open_big(self, index: int) -> "tuple[_File, Tap] | None":
        """Everything about a big file that happens in the calling thread; None when it failed already."""
        member = self.artifact.members[index]
        file = _File(index, member)
        try:
            tap = self._tap(file)
        except InputError as error:
            self._failed(index, error)
            return None
        try:
            if self.examine is not None or self.plan.tensors:
                self._look(file, tap)
                self._plan_stream(file)
        except BaseException:
            tap.close()
            raise
        return file, tap

    def _tap(self, file: _File) -> Tap:
        member = file.member
        source = self.artifact.files.open(member)
        if source.size != member.size:
            raise InputError("file-changed", f'"{visible(member.path)}" changed since it was listed')
        threads = self.jobs if self._wide(member.size) else 1
        file.wholes = [Whole(name, threads) for name in sorted(self.plan.hashes)]
        if self.plan.blake2b:
            file.wholes.append(Whole("blake2b"))
        file.shards = [Shards(algorithm, size) for algorithm, size in self.plan.shards]
        return Tap(
            source, member.path, self.memory, file.feeds, lambda count: self._advance(count, member.path)
        )

    def finish(self, file: _File, tap: Tap, pool: "ThreadPoolExecutor | None") -> None:
        """Stream what the tap has not passed yet; with a pool, all its threads work on this one file."""
        try:
            feeds = [*file.feeds, *([file.stream] if file.stream is not None else [])]
            if (
                pool is not None
                and tap.cursor == 0
                and not file.wholes
                and file.shards
                and file.stream is None
            ):
                self._by_ranges(file, tap, pool)
            elif pool is not None:
                self._side_by_side(file, tap, feeds, pool)
            else:
                self._one_by_one(file, tap, feeds)
            tap.check()
        except _StoppedError:
            return
        except InputError as error:
            self._failed(file.index, error)
            return
        finally:
            tap.close()
        self._done(file)

    def _one_by_one(self, file: _File, tap: Tap, feeds: Sequence[Feed]) -> None:
        buffer = _buffer()
        for at in range(tap.cursor, tap.size, CHUNK):
            view = buffer[: min(CHUNK, tap.size - at)]
            tap.fill(view, at)
            for feed in feeds:
                feed.feed(view, at)
            self._advance(len(view), file.member.path)

    def _side_by_side(self, file: _File, tap: Tap, feeds: Sequence[Feed], pool: "ThreadPoolExecutor") -> None:
        """Each hash in a thread of its own, and the next read beside them."""
        spare, buffer = _aligned(WIDE_CHUNK), _aligned(WIDE_CHUNK)
        now, at = self._filled(tap, buffer, tap.cursor), tap.cursor
        while now:
            reading = pool.submit(self._filled, tap, spare, at + len(now))
            hashing: list[Future[None]] = [pool.submit(feed.feed, now, at) for feed in feeds[1:]]
            try:
                feeds[0].feed(now, at)
            finally:
                failed = [*(task.exception() for task in hashing), reading.exception()]
            for error in failed:
                if error is not None:
                    raise error
            self._advance(len(now), file.member.path)
            at += len(now)
            now, spare, buffer = reading.result(), buffer, spare

    def _filled(self, tap: Tap, buffer: memoryview, at: int) -> memoryview:
        view = buffer[: min(len(buffer), tap.size - at)]
        tap.fill(view, at)
        return view

    def _by_ranges(self, file: _File, tap: Tap, pool: "ThreadPoolExecutor") -> None:
        """Nothing but shards: they are independent, so threads take one after the other."""
        ranges = [
            (shards, at, min(at + shards.shard_size, tap.size))
            for shards in file.shards
            for at in range(0, tap.size, shards.shard_size)
        ]
        results: dict[tuple[int, int], bytes] = {}
        todo = iter(ranges)
        lock = threading.Lock()

        def take() -> None:
            while True:
                with lock:
                    job = next(todo, None)
                if job is None:
                    return
                shards, start, end = job
                results[id(shards), start] = self._range(file, tap, shards.algorithm, start, end)

        tasks = [pool.submit(take) for _ in range(self.jobs)]
        for task in tasks:
            task.result()
        for shards, start, _ in ranges:
            shards.digests.append(results[id(shards), start])

    def _range(self, file: _File, tap: Tap, algorithm: str, start: int, end: int) -> bytes:
        digest = hasher(algorithm)
        buffer = _buffer()
        for at in range(start, end, CHUNK):
            view = buffer[: min(CHUNK, end - at)]
            tap.fill(view, at)
            digest.update(view)
            self._advance(len(view), file.member.path)
        return bytes(digest.digest())

    def _done(self, file: _File) -> None:
        path, size = file.member.path, file.member.size
        digests = {whole.algorithm: whole.digest() for whole in file.wholes}
        rows: list[ShardRow] = []
        for shards in file.shards:
            shards.end()
            rows += [
                (
                    path,
                    n * shards.shard_size,
                    min((n + 1) * shards.shard_size, size),
                    shards.algorithm,
                    digest,
                )
                for n, digest in enumerate(shards.digests)
            ]
        if self.plan.blake2b:
            rows.append((path, 0, size, "blake2b", digests["blake2b"]))
        self.rows[file.index] = rows
        self._tensors_done(file)
        self._measured(file.index, digests.get("sha256"), digests.get("blake3"))

    def wide(self, index: int) -> bool:
        """Whether all threads work on this file together: when there would be too little else to do."""
        return self._wide(self.artifact.members[index].size)

    def _wide(self, size: int) -> bool:
        sizes = [member.size for member in self.artifact.members if member.size >= SMALL]
        return self.jobs > 1 and size >= 4 * WIDE_CHUNK and (len(sizes) < self.jobs or 2 * size > sum(sizes))

    # What every file ends in.

    def _measured(self, index: int, sha256: bytes | None, blake3: bytes | None) -> None:
        path, size, link = self.artifact.members[index]
        self.entries[index] = Entry(path, size, sha256, blake3, link)
        wanted = self.expected.get(path)
        if wanted is not None and wanted != sha256:
            self._stop(path)

    def _stop(self, path: str) -> None:
        if not self.stop.is_set():
            self.stopped = path
            self.stop.set()

    def _failed(self, index: int, error: InputError) -> None:
        """A file that could not be read whole: it is named, has no digest, and its examiner hears why."""
        path, size, link = member = self.artifact.members[index]
        self.entries[index] = Entry(path, size, None, None, link)
        self.unread[index] = Unread(place=Place(path=path), code=error.code, message=error.message)
        self.unlisted[path] = error.message
        if self.examine is not None and index not in self.examined:
            self.examined[index] = _without_sources(self.examine(member, _FailedSource(error)))
        if path in self.expected:
            self._stop(path)

    def _advance(self, count: int, path: str) -> None:
        self._tick()
        if self.progress is not None:
            self.progress.advance(count, path)

    def _tick(self) -> None:
        if self.stop.is_set():
            raise _StoppedError

    def measurement(self, seconds: float) -> Measurement:
        members = range(len(self.artifact.members))
        tensors = None
        if self.plan.tensors and not self.unlisted and not self.stopped:
            tensors = tuple(tensor for index in members for tensor in self.tensors.get(index, ()))
        return Measurement(
            manifest=Manifest(
                entries=tuple(self.entries[index] for index in members if index in self.entries),
                tensors=tensors,
                shards=tuple(row for index in members for row in self.rows.get(index, ())),
            ),
            unread=tuple(self.unread[index] for index in members if index in self.unread),
            examined=tuple(self.examined[index] for index in members if index in self.examined),
            seconds=seconds,
            stopped=self.stopped,
            unlisted=tuple(sorted(self.unlisted.items())) if self.plan.tensors else (),
        )


class _Pool:
    """The hashing threads, made when the first big file comes, and a bound on the files that are open at once."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._threads: ThreadPoolExecutor | None = None
        self._room = threading.Semaphore(work.jobs + 1)
        self._tasks: list[Any] = []

    def __enter__(self) -> "_Pool":
        return self

    def big(self, index: int) -> None:
        """Look at a big file here and now, and have it hashed."""
        if self._threads is None and self._work.jobs > 1:
            from concurrent.futures import ThreadPoolExecutor

            self._threads = ThreadPoolExecutor(self._work.jobs, thread_name_prefix="weighbridge")
        wide = self._work.wide(index)
        self._room.acquire()
        opened = self._work.open_big(index)
        if opened is None:
            self._room.release()
        elif self._threads is None or wide:
            self._room.release()
            self._work.finish(*opened, self._threads)
        else:
            self._tasks.append(self._threads.submit(self._finish, *opened))

    def _finish(self, file: _File, tap: Tap) -> None:
        try:
            self._work.finish(file, tap, None)
        finally:
            self._room.release()

    def __exit__(self, kind: object, *_: object) -> None:
        if self._threads is None:
            return
        if kind is not None:
            self._work.stop.set()
        self._threads.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            for task in self._tasks:
                task.result()


class _FailedSource:
    """Stands for a file that could not be opened; says so whatever is asked of it."""

    def __init__(self, error: InputError) -> None:
        self._error = error

    @property
    def size(self) -> int:
        raise self._error

    def read(self, offset: int, length: int) -> bytes:
        raise self._error


_BUFFERS = threading.local()


def _buffer() -> memoryview:
    """This thread's buffer of `CHUNK` bytes."""
    found: memoryview | None = getattr(_BUFFERS, "view", None)
    if found is None:
        found = _BUFFERS.view = _aligned(CHUNK)
    return found


def _aligned(size: int) -> memoryview:
    """A buffer that begins on a page of memory.

    The kernel copies into a bytearray, which begins 16 bytes into a page, six times as slowly on AMD's Zen 4: `rep
    movsb` stumbles where source and target lie almost at the same place of their pages.
    """
    return memoryview(mmap.mmap(-1, size))


def _read_whole(source: Source, member: Member) -> bytes:
    if source.size != member.size:
        raise InputError("file-changed", f'"{visible(member.path)}" changed since it was listed')
    return source.read(0, member.size)


def _tensor_entry(path: str, ref: TensorRef, digest: bytes) -> TensorEntry:
    return TensorEntry(ref.name, ref.dtype, tuple(ref.shape), digest, path)


def _distinct(refs: Iterable[TensorRef]) -> Iterator[TensorRef]:
    """Each place once: tied weights are stored and hashed once, however many names they have."""
    seen: set[Any] = set()
    for ref in refs:
        place = (id(ref.source), ref.external, ref.spans, ref.strides, ref.shape if ref.strides else None)
        if place not in seen:
            seen.add(place)
            yield ref


def _without_sources(answer: Any) -> Any:
    """An examiner's answer without the sources of its tensors, which would hold their file's bytes in memory."""
    if not is_dataclass(answer) or isinstance(answer, type) or not getattr(answer, "tensors", None):
        return answer
    held: Any = answer
    return replace(
        held, tensors=tuple(replace(ref, source=None) if ref.source else ref for ref in held.tensors)
    )
