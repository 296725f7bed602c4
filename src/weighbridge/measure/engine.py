"""Measure an artifact: one read of the bytes gives every name that is asked for.

Big files stream through their hashes in threads, small ones go one after the other in the calling thread, where
threads would only get in each other's way. An examiner, where there is one, looks at each file in the calling thread
before its bytes are hashed, through a `Tap`: what it saw and what the digest covers are the same bytes. A file that
cannot be read whole, or changes meanwhile, is `Unread` and has no digest; neither has then the file set. Not here:
what the bytes mean (`weighbridge.scan`), and whether anybody signed them (`weighbridge.sign`).
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.source import MemorySource
from weighbridge.core.text import visible
from weighbridge.measure.file import File
from weighbridge.measure.hashes import Shards, Whole, new_function
from weighbridge.measure.ledger import Examiner, Ledger, ShardRow, StoppedError
from weighbridge.measure.plan import Measurement, Plan
from weighbridge.measure.progress import Progress
from weighbridge.measure.stream import WIDE_CHUNK, stream
from weighbridge.measure.tap import Memory, Tap
from weighbridge.store import LocalFiles

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from weighbridge.measure.crew import Meter
    from weighbridge.measure.look import Looker

SMALL = 1024**2
"""Files below this are read whole by the calling thread."""

SEVERAL = 16
"""Files; from here on it may pay to have other processes read some of them."""

WIDE = 4 * WIDE_CHUNK
"""From here on it pays to let all threads work on one file."""


def measure(
    artifact: Artifact,
    plan: Plan,
    *,
    examine: Examiner | None = None,
    expected: Mapping[str, bytes] | None = None,
    progress: Progress | None = None,
    jobs: int | None = None,
    seconds: float | None = None,
    meter: "Meter | None" = None,
) -> Measurement:
    """Read every member once. `expected` (path → SHA-256) ends the work at the first file that differs.

    `examine` is called in the calling thread, once for each member; if what it answers has `tensors` (as
    `scan.engine.Examination` has) they are hashed in the same read. `jobs` is the number of threads that hash. What is
    not read after `seconds` is `Unread` (`limit-seconds`).

    With `meter`, the examiner's budget, forked helpers take their share of many files (`measure.crew`): `examine` then
    runs in other processes too, and only what it answers and what it spends comes back.
    """
    if expected and "sha256" not in plan.hashes:
        raise UsageError("hash-missing", "an early stop needs sha256 among the hashes")
    plan.refuse_too_many_shards(artifact)
    started = time.perf_counter()
    jobs = max(1, jobs or _cores())
    ledger = Ledger(artifact, plan, expected or {}, progress, seconds)
    looker = _looker(ledger, examine)
    referring, big, small = _order(artifact, plan)
    if meter is not None and not (expected or referring) and jobs > 1 and len(big) + len(small) >= SEVERAL:
        left = _by_crew(ledger, looker, big, small, jobs, meter)
        if left is None:
            ledger = Ledger(artifact, plan, {}, progress, seconds)
            looker = _looker(ledger, examine)
        big, small = left or (big, small)
    with _BigFiles(ledger, looker, jobs) as big_files, suppress(StoppedError):
        _small_files(ledger, looker, [index for index in referring if _is_small(artifact, index)])
        big_files.start([index for index in referring if not _is_small(artifact, index)])
        big_files.start(big)
        _small_files(ledger, looker, small)
    if looker is not None:
        looker.finish()
    return ledger.measurement(time.perf_counter() - started)


def _by_crew(
    ledger: Ledger,
    looker: "Looker | None",
    big: list[int],
    small: list[int],
    jobs: int,
    meter: "Meter",
) -> tuple[list[int], list[int]] | None:
    """Have helpers measure with us what can be shared out; the big and small files that are left.

    None where all processes together spent more than the budget: then everything is to be measured by one, anew.
    """
    from weighbridge.measure.crew import MAX_SHARE, Crew, Hands, OverBudgetError, batches, worth_it

    sizes = [member.size for member in ledger.artifact.members]
    shared = [index for index in [*big, *small] if sizes[index] <= MAX_SHARE]
    if not worth_it([sizes[index] for index in shared], jobs):
        return big, small

    def work(indexes: Sequence[int]) -> None:
        with _BigFiles(ledger, looker, 1) as big_files:
            big_files.start([index for index in indexes if sizes[index] >= SMALL])
        _small_files(ledger, looker, [index for index in indexes if sizes[index] < SMALL])

    def alone() -> None:
        ledger.progress = None

    def heard(count: int) -> None:
        if ledger.progress is not None:
            ledger.progress.advance(count, ledger.artifact.name)

    hands = Hands(work=work, alone=alone, take=ledger.taken, give=ledger.given, heard=heard)
    try:
        with Crew(hands, batches(sizes, shared), jobs - 1, meter) as crew:
            crew.run()
    except OverBudgetError:
        meter.spend_anew()
        return None
    return [index for index in big if sizes[index] > MAX_SHARE], []


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _looker(ledger: Ledger, examine: Examiner | None) -> "Looker | None":
    """Whoever looks into files before they are hashed, if anybody shall: only then are the readers imported."""
    if examine is None and not ledger.plan.tensors:
        return None
    from weighbridge.measure.look import Looker

    return Looker(ledger, examine)


def _is_small(artifact: Artifact, index: int) -> bool:
    return artifact.members[index].size < SMALL


def _order(artifact: Artifact, plan: Plan) -> tuple[list[int], list[int], list[int]]:
    """Files that refer to others' bytes come first; then big ones, the biggest ahead; small ones while those stream."""
    sizes = [member.size for member in artifact.members]
    refers = {i for i, m in enumerate(artifact.members) if plan.tensors and m.path.lower().endswith(".onnx")}
    rest = [index for index in range(len(sizes)) if index not in refers]
    big = sorted((index for index in rest if sizes[index] >= SMALL), key=lambda index: (-sizes[index], index))
    return sorted(refers), big, [index for index in rest if sizes[index] < SMALL]


