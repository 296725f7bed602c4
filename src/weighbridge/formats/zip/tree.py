"""The structure of a zip file as its readers see it: the way through end records, directories, entries and what is left.

Follows PKWARE's APPNOTE 6.3.9 (sections 4.3 to 4.5) for what the fields mean, and three families of readers for what
they do with fields that contradict each other: Python's zipfile (directory found backwards from the end record), the
miniz of PyTorch (directory at its declared offset, local headers hardly looked at), and readers that stream from the
first local header. Every content that one of them would hand out becomes an entry; every contradiction an anomaly.

Deliberately not here: which loader the archive is for (`formats.zip`), decryption, and multi-disk archives.
"""

from collections import Counter
from collections.abc import Iterator

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.membernames import collisions, note_written_through
from weighbridge.formats.reading import Part, Reading
from weighbridge.formats.unpacked import Shelf
from weighbridge.formats.zip.contents import BOMB_RATIO, STORED_CHECKED
from weighbridge.formats.zip.directory import is_directory
from weighbridge.formats.zip.ends import find_ends, read_directories
from weighbridge.formats.zip.entry import ZipEntry
from weighbridge.formats.zip.records import END, STORED
from weighbridge.formats.zip.spare import account_for_bytes
from weighbridge.formats.zip.streamed import read_without_directory
from weighbridge.formats.zip.work import Work

BOMB_TOTAL = 100_000_000
"""Members that grow to this together are a bomb too, where each of them is small."""
BOMB_COPIES = 8
"""Archives in an archive that are byte for byte the same: each is unpacked again by whoever unpacks them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipTree(Reading):
    """What is in a zip file. `parts` holds every entry and every stretch of bytes that no entry accounts for."""

    entries: tuple[ZipEntry, ...] = ()
    """The directory's entries in its order, then those that only other readers see."""
    spare: tuple[Part, ...] = ()
    """Stretches of bytes outside all entries and records."""

    def named(self, name: str) -> tuple[ZipEntry, ...]:
        """All entries of exactly this name, in any view."""
        return tuple(entry for entry in self.entries if entry.name == name)


def read_tree(source: Source, budget: Budget) -> ZipTree:
    """Read the structure of the zip file. Raises `InputError` (`not-this-format`) where no reader finds an archive."""
    work = Work(source, budget, Shelf(budget))
    ends = find_ends(work)
    seen: dict[int, int] = {}
    for end in ends:
        inside = any(start <= end.at < stop for start, stop, _ in work.claims)
        if not inside:  # it is not the end of an archive that is stored in this one
            read_directories(work, end, seen)
    if not seen:
        read_without_directory(work, bool(ends))
    _compare_names(work)
    _note_total(work)
    spare = account_for_bytes(work)
    parts = tuple(entry.part() for entry in _distinct(work))
    return ZipTree(
        format="zip",
        anomalies=work.notes.all(),
        gaps=tuple(work.gaps),
        parts=(*parts, *spare),
        entries=tuple(work.entries),
        spare=spare,
    )


def ends_inside_tar(source: Source, budget: Budget) -> bool:
    """Whether every zip file that a reader finds here is a member of a faultless tar file, in which it is read.

    A directory that stands where an end record says, counted from the tar file's own start, would be another view.
    """
    from weighbridge.formats import tar

    try:
        tree = tar.read(source, budget, "")
    except InputError:
        return False
    if not isinstance(tree, tar.TarTree) or tree.format != "tar" or tree.anomalies or tree.gaps:
        return False
    spans = [(m.start, m.start + m.source.size) for m in tree.members if m.source is not None]
    work = Work(source, budget, Shelf(budget))
    ends = find_ends(work)
    if work.notes.all() or work.gaps or any(is_directory(work, end.offset, end.at) for end in ends):
        return False
    return all(any(start <= end.at and end.stop <= stop for start, stop in spans) for end in ends)


def _distinct(work: Work) -> Iterator[ZipEntry]:
    """Entries with content; of archives that stand in it more than once, only the first.

    Bombs of nested archives have many equal members on each level, and would take for ever otherwise.
    """
    seen: dict[tuple[int, ...], list[ZipEntry]] = {}
    copies: Counter[tuple[int, ...]] = Counter()
    for entry in work.entries:
        if entry.source is None:
            continue
        key = (entry.crc, entry.size, entry.packed, entry.method)
        alike = seen.setdefault(key, [])
        if not any(_same_archive(work, entry, other) for other in alike[:4]):
            alike.append(entry)
            yield entry
            continue
        copies[key] += 1
        if copies[key] == BOMB_COPIES:
            text = f'"{visible(entry.name)}" and {BOMB_COPIES} more are the same archive'
            work.notes.add("archive-bomb", text, offset=entry.start, part=entry.name)


def _same_archive(work: Work, entry: ZipEntry, other: ZipEntry) -> bool:
    if not END.size < entry.packed <= STORED_CHECKED or entry.source is None:
        return False
    try:
        if entry.source.read(0, 4) != b"PK\x03\x04":
            return False
    except InputError:
        return False
    return work.source.read(entry.start, entry.packed) == work.source.read(other.start, other.packed)


def _compare_names(work: Work) -> None:
    """Duplicates, and names that some systems take for the same."""
    seen: set[str] = set()
    names = [entry.name for entry in work.entries if not entry.view]
    for name in names:
        if name in seen:
            work.notes.add(
                "zip-duplicate-name",
                f'"{visible(name)}" stands twice; readers differ in which they take',
                part=name,
            )
        seen.add(name)
    note_written_through(work.notes, work.links, names)
    for first, second in collisions(names):
        text = f'"{visible(first)}" and "{visible(second)}" are one name for some readers'
        work.notes.add("similar-names", text, part=second)


def _note_total(work: Work) -> None:
    """Many small bombs are one large one."""
    plain = [entry for entry in work.entries if not entry.view and entry.method != STORED]
    size, packed = sum(entry.size for entry in plain), sum(entry.packed for entry in plain)
    if not work.bombs and size >= BOMB_TOTAL and size >= BOMB_RATIO * packed:
        work.notes.add("archive-bomb", f"{len(plain)} members of {packed} bytes that unpack to {size}")
