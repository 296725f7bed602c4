"""R's lazy-load databases (`.rdb`): compressed objects behind each other, each with its length before it.

The index beside it (`.rdx`) only says where each begins; here all of them are unpacked, one by one, and become parts. A
package's objects live in such a file, and attaching the package opens it. Format: makeLazyLoad.R and lazyload of R 4.4.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Source
from weighbridge.formats.framework import ContradictionError, FrameworkReading
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading

CHUNK = 64 * 1024
NEW: dict[bytes, Callable[[], Any]] = {
    b"2": bz2.BZ2Decompressor,
    b"Z": lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6}]),
}
"""Letter behind the length → decompressor; without a letter it is zlib."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Unpack every object. `InputError`: `not-this-format`."""
    parts: list[Part] = []
    anomalies: tuple[Anomaly, ...] = ()
    gaps: tuple[Gap, ...] = ()
    at = held = 0
    try:
        while at < source.size:
            budget.spend_members()
            data, end = _object(source, budget, at)
            held += len(data)
            budget.need_memory(held, "the objects of an R package")
            parts.append(Part(name=f"object at byte {at}", source=MemorySource(data), kind="r"))
            at = end
    except ContradictionError as error:
        if not parts:
            raise InputError("not-this-format", f"no objects of an R package: {error.message}") from None
        anomalies, gaps = (error.anomaly(),), (error.gap(),)
    return FrameworkReading(format="r-lazy", anomalies=anomalies, gaps=gaps, parts=tuple(parts))


def _object(source: Source, budget: Budget, at: int) -> tuple[bytes, int]:
    """One object and where the next begins."""
    head = source.read(at, 5)
    length = int.from_bytes(head[:4], "big")
    if len(head) < 5:
        raise ContradictionError("out-of-file", "the file ends within a length", at)
    budget.need_memory(length, "an object of an R package")
    letter = head[4:5]
    run: Any = NEW[letter]() if letter in NEW else zlib.decompressobj()
    begin = at + 5 if letter in NEW else at + 4
    made, taken = bytearray(), begin
    try:
        while not run.eof and len(made) <= length:
            data = source.read(taken, CHUNK)
            taken += len(data)
            made += _step(run, data, length + 1 - len(made))
            if not data:
                break
    except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
        raise ContradictionError("stream-broken", f"an object is broken: {error}", at) from None
    budget.spend_bytes(len(made))
    if not run.eof or len(made) != length:
        raise ContradictionError(
            "size-mismatch", f"an object of {length} bytes unpacks to {len(made)} and more", at
        )
    return bytes(made), taken - len(run.unused_data)


def _step(run: Any, data: bytes, limit: int) -> bytes:
    """What these packed bytes give, at most `limit`."""
    made: bytes = run.decompress(data, limit)
    return made
