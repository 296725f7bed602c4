"""The encoding that a Python module declares for itself (PEP 263), and encodings that hide code from people."""

from collections.abc import Iterator

from weighbridge.core.pattern import late
from weighbridge.formats.reading import Anomaly

_COOKIE = late(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_CODECS = {"utf-8": "utf-8", "utf8": "utf-8", "ascii": "ascii", "us-ascii": "ascii"}
_CODECS |= dict.fromkeys(("latin-1", "latin1", "iso-8859-1", "iso-latin-1"), "latin-1")
_CODECS |= {
    name: name
    for name in (
        "cp1251",
        "cp1252",
        "cp949",
        "gbk",
        "gb2312",
        "gb18030",
        "big5",
        "euc-jp",
        "euc-kr",
        "shift-jis",
        "koi8-r",
    )
}
_CODECS |= {
    name: name for name in (f"iso-8859-{number}" for number in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16))
}
_HIDING = {
    "utf-7": "utf-7",
    "utf7": "utf-7",
    "u7": "utf-7",
    "unicode-escape": "unicode-escape",
    "unicodeescape": "unicode-escape",
}
_HIDING |= {"raw-unicode-escape": "raw-unicode-escape", "rawunicodeescape": "raw-unicode-escape"}
"""Encodings (PEP 263) in which a comment or text for people is code for Python; both are looked at."""


def codec_of(data: bytes) -> tuple[str | None, str]:
    """The codec of the declared encoding (PEP 263) where it can be followed, and the encoding as declared."""
    for line in data[:4096].splitlines()[:2]:
        cookie = _COOKIE.match(line)
        if cookie:
            name = cookie[1].decode("ascii").lower().replace("_", "-")
            return _CODECS.get(name) or _HIDING.get(name), name[:40]
    return "utf-8", "utf-8"


def hiding(codec: str) -> Iterator[Anomaly]:
    """An anomaly where the file is written in such an encoding."""
    if codec in _HIDING.values():
        yield Anomaly(
            code="hiding-encoding", message=f"is written in {codec}, in which code looks like a comment"
        )
