"""Compressed streams: gzip, bzip2, xz, lzma, zlib, lz4, and the zlib file of old joblib. The content becomes a part.

Unpacking stops at the budget's memory and at a growth that no data has; what was unpacked until then is examined all
the same. Several streams behind each other are one content, as their loaders read them. zstd is named but not
unpacked. Containers (zip, tar) are other readers' work.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource, Slice, Source
from weighbridge.formats import lz4
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading

CHUNK = 256 * 1024
BOMB_SIZE = 32 * 1024**2
BOMB_RATIO = 500
"""Only content of at least this size and growth is called a bomb; random or real weights never grow so."""
ZFILE = 21
"""joblib 0.8: `ZF`, then the content's length in hexadecimal in 19 characters, then a zlib stream."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    """zlib's object keeps what it could not take; the others keep it themselves."""

    def __init__(self, bits: int) -> None:
        self._run = zlib.decompressobj(bits)

    @property
    def eof(self) -> bool:
        return self._run.eof

    @property
    def unused_data(self) -> bytes:
        return self._run.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._run.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._run.decompress(self._run.unconsumed_tail + data, max_length)


class _Codec(NamedTuple):
    format: str
    magic: bytes
    new: Callable[[], _Decompressor]
    several: bool = True
    """Whether loaders read on into a stream that follows."""


_CODECS = (
    _Codec("gzip", b"\x1f\x8b", lambda: _Zlib(16 + zlib.MAX_WBITS)),
    _Codec("bzip2", b"BZh", bz2.BZ2Decompressor),
    _Codec("xz", b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 * 1024**2)),
    _Codec(
        "lzma",
        b"\x5d\x00",
        lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=256 * 1024**2),
        several=False,
    ),
    _Codec("zlib", b"\x78", lambda: _Zlib(zlib.MAX_WBITS)),
)


class _Unpacked(NamedTuple):
    content: bytearray
    gaps: tuple[Gap, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Unpack one file. Raises `InputError` (`not-this-format`) where nothing can be unpacked."""
    head = source.read(0, 6)
    if head[:4] == b"\x28\xb5\x2f\xfd":
        return Reading(
            format="zstd", gaps=(Gap(code="codec-unknown", message="zstd streams are not unpacked"),)
        )
    if head[:4] == lz4.MAGIC:
        return _reading("lz4", name, _gathered(_lz4(source, budget), source, budget))
    if head[:2] == b"ZF":
        inner = _zfile(source)
        return _reading("joblib-zfile", name, _gathered(_streams(inner, _CODECS[-1], budget), inner, budget))
    codec = next((codec for codec in _CODECS if head.startswith(codec.magic)), None)
    if codec is None:
        raise InputError("not-this-format", "no compressed stream that is known")
    return _reading(codec.format, name, _gathered(_streams(source, codec, budget), source, budget))


_SUFFIXES = (".gz", ".gzip", ".bz2", ".xz", ".lzma", ".z", ".zlib", ".lz4")


def _reading(format_name: str, name: str, unpacked: _Unpacked) -> Reading:
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    inner = stem if dot and stem and f".{suffix.lower()}" in _SUFFIXES else "content"
    part = Part(name=inner, source=MemorySource(unpacked.content))
    return Reading(format=format_name, gaps=unpacked.gaps, anomalies=unpacked.anomalies, parts=(part,))


def _gathered(pieces: "Iterator[bytes | Gap]", source: Source, budget: Budget) -> _Unpacked:
    """Join what is unpacked, under the budget; a break or a limit keeps what came before it."""
    held = bytearray()
    gaps: list[Gap] = []
    anomalies: list[Anomaly] = []
    try:
        for piece in pieces:
            if isinstance(piece, Gap):
                gaps.append(piece)
                continue
            budget.spend_bytes(len(piece))
            budget.need_memory(len(held) + len(piece), "the unpacked content")
            held += piece
            size = len(held)
            if size >= BOMB_SIZE and size >= BOMB_RATIO * source.size:
                message = f"{source.size} bytes unpack to {size} and more"
                anomalies.append(Anomaly(code="compressed-bomb", message=message))
                gaps.append(Gap(code="compressed-bomb", message=f"{message}; the rest was not unpacked"))
                break
    except (InputError, LimitError) as error:
        if not held:
            raise
        gaps.append(Gap(code=error.code, message=error.message))
    if not held and gaps:
        raise InputError("not-this-format", gaps[0].message)
    return _Unpacked(held, tuple(gaps), tuple(anomalies))


def _streams(source: Source, codec: _Codec, budget: Budget) -> "Iterator[bytes | Gap]":
    """The contents of all streams behind each other, then a gap for what is no further stream."""
    run, start, steps = codec.new(), 0, 0
    data = source.read(0, CHUNK)
    at = len(data)
    while data or not run.needs_input:
        budget.tick()
        try:
            piece = run.decompress(data, CHUNK)
        except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
            if codec.format != "zlib" or "data check" in str(error):
                yield from _before_the_break(source, codec, start, steps)
            yield Gap(code="bad-stream", message=f"{codec.format} stream is broken: {error}", offset=at)
            return
        steps += 1
        if piece:
            yield piece
        if run.eof:
            at -= len(run.unused_data)
            if not codec.several or source.read(at, len(codec.magic)) != codec.magic:
                yield from _behind(source, at)
                return
            run, start, steps = codec.new(), at, 0
        elif not run.needs_input:
            data = b""
            continue
        data = source.read(at, CHUNK)
        at += len(data)
    yield Gap(code="truncated", message=f"{codec.format} stream ends early", offset=at)


def _before_the_break(source: Source, codec: _Codec, start: int, steps: int) -> Iterator[bytes]:
    """What the step that failed would have given: a loader has it, and has run it, before it meets a wrong checksum."""
    run, at = codec.new(), start
    data = b""
    for step in range(steps + 1):
        data = source.read(at, CHUNK) if run.needs_input else b""
        at += len(data)
        if step < steps:
            run.decompress(data, CHUNK)
    try:
        for number in range(len(data)):
            yield run.decompress(data[number : number + 1], 64)
            while not run.needs_input:
                yield run.decompress(b"", 64)
    except (zlib.error, OSError, lzma.LZMAError, EOFError):
        return


def _behind(source: Source, at: int) -> Iterator[Gap]:
    left = source.size - at
    if left and source.read(at, CHUNK).strip(b"\0"):
        yield Gap(code="trailing-bytes", message=f"{left} bytes behind the compressed stream", offset=at)


def _lz4(source: Source, budget: Budget) -> "Iterator[bytes | Gap]":
    base: int = 0
    while True:
        end = 0
        for block, behind in lz4.unpack(Slice(source, base, source.size - base), budget):
            end = behind
            if block:
                yield block
        base += end
        if source.read(base, 4) != lz4.MAGIC:
            yield from _behind(source, base)
            return


def _zfile(source: Source) -> Source:
    """The zlib stream of an old joblib file."""
    head = source.read(0, ZFILE + 1)
    try:
        int(head[2:ZFILE], 16)
    except ValueError:
        raise InputError("not-this-format", "no length behind ZF") from None
    start = ZFILE + 1 if head[ZFILE:] == b" " else ZFILE
    return Slice(source, start, max(0, source.size - start))
