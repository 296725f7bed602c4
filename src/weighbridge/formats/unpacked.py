"""Unpacked: a Source over what a decompressor makes of packed bytes, without holding more than the budget allows.

Nothing is unpacked before it is read. Small contents are kept on a shelf that the members of one archive share;
large ones are unpacked again from the start when a reader goes back, and every unpacked byte is spent from the budget,
so that going back and forth in a bomb ends at its limit. Does not know archives and does not look at what it unpacks.
"""

import sys
import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source

if TYPE_CHECKING:
    import lzma

CHUNK = 256 * 1024
SHELF_SHARE = 4
"""A shelf holds this fraction of `Limits.memory`: archives nest, and each level has its own shelf."""


class Codec(Protocol):
    """One run of a decompressor."""

    @property
    def ended(self) -> bool:
        """True when the packed stream's own end was reached."""

    @property
    def spare(self) -> int:
        """Packed bytes that were handed in and lie behind the stream's end."""

    def unpack(self, packed: bytes, limit: int) -> bytes:
        """At most `limit` bytes more; call with `b""` until it gives nothing to use up what was handed in."""


class Deflate:
    """Raw deflate (RFC 1951), as zip members hold it."""

    def __init__(self) -> None:
        self._run = zlib.decompressobj(-zlib.MAX_WBITS)

    @property
    def ended(self) -> bool:
        """See `Codec`."""
        return self._run.eof

    @property
    def spare(self) -> int:
        """See `Codec`."""
        return len(self._run.unused_data)

    def unpack(self, packed: bytes, limit: int) -> bytes:
        """See `Codec`."""
        if self._run.eof:
            return b""
        try:
            return self._run.decompress(self._run.unconsumed_tail + packed, limit)
        except zlib.error as error:
            raise InputError("bad-stream", f"deflate stream is broken: {error}") from None


class Bzip2:
    """One bzip2 stream."""

    def __init__(self) -> None:
        import bz2  # a few milliseconds, for the few archives that use it

        self._run = bz2.BZ2Decompressor()

    @property
    def ended(self) -> bool:
        """See `Codec`."""
        return self._run.eof

    @property
    def spare(self) -> int:
        """See `Codec`."""
        return len(self._run.unused_data)

    def unpack(self, packed: bytes, limit: int) -> bytes:
        """See `Codec`."""
        if self._run.eof:
            return b""
        try:
            return self._run.decompress(packed, limit)
        except (OSError, RuntimeError) as error:  # the second once it has failed before
            raise InputError("bad-stream", f"bzip2 stream is broken: {error}") from None


class Zstd:
    """One zstd frame. zip (method 93) and 7z hold them."""

    def __init__(self) -> None:
        self._run, self._broken = new_zstd()

    @property
    def ended(self) -> bool:
        """See `Codec`."""
        return self._run.eof

    @property
    def spare(self) -> int:
        """See `Codec`."""
        return len(self._run.unused_data)

    def unpack(self, packed: bytes, limit: int) -> bytes:
        """See `Codec`."""
        if self._run.eof:
            return b""
        try:
            return self._run.decompress(packed, limit)
        except self._broken as error:
            raise InputError("bad-stream", f"zstd stream is broken: {error}") from None


class Lzma:
    """LZMA as zip holds it (method 14): two bytes of version, the length of the properties, these, and the stream."""

    def __init__(self) -> None:
        self._run: lzma.LZMADecompressor | None = None
        self._head = b""

    @property
    def ended(self) -> bool:
        """See `Codec`."""
        return self._run is not None and self._run.eof

    @property
    def spare(self) -> int:
        """See `Codec`."""
        return len(self._run.unused_data) if self._run is not None else 0

    def unpack(self, packed: bytes, limit: int) -> bytes:
        """See `Codec`."""
        import lzma

        if self._run is None:
            self._head += packed
            if len(self._head) < ZIP_LZMA_HEAD:
                return b""
            self._run, packed = _zip_lzma(self._head), self._head[ZIP_LZMA_HEAD:]
        if self._run.eof:
            return b""
        try:
            return self._run.decompress(packed, limit)
        except (lzma.LZMAError, EOFError) as error:
            raise InputError("bad-stream", f"lzma stream is broken: {error}") from None


ZIP_LZMA_HEAD = 9
MAX_DICTIONARY = 256 * 1024**2


def _zip_lzma(head: bytes) -> "lzma.LZMADecompressor":
    import lzma

    dictionary = int.from_bytes(head[5:9], "little")
    if head[2:4] != b"\5\0" or head[4] >= 225 or dictionary > MAX_DICTIONARY:
        raise InputError("bad-stream", "lzma properties that are not supported")
    rest, lc = divmod(head[4], 9)
    pb, lp = divmod(rest, 5)
    spec = {"id": lzma.FILTER_LZMA1, "dict_size": max(4096, dictionary), "lc": lc, "lp": lp, "pb": pb}
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[spec])
    except lzma.LZMAError as error:
        raise InputError("bad-stream", f"lzma stream is broken: {error}") from None


