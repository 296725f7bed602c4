"""Words on screens. Names that come from a model are hostile: control characters, bidi marks and raw bytes are made visible."""

import unicodedata
from collections.abc import Collection

from weighbridge.core.pattern import late

_PLAIN = late(r"[\x20-\x7e]*\Z")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: str, limit: int = 500) -> str:
    """`text` as one harmless line: hidden characters as `\\u202e`, undecodable bytes as `\\xff`, cut at `limit`."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    if _PLAIN.match(short):
        return short
    return "".join(_shown(char) for char in short)


def _shown(char: str) -> str:
    if 0xDC80 <= ord(char) <= 0xDCFF:
        return f"\\x{ord(char) - 0xDC00:02x}"
    if unicodedata.category(char) in _HIDDEN:
        return (
            char.encode("unicode_escape").decode()
            if ord(char) > 0xFF or ord(char) < 0x20
            else f"\\x{ord(char):02x}"
        )
    return char


def some(names: Collection[str], shown: int = 3, limit: int = 120) -> str:
    """`a, b, c and 4 more`: the first names, made visible, and how many are left."""
    first = [visible(name, limit) for _, name in zip(range(shown), names, strict=False)]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def counted(count: int, noun: str) -> str:
    """`1 file`, `13 files`, `2 entries`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("ry") else f"{count} {noun}s"


def human_bytes(count: int) -> str:
    """`13.5 GB`: three digits at most, decimal units, as disks and hubs print them."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError
