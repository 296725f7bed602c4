"""Text: README, LICENSE, vocabularies, CSV, TOML, HTML, requirements: decoded and checked to the last byte.

Says which characters a person would not see (bidirectional controls, Unicode TR36) and gives the text to the rules.
Nothing in it is evaluated: front matter, Markdown and HTML stay text. The kind of text is taken from the
name, because whoever reads it goes by the name too. Only the first 16 MiB are kept for rules; all of it is checked.
"""

import codecs
import re
from collections.abc import Iterator

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Anomaly, Gap, Reading
from weighbridge.formats.sniff import looks_like_latin_1

CHUNK = 1024**2
KEPT_TEXT = 16 * 1024**2
KEEP = 1024**2
"""Texts up to this size stay in memory for rules over the whole folder."""

_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
BIDI = late(f"[{_BIDI}]")
"""Characters that make text read in another order than it stands (Trojan Source, CVE-2021-42574)."""
_CONTROL = "".join(
    chr(code) for code in range(128) if chr(code) not in "\t\n\f\r\x1b" and (code < 32 or code == 127)
)

KINDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        late(
            r"(?i)(^|/)requirements[^/]*\.(txt|in)$|(^|/)constraints[^/]*\.txt$",
            needs=("requirements", "constraints"),
        ),
        "requirements",
    ),
    (late(r"(?i)\.x?html?$", needs=("htm",)), "html"),
    (
        late(
            r"(?i)\.(xml|pmml|xsl|xslt|rdf|urdf|dae)$",
            needs=(".xml", ".pmml", ".xsl", ".rdf", ".urdf", ".dae"),
        ),
        "xml",
    ),
)
"""Name → narrower format; everything else is `text`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReading(Reading):
    """Decoded text."""

    text: str
    """The first 16 MiB, line ends as they are."""
    encoding: str


def read(source: Source, budget: Budget, name: str) -> TextReading:
    """Decode and check the whole file. Raises `InputError` (`not-this-format`) where it is not text."""
    encoding = _encoding(source)
    kept: list[str] = []
    room = KEPT_TEXT
    for piece in _pieces(source, budget, encoding):
        if has_control(piece):
            raise InputError("not-this-format", "control characters that text does not have")
        kept += [piece[:room]] if room > 0 else []
        room -= len(piece)
    text = "".join(kept)
    kind = next((kind for pattern, kind in KINDS if pattern.search(name)), "text")
    if kind == "text" and re.match(r"(?i)\ufeff?\s*(<!doctype html|<html)", text):
        kind = "html"
    if kind == "text" and re.match(r"\ufeff?\s*<\?xml\b", text):
        kind = "xml"
    return TextReading(
        format=kind,
        text=text,
        encoding=encoding,
        anomalies=bidi_anomalies(text),
        gaps=() if kind == "text" or room >= 0 else (_too_long(kind),),
        keep=source.size <= KEEP,
    )


def _too_long(kind: str) -> Gap:
    return Gap(
        code="limit-text", message=f"only the first {KEPT_TEXT} characters of a {kind} document are looked at"
    )


def has_control(text: str) -> bool:
    """Whether control characters stand in it that text does not have."""
    return any(char in text for char in _CONTROL)


def bidi_anomalies(text: str) -> tuple[Anomaly, ...]:
    """One anomaly where the text holds characters that reorder what people see."""
    # Nine searches for one character each are far quicker than one for a class.
    if text.isascii() or not any(char in text for char in _BIDI):
        return ()
    found = BIDI.search(text)
    if found is None:
        return ()
    line = text.count("\n", 0, found.start()) + 1
    return (Anomaly(code="bidi-characters", message=f"line {line} reads in another order than it stands"),)


def _encoding(source: Source) -> str:
    head = source.read(0, CHUNK)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        if not looks_like_latin_1(head):
            raise InputError("not-this-format", "neither UTF-8 nor Latin-1 text") from None
        return "latin-1"
    return "utf-8"


def _pieces(source: Source, budget: Budget, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for offset in range(0, source.size, CHUNK):
            budget.tick()
            yield decoder.decode(source.read(offset, CHUNK))
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InputError("not-this-format", f"not {encoding} text: {error.reason}") from None
