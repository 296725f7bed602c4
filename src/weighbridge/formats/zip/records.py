"""The records of a zip file, as bytes: PKWARE's APPNOTE 6.3.9, sections 4.3 (layout), 4.4 (fields) and 4.5 (extra fields).

Says what the fields of one record mean, no more: whether two records contradict each other is for `entries` and `ends`.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from weighbridge.core.source import Source

STORED, DEFLATED, BZIP2, LZMA, ZSTD = 0, 8, 12, 14, 93
LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR = struct.Struct("<4sLQL")
ALL_ONES = 0xFFFFFFFF
ENCRYPTED, DESCRIPTOR, PATCHED, STRONG, UTF8 = 0x1, 0x8, 0x20, 0x40, 0x800


class Record(NamedTuple):
    """A directory record or a local header."""

    name: str
    raw: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    extra: bytes
    header_at: int = 0
    mode: int = 0
    at: int = 0
    length: int = 0


def decoded(raw: bytes, flags: int) -> str:
    """A name as zipfile decodes it (APPNOTE 4.4.4, bit 11)."""
    if flags & UTF8 or raw.isascii():
        return raw.decode("utf-8", "surrogateescape")
    return raw.decode("cp437")


def local_header(source: Source, at: int) -> Record | None:
    """The local header at `at`, the zip64 sizes put in; None where none stands (APPNOTE 4.3.7)."""
    head = source.read(at, LOCAL.size + 256) if at >= 0 else b""
    if len(head) < LOCAL.size or head[:4] != b"PK\x03\x04":
        return None
    _, _, flags, method, _, _, crc, packed, size, n, e = LOCAL.unpack_from(head)
    if len(head) < LOCAL.size + n + e:
        head = source.read(at, LOCAL.size + n + e)
    raw, extra = head[LOCAL.size : LOCAL.size + n], head[LOCAL.size + n : LOCAL.size + n + e]
    if extra:
        size, packed, _ = with_zip64(extra, size, packed, 0)
    return Record(
        name=decoded(raw, flags), raw=raw, flags=flags, method=method, crc=crc, packed=packed, size=size, extra=extra,
        header_at=at, at=at, length=LOCAL.size + n + e,
    )  # fmt: skip


def with_zip64(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Size, packed size and offset with the zip64 extra field (APPNOTE 4.5.3) put in where they are all ones."""
    wide = dict(extra_fields(extra)).get(0x0001, b"")
    values = [size, packed, offset]
    for i, value in enumerate(values):
        if value == ALL_ONES and len(wide) >= 8:
            values[i], wide = int.from_bytes(wide[:8], "little"), wide[8:]
    return values[0], values[1], values[2]


def extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """(header id, data) of every extra field (APPNOTE 4.5.1)."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        yield kind, extra[position + 4 : position + 4 + length]
        position += 4 + length


def is_encrypted(record: Record) -> bool:
    """Whether the flags, or WinZip's method 99, say so (APPNOTE 4.4.4 and 4.4.5)."""
    return bool(record.flags & (ENCRYPTED | PATCHED | STRONG)) or record.method == 99


def sizes_agree(record: Record, local: Record) -> bool:
    """With a data descriptor the local header may leave sizes and checksum at zero (APPNOTE 4.4.4, bit 3)."""
    if local.flags & DESCRIPTOR and (local.packed, local.size) == (0, 0):
        return True
    return (local.packed, local.size) == (record.packed, record.size) and local.crc in (record.crc, 0)
