"""HDF5 files: every group, dataset, attribute and link, without interpreting the datasets' numbers.

Follows the HDF5 File Format Specification 3.0: superblocks 0 to 3, object headers 1 and 2, symbol tables, compact and
dense links, attributes with strings in global heaps. What leads out of the file is named: external links, external raw
data, virtual datasets, file drivers, filters that need a plug-in. Bytes in front of the superblock and behind the end that
it declares become parts. Strings that loaders parse again (`model_config` of Keras) become parts too, and so do attributes
that PyTables would unpickle.

Arrays are tensors, chunked ones too where their filters are the library's plain ones (`formats.hdf5dataset`); free space
inside the file is not looked at.
"""

import struct
from collections.abc import Iterator

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Slice, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.hdf5.dataset import note_dataset, shape_of
from weighbridge.formats.hdf5.file import (
    ATTRIBUTE,
    ATTRIBUTE_INFO,
    DATASPACE,
    DATATYPE,
    DRIVER,
    EXTERNAL,
    FILTERS,
    LAYOUT,
    LINK,
    LINK_INFO,
    SYMBOLS,
    UNDEFINED,
    Cursor,
    Message,
    Work,
    read_messages,
)
from weighbridge.formats.hdf5.heap import heap_records, variable_values
from weighbridge.formats.reading import Part, Reading
from weighbridge.formats.sniff import looks_like_text, starts_like_pickle

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_PADDING = 65536
JSON_ATTRIBUTES = {"model_config", "training_config"}

HARMLESS = {0x00, 0x04, 0x05, 0x0A, 0x0D, 0x0E, 0x0F, 0x12, 0x13, 0x16, 0x17, 0x18}
"""Nil, fill values, group info, comments, times, counters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hdf5Reading(Reading):
    """What stands in an HDF5 file."""

    attributes: tuple[tuple[str, str, str], ...] = ()
    """(object path, name, beginning of the value) of the attributes that hold one string."""
    datasets: tuple[str, ...] = ()


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read the whole structure. Raises `InputError` (`not-this-format`) where there is no superblock."""
    start = superblock_at(source)
    if start is None:
        raise InputError("not-this-format", "no HDF5 superblock")
    if start and _is_member(source, budget, start):
        raise InputError("not-this-format", "the HDF5 file is a member of an archive, and read there")
    work = Work(source, budget, start)
    root = _superblock(work, start)
    _note_outside(work, start)
    _walk(work, root)
    return Hdf5Reading(
        format="hdf5",
        anomalies=work.notes.all(),
        gaps=tuple(work.gaps),
        parts=tuple(work.parts),
        tensors=tuple(work.tensors) if not work.unlisted else None,
        tensors_unlisted=work.unlisted,
        tensors_found=tuple(work.tensors) if work.left else (),
        tensors_left=tuple(work.left),
        attributes=tuple(work.attributes),
        datasets=tuple(work.datasets),
    )


def superblock_at(source: Source) -> int | None:
    """Where libhdf5 finds the superblock: at 0, 512, 1024, 2048, … (specification II.A)."""
    at = 0
    while at + len(SIGNATURE) <= source.size:
        if source.read(at, len(SIGNATURE)) == SIGNATURE:
            return at
        at = max(512, at * 2)
    return None


def _is_member(source: Source, budget: Budget, start: int) -> bool:
    """Whether an archive holds a plain member that begins right there, as it may happen by alignment."""
    from weighbridge.formats.tar import TarTree
    from weighbridge.formats.tar import read as read_tar
    from weighbridge.formats.zip.records import STORED
    from weighbridge.formats.zip.tree import read_tree

    try:
        if source.read(257, 5) == b"ustar":
            tree = read_tar(source, budget, "")
            return isinstance(tree, TarTree) and any(m.source and m.start == start for m in tree.members)
        entries = read_tree(source, budget).entries
    except InputError:
        return False
    return any(entry.start == start and entry.method == STORED and entry.source for entry in entries)


def _superblock(work: Work, start: int) -> int:
    """Read the superblock; returns the address of the root group's header."""
    head = work.source.read(start, 128)
    version = head[8] if len(head) > 16 else 255
    if version > 3:
        raise InputError("bad-header", f"HDF5 superblock of version {version}")
    work.wide, work.long = (head[13], head[14]) if version < 2 else (head[9], head[10])
    if work.wide not in (2, 4, 8) or work.long not in (2, 4, 8):
        raise InputError("bad-header", f"HDF5 addresses of {work.wide} bytes, lengths of {work.long}")
    cursor = Cursor(work, head, {0: 24, 1: 28}.get(version, 12))
    base = cursor.address()
    cursor.address()  # free space, or the superblock's extension
    end = cursor.address()
    if version < 2 and cursor.address() != UNDEFINED:
        work.gap("multi-file", "the file says that a file driver spreads it over other files")
    if version < 2:
        cursor.address()  # the root entry's name
    root = cursor.address()
    # The library takes the superblock's place for the base, whatever the field says, and moves the end along.
    _note_end(work, end + start - base if UNDEFINED not in (base, end) else UNDEFINED)
    return root


