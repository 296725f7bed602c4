"""Documents and shortcuts: PDF, OLE compound files (old Office), RTF, Windows shortcuts, PostScript; what of them runs.

Recognised by content. A PDF's names are looked for in its text and in its deflated streams, with `#xx` escapes undone; an
OLE file's directory is read for the storages of macros; the rest is told by its kind. Nothing is rendered, and what an
encrypted or damaged document holds stays unread.
"""

import re
import zlib
from collections.abc import Iterator

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Gap, Reading

MAX_DOCUMENT = 32 * 1024**2
MAX_INFLATED = 64 * 1024**2
MAX_STREAMS = 20_000
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
LNK = b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"

_PDF_ACTIVE = {
    b"JavaScript": "a script",
    b"JS": "a script",
    b"Launch": "a program",
    b"RichMedia": "a Flash film",
    b"ImportData": "data from a file",
    b"SubmitForm": "data to an address",
    b"GoToE": "an embedded document",
    b"GoToR": "another document",
    b"XFA": "a form with scripts",
}
_PDF_DOUBT = {
    b"OpenAction": "an action when it is opened",
    b"AA": "actions on events",
    b"EmbeddedFile": "a file of its own",
    b"Encrypt": "encrypted parts",
}
_PDF_GOES = frozenset(
    (
        b"URI",
        b"Named",
        b"Rendition",
        b"Movie",
        b"Sound",
        b"Thread",
        b"SetOCGState",
        b"Trans",
        b"GoTo3DView",
        b"Encrypt",
    )
)
"""Actions other than those in `_PDF_ACTIVE` that do more than show a page."""
_PDF_TEXTS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (
        late(rb"(?i)/URI\s*\(\s*(javascript|vbscript|data|file)\\?:"),
        "a link that runs a script or opens a file",
    ),
    (
        late(
            rb"(?is)/UF?\s*\([^)]{0,200}\.(exe|scr|bat|cmd|ps1|vbs|js|jse|wsf|hta|lnk|msi|jar|com|pif|dll|sh|py|pkl)\)"
        ),
        "an attached program",
    ),
    (
        late(rb"(?is)/F\s*\([^)]{0,200}\.(exe|scr|bat|cmd|ps1|vbs|jse|wsf|hta|lnk|msi|jar|com|pif|dll)\)"),
        "an attached program",
    ),
)
_NAME = late(rb"/([A-Za-z0-9#]{1,60})(?![A-Za-z0-9#])")
_STREAM = late(rb"stream\r?\n")
_ESCAPE = late(rb"#([0-9a-fA-F]{2})")
_OLE_NAMES = {
    "_VBA_PROJECT": "macros",
    "VBA": "macros",
    "Macros": "macros",
    "_VBA_PROJECT_CUR": "macros",
    "\x01Ole10Native": "an embedded program or file",
    "ObjectPool": "embedded objects",
    "Equation Native": "an equation object, whose editor was attacked (CVE-2017-11882)",
    "\x05SummaryInformation": "",
}
_RTF_ACTIVE = (b"\\object", b"\\objdata", b"\\objupdate", b"\\ddeauto", b"DDEAUTO", b"\\objautlink")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentReading(Reading):
    """`format` is `pdf`, `ole`, `rtf`, `windows-shortcut` or `postscript`."""

    active: tuple[str, ...] = ()
    """What opening it may start."""
    odd: tuple[str, ...] = ()
    """What may hold more than is seen."""


def read(source: Source, budget: Budget, name: str) -> DocumentReading:
    """Recognise the document and what is active in it. Raises `InputError` (`not-this-format`)."""
    budget.need_memory(min(source.size, MAX_DOCUMENT) * 2, "a document")
    data = source.read(0, min(source.size, MAX_DOCUMENT))
    gaps = _too_long(source)
    if b"%PDF-" in data[:1024]:
        active, odd = _pdf(data, budget)
        return DocumentReading(format="pdf", active=tuple(active), odd=tuple(odd), gaps=gaps)
    if data.startswith(OLE):
        return DocumentReading(format="ole", active=tuple(_ole(data, budget)), gaps=gaps)
    if data[:5] == b"{\\rtf":
        objects = ("an embedded object",) if any(word in data for word in _RTF_ACTIVE) else ()
        return DocumentReading(format="rtf", active=objects, gaps=gaps)
    if data.startswith(LNK):
        return DocumentReading(format="windows-shortcut", active=(_shortcut(data),))
    if data[:4] == b"%!PS":
        return DocumentReading(format="postscript", odd=("a program for printers",), gaps=gaps)
    raise InputError("not-this-format", "no document of these kinds")


def _too_long(source: Source) -> tuple[Gap, ...]:
    message = f"only the first {MAX_DOCUMENT} bytes of a document are looked at"
    return (Gap(code="limit-text", message=message),) if source.size > MAX_DOCUMENT else ()


def _pdf(data: bytes, budget: Budget) -> tuple[list[str], list[str]]:
    names, texts = set[bytes](), list[str]()
    for text in (data, *_inflated(data, budget)):
        names.update(_names(text))
        texts += [what for pattern, what in _PDF_TEXTS if pattern.search(text)]
    active = [what for name, what in _PDF_ACTIVE.items() if name in names]
    odd = [what for name, what in _PDF_DOUBT.items() if name in names]
    if b"OpenAction" in names and names.isdisjoint(_PDF_GOES):
        odd.remove(_PDF_DOUBT[b"OpenAction"])  # what is left for it is a page to begin with
    return list(dict.fromkeys([*active, *texts])), odd


def _names(data: bytes) -> Iterator[bytes]:
    for match in _NAME.finditer(data):
        name = match[1]
        yield _ESCAPE.sub(lambda m: bytes([int(m[1], 16)]), name) if b"#" in name else name


def _inflated(data: bytes, budget: Budget) -> Iterator[bytes]:
    """The deflated streams that hold objects rather than pictures: short, or beginning like text."""
    room = MAX_INFLATED
    for count, match in enumerate(_STREAM.finditer(data)):
        if count >= MAX_STREAMS or room <= 0:
            return
        budget.tick()
        unpacker = zlib.decompressobj()
        try:
            text = unpacker.decompress(data[match.end() : match.end() + 4 * 1024**2], min(room, 4 * 1024**2))
        except zlib.error:
            continue
        room -= len(text)
        yield text


def _ole(data: bytes, budget: Budget) -> Iterator[str]:
    """Names in the directory: sectors are searched for entries, so that a broken chain hides none."""
    told: set[str] = set()
    for start in range(512, len(data) - 127, 128):
        if start % (1024 * 128) == 0:
            budget.tick()
        length = int.from_bytes(data[start + 64 : start + 66], "little")
        if data[start + 66] not in (1, 2, 5) or not 4 <= length <= 64 or length % 2:
            continue
        name = data[start : start + length - 2].decode("utf-16-le", "replace")
        what = _OLE_NAMES.get(name, "")
        if what and what not in told:
            told.add(what)
            yield what


def _shortcut(data: bytes) -> str:
    text = data.decode("utf-16-le", "ignore") + data.decode("latin-1")
    found = re.search(
        r"(?i)(cmd|powershell|wscript|cscript|mshta|rundll32|regsvr32|bash|python)(\.exe)?", text
    )
    return f"the program {found[0].lower()}" if found else "the program or file that it names"
