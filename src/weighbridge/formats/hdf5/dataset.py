"""Datasets of HDF5 files: type, shape, filters and place of the numbers, as tensors where they make one plain array.

HDF5 File Format Specification 3.0, sections IV.A.2.b, d, i and l. Chunked data is put together by `formats.hdf5chunks`
when somebody reads it; scanning does not. What a shape claims is held against the file, since loaders make room for it
before they read. Sequences of variable length (PyTables' objects) are looked into for pickles.
"""

import struct
from math import prod

from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource
from weighbridge.core.text import visible
from weighbridge.formats.hdf5.chunks import DEFLATE, FLETCHER32, SHUFFLE, Chunked, Filter, find_chunks
from weighbridge.formats.hdf5.file import (
    DATASPACE,
    DATATYPE,
    EXTERNAL,
    FILTERS,
    LAYOUT,
    UNDEFINED,
    Cursor,
    Message,
    Work,
)
from weighbridge.formats.hdf5.heap import variable_values
from weighbridge.formats.reading import Part, TensorRef
from weighbridge.formats.sniff import looks_like_text, starts_like_pickle

KNOWN_FILTERS = {
    1: "deflate",
    2: "shuffle",
    3: "fletcher32",
    4: "szip",
    5: "nbit",
    6: "scaleoffset",
    32000: "lzf",
}
"""What libhdf5 and h5py have in themselves; any other is a plug-in that is loaded from the machine."""
PLAIN_FILTERS = frozenset({DEFLATE, SHUFFLE, FLETCHER32})
BOMB_SIZE = 1024**3
BOMB_RATIO = 2000
"""A dataset that claims this much, and this much more than its file has, holds no numbers. Deflate cannot do more than 1032."""
MAX_LOOKED = 1024**2
"""Bytes of references to values of variable length that are followed."""
INTEGER, FLOAT, OPAQUE, REFERENCE, ENUM, VARIABLE = 0, 1, 5, 7, 8, 9


def note_dataset(work: Work, path: str, messages: dict[int, Message]) -> None:
    """Note one dataset: its tensor, or why there is none, and what is wrong with it."""
    work.datasets.append(path)
    filters = _filters(work, path, messages[FILTERS].body) if FILTERS in messages else ()
    kind, space, layout = (messages.get(wanted) for wanted in (DATATYPE, DATASPACE, LAYOUT))
    if kind is None or space is None or layout is None or kind.shared or space.shared:
        work.leave(path, "has a shared datatype")
        if kind is not None and kind.shared:
            work.gap("codec-unknown", "a dataset with a committed datatype", part=path)
        return
    if len(kind.body) < 8:
        raise InputError("truncated", "an HDF5 datatype ends early")
    small_opaque = kind.body[0] & 15 == OPAQUE and int.from_bytes(kind.body[4:8], "little") <= 16
    if kind.body[0] & 15 in (OPAQUE, REFERENCE, VARIABLE) and not _is_text(kind.body) and not small_opaque:
        work.gap("codec-unknown", "a dataset of opaque, reference or variable-length values", part=path)
    if layout.body[:1] >= b"\x04" and layout.body[1:2] == b"\x03":
        work.notes.add(
            "hdf5-external-data", f'"{visible(path)}" is put together from other datasets or files', part=path
        )
    shape = shape_of(work, space.body)
    _note_claim(work, path, kind.body, shape)
    _tensor(work, path, kind.body, shape, layout.body, filters, EXTERNAL in messages)


def _is_text(kind: bytes) -> bool:
    return kind[0] & 15 == VARIABLE and kind[1] & 15 == 1


def _note_claim(work: Work, path: str, kind: bytes, shape: tuple[int, ...] | None) -> None:
    """A shape for which every reader makes room, and that the file cannot fill (CVE-2026-0897)."""
    size = prod(shape or (0,)) * int.from_bytes(kind[4:8], "little")
    if size > BOMB_SIZE and size > BOMB_RATIO * work.source.size:
        message = f'"{visible(path)}" claims {min(size, 2**64)} bytes, and its file has {work.source.size}'
        work.notes.add("hdf5-bomb", message, part=path)