# Small files: read whole, one after the other.


def _small_files(ledger: Ledger, looker: "Looker | None", indexes: Sequence[int]) -> None:
    """The loop that runs 20,000 times: nothing in it that need not be."""
    members, plan = ledger.artifact.members, ledger.plan
    read = _whole_reader(ledger.artifact)
    sha256 = new_function("sha256") if "sha256" in plan.hashes else None
    blake3 = new_function("blake3") if "blake3" in plan.hashes else None
    rows = bool(plan.shards) or plan.blake2b
    progress = ledger.progress
    for index in indexes:
        ledger.tick()
        member = members[index]
        try:
            ledger.in_time()
            data = read(member)
        except InputError as error:
            ledger.failed(index, error)
            if looker is not None:
                looker.look_at_failure(File(index, member), error)
            continue
        if looker is not None:
            _look_small(looker, File(index, member), data)
        digests = (
            sha256(data).digest() if sha256 is not None else None,
            blake3(data).digest() if blake3 is not None else None,
        )
        if rows:
            ledger.rows[index] = _small_rows(
                plan, member, data, dict(zip(("sha256", "blake3"), digests, strict=True))
            )
        ledger.measured(index, *digests)
        if progress is not None:
            progress.advance(len(data), member.path)


def _whole_reader(artifact: Artifact) -> Callable[[Member], bytes]:
    if isinstance(artifact.files, LocalFiles):
        return artifact.files.read_whole
    files = artifact.files

    def read(member: Member) -> bytes:
        source = files.open(member)
        _refuse_other_size(member, source.size)
        return source.read(0, member.size)

    return read


def _look_small(looker: "Looker", file: File, data: bytes) -> None:
    looker.look(file, MemorySource(data))
    if file.stream is not None:
        file.stream.feed(memoryview(data), 0)
    looker.settle(file)


def _small_rows(plan: Plan, member: Member, data: bytes, known: Mapping[str, bytes | None]) -> list[ShardRow]:
    rows: list[ShardRow] = []
    for algorithm, size in plan.shards:
        whole = known.get(algorithm) if data and _is_whole(plan, (algorithm, size), len(data)) else None
        if whole is not None:
            rows.append((member.path, 0, len(data), algorithm, whole))
            continue
        new = new_function(algorithm)
        rows += [
            (member.path, at, min(at + size, len(data)), algorithm, new(data[at : at + size]).digest())
            for at in range(0, len(data), size)
        ]
    if plan.blake2b:
        rows.append((member.path, 0, len(data), "blake2b", new_function("blake2b")(data).digest()))
    return rows


def _is_whole(plan: Plan, shard: tuple[str, int], size: int) -> bool:
    """Whether the only shard of a file is the file, whose digest is computed anyway."""
    algorithm, shard_size = shard
    return algorithm in plan.hashes and shard_size >= size


