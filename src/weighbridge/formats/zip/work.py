"""The state of reading one zip file: what was found, and which bytes are accounted for so far."""

from dataclasses import field

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.membernames import Notes
from weighbridge.formats.reading import Gap
from weighbridge.formats.unpacked import Shelf
from weighbridge.formats.zip.entry import ZipEntry


@dataclass(slots=True)
class Work:
    """What all steps of one reading share."""

    source: Source
    budget: Budget
    shelf: Shelf
    notes: Notes = field(default_factory=Notes)
    gaps: list[Gap] = field(default_factory=list)
    entries: list[ZipEntry] = field(default_factory=list)
    spans: list[tuple[int, int, str]] = field(default_factory=list)
    """(start, stop, what) of every byte that is accounted for, in any view."""
    claims: list[tuple[int, int, str]] = field(default_factory=list)
    """The same for the first directory alone, where overlaps are bombs or forgeries."""
    bombs: int = 0
    """Members that grow like bombs."""
    links: set[str] = field(default_factory=set)
    """Names of symbolic links."""
    checked: int = 0
    """Stored bytes that were held against their checksum so far."""

    def claim(self, start: int, stop: int, what: str, view: str) -> None:
        """Account for the bytes from `start` to `stop`, as those of the first directory or of another view."""
        self.spans.append((start, stop, what))
        if not view:
            self.claims.append((start, stop, what))

    def gap(self, code: str, message: str, *, offset: int | None = None, part: str = "") -> None:
        """Something that was not read; of very many only the first are kept."""
        if len(self.gaps) < 1000:
            self.gaps.append(Gap(code=code, message=message, offset=offset, part=visible(part)))