def _note_end(work: Work, stop: int) -> None:
    if stop < 0 or stop > work.source.size:
        work.gap("truncated", "the file ends before the end that its superblock declares")
    elif not _is_padding(work.source, stop, work.source.size):
        length = work.source.size - stop
        work.notes.add(
            "hdf5-data-after", f"{length} bytes behind the end that the superblock declares", offset=stop
        )
        work.parts.append(
            Part(name=f"bytes {stop} to {work.source.size}", source=Slice(work.source, stop, length))
        )


def _note_outside(work: Work, start: int) -> None:
    if not _is_padding(work.source, 0, start):
        work.notes.add("hdf5-user-block", f"{start} bytes stand before the HDF5 superblock", offset=0)
        work.parts.append(Part(name=f"bytes 0 to {start}", source=Slice(work.source, 0, start)))


def _is_padding(source: Source, start: int, stop: int) -> bool:
    return stop - start <= MAX_PADDING and not source.read(start, stop - start).strip(b"\0")


def _walk(work: Work, root: int) -> None:
    """Every object that hard links reach, each once."""
    seen: set[int] = set()
    todo: list[tuple[str, int]] = [("", root)]
    while todo:
        path, address = todo.pop()
        if address in seen:
            continue
        seen.add(address)
        work.budget.spend_members()
        try:
            todo += _object(work, path, address)
        except (InputError, struct.error) as error:
            message = error.message if isinstance(error, InputError) else "a message is too short"
            work.gap("bad-object", message, part=path or "/")


def _object(work: Work, path: str, address: int) -> list[tuple[str, int]]:
    """Read one object header; returns (path, address) of the objects that it links to."""
    messages = list(read_messages(work, address))
    children: list[tuple[str, int]] = []
    for message in messages:
        match message.kind:
            case _ if message.kind == LINK:
                children += _link(work, path, message.body)
            case _ if message.kind == LINK_INFO:
                children += _dense_links(work, path, message.body)
            case _ if message.kind == SYMBOLS:
                children += _symbol_table(work, path, message.body)
            case _ if message.kind == ATTRIBUTE:
                _attribute(work, path, message)
            case _ if message.kind == ATTRIBUTE_INFO:
                _dense_attributes(work, path, message.body)
            case _ if message.kind == EXTERNAL:
                _external_files(work, path, message.body)
            case _ if message.kind == DRIVER:
                work.gap("multi-file", "a file driver spreads the file over other files", part=path)
            case _ if message.kind not in HARMLESS | {DATASPACE, DATATYPE, LAYOUT, FILTERS}:
                work.gap("codec-unknown", f"HDF5 message of type {message.kind}", part=path)
    if any(message.kind == LAYOUT for message in messages):
        note_dataset(work, path, {message.kind: message for message in messages})
    return children


def _join(path: str, name: str) -> str:
    return f"{path}/{name}"


# -- links ---------------------------------------------------------------------------------------------------------


def _link(work: Work, path: str, body: bytes) -> list[tuple[str, int]]:
    """A link message (specification IV.A.2.g): hard, soft, or external."""
    cursor = Cursor(work, body, 1)
    flags = cursor.number(1)
    kind = cursor.number(1) if flags & 8 else 0
    cursor.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = cursor.take(cursor.number(1 << (flags & 3))).decode("utf-8", "surrogateescape")
    here = _join(path, name)
    if kind == 0:
        return [(here, cursor.address())]
    value = cursor.take(cursor.number(2))
    if kind == 64:
        target = value[1:].split(b"\0")[0].decode("utf-8", "surrogateescape")
        work.notes.add(
            "hdf5-external-link", f'"{visible(here)}" leads to the file "{visible(target)}"', part=here
        )
    elif kind != 1:
        work.gap("codec-unknown", f"link of the user-defined type {kind}", part=here)
    return []


def _symbol_table(work: Work, path: str, body: bytes) -> list[tuple[str, int]]:
    """The members of an old-style group: a B-tree of symbol nodes with names in a local heap (III.A.1, III.B, III.C)."""
    cursor = Cursor(work, body)
    tree, heap = cursor.address(), cursor.address()
    names = _local_heap(work, heap)
    children: list[tuple[str, int]] = []
    seen, todo = set[int](), [tree]
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        work.budget.spend_members()
        head = work.take(at, 8)
        if head[:4] == b"SNOD":
            children += _symbol_node(work, path, at, int.from_bytes(head[6:8], "little"), names)
        elif head[:4] == b"TREE" and head[4] == 0:
            todo += _tree_children(work, at, int.from_bytes(head[6:8], "little"))
        else:
            raise InputError("bad-header", "an HDF5 group's tree is broken")
    return children


