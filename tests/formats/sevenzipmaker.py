"""Writes 7z archives field by field, so that tests can let the header lie. Contents are stored with the Copy coder."""

import struct
import zlib
from dataclasses import dataclass
from typing import Any

SYMLINK = 0o120777


@dataclass(kw_only=True)
class Item:
    """One member; without data it is an empty file, or a folder or anti item where that is said."""

    name: str
    data: bytes = b""
    mode: int = 0o100644
    folder: bool = False
    anti: bool = False
    crc: int | None = None
    """Written in place of the right one."""


def number(value: int) -> bytes:
    """The shortest form of a number."""
    for extra in range(8):
        if value < 1 << (7 * (extra + 1)):
            mask = (0xFF << (8 - extra)) & 0xFF
            return bytes([mask | value >> (8 * extra)]) + (value & (1 << 8 * extra) - 1).to_bytes(
                extra, "little"
            )
    return b"\xff" + value.to_bytes(8, "little")


def bits(values: list[bool]) -> bytes:
    out = bytearray(-(-len(values) // 8))
    for index, value in enumerate(values):
        out[index >> 3] |= 0x80 >> (index & 7) if value else 0
    return bytes(out)


def block(kind: int, data: bytes) -> bytes:
    return bytes([kind]) + number(len(data)) + data


def make(*items: Item, **lies: Any) -> bytes:
    """The bytes of the archive. `lies`: method, packed, size, header (replaces it), behind, between, header_crc, start_crc."""
    filled = [item for item in items if item.data]
    packed = lies.get("packed", b"".join(item.data for item in filled))
    header = lies.get("header", b"\x01" + _streams(filled, packed, lies) + _files(items, lies) + b"\0")
    between = lies.get("between", b"")
    start = struct.pack(
        "<QQL",
        lies.get("offset", len(packed) + len(between)),
        lies.get("length", len(header)),
        lies.get("header_crc", zlib.crc32(header)),
    )
    head = b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<L", lies.get("start_crc", zlib.crc32(start))) + start
    return head + packed + between + header + lies.get("behind", b"")


def _streams(filled: list[Item], packed: bytes, lies: dict[str, Any]) -> bytes:
    if not filled:
        return b""
    method = lies.get("method", b"\0")
    size = lies.get("size", sum(len(item.data) for item in filled))
    out = b"\x04\x06" + number(lies.get("position", 0)) + number(1) + b"\x09" + number(len(packed)) + b"\0"
    out += b"\x07\x0b" + number(1) + b"\0" + number(1) + bytes([len(method)]) + method
    out += b"\x0c" + number(size) + b"\0"
    out += b"\x08\x0d" + number(len(filled))
    out += b"\x09" + b"".join(number(len(item.data)) for item in filled[:-1])
    crcs = (zlib.crc32(item.data) if item.crc is None else item.crc for item in filled)
    out += b"\x0a\x01" + b"".join(struct.pack("<L", crc) for crc in crcs) + b"\0"
    return out + b"\0"


def _files(items: tuple[Item, ...], lies: dict[str, Any]) -> bytes:
    empty = [item for item in items if not item.data]
    out = b"\x05" + number(lies.get("count", len(items)))
    if empty:
        out += block(0x0E, bits([not item.data for item in items]))
        out += block(0x0F, bits([not item.folder for item in empty]))
    if any(item.anti for item in empty):
        out += block(0x10, bits([item.anti for item in empty]))
    out += block(0x11, b"\0" + b"".join(item.name.encode("utf-16-le") + b"\0\0" for item in items))
    out += block(0x19, lies.get("padding", b"\0\0"))
    attributes = b"".join(struct.pack("<L", item.mode << 16 | 0x8000) for item in items)
    return out + block(0x15, b"\x01\0" + attributes) + b"\0"
