"""Pictures: PNG, JPEG, GIF, WebP and SVG, checked for structure to the last byte; no pixel is decoded.

What stands behind the end of a picture is an anomaly and a gap: viewers ignore it, other loaders may not. SVG is XML
that browsers run scripts from, so it is read with expat; documents with a DTD are refused, which closes entity bombs.
"""

import re
import xml.parsers.expat as expat
from collections.abc import Callable

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import program_part, text_part
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading

MAX_SVG = 16 * 1024**2
_PIXELS = frozenset((b"IDAT", b"fdAT", b"PLTE", b"IHDR", b"VP8 ", b"VP8L", b"ALPH", b"ANMF"))


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
    kind: str, source: Source, budget: Budget, find_end: Callable[[Source, Budget, "_Notes"], int]
) -> ImageReading:
    notes = _Notes(source)
    end = find_end(source, budget, notes)
    rest = source.size - end
    if rest <= 0:
        return ImageReading(format=kind, parts=tuple(notes.parts))
    message = f"{rest} bytes stand behind the end of the picture"
    padding = rest <= 64 * 1024 and not source.read(end, rest).strip(b"\0\r\n ")
    found = [Anomaly(code="trailing-bytes", message=message, offset=end)]
    if not padding and (script := _SCRIPT.search(source.read(end, 64 * 1024))):
        words = f"behind the end of the picture stands a script for a server or browser: {script[0][:20]!r}"
        found.append(Anomaly(code="trailing-script", message=words, offset=end + script.start()))
    return ImageReading(
        format=kind,
        parts=tuple(notes.parts),
        anomalies=() if padding else tuple(found),
        gaps=() if padding else (Gap(code="trailing-bytes", message=message, offset=end),),
    )


_SCRIPT = late(rb"(?i)<\?php\s|<script[\s>]|<%@?\s{0,9}(?:page|eval|execute|import)\b")
MAX_LOOKED = 16 * 1024**2
MAX_PARTS = 100


class _Notes:
    """What stands in a picture beside its pixels: chunks that viewers step over, comments, texts."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.parts: list[Part] = []

    def look(self, name: str, at: int, length: int, *, text: bool = False) -> None:
        """Keep it as a part when it begins like a program, pickle or archive, or (a text) is one in base64."""
        if len(self.parts) >= MAX_PARTS or length > MAX_LOOKED:
            return
        part = program_part(self._source, at, length, name)
        if part is None and text:
            data = self._source.read(at, length)
            part = text_part(data, name) or text_part(data.partition(b"\0")[2].lstrip(b"\0"), name)
        self.parts += [part] if part is not None else []


def _broken(kind: str, at: int) -> InputError:
    return InputError("bad-image", f"the {kind} breaks off or has no valid structure at byte {at}")


def _png_end(source: Source, budget: Budget, notes: _Notes) -> int:
    at = 8
    while True:
        budget.spend_members()
        head = source.read(at, 8)
        length = int.from_bytes(head[:4], "big")
        if len(head) < 8 or not head[4:].isalpha() or at + 12 + length > source.size:
            raise _broken("png", at)
        if head[4:] not in _PIXELS:
            kind = head[4:].decode("ascii")
            notes.look(f"chunk {kind}", at + 8, length, text=kind in ("tEXt", "iTXt", "eXIf"))
        at += 12 + length
        if head[4:] == b"IEND":
            return at


def _jpeg_end(source: Source, budget: Budget, notes: _Notes) -> int:
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
        if marker == 0xFE or 0xE0 <= marker <= 0xEF:
            notes.look(f"segment {marker:02x}", at + 4, length - 2, text=marker == 0xFE)
        at += 2 + length
        if marker == 0xDA:
            at = _scan_end(source, at, budget)


_MARKER = late(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


def _scan_end(source: Source, at: int, budget: Budget) -> int:
    chunk = 256 * 1024
    while at < source.size:
        budget.tick()
        found = _MARKER.search(source.read(at, chunk + 1))
        if found:
            return at + found.start()
        at += chunk
    raise _broken("jpeg", at)


def _gif_end(source: Source, budget: Budget, notes: _Notes) -> int:
    flags = source.read(10, 1)
    at = 13 + _gif_table(flags, "gif", 10)
    while True:
        budget.spend_members()
        kind = source.read(at, 1)
        if kind == b";":
            return at + 1
        if kind == b"!":
            notes.look("comment", at + 3, source.read(at + 2, 1)[0] if at + 2 < source.size else 0, text=True)
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


def _webp_end(source: Source, budget: Budget, notes: _Notes) -> int:
    size = int.from_bytes(source.read(4, 4), "little")
    end = 8 + size
    if end > source.size:
        raise _broken("webp", 4)
    at = 12
    while at + 8 <= end:
        budget.spend_members()
        length = int.from_bytes(source.read(at + 4, 4), "little")
        if source.read(at, 4) not in _PIXELS:
            notes.look("chunk", at + 8, min(length, end - at - 8))
        at += 8 + length + (length & 1)
    if at not in (end, end + 1):
        raise _broken("webp", at)
    return end


_URL = late(r"(?i)[\s\x00-\x20]*(javascript|vbscript|data\s*:\s*text/html)")
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
