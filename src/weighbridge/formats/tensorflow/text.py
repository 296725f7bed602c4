"""The text form of TensorFlow's models (`.pbtxt`): turned into the bytes that it stands for, by the names in the schema.

Fields that the schema does not know become a field of an unknown number, so that the walk over the bytes reports them.
What stands in messages of notes is stepped over. Names of enumerations other than data types count as 0, since nothing
here depends on them. Spec: https://protobuf.dev/reference/protobuf/textformat-spec/.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.formats.protobuf import FIXED32, FIXED64, LENGTH, VARINT
from weighbridge.formats.tensorflow.schema import SCHEMA, TYPE_NAMES

MAX_SIZE = 64 * 1024**2
MAX_DEPTH = 100
UNKNOWN = 15_000
"""A number that no message here has."""

ROOTS = {
    "saved_model_schema_version": "SavedModel", "meta_graphs": "SavedModel", "meta_info_def": "MetaGraph",
    "graph_def": "MetaGraph", "saver_def": "MetaGraph", "node": "Graph", "library": "Graph", "versions": "Graph",
}  # fmt: skip
_START = late(rb"(?:\xef\xbb\xbf)?(?:\s|#[^\n]*\n)*(" + "|".join(ROOTS).encode() + rb")\s*[:{<]")
_TOKEN = late(
    r"""\s+|\#[^\n]*|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<name>\[[\w./%-]+\]|[A-Za-z_]\w*)"""
    r"""|(?P<number>[+-]?\s*(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?f?|inf(?:inity)?|nan))|(?P<mark>[{}<>\[\]:,;-])""",
    re.DOTALL,
)
_ESCAPE = late(
    rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL
)
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_NAMES = {
    message: {name: (number, kind) for number, (name, kind) in fields.items()}
    for message, fields in SCHEMA.items()
}


def looks_like_model(head: bytes) -> bool:
    """Whether the first field is one of a model's."""
    return _START.match(head) is not None


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class _Frame:
    """A message that is being read; `message` is "" where its fields do not count."""

    __slots__ = ("message", "number", "out")

    def __init__(self, message: str, number: int) -> None:
        self.message, self.number = message, number
        self.out = bytearray()


def encoded(source: Source, budget: Budget) -> tuple[str, bytes]:
    """(top message, its bytes) of a model. `InputError`: `bad-textproto`, `not-this-format`."""
    budget.need_memory(source.size * 3, "a model in the text form")
    data = source.read(0, source.size)
    budget.spend_bytes(len(data))
    start = _START.match(data)
    if start is None:
        raise InputError("not-this-format", "no model in the text form")
    kind = ROOTS[start[1].decode()]
    parser = _Parser(_decoded(data), kind, budget)
    result = parser.run()
    if kind == "Graph" and not parser.operators:
        raise InputError("not-this-format", "no node that names an operator")
    return kind, result


def message(data: bytes, kind: str, budget: Budget) -> bytes:
    """The bytes of one message of a kind that is known. `InputError`: `bad-textproto`."""
    return _Parser(_decoded(data), kind, budget).run()


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


