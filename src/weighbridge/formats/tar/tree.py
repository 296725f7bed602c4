"""Tar files (POSIX.1-1988 ustar, POSIX.1-2001 pax, GNU, and old V7 headers): members, links, and what lies behind.

Header by header from the first block on, as every reader does; contents are only looked at where they are headers
themselves (long names, pax records). Notes where GNU tar, Python's tarfile and strict readers part: sizes that pax and
ustar fields give differently, members that stand twice, and whatever follows the end mark. Sparse members are not put
together.
"""

from collections.abc import Iterator
from dataclasses import field

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.membernames import Notes, collisions, note_link, note_name, note_written_through
from weighbridge.formats.reading import Gap, Part, Reading

BLOCK = 512
MAX_HEADER = 1024**2
"""Long names and pax records beyond this are refused."""
OCTAL_END = 8 * 1024**3
"""Sizes below this fit the plain header; there a different pax size is a contradiction."""

LINKS = {b"1", b"2"}
DEVICES = {b"3": "character device", b"4": "block device", b"6": "FIFO"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TarMember:
    """One member as its headers describe it."""

    name: str
    kind: bytes
    """The type flag: `0` file, `1` hard link, `2` symbolic link, `5` folder, …"""
    source: Source | None
    size: int
    header_at: int
    start: int
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TarTree(Reading):
    """What is in a tar file; `parts` holds every file and whatever follows the end mark."""

    members: tuple[TarMember, ...] = ()


@dataclass(slots=True)
class _Work:
    source: Source
    budget: Budget
    notes: Notes = field(default_factory=Notes)
    gaps: list[Gap] = field(default_factory=list)
    world: dict[str, str] = field(default_factory=dict)
    """Global pax records, in force until the next ones."""

    def gap(self, code: str, message: str, *, offset: int | None = None, part: str = "") -> None:
        if len(self.gaps) < 1000:
            self.gaps.append(Gap(code=code, message=message, offset=offset, part=visible(part)))


def read_tree(source: Source, budget: Budget) -> TarTree:
    """Read all headers. Raises `InputError` (`not-this-format`) where the first block is no header."""
    work = _Work(source, budget)
    members = tuple(_members(work))
    if not members:
        raise InputError("not-this-format", "no tar header at the start")
    for member in members:
        _note_member(work, member)
    _note_names(work, members)
    last = members[-1]
    rest = _rest(work, last.start + _padded(last.source.size if last.source else 0))
    return TarTree(
        format="tar",
        members=members,
        anomalies=work.notes.all(),
        gaps=tuple(work.gaps),
        parts=tuple(_part(member) for member in members if member.source is not None) + rest,
    )


def _part(member: TarMember) -> Part:
    assert member.source is not None  # noqa: S101 - callers choose members that have one
    return Part(name=visible(member.name), source=member.source)


def _members(work: _Work) -> Iterator[TarMember]:
    at, records, long_name, long_link = 0, dict[str, str](), "", ""
    while (head := work.source.read(at, BLOCK)) and len(head) == BLOCK and head.strip(b"\0"):
        if not _is_header(head):
            return
        work.budget.spend_members()
        kind, size, start = head[156:157], _number(head[124:136]), at + BLOCK
        if kind in b"xgLK" and kind:
            data = _header_content(work, start, size)
            match kind:
                case b"x":
                    records = _pax_records(data)
                case b"g":
                    work.world.update(_pax_records(data))
                case b"L":
                    long_name = _text(data)
                case _:
                    long_link = _text(data)
            at = start + _padded(size)
            continue
        member = _member(work, head, at, {**work.world, **records}, long_name, long_link)
        yield member
        at = start + _padded(member.size if member.source is not None else 0)
        records, long_name, long_link = {}, "", ""
    if len(head) < BLOCK:
        work.gap("truncated", "the archive ends without its end mark", offset=at)


def _is_header(head: bytes) -> bool:
    """The checksum is right, signed or unsigned (POSIX.1-1988 10.1.1)."""
    try:
        said = int(head[148:156].strip(b" \0") or b"0", 8)
    except ValueError:
        return False
    rest = head[:148] + b" " * 8 + head[156:]
    return said in (sum(rest), sum(byte - 256 if byte > 127 else byte for byte in rest))


def _number(data: bytes) -> int:
    """Octal text, or base 256 behind a set high bit (GNU)."""
    if data[0] & 0x80:
        return int.from_bytes(bytes([data[0] & 0x7F]) + data[1:], "big")
    try:
        return int(data.split(b"\0")[0].strip(b" \0") or b"0", 8)
    except ValueError:
        raise InputError("bad-header", "a tar header has no number for its size") from None


def _text(data: bytes) -> str:
    return data.split(b"\0")[0].decode("utf-8", "surrogateescape")


def _header_content(work: _Work, start: int, size: int) -> bytes:
    if size > MAX_HEADER or start + size > work.source.size:
        raise InputError("bad-header", f"a tar header of {size} bytes")
    return work.source.read(start, size)


def _pax_records(data: bytes) -> dict[str, str]:
    """`length key=value\\n` records; the length counts itself (POSIX.1-2001 pax, extended header)."""
    records: dict[str, str] = {}
    at = 0
    while at < len(data) and data[at : at + 1] != b"\0":
        digits, space, _ = data[at : at + 20].partition(b" ")
        if not space or not digits.isdigit() or int(digits) <= len(digits) + 1:
            raise InputError("bad-header", "a pax record has no length")
        record = data[at + len(digits) + 1 : at + int(digits)]
        key, _, value = record.removesuffix(b"\n").partition(b"=")
        records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        at += int(digits)
    return records


def _member(
    work: _Work, head: bytes, at: int, records: dict[str, str], long_name: str, long_link: str
) -> TarMember:
    name = records.get("path") or long_name or _plain_name(head)
    target = records.get("linkpath") or long_link or _text(head[157:257])
    kind, start = head[156:157], at + BLOCK
    size = _size(work, head, records, at, name)
    source: Source | None = None
    if kind not in LINKS and kind not in DEVICES and kind != b"5":
        source = _content(work, start, size, name)
    if kind == b"S" or any(key.startswith("GNU.sparse.") for key in records):
        work.gap("codec-unknown", "a sparse member is not put together", offset=at, part=name)
    if long_name and records.get("path", long_name) != long_name:
        text = f'"{visible(long_name)}" or "{visible(name)}", depending on the reader'
        work.notes.add("tar-names-differ", text, offset=at, part=name)
    return TarMember(name=name, kind=kind, source=source, size=size, header_at=at, start=start, target=target)


def _plain_name(head: bytes) -> str:
    name, prefix = _text(head[:100]), _text(head[345:500]) if head[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _size(work: _Work, head: bytes, records: dict[str, str], at: int, name: str) -> int:
    plain = _number(head[124:136])
    text = records.get("size", "")
    if not text:
        return plain
    if not (text.isascii() and text.isdigit()):
        raise InputError("bad-header", "a pax record gives no number for its size")
    if int(text) != plain and int(text) < OCTAL_END:
        both = f'"{visible(name)}" has {plain} or {int(text)} bytes, depending on the reader'
        work.notes.add("tar-sizes-differ", both, offset=at, part=name)
    return int(text)


def _content(work: _Work, start: int, size: int, name: str) -> Source:
    there = max(0, min(size, work.source.size - start))
    if there < size:
        work.gap("truncated", f"{there} of {size} bytes are there", offset=start, part=name)
    return Slice(work.source, min(start, work.source.size), there)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _note_member(work: _Work, member: TarMember) -> None:
    note_name(work.notes, member.name)
    if member.kind in LINKS:
        note_link(work.notes, member.name, member.target, hard=member.kind == b"1")
    elif member.kind in DEVICES:
        text = f'"{visible(member.name)}" makes a {DEVICES[member.kind]}'
        work.notes.add("tar-device", text, offset=member.header_at, part=member.name)
    if (member.kind in LINKS or member.kind == b"5") and member.size:
        text = f'"{visible(member.name)}" is no file, yet has {member.size} bytes for some readers'
        work.notes.add("tar-sizes-differ", text, offset=member.header_at, part=member.name)


def _note_names(work: _Work, members: tuple[TarMember, ...]) -> None:
    """Duplicates, look-alikes, and members that are written through a link made before."""
    seen: set[str] = set()
    for member in members:
        if member.name in seen and member.kind != b"5":
            text = f'"{visible(member.name)}" stands twice; readers differ in which they take'
            work.notes.add("tar-duplicate-name", text, offset=member.header_at, part=member.name)
        seen.add(member.name)
    links = {member.name for member in members if member.kind == b"2"}
    note_written_through(work.notes, links, (member.name for member in members))
    for first, second in collisions(member.name for member in members if member.kind != b"5"):
        text = f'"{visible(first)}" and "{visible(second)}" are one name for some readers'
        work.notes.add("similar-names", text, part=second)


def _rest(work: _Work, at: int) -> tuple[Part, ...]:
    """What stands behind the end mark: zeros are padding, anything else some reader reads on."""
    position = at
    while position < work.source.size:
        piece = work.source.read(position, 1024**2)
        work.budget.spend_bytes(len(piece))
        content = piece.lstrip(b"\0")
        if content:
            start = (position + len(piece) - len(content)) // BLOCK * BLOCK
            length = work.source.size - start
            work.notes.add("tar-data-after", f"{length} bytes behind the end mark", offset=start)
            return (
                Part(name=f"bytes {start} to {work.source.size}", source=Slice(work.source, start, length)),
            )
        position += len(piece)
    return ()
