"""LZ4 frames, unpacked in plain Python: slow, but without native code on hostile bytes.

Layout: LZ4 frame format 1.6 and block format. Checksums are not verified (a loader that verifies them refuses what we
still look at), and dictionaries are not supported.
"""

from collections.abc import Iterator

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source

MAGIC = b"\x04\x22\x4d\x18"
BLOCK_MAX = {4: 64 * 1024, 5: 256 * 1024, 6: 1024**2, 7: 4 * 1024**2}
REACH = 64 * 1024
"""How far back a match may reach, also into the blocks before."""


def unpack(source: Source, budget: Budget) -> Iterator[tuple[bytes, int]]:
    """The frame's contents block by block, each with the offset behind it. Raises `InputError` (`bad-stream`)."""
    flags, block_max, at = _header(source)
    linked, block_sums, content_sum = not flags & 0x20, flags & 0x10, flags & 0x04
    history = bytearray()
    while True:
        size = int.from_bytes(_exactly(source, at, 4), "little")
        at += 4
        if size == 0:
            yield b"", at + (4 if content_sum else 0)
            return
        packed = _exactly(source, at, size & 0x7FFFFFFF, block_max)
        at += len(packed) + (4 if block_sums else 0)
        block = packed if size & 0x80000000 else _block(packed, history if linked else bytearray(), block_max)
        budget.tick()
        history = bytearray((bytes(history) + block)[-REACH:])
        yield block, at


def _header(source: Source) -> tuple[int, int, int]:
    head = source.read(0, 7)
    if len(head) < 7 or head[:4] != MAGIC:
        raise InputError("not-this-format", "no lz4 frame")
    flags, block_max = head[4], BLOCK_MAX.get(head[5] >> 4 & 7)
    if flags >> 6 != 1 or block_max is None or flags & 0x01:
        raise InputError("bad-stream", "an lz4 frame of a kind that is not supported")
    return flags, block_max, 7 + (8 if flags & 0x08 else 0)


def _exactly(source: Source, offset: int, length: int, limit: int | None = None) -> bytes:
    if limit is not None and length > limit:
        raise InputError("bad-stream", f"an lz4 block of {length} bytes, the frame allows {limit}")
    data = source.read(offset, length)
    if len(data) < length:
        raise InputError("truncated", "an lz4 frame ends inside a block")
    return data


def _block(packed: bytes, history: bytearray, limit: int) -> bytes:
    """One block: runs of literals, each followed by a match that reaches back."""
    out = history
    start, at, end = len(history), 0, len(packed)
    try:
        while True:
            token = packed[at]
            count, at = _length(packed, at + 1, token >> 4)
            if at + count > end:
                raise InputError("bad-stream", "an lz4 block ends inside its literals")
            out += packed[at : at + count]
            at += count
            if at == end:
                return bytes(out[start:])
            reach = packed[at] | packed[at + 1] << 8
            count, at = _length(packed, at + 2, token & 15)
            _copy(out, reach, count + 4)
            if len(out) - start > limit:
                raise InputError("bad-stream", "an lz4 block unpacks to more than its frame allows")
    except IndexError:
        raise InputError("bad-stream", "an lz4 block ends inside a token") from None


def _length(packed: bytes, at: int, count: int) -> tuple[int, int]:
    """A length and what is behind it: 15 means that more bytes follow."""
    if count < 15:
        return count, at
    while True:
        more = packed[at]
        at += 1
        count += more
        if more != 255:
            return count, at


def _copy(out: bytearray, reach: int, count: int) -> None:
    """Append `count` bytes that stand `reach` back; they may overlap what is being written."""
    if not 0 < reach <= len(out):
        raise InputError("bad-stream", "an lz4 match reaches before the data")
    piece = bytes(out[len(out) - reach :][:count])
    whole, rest = divmod(count, len(piece))
    out += piece * whole + piece[:rest]