def _filters(work: Work, path: str, body: bytes) -> tuple[Filter, ...]:
    """Filters beyond the library's own are plug-ins that it loads from the machine (specification IV.A.2.l)."""
    cursor = Cursor(work, body)
    version, count = cursor.number(1), cursor.number(1)
    cursor.take(6 if version == 1 else 0)
    found: list[Filter] = []
    for _ in range(count):
        number = cursor.number(2)
        named = cursor.number(2) if version == 1 or number >= 256 else 0
        cursor.number(2)
        values = cursor.number(2)
        cursor.take(-(-named // 8) * 8 if version == 1 else named)
        first = [cursor.number(4) for _ in range(values)][:1]
        cursor.take(4 if version == 1 and values % 2 else 0)
        found.append(Filter(number, first[0] if first else 0))
        if number not in KNOWN_FILTERS:
            work.gap("codec-unknown", f"data packed with filter {number}", part=path)
    return tuple(found)


def _tensor(
    work: Work,
    path: str,
    kind: bytes,
    shape: tuple[int, ...] | None,
    layout: bytes,
    filters: tuple[Filter, ...],
    external: bool,
) -> None:
    dtype, swap, itemsize = _dtype(work, path, kind)
    if shape is None or external:
        work.leave(path, "is not stored as one plain array")
        return
    count = prod(shape) * itemsize
    where = _contiguous(work, path, layout, count)
    if kind[0] & 15 == VARIABLE and not _is_text(kind) and where is not None:
        _look_inside(work, path, where)
    if not dtype:
        work.leave(path, "is not stored as one plain array")
        return
    if where is None:
        _chunked(
            work,
            path,
            TensorRef(path.lstrip("/"), dtype, shape, (), None, itemsize, None, swap),
            layout,
            filters,
        )
        return
    if count and where[0] == UNDEFINED:
        work.leave(path, "has no data")
        return
    spans = ((work.base + where[0], count),) if count else ()
    work.tensors.append(
        TensorRef(name=path.lstrip("/"), dtype=dtype, shape=shape, spans=spans, itemsize=itemsize, swap=swap)
    )


def _contiguous(work: Work, path: str, layout: bytes, count: int) -> tuple[int, int] | None:
    """Address and size of contiguous data (layout message version 3 or 4, specification IV.A.2.i); None for other data."""
    if layout[:1] not in (b"\x03", b"\x04") or layout[1:2] != b"\x01":
        return None
    cursor = Cursor(work, layout, 2)
    address, length = cursor.address(), cursor.length()
    if address == UNDEFINED or not count:
        return UNDEFINED, 0
    if count > length or work.base + address + count > work.source.size:
        message = f'"{visible(path)}" takes {count} bytes where its file has {length} at {address} for it'
        if not any(gap.code == "truncated" for gap in work.gaps):
            work.notes.add("hdf5-out-of-bounds", message, part=path)
        return UNDEFINED, 0
    return address, count


def _chunked(work: Work, path: str, tensor: TensorRef, layout: bytes, filters: tuple[Filter, ...]) -> None:
    """A tensor whose content is unpacked when it is read."""
    if layout[1:2] != b"\x02" or any(one.number not in PLAIN_FILTERS for one in filters):
        work.leave(path, "is not stored as one plain array")
        return
    try:
        grid = find_chunks(work, layout, tensor.shape, tensor.itemsize)
    except (InputError, struct.error) as error:
        work.leave(path, error.message if isinstance(error, InputError) else "has broken chunks")
        return
    if grid is None:
        work.leave(path, "has chunks that are not followed")
        return
    outside = [chunk for chunk in grid.chunks if work.base + chunk.address + chunk.size > work.source.size]
    if outside and not any(gap.code == "truncated" for gap in work.gaps):
        message = f'a chunk of "{visible(path)}" lies at {outside[0].address}, outside of the file'
        work.notes.add("hdf5-out-of-bounds", message, part=path)
    size = prod(tensor.shape) * tensor.itemsize
    if outside or not grid.whole:
        work.leave(path, "has chunks that are not there")
        return
    source = Chunked(work.source, work.base, work.budget, grid, filters, tensor.shape, tensor.itemsize)
    work.tensors.append(tensor._replace(spans=((0, size),) if size else (), source=source))


def _look_inside(work: Work, path: str, where: tuple[int, int]) -> None:
    """Sequences of bytes that an unpickler would take are parts of their own."""
    address, size = where
    if address == UNDEFINED or not size:
        return
    for index, value in enumerate(variable_values(work, work.take(address, min(size, MAX_LOOKED)))):
        head = value[:1024]
        if len(work.parts) < 1000 and starts_like_pickle(head, len(value)) and not looks_like_text(head):
            work.parts.append(
                Part(name=f"{visible(path)}[{index}]", source=MemorySource(value), kind="pickle")
            )


def shape_of(work: Work, body: bytes) -> tuple[int, ...] | None:
    """A dataspace message (specification IV.A.2.b); None for a null dataspace."""
    cursor = Cursor(work, body)
    version, rank = cursor.number(1), cursor.number(1)
    cursor.number(1)
    if version == 2 and cursor.number(1) == 2:
        return None
    cursor.take(5 if version == 1 else 0)
    return tuple(cursor.length() for _ in range(rank))


def _dtype(work: Work, path: str, kind: bytes) -> tuple[str, bool, int]:
    """Canonical name, big-endian, item size; "" for what is no plain number (specification IV.A.2.d)."""
    shape, size = kind[0] & 15, int.from_bytes(kind[4:8], "little")
    name = ""
    if shape == INTEGER and size in (1, 2, 4, 8):
        name = f"{'I' if kind[1] & 8 else 'U'}{size * 8}"
    elif shape == FLOAT and size in (2, 4, 8) and len(kind) >= 20:
        # Properties: offset (2), precision (2), exponent's place and size, mantissa's place and size.
        usual = {2: 5, 4: 8, 8: 11}[size]
        name = f"F{size * 8}" if kind[13] == usual else "BF16" if (size, kind[13]) == (2, 8) else ""
    elif shape == ENUM and size == 1 and b"FALSE\0" in kind and b"TRUE\0" in kind:
        name = "BOOL"
    elif shape == OPAQUE and size == 2 and (path or "/", "dtype", "bfloat16") in work.attributes[-8:]:
        return "BF16", False, 2  # Keras writes numbers that HDF5 does not have as opaque ones
    return name, bool(kind[1] & 1) and size > 1, size
