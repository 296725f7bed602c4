"""Bare hashing, the least that anybody could do: `hashers.py sha256|blake3 THREADS PATH`. No names, no checks.

Buffers begin on a page of memory, as weighbridge's do: into a bytearray the kernel copies several times as slowly on
some processors, and a ceiling must not be lower than it is.
"""

import hashlib
import mmap
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHUNK = 1 << 20


def files_below(path: str) -> list[str]:
    """Every file, in no particular order."""
    if Path(path).is_file():
        return [path]
    return [f"{folder}/{name}" for folder, _, names in os.walk(path) for name in names]


def hash_file(path: str, new: Callable[[], Any], buffer: memoryview) -> bytes:
    """One file by one thread."""
    digest = new()
    handle = os.open(path, os.O_RDONLY)
    while count := os.readv(handle, [buffer]):
        digest.update(buffer[:count])
    os.close(handle)
    return bytes(digest.digest())


def hash_file_wide(path: str, threads: int) -> bytes:
    """One file by all threads: only BLAKE3 can."""
    from blake3 import blake3

    digest = blake3(max_threads=threads)
    size, step = Path(path).stat().st_size, 8 * CHUNK
    buffer = memoryview(mmap.mmap(-1, step * threads))
    handle = os.open(path, os.O_RDONLY)

    def read(part: int, at: int) -> None:
        os.preadv(handle, [buffer[part * step : (part + 1) * step]], at + part * step)

    for at in range(0, size, step * threads):
        readers = [threading.Thread(target=read, args=(part, at)) for part in range(threads)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        digest.update(buffer[: min(step * threads, size - at)])
    os.close(handle)
    return bytes(digest.digest())


def main(algorithm: str, threads: int, path: str) -> None:
    """Hash everything below `path`."""
    todo = files_below(path)
    if algorithm == "blake3":
        from blake3 import blake3

        new: Callable[[], Any] = blake3
        if threads > 1 and len(todo) == 1:
            hash_file_wide(todo[0], threads)
            return
    else:
        new = hashlib.sha256
    queue, lock = iter(todo), threading.Lock()

    def work() -> None:
        buffer = memoryview(mmap.mmap(-1, CHUNK))
        while True:
            with lock:
                mine = next(queue, None)
            if mine is None:
                return
            hash_file(mine, new, buffer)

    workers = [threading.Thread(target=work) for _ in range(threads - 1)]
    for worker in workers:
        worker.start()
    work()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