def _refuse_other_size(member: Member, size: int) -> None:
    if size != member.size:
        raise InputError("file-changed", f'"{visible(member.path)}" changed since it was listed')


# Big files: looked at in the calling thread, hashed in others.


class _BigFiles:
    """The hashing threads, made when the first big file comes, and a bound on the files that are open at once."""

    def __init__(self, ledger: Ledger, looker: "Looker | None", jobs: int) -> None:
        self._ledger, self._looker, self._jobs = ledger, looker, jobs
        self._memory = Memory()
        self._pool: ThreadPoolExecutor | None = None
        self._room = threading.Semaphore(jobs + 1)
        self._tasks: list[Any] = []
        members = ledger.artifact.members if jobs > 1 else ()
        sizes = [member.size for member in members if member.size >= SMALL]
        self._count, self._total = len(sizes), sum(sizes)

    def start(self, indexes: Sequence[int]) -> None:
        """Look at each file here and now, and have it hashed."""
        if indexes and self._pool is None and self._jobs > 1:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self._jobs, thread_name_prefix="weighbridge")
        for index in indexes:
            self._ledger.tick()
            self._start(index)

    def _start(self, index: int) -> None:
        self._room.acquire()
        file = File(index, self._ledger.artifact.members[index])
        wide = self._wide(file.member.size)
        tap = self._looked_at(file, wide)
        if tap is None:
            self._room.release()
        elif self._pool is None or wide:
            self._finish(file, tap, self._pool)
        else:
            self._tasks.append(self._pool.submit(self._finish, file, tap, None))

    def _wide(self, size: int) -> bool:
        """Whether all threads should work on this file together, since there would be too little else to do."""
        return self._jobs > 1 and size >= WIDE and (self._count < self._jobs or 2 * size > self._total)

    def _looked_at(self, file: File, wide: bool) -> Tap | None:
        """The file opened and looked at; None when that failed."""
        try:
            tap = self._open(file, self._jobs if wide else 1)
        except InputError as error:
            self._failed(file, error)
            return None
        try:
            if self._looker is not None:
                self._looker.look(file, tap)
        except InputError as error:
            tap.close()
            self._failed(file, error)
            return None
        except BaseException:
            tap.close()
            raise
        return tap

    def _open(self, file: File, threads: int) -> Tap:
        plan, member = self._ledger.plan, file.member
        source = self._ledger.artifact.files.open(member)
        _refuse_other_size(member, source.size)
        file.wholes = [Whole(name, threads) for name in sorted(plan.hashes)]
        if plan.blake2b:
            file.wholes.append(Whole("blake2b"))
        file.shards = [Shards(*shard) for shard in plan.shards if not _is_whole(plan, shard, member.size)]
        return Tap(source, member.path, self._memory, file.feeds, self._advance(member.path))

    def _advance(self, path: str) -> Callable[[int], None]:
        return lambda count: self._ledger.advance(count, path)

    def _finish(self, file: File, tap: Tap, pool: "ThreadPoolExecutor | None") -> None:
        try:
            stream(file, tap, pool, self._jobs, self._advance(file.member.path))
            tap.check()
        except StoppedError:
            return
        except InputError as error:
            self._failed(file, error)
            return
        finally:
            tap.close()
            self._room.release()
        self._done(file)

    def _failed(self, file: File, error: InputError) -> None:
        self._ledger.failed(file.index, error)
        if self._looker is not None:
            self._looker.look_at_failure(file, error)

    def _done(self, file: File) -> None:
        path, size = file.member.path, file.member.size
        digests = {whole.algorithm: whole.digest() for whole in file.wholes}
        rows: list[ShardRow] = []
        streamed = iter(file.shards)
        for shard in self._ledger.plan.shards:
            whole = _is_whole(self._ledger.plan, shard, size)
            ended = [(0, size, digests[shard[0]])] if whole else next(streamed).ended(size)
            rows += [(path, start, end, shard[0], digest) for start, end, digest in ended]
        if "blake2b" in digests:
            rows.append((path, 0, size, "blake2b", digests["blake2b"]))
        self._ledger.rows[file.index] = rows
        if self._looker is not None:
            self._looker.settle(file)
        self._ledger.measured(file.index, digests.get("sha256"), digests.get("blake3"))

    def __enter__(self) -> "_BigFiles":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._pool is None:
            return
        if kind is not None:
            self._ledger.stop()
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        for task in self._tasks if kind is None else ():
            task.result()
