"""Strict JSON: the one reader of every document that somebody may have signed or forged.

Refuses what parsers disagree about: duplicate keys, NaN and Infinity, invalid UTF-8, a byte order mark, numbers
of absurd length, nesting beyond the interpreter's recursion limit, documents beyond `limit` bytes (RFC 8259 leaves
these open; RFC 7493 I-JSON closes most of them).
"""

import json
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError

MAX_DOCUMENT = 64 * 1024**2


def read_json(data: bytes, what: str, *, limit: int = MAX_DOCUMENT) -> Any:
    """The document's value. Raises `InputError` (`bad-json`, `duplicate-key`) or `LimitError` (`limit-json`).

    `what` names the document in the message: `bundle "model.sig"`.
    """
    if len(data) > limit:
        raise LimitError("limit-json", f"{what} has {len(data)} bytes, limit {limit}")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except _DuplicateKeyError as error:
        raise InputError(
            "duplicate-key", f'{what} has the key "{str(error)[:100]}" twice in one object'
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError("bad-json", f"{what} is not strict JSON: {str(error)[:200]}") from None


WINDOW = 64 * 1024
_AT_THE_END = 16
"""Characters: the longest literal or escape that a window's end may cut."""


def read_json_at(text: str, at: int, budget: Budget, what: str) -> tuple[Any, int]:
    """The JSON value that begins at `at`, as strictly read as by `read_json`, and the position behind it.

    For documents too large to hold as values all at once: parses no more of the text than the value needs. Asks the
    budget before it parses. Raises `InputError` (`bad-json`, `duplicate-key`) and `LimitError` (`limit-memory`).
    """
    size = WINDOW
    while True:
        window = text[at : at + size]
        whole = at + size >= len(text)
        items = sum(window.count(mark) for mark in "{[,:")
        budget.need_memory(2 * len(window) + 60 * items, f"{what}, parsed,")
        try:
            value, end = _DECODER.raw_decode(window)
        except _DuplicateKeyError as error:
            raise InputError(
                "duplicate-key", f'{what} has the key "{str(error)[:100]}" twice in one object'
            ) from None
        except (ValueError, RecursionError) as error:
            if whole or not _cut(error, len(window)):
                raise InputError("bad-json", f"{what} is not strict JSON: {str(error)[:200]}") from None
        else:
            if end < len(window) or whole:
                return value, at + end
        size *= 4


def _cut(error: Exception, length: int) -> bool:
    """Whether parsing failed because the window ends, and not because of what stands in it."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.pos >= length - _AT_THE_END or error.msg.startswith("Unterminated string")


def write_json(value: Any, *, indent: int | None = None) -> bytes:
    """Compact (or indented) UTF-8 JSON in the order given; surrogates from odd file names are escaped."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, separators=separators, indent=indent, allow_nan=False)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=separators, indent=indent, allow_nan=False).encode("ascii")


class _DuplicateKeyError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        raise _DuplicateKeyError(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
