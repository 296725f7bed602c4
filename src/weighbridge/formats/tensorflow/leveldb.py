"""LevelDB tables (`.ldb`, and TensorFlow's checkpoint indexes): keys and values in the order of the file.

Reads the footer, the index block and every data block, each within the file. Compressed blocks, which TensorFlow does not
write, are refused, and checksums are not computed. Format: LevelDB's `doc/table_format.md`.
"""

from collections.abc import Iterator
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.formats.framework import ContradictionError

MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER = 48
MAX_BLOCK = 64 * 1024**2
MAX_KEY = 64 * 1024


class Handle(NamedTuple):
    """Where a block lies."""

    offset: int
    size: int


class Pair(NamedTuple):
    """One key with its value."""

    key: bytes
    value: bytes
    offset: int
    """Of the block in which it lies."""


def is_table(source: Source) -> bool:
    """Whether the file ends with a table's footer."""
    return source.size >= FOOTER and source.read(source.size - 8, 8) == MAGIC


def pairs(source: Source, budget: Budget) -> Iterator[Pair]:
    """Every key and value. `ContradictionError` (`out-of-file`, `structure-invalid`), `InputError` (`codec-unknown`)."""
    footer = source.read(source.size - FOOTER, FOOTER)
    _, at = _handle(footer, 0)
    index, _ = _handle(footer, at)
    for entry in _block(source, budget, index):
        handle, _ = _handle(entry.value, 0)
        yield from _block(source, budget, handle)


def _block(source: Source, budget: Budget, handle: Handle) -> Iterator[Pair]:
    if handle.offset + handle.size + 5 > source.size - FOOTER + 5 or handle.size < 4:
        message = f"a block of {handle.size} bytes at byte {handle.offset} lies outside of the file"
        raise ContradictionError("out-of-file", message, handle.offset)
    if handle.size > MAX_BLOCK:
        budget.need_memory(handle.size, "a block of a table")
    data = source.read(handle.offset, handle.size + 1)
    budget.spend_bytes(len(data))
    if data[-1]:
        raise InputError("codec-unknown", f"a block of a table is compressed with codec {data[-1]}")
    restarts = int.from_bytes(data[handle.size - 4 : handle.size], "little")
    end = handle.size - 4 - 4 * restarts
    if end < 0:
        raise ContradictionError("count-overflow", f"a block with {restarts} restarts", handle.offset)
    at, key = 0, b""
    while at < end:
        budget.spend_members()
        shared, at = varint(data, at, end)
        length, at = varint(data, at, end)
        size, at = varint(data, at, end)
        if shared > len(key) or at + length + size > end or shared + length > MAX_KEY:
            raise ContradictionError("structure-invalid", "an entry is longer than its block", handle.offset)
        key = key[:shared] + data[at : at + length]
        at += length + size
        yield Pair(key, data[at - size : at], handle.offset)


def _handle(data: bytes, at: int) -> tuple[Handle, int]:
    offset, at = varint(data, at, len(data))
    size, at = varint(data, at, len(data))
    return Handle(offset, size), at


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number and the offset behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise ContradictionError("structure-invalid", "a number that does not end")
