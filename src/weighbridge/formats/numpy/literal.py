"""The literal that stands in an npy header (NEP 1), read by a small grammar of its own and not by `eval`-like means."""

import re
from typing import Any

from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.value import dataclass
from weighbridge.formats.numpy.dtypes import MAX_DEPTH

TOO_DEEP = "an npy header is nested too deep"
_TOKEN = late(
    r"\s*(?:([\[\](){},:])|(True|False)|(-?[0-9]{1,20})L?|'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")"
)
_ESCAPES = late(r"(?:[^\\]|\\(?:[\\'\"abfnrtv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}))*")
"""Those that every Python reads alike, without a warning."""


class Literal:
    """Tuples, lists, one dict, strings, integers and bools; nothing else stands in an npy header."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> list[tuple[Any, Any]]:
        """The outermost dict as pairs, so that a key that stands twice is seen."""
        value = self._value(0)
        if self._text[self._at :].strip(" \t\r\n\0") or not isinstance(value, _Pairs):
            raise InputError("bad-npy", "an npy header is no dict")
        return value.pairs

    def _token(self) -> re.Match[str]:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise InputError("bad-npy", f"an npy header is no literal from character {self._at} on")
        self._at = match.end()
        return match

    def _peek(self) -> str:
        match = _TOKEN.match(self._text, self._at)
        return match.group(1) or "" if match else ""

    def _value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise InputError("bad-npy", TOO_DEEP)
        bracket, word, number, single, double = self._token().groups()
        if word:
            return word == "True"
        if number:
            return int(number)
        if bracket == "{":
            return _Pairs([(i[0], i[1]) for i in self._items("}", depth, pairs=True)])
        if bracket == "[":
            return self._items("]", depth)
        if bracket == "(":
            return self._tuple(depth)
        if bracket:
            raise InputError("bad-npy", f'an npy header has "{bracket}" where a value must stand')
        return _unescaped(single if single is not None else double)

    def _tuple(self, depth: int) -> Any:
        before = self._at
        items = self._items(")", depth)
        comma = self._text[before : self._at - 1].rstrip().endswith(",")
        return items[0] if len(items) == 1 and not comma else tuple(items)

    def _items(self, end: str, depth: int, *, pairs: bool = False) -> list[Any]:
        items: list[Any] = []
        while self._peek() != end:
            if items and self._token().group(1) != ",":
                raise InputError("bad-npy", "an npy header lacks a comma")
            if self._peek() == end:
                break
            key = self._value(depth + 1)
            if pairs:
                if self._token().group(1) != ":":
                    raise InputError("bad-npy", "an npy header lacks a colon")
                key = (key, self._value(depth + 1))
            items.append(key)
        self._token()
        return items


@dataclass(frozen=True, slots=True)
class _Pairs:
    pairs: list[tuple[Any, Any]]


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    if not text.isascii() or not _ESCAPES.fullmatch(text):
        raise InputError("bad-npy", "an npy header has an escape that is not followed")
    try:
        return text.encode("ascii").decode("unicode_escape")
    except UnicodeDecodeError:
        raise InputError("bad-npy", "an npy header has a broken escape") from None
