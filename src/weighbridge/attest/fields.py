"""Typed fields of a predicate: present and of the right type, or an `InputError` (`bad-predicate`)."""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, TypeVar

from weighbridge.core.errors import InputError
from weighbridge.core.statement import Named, read_named
from weighbridge.core.text import visible
from weighbridge.sign.fields import need as _need

T = TypeVar("T")
BAD = "bad-predicate"
MOST = 100_000
"""Items of one list."""
_WORD = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def field(predicate: Mapping[str, Any], key: str, kind: type[T], what: str) -> T:
    """The field, which must be there."""
    if key not in predicate:
        raise InputError(BAD, f'{what} has no "{key}"')
    return _need(predicate[key], kind, BAD, f'"{key}" of {what}')


def optional(predicate: Mapping[str, Any], key: str, default: T, what: str) -> T:
    """The field, or `default` where it is absent or null; of the default's type."""
    value = predicate.get(key)
    return default if value is None else _need(value, type(default), BAD, f'"{key}" of {what}')


def rows(predicate: Mapping[str, Any], key: str, what: str) -> tuple[Mapping[str, Any], ...]:
    """A list of objects; () where it is absent."""
    return tuple(_need(row, dict, BAD, f'an item of "{key}"') for row in _items(predicate, key, what))


def texts(predicate: Mapping[str, Any], key: str, what: str) -> tuple[str, ...]:
    """A list of texts; () where it is absent."""
    return tuple(_need(row, str, BAD, f'an item of "{key}"') for row in _items(predicate, key, what))


def _items(predicate: Mapping[str, Any], key: str, what: str) -> list[Any]:
    items: list[Any] = optional(predicate, key, [], what)
    if len(items) > MOST:
        raise InputError(BAD, f'"{key}" of {what} has {len(items)} items, limit {MOST}')
    return items


def word(predicate: Mapping[str, Any], key: str, allowed: Collection[str] | None, what: str) -> str:
    """One of the allowed words, or any lower-case word."""
    value = field(predicate, key, str, what)
    if (allowed is not None and value not in allowed) or not _WORD.fullmatch(value):
        known = f", known are {', '.join(sorted(allowed))}" if allowed else ""
        raise InputError(BAD, f'"{key}" of {what} is "{visible(value, 60)}"{known}')
    return value


def time(predicate: Mapping[str, Any], key: str, what: str, *, required: bool = True) -> str:
    """An RFC 3339 time with its zone, as it was written; "" where it is absent and may be."""
    if not required and predicate.get(key) is None:
        return ""
    value = field(predicate, key, str, what)
    try:
        if datetime.fromisoformat(value).tzinfo is not None:
            return value
    except ValueError:
        pass
    raise InputError(BAD, f'"{key}" of {what} is no time with a zone: "{visible(value, 40)}"')


def named(value: Any, what: str) -> Named:
    """A resource that is known by digest. Raises `InputError` (`bad-statement`) for one known by name alone."""
    return read_named(value, what)


def refuse_unknown(predicate: Mapping[str, Any], known: Collection[str], what: str) -> None:
    """Our own vocabulary has no other fields: one that nobody reads could change what is said."""
    extra = sorted(set(predicate) - set(known))
    if extra:
        raise InputError(BAD, f'{what} has "{visible(extra[0], 60)}", which this version does not know')
