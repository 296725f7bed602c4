"""Scripts that are nothing but data: a literal that is exported or given a name, as weights are hidden in JavaScript.

Accepts a script only where all of it is such statements: `module.exports = …`, `exports.NAME = …`, `export default …`,
`export const NAME = …`, `const NAME = …`, with strings, numbers, booleans, arrays and objects of these; or the loader that
browserify puts around one module with such an export, word for word. Everything else is a script, whatever it looks like.
Grammar: ECMA-262, of which this is a very small part.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import MemorySource, Source
from weighbridge.formats.embedded import HEAD, looks_packed, text_part
from weighbridge.formats.reading import Part, Reading

MAX_SIZE = 64 * 1024**2
MAX_DEPTH = 100
MAX_VALUES = 2_000_000
MAX_PARTS = 100
NAMES = (".js", ".mjs", ".cjs")
RESERVED = frozenset(
    {
        "document", "event", "external", "frames", "history", "location", "name", "navigation", "navigator", "opener", "parent",
        "self", "status", "top", "toString", "valueOf", "window", "origin", "closed", "length", "eval", "arguments",
    }
)  # fmt: skip
"""Names whose assignment does something in a browser: `var location = "…"` opens an address."""

_CODE = late(
    r"child_process|\b(?:eval|exec|execSync|spawn|Function|require|fetch|importScripts)\s*\(|<script|javascript:|\b(?:document|window|process)\."
    r"|XMLHttpRequest|ActiveXObject|WScript"
)
MAX_CODE = 1024**2

_SPACE = late(r"(?:[\s\ufeff]+|//[^\n\r\u2028\u2029]*|/\*.*?\*/)*", re.DOTALL)
_STRICT = late(r"""(?:"use strict"|'use strict')\s*(?:;|(?=\n))""")
_NAME = r"[A-Za-z_$][\w$]*"
_ASSIGN = late(
    rf"(?:module\.exports(?:\.(?P<a>{_NAME}))?|exports\.(?P<b>{_NAME})|export\s+default(?=[\s\[{{\"'`])"
    rf"|(?:export\s+)?(?:const|let|var)\s+(?P<c>{_NAME}))\s*(?P<equals>=(?!=))?\s*"
)
_MARK = late(
    rf"Object\.defineProperty\(exports,\s*[\"']__esModule[\"'],\s*\{{\s*value:\s*(?:true|!0)\s*\}}\)|export\s*\{{[\w$\s,]*\}}"
    rf"|module\.exports\s*=\s*{_NAME}(?=\s*(?:;|\Z|\n))|exports\.default\s*=\s*{_NAME}(?=\s*(?:;|\Z|\n))"
)
_TOKEN = late(
    r"""(?P<string>"[^"\\\n\r]*(?:\\.[^"\\\n\r]*)*"|'[^'\\\n\r]*(?:\\.[^'\\\n\r]*)*'|`[^`\\$]*(?:\\.[^`\\$]*)*`)"""
    r"""|(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))(?![\w$])"""
    r"""|(?P<word>true|false|null|undefined|NaN|Infinity|!0|!1|void 0)(?![\w$])|(?P<key>[A-Za-z_$][\w$]*)(?=\s*:)|(?P<mark>[\[\]{},:])""",
    re.DOTALL,
)
_WORDS = {"true": True, "!0": True, "false": False, "!1": False}
_ESCAPE = late(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|(\r?\n)|(.))", re.DOTALL)
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


def _browserify() -> re.Pattern[str]:
    """The loader around one module, as browserify and terser write it; names are theirs to choose, but one each."""
    text = (
        '!function(A){if("object"==typeof exports&&"undefined"!=typeof module)module.exports=A();'
        'else if("function"==typeof define&&define.amd)define([],A);else{("undefined"!=typeof window?window:'
        '"undefined"!=typeof global?global:"undefined"!=typeof self?self:this).NAME=A()}}(function(){return '
        "function B(C,D,E){function F(G,H){if(!D[G]){if(!C[G]){"
        'var I="function"==typeof require&&require;if(!H&&I)return I(G,!0);if(J)return J(G,!0);'
        'var K=new Error("Cannot find module \'"+G+"\'");throw K.code="MODULE_NOT_FOUND",K}'
        "var L=D[G]={exports:{}};C[G][0].call(L.exports,function(M){return F(C[G][1][M]||M)},L,L.exports,B,C,D,E)}"
        'return D[G].exports}for(var J="function"==typeof require&&require,G2=0;G2<E.length;G2++)F(E[G2]);return F}'
        "({1:[function(N,O,P){O.exports=LITERAL},{}]},{},[1])(1)});?"
    )
    return re.compile(_with_names(text), re.DOTALL)


def _with_names(text: str) -> str:
    """Single capitals stand for a name of one or two letters, the same wherever it stands."""
    out, seen = [], set[str]()
    for piece in re.split(r"(\bLITERAL\b|\bNAME\b|\b[A-P]2?\b(?!\w)|;\?\Z)", text):
        if piece == "LITERAL":
            out.append("(?P<literal>.*)")
        elif piece == "NAME":
            out.append(r"[\w$]+")
        elif piece == ";?":
            out.append(r";?\s*")
        elif re.fullmatch(r"[A-P]2?", piece):
            out.append(f"(?P={piece})" if piece in seen else rf"(?P<{piece}>[A-Za-z_$][\w$]?)")
            seen.add(piece)
        else:
            out.append(re.escape(piece))
    return "".join(out) + r"(?://[^\n\r\u2028\u2029]*\s*)?\Z"


def read(source: Source, budget: Budget) -> Reading | None:
    """A reading where the script is data; None for any other script."""
    if source.size > MAX_SIZE:
        return None
    head = source.read(0, HEAD)
    if not any(word in head for word in (b"exports", b"export ", b"const ", b"var ", b"let ")):
        return None
    budget.need_memory(source.size * 4, "a script")
    try:
        text = source.read(0, source.size).decode("utf-8")
        values = _module(text)
    except (UnicodeDecodeError, _NotDataError, InputError):
        return None
    budget.spend_bytes(source.size)
    if not values or any(len(string) < MAX_CODE and _CODE.search(string) for string in _texts(values)):
        return None  # a text of code is data too, until somebody evaluates it: it stays a script
    return Reading(
        format="script-data",
        parts=tuple(_parts(values)),
        tensors_unlisted="weights in a script have no names and shapes of their own",
    )


class _NotDataError(Exception):
    """Something in the script is no literal."""


def _module(text: str) -> list[Any]:
    """The values of all statements."""
    start = text[:200].lstrip("\ufeff \t\r\n")
    if start.startswith("!function("):
        match = _browserify().match(text.strip("\ufeff \t\r\n"))
        if match is None:
            raise _NotDataError
        return [_whole(match["literal"])]
    values: list[Any] = []
    at = _skip(text, 0)
    while at < len(text):
        if match := _STRICT.match(text, at) or _MARK.match(text, at):
            at = match.end()
        else:
            match = _ASSIGN.match(text, at)
            if match is None or _forbidden(match):
                raise _NotDataError
            value, at = _literal(text, match.end())
            values.append(value)
        at = _end_of_statement(text, at)
    return values


def _forbidden(match: re.Match[str]) -> bool:
    if (match["equals"] is None) != match[0].lstrip().startswith("export default"):
        return True
    names = (match["a"], match["b"], match["c"])
    return any(name is not None and (name in RESERVED or name.startswith(("on", "__"))) for name in names)


def _end_of_statement(text: str, at: int) -> int:
    """A statement ends with `;`, with the line, or with the script."""
    space = _skip(text, at)
    if space >= len(text):
        return space
    if text[space] == ";":
        return _skip(text, space + 1)
    if "\n" not in text[at:space]:
        raise _NotDataError
    return space


def _whole(text: str) -> Any:
    value, at = _literal(text, 0)
    if _skip(text, at) != len(text):
        raise _NotDataError
    return value


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _literal(text: str, at: int) -> tuple[Any, int]:
    """One literal and the offset behind it; containers are kept on a stack."""
    stack: list[Any] = []
    keys: list[str | None] = []
    count = 0
    while True:
        at = _skip(text, at)
        match = _TOKEN.match(text, at)
        count += 1
        if match is None or count > MAX_VALUES:
            raise _NotDataError
        at = match.end()
        mark = match["mark"]
        if mark in ("[", "{"):
            if len(stack) >= MAX_DEPTH:
                raise _NotDataError
            stack.append([] if mark == "[" else {})
            keys.append(None)
            at = _skip(text, at)
            if text[at : at + 1] != ("]" if mark == "[" else "}"):
                at = _key(text, at, stack, keys)
                continue
            value, at = _closed(stack, keys), at + 1
        elif mark is not None or match["key"] is not None:
            raise _NotDataError
        else:
            value = _scalar(match)
        while stack:
            _put(stack, keys, value)
            at = _skip(text, at)
            following = text[at : at + 1]
            end = "]" if isinstance(stack[-1], list) else "}"
            if following == ",":
                at = _skip(text, at + 1)
                if text[at : at + 1] != end:
                    at = _key(text, at, stack, keys)
                    break
            if text[at : at + 1] != end:
                raise _NotDataError
            value, at = _closed(stack, keys), at + 1
        else:
            return value, at


def _key(text: str, at: int, stack: list[Any], keys: list[str | None]) -> int:
    """In an object, the key and its colon."""
    if isinstance(stack[-1], list):
        return at
    match = _TOKEN.match(text, at)
    if match is None or match["mark"] is not None:
        raise _NotDataError
    key = match["key"] or (_unquoted(match["string"]) if match["string"] else match[0])
    at = _skip(text, match.end())
    if key in ("__proto__", "constructor", "toString", "valueOf", "then") or text[at : at + 1] != ":":
        raise _NotDataError
    keys[-1] = key
    return at + 1


def _put(stack: list[Any], keys: list[str | None], value: Any) -> None:
    if isinstance(stack[-1], list):
        stack[-1].append(value)
    else:
        stack[-1][keys[-1]] = value


def _closed(stack: list[Any], keys: list[str | None]) -> Any:
    keys.pop()
    return stack.pop()


def _scalar(match: re.Match[str]) -> Any:
    if match["string"] is not None:
        return _unquoted(match["string"])
    if match["number"] is not None:
        number = match["number"]
        try:
            return int(number, 16) if "x" in number.lower() else json.loads(_plain_number(number))
        except ValueError:
            raise _NotDataError from None
    return _WORDS.get(match["word"])


def _plain_number(number: str) -> str:
    """As JSON writes it."""
    sign, digits = ("-", number[1:]) if number[0] == "-" else ("", number.lstrip("+"))
    digits = re.sub(r"\.(?=[eE]|\Z)", "", digits)
    return sign + (f"0{digits}" if digits.startswith(".") else digits)


def _unquoted(string: str) -> str:
    inner = string[1:-1]
    return _ESCAPE.sub(_escape, inner) if "\\" in inner else inner


def _escape(match: re.Match[str]) -> str:
    short, four, code, line, plain = match.groups()
    if line:
        return ""
    if plain is not None:
        return _PLAIN.get(plain, plain)
    number = int(short or four or code, 16)
    return chr(number) if number < 0x110000 else "?"


def _parts(values: list[Any]) -> Iterator[Part]:
    """Objects and arrays as the JSON that they are; strings where they are, or decode to, something that runs."""
    count = 0
    for index, value in enumerate(values):
        name = f"value {index}"
        if isinstance(value, dict | list):
            data = json.dumps(value, ensure_ascii=True).encode("ascii")
            yield Part(name=name, source=MemorySource(data), kind="json")
        for text in _texts(value):
            start = text[:HEAD].encode("utf-8", "surrogatepass")
            if count < MAX_PARTS and (looks_packed(start) or text_part(start, name) is not None):
                part = text_part(text.encode("utf-8", "surrogatepass"), name)
                count += part is not None
                yield from (part,) if part is not None else ()


def _texts(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, dict):
            stack += item.values()
