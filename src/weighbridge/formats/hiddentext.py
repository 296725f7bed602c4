"""Characters that a reader of a text does not see: zero-width, bidirectional, tag and variation characters.

Joiners that scripts and emoji need (between two characters beyond Latin) and the presentation selectors U+FE00 to
U+FE0F are left out, as is a byte order mark at the very start.
"""

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple


class Hidden(NamedTuple):
    """Hidden characters of one kind on one line."""

    codes: str
    """`U+200B U+200B …`, the first eight."""
    kind: str
    """`zero-width`, `bidi`, `tag` or `variation`."""
    line: int


_HIDDEN = {0x00AD: "zero-width", 0x180E: "zero-width", 0xFEFF: "zero-width"}
_JOINERS = {0x200C, 0x200D}


def _hidden_kind(code: int) -> str:
    if 0xE0000 <= code <= 0xE007F:
        return "tag"
    if 0xE0100 <= code <= 0xE01EF:
        return "variation"
    if 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069:
        return "bidi"
    if 0x200B <= code <= 0x200F or 0x2060 <= code <= 0x2064:
        return "zero-width"
    return _HIDDEN.get(code, "")


def hidden_in(text: str) -> Iterator[Hidden]:
    """One for each kind on each line."""
    if text.isascii():
        return
    for line, content in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        yield from _hidden_line(content, line)


def _hidden_line(content: str, line: int) -> Iterator[Hidden]:
    found: dict[str, list[str]] = {}
    for at, char in enumerate(content):
        kind = _hidden_kind(ord(char)) if ord(char) > 0x7F else ""
        if kind and not (ord(char) in _JOINERS and _joins(content, at)):
            found.setdefault(kind, []).append(f"U+{ord(char):04X}")
    for kind, codes in found.items():
        yield Hidden(" ".join(codes[:8]) + (" …" if len(codes) > 8 else ""), kind, line)


def _joins(content: str, at: int) -> bool:
    """Whether a joiner stands where scripts and emoji need one: between two characters beyond ASCII."""
    around = content[max(0, at - 1) : at] + content[at + 1 : at + 2]
    return len(around) == 2 and all(ord(c) > 0x2FF and unicodedata.category(c)[0] in "LMS" for c in around)
