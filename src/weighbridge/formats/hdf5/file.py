"""The grammar of HDF5 files: where a piece lies, fields of a message in order, and the messages of an object header.

HDF5 File Format Specification 3.0, section IV.A; shared by the readers of groups, heaps and datasets. Holds no opinion
about what a message says.
"""

from collections.abc import Iterator
from dataclasses import field

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.membernames import Notes
from weighbridge.formats.reading import Gap, Part, TensorRef

MAX_STRING = 64 * 1024**2
MAX_HEADER = 4 * 1024**2
UNDEFINED = -1
"""An address of all ones: nothing is there."""

DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT, FILTERS = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08, 0x0B
ATTRIBUTE, CONTINUATION, SYMBOLS, DRIVER, ATTRIBUTE_INFO = 0x0C, 0x10, 0x11, 0x14, 0x15


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of an object header (IV.A.2)."""

    kind: int
    shared: bool
    body: bytes


@dataclass(slots=True)
class Work:
    """One file while it is read, and what was found in it."""

    source: Source
    budget: Budget
    base: int
    wide: int = 8
    """Bytes of an address."""
    long: int = 8
    """Bytes of a length."""
    notes: Notes = field(default_factory=Notes)
    gaps: list[Gap] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    externals: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)
    tensors: list[TensorRef] = field(default_factory=list)
    unlisted: str = ""
    left: list[tuple[str, str]] = field(default_factory=list)
    """(name, why) of datasets that are not listed as tensors."""
    heaps: dict[int, dict[int, bytes]] = field(default_factory=dict)

    def gap(self, code: str, message: str, part: str = "") -> None:
        """Note what was not understood; two hundred at most."""
        if len(self.gaps) < 200:
            self.gaps.append(Gap(code=code, message=message, part=visible(part)))

    def leave(self, path: str, why: str) -> None:
        """Note a dataset whose numbers are not listed."""
        self.unlisted = self.unlisted or f'"{visible(path)}" {why}'
        self.left.append((path.lstrip("/"), why))

    def take(self, address: int, length: int) -> bytes:
        """Exactly `length` bytes at an address; raises `InputError` (`truncated`)."""
        if address == UNDEFINED or length > MAX_STRING:
            raise InputError("bad-offset", "an HDF5 address leads nowhere")
        self.budget.need_memory(length, "a part of an HDF5 file")
        data = self.source.read(self.base + address, length)
        if len(data) < length:
            raise InputError("truncated", f"an HDF5 address leads behind the file's {self.source.size} bytes")
        return data


class Cursor:
    """Reads fields of one message in order; raises `InputError` where it ends."""

    __slots__ = ("at", "data", "work")

    def __init__(self, work: Work, data: bytes, at: int = 0) -> None:
        self.work, self.data, self.at = work, data, at

    def take(self, length: int) -> bytes:
        """The next bytes."""
        piece = self.data[self.at : self.at + length]
        if len(piece) < length or length < 0:
            raise InputError("truncated", "an HDF5 message ends early")
        self.at += length
        return piece

    def number(self, length: int) -> int:
        """The next unsigned number, of so many bytes."""
        return int.from_bytes(self.take(length), "little")

    def address(self) -> int:
        """The next address; `UNDEFINED` for all ones."""
        value = self.take(self.work.wide)
        return UNDEFINED if value == b"\xff" * len(value) else int.from_bytes(value, "little")

    def length(self) -> int:
        """The next length."""
        return self.number(self.work.long)


def read_messages(work: Work, address: int) -> Iterator[Message]:
    """All messages of an object header, continuations included (specification IV.A)."""
    head = work.take(address, 16)
    second = head[:4] == b"OHDR"
    if second:
        flags = head[5]
        start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(work.take(address + start, width), "little")
        chunks, ordered = [(address + start + width, size)], bool(flags & 4)
    elif head[0] == 1:
        chunks, ordered = [(address + 16, int.from_bytes(head[8:12], "little"))], False
    else:
        raise InputError("bad-header", f"no HDF5 object header at {address}")
    spent = 0
    while chunks:
        at, size = chunks.pop(0)
        spent += size
        if spent > MAX_HEADER:
            raise InputError("bad-header", f"HDF5 object header of more than {MAX_HEADER} bytes")
        for message in _chunk(work, work.take(at, size), second, ordered):
            if message.kind == CONTINUATION:
                cursor = Cursor(work, message.body)
                at, size = cursor.address(), cursor.length()
                work.budget.spend_members()
                chunks.append((at + 4, size - 8) if second else (at, size))
            else:
                yield message


def _chunk(work: Work, data: bytes, second: bool, ordered: bool) -> Iterator[Message]:
    cursor = Cursor(work, data)
    lead = (6 if ordered else 4) if second else 8
    while cursor.at + lead <= len(data):
        kind, size = cursor.number(1 if second else 2), cursor.number(2)
        flags = cursor.number(1)
        cursor.take(lead - (4 if second else 5))
        if not kind and not size and second:
            return
        work.budget.spend_members()
        yield Message(kind=kind, shared=bool(flags & 2), body=cursor.take(size))
