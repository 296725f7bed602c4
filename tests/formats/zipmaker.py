"""Writes zip files field by field, so that tests can let the headers lie."""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

STORED, DEFLATED = 0, 8


@dataclass(kw_only=True)
class Item:
    """One entry; `local` and `central` overrule fields (name, flags, method, crc, packed, size, extra, mode, offset)."""

    name: str
    data: bytes
    method: int = STORED
    local: dict[str, Any] = field(default_factory=dict)
    central: dict[str, Any] = field(default_factory=dict)
    listed: bool = True
    descriptor: bool = False
    packed: bytes | None = None
    behind: bytes = b""
    """Bytes put behind the entry that belong to nothing."""


def deflate(data: bytes) -> bytes:
    run = zlib.compressobj(9, zlib.DEFLATED, -15)
    return run.compress(data) + run.flush()


def make(*items: Item, prefix: bytes = b"", comment: bytes = b"", end: dict[str, int] | None = None) -> bytes:
    """The bytes of the archive; offsets count from the start of the file, `prefix` included."""
    out, directory, count = bytearray(prefix), bytearray(), 0
    for item in items:
        offset = len(out)
        out += _local(item) + _packed(item)
        if item.descriptor:
            out += struct.pack(
                "<4s3L", b"PK\x07\x08", zlib.crc32(item.data), len(_packed(item)), len(item.data)
            )
        out += item.behind
        if item.listed:
            directory += _central(item, offset)
            count += 1
    fields = {"count": count, "length": len(directory), "offset": len(out), **(end or {})}
    out += directory
    out += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, fields["count"], fields["count"], fields["length"], fields["offset"],
                       len(comment))  # fmt: skip
    return bytes(out) + comment


def _packed(item: Item) -> bytes:
    if item.packed is not None:
        return item.packed
    return deflate(item.data) if item.method == DEFLATED else item.data


def _fields(item: Item, changes: dict[str, Any]) -> dict[str, Any]:
    plain = {
        "name": item.name.encode(), "flags": 0x800, "method": item.method, "crc": zlib.crc32(item.data),
        "packed": len(_packed(item)), "size": len(item.data), "extra": b"", "mode": 0,
    }  # fmt: skip
    return {**plain, **changes}


def _local(item: Item) -> bytes:
    zeros = {"flags": 0x808, "crc": 0, "packed": 0, "size": 0} if item.descriptor else {}
    f = _fields(item, {**zeros, **item.local})
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, f["flags"], f["method"], 0, 33, f["crc"], f["packed"], f["size"],
                       len(f["name"]), len(f["extra"]))  # fmt: skip
    return head + f["name"] + f["extra"]


def _central(item: Item, offset: int) -> bytes:
    f = _fields(item, {**({"flags": 0x808} if item.descriptor else {}), **item.central})
    head = struct.pack("<4s6H3L5H2L", b"PK\1\2", 0x314, 20, f["flags"], f["method"], 0, 33, f["crc"], f["packed"],
                       f["size"], len(f["name"]), len(f["extra"]), 0, 0, 0, f["mode"] << 16,
                       f.get("offset", offset))  # fmt: skip
    return head + f["name"] + f["extra"]