class Decompressor(Protocol):
    """What the standard library's decompressor objects have in common."""

    @property
    def eof(self) -> bool:
        """True behind the stream's own end."""

    @property
    def unused_data(self) -> bytes:
        """What was handed in behind the end."""

    @property
    def needs_input(self) -> bool:
        """False while it gives more without being handed any more."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most `max_length` bytes more."""


WINDOW_LOG = 27
"""zstd frames that need more than 128 MiB of memory are refused, as the command line tool does."""


def new_zstd() -> tuple[Decompressor, type[Exception]]:
    """A decompressor of one zstd frame, and what it raises."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    options = {int(zstd.DecompressionParameter.window_log_max): WINDOW_LOG}
    return zstd.ZstdDecompressor(options=options), zstd.ZstdError


class Shelf:
    """Unpacked contents that are still at hand, oldest thrown out first."""

    __slots__ = ("_held", "_room", "_size")

    def __init__(self, budget: Budget) -> None:
        self._room = budget.limits.memory // SHELF_SHARE
        self._held: OrderedDict[object, bytes] = OrderedDict()
        self._size = 0

    @property
    def room(self) -> int:
        """The largest content that is kept."""
        return self._room

    def get(self, key: object) -> bytes | None:
        """The content put under this key, if it is still here."""
        data = self._held.get(key)
        if data is not None:
            self._held.move_to_end(key)
        return data

    def put(self, key: object, data: bytes) -> None:
        """Keep `data`; the least recently used make room."""
        self._size += len(data) - len(self._held.get(key, b""))
        self._held[key] = data
        while len(self._held) > 1 and self._size > self._room:
            self._size -= len(self._held.popitem(last=False)[1])


class Unpacked:
    """A Source of `size` bytes that `new()` makes of `packed`.

    Raises `InputError` (`bad-stream`, `truncated`) from `read` where the stream breaks or ends before `size`.
    """

    __slots__ = ("_budget", "_codec", "_new", "_packed", "_shelf", "_size", "_taken", "_window", "_window_at")

    def __init__(
        self, packed: Source, size: int, new: Callable[[], Codec], budget: Budget, shelf: Shelf
    ) -> None:
        self._packed, self._size, self._new, self._budget, self._shelf = packed, size, new, budget, shelf
        self._codec: Codec | None = None
        self._taken = 0
        self._window, self._window_at = b"", 0

    @property
    def size(self) -> int:
        """The declared length."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        if offset < 0 or length < 0:
            raise InputError("bad-offset", f"offset {offset} with length {length} is no place in a file")
        length = max(0, min(length, self._size - offset))
        if not length:
            return b""
        if self._size > self._shelf.room:
            return self._stream(offset, length)
        data = self._shelf.get(self)
        if data is None:
            data = self._stream(0, self._size)
            self._shelf.put(self, data)
            self._codec, self._window = None, b""
        return data[offset : offset + length]

    def measure(self, limit: int) -> tuple[int, bool]:
        """How much the stream really gives, up to `limit`, and whether packed bytes lie behind its end.

        Unpacks all of it once and keeps what belongs to `size` at hand; ask only where that is small.
        """
        codec, taken, out, pieces = self._new(), 0, 0, []
        while not codec.ended and out < limit:
            packed = self._packed.read(taken, CHUNK)
            taken += len(packed)
            made = codec.unpack(packed, limit - out)
            self._budget.spend_bytes(len(made))
            if not made and not packed:
                break
            out += len(made)
            pieces.append(made)
        if out >= self._size:
            self._shelf.put(self, b"".join(pieces)[: self._size])
        return out, codec.ended and (codec.spare > 0 or taken < self._packed.size)

    def resized(self, size: int) -> "Unpacked":
        """The same stream with another length."""
        return Unpacked(self._packed, size, self._new, self._budget, self._shelf)

    def _stream(self, offset: int, length: int) -> bytes:
        if self._codec is None or offset < self._window_at:
            self._codec, self._taken, self._window, self._window_at = self._new(), 0, b"", 0
        self._budget.need_memory(length, "an unpacked part")
        pieces: list[bytes] = []
        while length:
            ready = self._window[offset - self._window_at :][:length]
            pieces.append(ready)
            offset, length = offset + len(ready), length - len(ready)
            if length:
                self._next_window(self._codec)
        return b"".join(pieces)

    def _next_window(self, codec: Codec) -> None:
        end = self._window_at + len(self._window)
        if codec.ended:
            raise InputError("truncated", f"stream ends after {end} of {self._size} bytes")
        packed = self._packed.read(self._taken, CHUNK)
        self._taken += len(packed)
        made = codec.unpack(packed, max(CHUNK, 4 * len(packed)))
        self._budget.spend_bytes(len(made))
        if not made and not packed:
            raise InputError("truncated", f"stream ends after {end} of {self._size} bytes")
        self._window, self._window_at = made, end
