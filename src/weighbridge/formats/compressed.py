"""Compressed streams: gzip, bzip2, xz, lzma, zlib, lz4, zstd, and the zlib file of old joblib. The content becomes a part.

Unpacking stops at the budget's memory and at a growth that no data has; what was unpacked until then is examined all
the same. Several streams behind each other are one content, as their loaders read them, also where zeros stand between
them. What a stream carries beside its content (the names in a gzip header, skippable frames of zstd and lz4) is noted,
or handed on as a part of its own. Dictionaries are not supported. Containers (zip, tar, 7z) are other readers' work.

Specs: RFC 1950, RFC 1952, RFC 8878 (zstd), LZ4 frame format 1.6, the .xz file format 1.2.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import MemorySource, Slice, Source
from weighbridge.core.text import visible
from weighbridge.formats.membernames import escapes
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading
from weighbridge.formats.sniff import looks_like_text, starts_like_lzma, starts_like_zlib
from weighbridge.formats.unpacked import Decompressor, new_zstd

CHUNK = 256 * 1024
BOMB_SIZE = 10_000_000
BOMB_RATIO = 500
"""Only content of at least this size and growth is called a bomb; random or real weights never grow so."""
ZFILE = 21
"""joblib 0.8: `ZF`, then the content's length in hexadecimal in 19 characters, then a zlib stream."""
MAX_NAME = 4096
"""Bytes of a name or comment in a gzip header."""


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


class _Native:
    """The decompressors of the zstd and lz4 libraries, whose errors become `OSError`, as bzip2's are."""

    def __init__(self, run: Decompressor, broken: type[Exception]) -> None:
        self._run, self._broken = run, broken

    @property
    def eof(self) -> bool:
        return self._run.eof

    @property
    def unused_data(self) -> bytes:
        return self._run.unused_data or b""

    @property
    def needs_input(self) -> bool:
        return self._run.needs_input

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return self._run.decompress(data, max_length)
        except self._broken as error:
            raise OSError(visible(str(error), 200)) from None


def _zstd() -> Decompressor:
    return _Native(*new_zstd())


def _lz4() -> Decompressor:
    import lz4.frame

    return _Native(lz4.frame.LZ4FrameDecompressor(), RuntimeError)


class _Codec(NamedTuple):
    format: str
    magic: bytes
    new: Callable[[], Decompressor]
    several: bool = True
    """Whether loaders read on into a stream that follows."""
    skips: bool = False
    """Whether frames may stand between the streams that loaders skip."""

    def starts(self, head: bytes) -> bool:
        """Whether a stream of this kind begins like this."""
        if self.format in ("zlib", "lzma") and (
            starts_like_zlib if self.format == "zlib" else starts_like_lzma
        )(head):
            return True
        return head.startswith(self.magic) or (self.skips and _is_skippable(head))


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
    _Codec("lz4", b"\x04\x22\x4d\x18", _lz4, skips=True),
    _Codec("zstd", b"\x28\xb5\x2f\xfd", _zstd, skips=True),
)
_GZIP, _ZLIB = _CODECS[0], _CODECS[4]
_BROKEN = (zlib.error, OSError, lzma.LZMAError, EOFError)