def _tree_children(work: Work, at: int, count: int) -> list[int]:
    start = at + 8 + 2 * work.wide
    cursor = Cursor(work, work.take(start, count * (work.long + work.wide)))
    children = []
    for _ in range(count):
        cursor.length()
        children.append(cursor.address())
    return children


def _symbol_node(work: Work, path: str, at: int, count: int, names: bytes) -> Iterator[tuple[str, int]]:
    cursor = Cursor(work, work.take(at + 8, count * (2 * work.wide + 24)))
    for _ in range(count):
        name = _heap_text(names, cursor.address())
        address, cache = cursor.address(), cursor.number(4)
        cursor.take(20)
        if cache != 2:  # 2 is a soft link, whose target stands in the heap
            yield _join(path, name), address


def _local_heap(work: Work, at: int) -> bytes:
    head = work.take(at, 8 + 2 * work.long + work.wide)
    if head[:4] != b"HEAP":
        raise InputError("bad-header", "an HDF5 group has no heap for its names")
    cursor = Cursor(work, head, 8)
    size = cursor.length()
    cursor.length()
    return work.take(cursor.address(), size)


def _heap_text(heap: bytes, offset: int) -> str:
    if not 0 <= offset < len(heap):
        raise InputError("bad-offset", "a name lies outside its heap")
    return heap[offset : heap.find(b"\0", offset)].decode("utf-8", "surrogateescape")


def _dense_links(work: Work, path: str, body: bytes) -> list[tuple[str, int]]:
    cursor = Cursor(work, body, 1)
    flags = cursor.number(1)
    cursor.take(8 if flags & 1 else 0)
    heap, index = cursor.address(), cursor.address()
    if heap == UNDEFINED:
        return []
    return [child for record in heap_records(work, heap, index) for child in _link(work, path, record)]


def _external_files(work: Work, path: str, body: bytes) -> None:
    """Raw data in other files (specification IV.A.2.h)."""
    cursor = Cursor(work, body, 4)
    cursor.number(2)
    used, names = cursor.number(2), _local_heap(work, cursor.address())
    for _ in range(min(used, 1000)):
        target = _heap_text(names, cursor.length())
        cursor.length(), cursor.length()
        work.notes.add(
            "hdf5-external-data", f'"{visible(path)}" takes its data from "{visible(target)}"', part=path
        )


# -- attributes ----------------------------------------------------------------------------------------------------


def _dense_attributes(work: Work, path: str, body: bytes) -> None:
    cursor = Cursor(work, body, 1)
    flags = cursor.number(1)
    cursor.take(2 if flags & 1 else 0)
    heap, index = cursor.address(), cursor.address()
    if heap != UNDEFINED:
        for record in heap_records(work, heap, index):
            _attribute(work, path, Message(kind=ATTRIBUTE, shared=False, body=record))


def _attribute(work: Work, path: str, message: Message) -> None:
    """An attribute message of version 1 to 3 (specification IV.A.2.m)."""
    if message.shared:
        work.gap("codec-unknown", "a shared attribute", part=path)
        return
    cursor = Cursor(work, message.body)
    version, flags = cursor.number(1), cursor.number(1)
    lengths = [cursor.number(2) for _ in range(3)]
    if version == 3:
        cursor.number(1)
    pad = 8 if version == 1 else 1
    name, kind, space = (cursor.take(-(-length // pad) * pad)[:length] for length in lengths)
    text = name.split(b"\0")[0].decode("utf-8", "surrogateescape")
    if version > 1 and flags & 1:
        work.gap("codec-unknown", "an attribute with a committed datatype", part=_join(path, text))
        return
    _attribute_value(work, path, text, kind, space, message.body[cursor.at :])


def _attribute_value(work: Work, path: str, name: str, kind: bytes, space: bytes, data: bytes) -> None:
    values = _strings(work, kind, data)
    if values is None:
        return
    for value in values:
        if starts_like_pickle(value[:4096], len(value)) and not looks_like_text(value[:4096]):
            work.parts.append(
                Part(name=f"{path or '/'}@{visible(name)}", source=MemorySource(value), kind="pickle")
            )
    if len(values) == 1 and shape_of(work, space) in ((), (1,)):
        if name in JSON_ATTRIBUTES or (values[0][:1] in b"{[" and b"class_name" in values[0]):
            work.parts.append(Part(name=name, source=MemorySource(values[0]), kind="json"))
        if len(work.attributes) < 10_000:
            work.attributes.append((path or "/", name, values[0][:4096].decode("utf-8", "replace")))


def _strings(work: Work, kind: bytes, data: bytes) -> list[bytes] | None:
    """The string values of an attribute, or None where it holds numbers."""
    if len(kind) < 8:
        raise InputError("truncated", "an HDF5 datatype ends early")
    shape, size = kind[0] & 15, int.from_bytes(kind[4:8], "little")
    if shape in (3, 5) and size:
        return [data[at : at + size].rstrip(b"\0") for at in range(0, len(data) - size + 1, size)][:10_000]
    if shape == 9:
        return variable_values(work, data)
    return None