class _Parser:
    """One pass over the tokens, with the open messages on a stack."""

    def __init__(self, text: str, kind: str, budget: Budget) -> None:
        self._tokens = _tokens(text)
        self._next: _Token | None = next(self._tokens, None)
        self._stack = [_Frame(kind, 0)]
        self._budget = budget
        self.operators = 0

    def run(self) -> bytes:
        """The bytes of the top message."""
        while (token := self._take()) is not None:
            self._budget.spend_members()
            if token.text in "}>" and token.kind == "mark":
                self._close(token)
            elif token.kind == "name":
                self._field(token)
            elif token.text not in ",;":
                raise _bad(token)
        if len(self._stack) != 1:
            raise InputError("bad-textproto", "the text ends inside a message")
        return bytes(self._stack[0].out)

    def _take(self) -> _Token | None:
        token, self._next = self._next, next(self._tokens, None)
        return token

    def _field(self, name: _Token) -> None:
        frame = self._stack[-1]
        unknown = (UNKNOWN, "") if frame.message else (0, "")
        number, kind = _NAMES.get(frame.message, {}).get(name.text, unknown)
        self.operators += frame.message == "Node" and name.text == "op"
        if self._at(":"):
            self._take()
        token = self._take()
        if token is None:
            raise InputError("bad-textproto", "the text ends inside a field")
        if token.kind == "mark" and token.text == "[":
            self._list(number, kind)
        else:
            self._value(token, number, kind)

    def _list(self, number: int, kind: str) -> None:
        """A list of values; messages in lists are left to the loop, as if each had the field's name before it."""
        while (token := self._take()) is not None:
            if token.kind == "mark" and token.text == "]":
                return
            if token.kind == "mark" and token.text in "{<":
                raise InputError("bad-textproto", f"a list of messages at character {token.at} is not read")
            if token.text != "," or token.kind != "mark":
                self._value(token, number, kind)
        raise InputError("bad-textproto", "the text ends inside a list")

    def _value(self, token: _Token, number: int, kind: str) -> None:
        if token.kind == "mark" and token.text in "{<":
            if len(self._stack) > MAX_DEPTH:
                raise InputError("bad-textproto", f"messages nested deeper than {MAX_DEPTH}")
            self._stack.append(_Frame(kind if kind in SCHEMA else "", number))
            return
        sign = ""
        if token.kind == "mark" and token.text == "-":
            sign, token = "-", self._take() or token
        if token.kind == "mark":
            raise _bad(token)
        raw = self._texts(token) if token.kind == "text" else b""
        if not number:
            return
        self._stack[-1].out += _scalar(number, kind, sign + token.text, raw, token)

    def _texts(self, token: _Token) -> bytes:
        """A text, and those that follow it at once."""
        pieces = [_unescaped(token.text[1:-1])]
        while self._next is not None and self._next.kind == "text":
            following = self._take()
            pieces.append(_unescaped(following.text[1:-1]) if following else b"")
        return b"".join(pieces)

    def _close(self, token: _Token) -> None:
        if len(self._stack) == 1:
            raise _bad(token)
        frame = self._stack.pop()
        if frame.number:
            self._stack[-1].out += _tag(frame.number, LENGTH) + _varint(len(frame.out)) + frame.out

    def _at(self, mark: str) -> bool:
        return self._next is not None and self._next.kind == "mark" and self._next.text == mark


def _scalar(number: int, kind: str, text: str, raw: bytes, token: _Token) -> bytes:
    if kind in ("text", "bytes") and token.kind == "text":
        return _tag(number, LENGTH) + _varint(len(raw)) + raw
    if kind == "int" and token.kind != "text":
        return _tag(number, VARINT) + _varint(_integer(text, token) & 0xFFFF_FFFF_FFFF_FFFF)
    if kind in ("fixed4", "fixed8") and token.kind != "text":
        code, wire = ("<f", FIXED32) if kind == "fixed4" else ("<d", FIXED64)
        return _tag(number, wire) + struct.pack(code, _float(text, token))
    if not kind:
        return _tag(number, VARINT) + b"\0"
    raise _bad(token)


def _integer(text: str, token: _Token) -> int:
    if token.kind == "name":
        return 1 if text in ("true", "True", "t") else TYPE_NAMES.get(text.removesuffix("_REF"), 0)
    plain = text.replace(" ", "")
    if len(plain) > 40:
        raise _bad(token)
    try:
        octal = re.fullmatch(r"([+-]?)0([0-7]+)", plain)
        return int(octal[1] + octal[2], 8) if octal else int(plain, 0)
    except ValueError:
        raise _bad(token) from None


def _float(text: str, token: _Token) -> float:
    try:
        value = float(text.replace(" ", "").rstrip("fF") if "inf" not in text.lower() else text)
        struct.pack("<f", value)
    except OverflowError:
        return float("inf")
    except ValueError:
        raise _bad(token) from None
    return value


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.end() == at:
            raise InputError("bad-textproto", f"character {at} begins no token")
        if match.lastgroup is not None:
            yield _Token(match.lastgroup, match[0], at)
        at = match.end()


def _unescaped(text: str) -> bytes:
    return _ESCAPE.sub(_escape, text.encode("utf-8", "surrogateescape"))


def _escape(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, short, long, plain = match.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    if short or long:
        code = int(short or long, 16)
        return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else b"?"
    return _PLAIN.get(plain, plain)


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _bad(token: _Token) -> InputError:
    return InputError("bad-textproto", f'"{token.text[:40]}" at character {token.at} is out of place')