class _Unpacked(NamedTuple):
    content: bytearray
    gaps: tuple[Gap, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()
    beside: tuple[Part, ...] = ()
    """What stands in skippable frames."""


_Piece = bytes | Gap | Anomaly | Part


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Unpack one file. Raises `InputError` (`not-this-format`) where nothing can be unpacked."""
    head = source.read(0, 14)
    if head[:2] == b"ZF":
        inner = _zfile(source)
        return _reading("joblib-zfile", name, _gathered(_streams(inner, _ZLIB, budget), inner, budget))
    if _is_skippable(head):
        return _behind_skippable(source, budget, name)
    codec = next((codec for codec in _CODECS if codec.starts(head)), None)
    if codec is None:
        raise InputError("not-this-format", "no compressed stream that is known")
    inner_name = _header_name(source, name) if codec is _GZIP else name
    return _reading(codec.format, inner_name, _gathered(_streams(source, codec, budget), source, budget))


def _behind_skippable(source: Source, budget: Budget, name: str) -> Reading:
    """A file that begins with skippable frames is what the first other frame says."""
    at = 0
    while _is_skippable(head := source.read(at, 8)):
        budget.spend_members()
        at += 8 + int.from_bytes(head[4:], "little")
    codec = next((codec for codec in _CODECS if codec.skips and head.startswith(codec.magic)), None)
    if codec is None:
        raise InputError("not-this-format", "no compressed stream behind skippable frames")
    return _reading(codec.format, name, _gathered(_streams(source, codec, budget), source, budget))


_SUFFIXES = (".gz", ".gzip", ".bz2", ".xz", ".lzma", ".z", ".zlib", ".lz4", ".zst", ".zstd")


def _reading(format_name: str, name: str, unpacked: _Unpacked) -> Reading:
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    if suffix.lower() in ("tgz", "tbz2", "txz", "tzst"):
        stem += ".tar"
    elif not (dot and stem and f".{suffix.lower()}" in _SUFFIXES):
        stem = "content"
    parts = (Part(name=stem, source=MemorySource(unpacked.content)), *unpacked.beside)
    return Reading(format=format_name, gaps=unpacked.gaps, anomalies=unpacked.anomalies, parts=parts)


def _header_name(source: Source, name: str) -> str:
    """The name in the gzip header, where the file's own says nothing of its content's kind."""
    stem = name.rpartition("/")[2].rpartition(".")[0]
    written = next((text for flag, text in _header_fields(source) if flag == 0x08), b"")
    if "." in stem or not written:
        return name
    return written.decode("latin-1").replace("\\", "/").rpartition("/")[2] + ".gz"


def _header_fields(source: Source) -> "Iterator[tuple[int, bytes]]":
    """The optional fields of a gzip header (RFC 1952, 2.3.1) as far as they are whole: (flag, content)."""
    flags, at = source.read(3, 1), 10
    if not flags:
        return
    if flags[0] & 0x04:
        length = int.from_bytes(source.read(at, 2), "little")
        yield 0x04, source.read(at + 2, length)
        at += 2 + length
    for flag in (0x08, 0x10):
        if flags[0] & flag:
            text, end, _ = source.read(at, MAX_NAME).partition(b"\0")
            yield flag, text
            if not end:
                return
            at += len(text) + 1


def _note_header(source: Source, at: int) -> "Iterator[Anomaly]":
    """What is odd in a gzip header: a name that leads elsewhere, fields that are no text."""
    for flag, text in _header_fields(Slice(source, at, source.size - at)):
        if flag == 0x08 and escapes(text.decode("latin-1")):
            message = f'"{visible(text.decode("latin-1"))}" in the gzip header leads out of the folder it is unpacked in'
            yield Anomaly(code="path-escapes", message=message, offset=at)
        if flag != 0x04 and (len(text) >= MAX_NAME or not looks_like_text(text)):
            yield Anomaly(
                code="gzip-header-data", message="the gzip header holds more than a name", offset=at
            )
        if flag == 0x04 and len(text) > 1024:
            message = f"{len(text)} bytes stand in an extra field of the gzip header"
            yield Anomaly(code="gzip-header-data", message=message, offset=at)


def _gathered(pieces: "Iterator[_Piece]", source: Source, budget: Budget) -> _Unpacked:
    """Join what is unpacked, under the budget; a break or a limit keeps what came before it."""
    held = bytearray()
    gaps: list[Gap] = []
    anomalies: list[Anomaly] = []
    beside: list[Part] = []
    try:
        for piece in pieces:
            match piece:
                case Gap():
                    gaps.append(piece)
                case Anomaly():
                    anomalies += [piece] if len(anomalies) < 100 else []
                case Part():
                    beside += [piece] if len(beside) < 1000 else []
                case _:
                    budget.spend_bytes(len(piece))
                    budget.need_memory(len(held) + len(piece), "the unpacked content")
                    held += piece
            if len(held) >= BOMB_SIZE and len(held) >= BOMB_RATIO * source.size:
                message = f"{source.size} bytes unpack to {len(held)} and more"
                anomalies.append(Anomaly(code="compressed-bomb", message=message))
                gaps.append(Gap(code="compressed-bomb", message=f"{message}; the rest was not unpacked"))
                break
    except (InputError, LimitError) as error:
        if not held:
            raise
        gaps.append(Gap(code=error.code, message=error.message))
    if not held and gaps and not beside:
        raise InputError("not-this-format", gaps[0].message)
    return _Unpacked(held, tuple(gaps), tuple(anomalies), tuple(beside))


def _streams(source: Source, codec: _Codec, budget: Budget) -> "Iterator[_Piece]":
    """The contents of all streams behind each other, then a gap for what is no further stream."""
    at = 0
    while True:
        budget.spend_members()
        if codec is _GZIP:
            yield from _note_header(source, at)
        if codec.skips and _is_skippable(head := source.read(at, 8)):
            length = int.from_bytes(head[4:], "little")
            yield from _skipped(source, at, length)
            end = min(source.size, at + 8 + length)
        else:
            end = yield from _stream(source, codec, at, budget)
        if end < 0:
            return
        next_at = _behind_zeros(source, end, budget)
        if next_at >= source.size:
            return
        if not codec.several or not codec.starts(source.read(next_at, 8)):
            left = source.size - end
            yield Gap(code="trailing-bytes", message=f"{left} bytes behind the compressed stream", offset=end)
            return
        if next_at > end:
            message = f"zeros from byte {end} on, and behind them a stream that not every reader sees"
            yield Anomaly(code="stream-behind-zeros", message=message, offset=next_at)
        at = next_at


def _stream(source: Source, codec: _Codec, start: int, budget: Budget) -> "Generator[_Piece, None, int]":
    """One stream; gives the offset behind it, -1 where it breaks."""
    run, steps = codec.new(), 0
    data = source.read(start, CHUNK)
    at = start + len(data)
    while data or not run.needs_input:
        budget.tick()
        try:
            piece = run.decompress(data, CHUNK)
        except _BROKEN as error:
            if codec.format != "zlib" or "data check" in str(error):
                yield from _before_the_break(source, codec, start, steps)
            yield Gap(code="bad-stream", message=f"{codec.format} stream is broken: {error}", offset=at)
            return -1
        steps += 1
        if piece:
            yield piece
        if run.eof:
            return at - len(run.unused_data)
        data = source.read(at, CHUNK) if run.needs_input else b""
        at += len(data)
    yield Gap(code="truncated", message=f"{codec.format} stream ends early", offset=at)
    return -1


def _is_skippable(head: bytes) -> bool:
    """A frame that zstd and lz4 step over (RFC 8878, 3.1.2)."""
    return len(head) >= 4 and 0x50 <= head[0] <= 0x5F and head[1:4] == b"\x2a\x4d\x18"


def _skipped(source: Source, at: int, length: int) -> "Iterator[_Piece]":
    """The content of a skippable frame: a table of pzstd or of the seekable format, or something hidden."""
    data = Slice(source, min(at + 8, source.size), max(0, min(length, source.size - at - 8)))
    if data.size < length:
        yield Gap(code="truncated", message="a skippable frame ends early", offset=at)
    is_table = length >= 9 and data.read(length - 4, 4) == b"\xb1\xea\x92\x8f"
    if length <= 4 or is_table:
        return
    yield Anomaly(code="skippable-frame", message=f"{length} bytes that loaders step over", offset=at)
    yield Part(name=f"skippable frame at {at}", source=data)


def _behind_zeros(source: Source, at: int, budget: Budget) -> int:
    """Where something other than padding begins; the source's size where nothing does."""
    while piece := source.read(at, CHUNK):
        content = piece.lstrip(b"\0")
        if content:
            return at + len(piece) - len(content)
        budget.spend_bytes(len(piece))
        at += len(piece)
    return source.size


def _before_the_break(source: Source, codec: _Codec, start: int, steps: int) -> "Iterator[_Piece]":
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
    except _BROKEN:
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
