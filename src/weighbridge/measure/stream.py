"""Streaming a big file through everything that wants its bytes, with one thread or with all of them.

One thread for each file is best while there are enough files. A file that is most of the work gets all threads:
shards are hashed side by side; else each hash has a thread of its own (BLAKE3 as many as there are) and the next
piece is read meanwhile. hashlib, BLAKE3 and reading all let go of the interpreter.
"""

import mmap
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from weighbridge.measure.file import File
from weighbridge.measure.hashes import Feed, Shards, hasher
from weighbridge.measure.tap import Tap

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

CHUNK = 1024**2
"""What one thread reads and hashes at a time: it stays in the processor's second-level cache."""

WIDE_CHUNK = 8 * 1024**2
"""What all threads together read and hash at a time."""

Advance = Callable[[int], None]
"""Told of every piece that is done; raises when the work is to end."""


def stream(file: File, tap: Tap, pool: "ThreadPoolExecutor | None", jobs: int, advance: Advance) -> None:
    """Feed what the tap has not passed yet. With a pool, `jobs` of its threads work on this one file."""
    feeds = file.feeds
    if not feeds:
        return
    tap.sequential()
    if pool is None:
        one_by_one(tap, feeds, advance)
    elif tap.cursor == 0 and feeds == file.shards:
        by_ranges(tap, file.shards, pool, jobs, advance)
    else:
        side_by_side(tap, feeds, pool, advance)


def one_by_one(tap: Tap, feeds: Sequence[Feed], advance: Advance) -> None:
    """Read a piece, feed it to each, and so on, in this thread alone."""
    buffer = _own_buffer()
    for at in range(tap.cursor, tap.size, CHUNK):
        piece = buffer[: min(CHUNK, tap.size - at)]
        tap.fill(piece, at)
        for feed in feeds:
            feed.feed(piece, at)
        advance(len(piece))


def side_by_side(tap: Tap, feeds: Sequence[Feed], pool: "ThreadPoolExecutor", advance: Advance) -> None:
    """Each feed in a thread of its own, and the next read beside them."""
    buffer, spare = aligned(WIDE_CHUNK), aligned(WIDE_CHUNK)
    at = tap.cursor
    piece = _filled(tap, buffer, at)
    while piece:
        reading = pool.submit(_filled, tap, spare, at + len(piece))
        feeding: list[Future[None]] = [pool.submit(feed.feed, piece, at) for feed in feeds[1:]]
        try:
            feeds[0].feed(piece, at)
        finally:
            errors = [*(task.exception() for task in feeding), reading.exception()]
        for error in errors:
            if error is not None:
                raise error
        advance(len(piece))
        at += len(piece)
        piece, buffer, spare = reading.result(), spare, buffer


def by_ranges(
    tap: Tap, all_shards: Sequence[Shards], pool: "ThreadPoolExecutor", jobs: int, advance: Advance
) -> None:
    """Nothing but shards: they do not depend on each other, so each thread takes the next one."""
    ranges = [(shards, start) for shards in all_shards for start in range(0, tap.size, shards.shard_size)]
    digests: list[bytes] = [b""] * len(ranges)
    todo = iter(range(len(ranges)))
    lock = threading.Lock()

    failed = threading.Event()

    def work() -> None:
        while not failed.is_set():
            with lock:
                which = next(todo, None)
            if which is None:
                return
            shards, start = ranges[which]
            end = min(start + shards.shard_size, tap.size)
            try:
                digests[which] = _range(tap, shards.algorithm, start, end, advance)
            except BaseException:
                failed.set()
                raise

    errors = [task.exception() for task in [pool.submit(work) for _ in range(jobs)]]
    for error in errors:
        if error is not None:
            raise error
    for (shards, _), digest in zip(ranges, digests, strict=True):
        shards.digests.append(digest)


def _range(tap: Tap, algorithm: str, start: int, end: int, advance: Advance) -> bytes:
    digest = hasher(algorithm)
    buffer = _own_buffer()
    for at in range(start, end, CHUNK):
        piece = buffer[: min(CHUNK, end - at)]
        tap.fill(piece, at)
        digest.update(piece)
        advance(len(piece))
    return bytes(digest.digest())


def _filled(tap: Tap, buffer: memoryview, at: int) -> memoryview:
    piece = buffer[: min(len(buffer), tap.size - at)]
    tap.fill(piece, at)
    return piece


_OWN = threading.local()


def _own_buffer() -> memoryview:
    """This thread's buffer of `CHUNK` bytes."""
    found: memoryview | None = getattr(_OWN, "buffer", None)
    if found is None:
        found = _OWN.buffer = aligned(CHUNK)
    return found


def aligned(size: int) -> memoryview:
    """A buffer that begins on a page of memory.

    The kernel copies into a bytearray, which begins 16 bytes into a page, six times as slowly on AMD's Zen 4: there
    `rep movsb` stumbles where source and target lie at almost the same place of their pages. Private, not shared as the
    standard library's default is: a forked helper (`measure.crew`) must not write into its parent's buffer.
    """
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
