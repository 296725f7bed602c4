"""One entry of a zip file, as some reader sees it. A value: who sees it, and whether readers agree, is `entries`' matter."""

from typing import NamedTuple

from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.formats.reading import Part, TensorRef
from weighbridge.formats.zip.records import STORED


class ZipEntry(NamedTuple):
    """One content that some reader hands out under this name. A named tuple for the reason given in `core.artifact`."""

    name: str
    source: Source | None
    """None for folders, and for contents that cannot be had (outside the file, unknown method)."""
    size: int
    packed: int
    method: int
    crc: int
    header_at: int
    """Offset of the local header in the file."""
    start: int
    """Offset of the first packed byte in the file."""
    view: str = ""
    """"" for what the directory says; otherwise which other reader sees this: `local header`, `other directory`, …"""

    @property
    def folder(self) -> bool:
        """True for an entry that only makes a folder."""
        return self.name.endswith("/")

    @property
    def label(self) -> str:
        """The name to show, with the view where it is not the directory's."""
        return visible(self.name) + (f" ({self.view})" if self.view else "")

    def place(self, tensor: TensorRef) -> TensorRef:
        """A tensor of this member as one of the file: stored members lie in it as they are."""
        if self.method != STORED:
            return tensor._replace(source=self.source)
        return tensor._replace(spans=tuple((self.start + at, length) for at, length in tensor.spans))

    def part(self, kind: str = "") -> Part:
        """The content as a part to be read on its own."""
        assert self.source is not None  # noqa: S101 - callers choose entries that have one
        return Part(name=self.label, source=self.source, kind=kind)
