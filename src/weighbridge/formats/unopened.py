"""Archives and compressed streams that no loader of models opens: named, and not opened here either.

RAR, cabinets, `ar` and cpio, disk images and a dozen more. Whoever unpacks one by hand gets files that nobody weighed,
so that every one is a gap; weigh what comes out of it instead. Only the few bytes that tell them apart are read.
"""

from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Gap, Reading


class _Mark(NamedTuple):
    magic: bytes
    at: int
    """From the start; from the end where it is negative."""
    name: str


_MARKS = (
    _Mark(b"Rar!\x1a\x07", 0, "RAR archive"),
    _Mark(b"MSCF\0\0\0\0", 0, "Windows cabinet"),
    _Mark(b"!<arch>\n", 0, "ar archive (a static library or a Debian package)"),
    _Mark(b"!<thin>\n", 0, "thin ar archive"),
    _Mark(b"070701", 0, "cpio archive"),
    _Mark(b"070702", 0, "cpio archive"),
    _Mark(b"070707", 0, "cpio archive"),
    _Mark(b"\x1f\x9d\x90", 0, "compress (.Z) stream"),
    _Mark(b"\x89LZO\0\r\n\x1a\n", 0, "lzop stream"),
    _Mark(b"\xff\x06\0\0sNaPpY", 0, "framed snappy stream"),
    _Mark(b"LZIP", 0, "lzip stream"),
    _Mark(b"MSWIM\0\0\0", 0, "Windows disk image"),
    _Mark(b"hsqs", 0, "squashfs image"),
    _Mark(b"xar!", 0, "xar archive"),
    _Mark(b"**ACE**", 7, "ACE archive"),
    _Mark(b"\x02\x21\x4c\x18", 0, "lz4 stream of the old format"),
    _Mark(b"ITSF", 0, "compiled help file"),
    _Mark(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "OLE compound file"),
    _Mark(b"CD001", 0x8001, "ISO 9660 image"),
    _Mark(b"koly", -512, "Apple disk image"),
)
_BROTLI = "brotli stream, going by its name"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnopenedReading(Reading):
    """`format` is `unopened`."""

    kind: str = ""
    """What it is, for people."""


def read(source: Source, budget: Budget, name: str) -> UnopenedReading:
    """Name it. Raises `InputError` (`not-this-format`)."""
    kind = next((mark.name for mark in _MARKS if _stands(source, mark)), "")
    if not kind and name.lower().endswith(".br"):
        kind = _BROTLI
    if not kind:
        raise InputError("not-this-format", "no archive that is known")
    message = f"a {kind}: no loader of models opens one, so that what is in it was not looked at"
    gap = Gap(code="not-opened", message=message.replace("a A", "an A").replace("a I", "an I"))
    return UnopenedReading(format="unopened", kind=kind, gaps=(gap,))


def _stands(source: Source, mark: _Mark) -> bool:
    at = mark.at if mark.at >= 0 else source.size + mark.at
    return at >= 0 and source.read(at, len(mark.magic)) == mark.magic
