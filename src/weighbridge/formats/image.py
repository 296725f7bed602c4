"""Pictures: PNG, JPEG, GIF, WebP and SVG, checked for structure to the last byte; no pixel is decoded.

What stands behind the end of a picture is an anomaly and a gap: viewers ignore it, other loaders may not. SVG is XML
that browsers run scripts from, so it is read with expat; documents with a DTD are refused, which closes entity bombs.
"""

import re
import xml.parsers.expat as expat
from collections.abc import Callable

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Anomaly, Gap, Reading

MAX_SVG = 16 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """Something in an SVG or HTML document that a browser runs or fetches."""

    what: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReading(Reading):
    """`format` is `png`, `jpeg`, `gif`, `webp` or `svg`."""

    active: tuple[Active, ...] = ()
    """What an SVG runs."""
    text: str = ""
    """An SVG's source."""


def read(source: Source, budget: Budget, name: str) -> ImageReading:
    """Check the structure. Raises `InputError` (`bad-image`, or `not-this-format`)."""
    head = source.read(0, 16)
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return _raster("png", source, budget, _png_end)
    if head[:2] == b"\xff\xd8":
        return _raster("jpeg", source, budget, _jpeg_end)
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return _raster("gif", source, budget, _gif_end)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _raster("webp", source, budget, _webp_end)
    return _svg(source, name)


def _raster(
    kind: str, source: Source, budget: Budget, find_end: Callable[[Source, Budget], int]
) -> ImageReading:
    end = find_end(source, budget)
    rest = source.size - end
    if rest <= 0:
        return ImageReading(format=kind)
    message = f"{rest} bytes stand behind the end of the picture"
    padding = rest <= 64 * 1024 and not source.read(end, rest).strip(b"\0\r\n ")
    return ImageReading(
        format=kind,
        anomalies=() if padding else (Anomaly(code="trailing-bytes", message=message, offset=end),),
        gaps=() if padding else (Gap(code="trailing-bytes", message=message, offset=end),),
    )


def _broken(kind: str, at: int) -> InputError:
    return InputError("bad-image", f"the {kind} breaks off or has no valid structure at byte {at}")


def _png_end(source: Source, budget: Budget) -> int:
    at = 8
    while True:
        budget.spend_members()
        head = source.read(at, 8)
        length = int.from_bytes(head[:4], "big")
        if len(head) < 8 or not head[4:].isalpha() or at + 12 + length > source.size:
            raise _broken("png", at)
        at += 12 + length
        if head[4:] == b"IEND":
            return at


def _jpeg_end(source: Source, budget: Budget) -> int:
    """Segment by segment; entropy-coded data is searched for the next marker that is not RST or a stuffed zero."""
    at = 2
    while True:
        budget.spend_members()
        head = source.read(at, 4)
        if len(head) < 2 or head[0] != 0xFF:
            raise _broken("jpeg", at)
        marker = head[1]
        if marker == 0xD9:
            at += 2
            # Cameras append further pictures (Multi-Picture Format), each a whole JPEG.
            if source.read(at, 3) != b"\xff\xd8\xff":
                return at
            at += 2
            continue
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(head[2:4], "big")
        if length < 2 or at + 2 + length > source.size:
            raise _broken("jpeg", at)
        at += 2 + length
        if marker == 0xDA:
            at = _scan_end(source, at, budget)


_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


def _scan_end(source: Source, at: int, budget: Budget) -> int:
    chunk = 256 * 1024
    while at < source.size:
        budget.tick()
        found = _MARKER.search(source.read(at, chunk + 1))
        if found:
            return at + found.start()
        at += chunk
    raise _broken("jpeg", at)


def _gif_end(source: Source, budget: Budget) -> int:
    flags = source.read(10, 1)
    at = 13 + _gif_table(flags, "gif", 10)
    while True:
        budget.spend_members()
        kind = source.read(at, 1)
        if kind == b";":
            return at + 1
        if kind == b"!":
            at = _gif_blocks(source, at + 2, budget)
        elif kind == b",":
            table = _gif_table(source.read(at + 9, 1), "gif", at)
            at = _gif_blocks(source, at + 11 + table, budget)
        else:
            raise _broken("gif", at)


def _gif_table(flags: bytes, kind: str, at: int) -> int:
    if not flags:
        raise _broken(kind, at)
    return 3 << ((flags[0] & 7) + 1) if flags[0] & 0x80 else 0


def _gif_blocks(source: Source, at: int, budget: Budget) -> int:
    while True:
        budget.spend_members()
        size = source.read(at, 1)
        if not size:
            raise _broken("gif", at)
        at += 1 + size[0]
        if not size[0]:
            return at


def _webp_end(source: Source, budget: Budget) -> int:
    size = int.from_bytes(source.read(4, 4), "little")
    end = 8 + size
    if end > source.size:
        raise _broken("webp", 4)
    at = 12
    while at + 8 <= end:
        budget.spend_members()
        length = int.from_bytes(source.read(at + 4, 4), "little")
        at += 8 + length + (length & 1)
    if at not in (end, end + 1):
        raise _broken("webp", at)
    return end


_URL = re.compile(r"(?i)[\s\x00-\x20]*(javascript|vbscript|data\s*:\s*text/html)")
_RUNNING = {"script", "foreignobject", "iframe", "object", "embed", "handler"}


def _svg(source: Source, name: str) -> ImageReading:
    promised = "bad-image" if name.lower().endswith(".svg") else "not-this-format"
    if source.size > MAX_SVG:
        raise InputError(promised, "too large for an SVG")
    data = source.read(0, source.size)
    if b"<svg" not in data and b":svg" not in data:
        raise InputError(promised, "no picture")
    parser = expat.ParserCreate()
    active: list[Active] = []
    roots: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        local = tag.rpartition(":")[2].lower()
        if not roots:
            roots.append(local)
        line = parser.CurrentLineNumber
        if local in _RUNNING:
            active.append(Active(what=f"<{local}>", line=line))
        active.extend(
            Active(what=f"{key} attribute", line=line)
            for key, value in attributes.items()
            if key.lower().startswith("on") or _URL.match(value)
        )

    def refuse(*_: object) -> None:
        raise InputError("bad-image", "the svg has a document type declaration with its own entities")

    def style(target: str, _: str) -> None:
        if target == "xml-stylesheet":
            active.append(Active(what="a style sheet", line=parser.CurrentLineNumber))

    parser.StartElementHandler = start
    parser.EntityDeclHandler = refuse
    parser.ProcessingInstructionHandler = style
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InputError(promised, f"not XML: {error}") from None
    if roots != ["svg"]:
        raise InputError(promised, "no svg at the root")
    return ImageReading(format="svg", active=tuple(active[:1000]), text=data.decode("utf-8", "replace"))
