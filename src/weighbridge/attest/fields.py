"""Typed fields of a predicate: present and of the right type, or an `InputError` (`bad-predicate`).

Texts, lists and numbers are bounded, so that what somebody states cannot cost more than the bytes in which they said it.
Numbers with a fraction are decimal texts in our vocabulary: a float is not the same number in every reader.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from weighbridge.attest.step import Material, Relation
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.statement import Named, read_named, write_named
from weighbridge.core.text import visible
from weighbridge.sign.fields import need

T = TypeVar("T")
BAD = "bad-predicate"
MOST = 100_000
"""Items of one list or object."""
MAX_TEXT = 256 * 1024
"""Characters of one text."""
MAX_NUMBER = 2**53 - 1
"""The largest whole number that every JSON reader holds exactly (RFC 7493)."""
_WORD = late(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_TIME = late(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)
_DECIMAL = late(r"-?(?:0|[1-9][0-9]{0,29})(?:\.[0-9]{1,30})?\Z")
_DIGEST = late(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}:(?:[0-9a-f]{2}){16,64}\Z")
_HEX = late(r"(?:[0-9a-f]{2}){1,128}\Z", re.ASCII)


def _checked(value: Any, kind: type[T], what: str) -> T:
    found = need(value, kind, BAD, what)
    if isinstance(found, str) and len(found) > MAX_TEXT:
        raise InputError(BAD, f"{what} has {len(found)} characters, limit {MAX_TEXT}")
    if isinstance(found, list | dict) and len(found) > MOST:
        raise InputError(BAD, f"{what} has {len(found)} items, limit {MOST}")
    return found


def field(predicate: Mapping[str, Any], key: str, kind: type[T], what: str) -> T:
    """The field, which must be there."""
    if key not in predicate:
        raise InputError(BAD, f'{what} has no "{key}"')
    return _checked(predicate[key], kind, f'"{key}" of {what}')


def optional(predicate: Mapping[str, Any], key: str, default: T, what: str) -> T:
    """The field, or `default` where it is absent or null; of the default's type."""
    value = predicate.get(key)
    return default if value is None else _checked(value, type(default), f'"{key}" of {what}')


def filled(predicate: Mapping[str, Any], key: str, what: str) -> str:
    """A text that says something."""
    value = field(predicate, key, str, what)
    if not value.strip():
        raise InputError(BAD, f'"{key}" of {what} is empty')
    return value


def inner(predicate: Mapping[str, Any], key: str, what: str) -> Mapping[str, Any]:
    """An object; an empty one where it is absent."""
    return optional(predicate, key, dict[str, Any](), what)


def rows(predicate: Mapping[str, Any], key: str, what: str) -> tuple[Mapping[str, Any], ...]:
    """A list of objects; () where it is absent."""
    return tuple(_checked(row, dict, f'an item of "{key}"') for row in _items(predicate, key, what))


def texts(predicate: Mapping[str, Any], key: str, what: str) -> tuple[str, ...]:
    """A list of texts; () where it is absent."""
    return tuple(_checked(row, str, f'an item of "{key}"') for row in _items(predicate, key, what))


def _items(predicate: Mapping[str, Any], key: str, what: str) -> list[Any]:
    return optional(predicate, key, list[Any](), what)


def pairs(predicate: Mapping[str, Any], key: str, what: str) -> tuple[tuple[str, str], ...]:
    """An object of texts, in its order; () where it is absent."""
    return tuple(
        (name, _checked(value, str, f'"{visible(name, 60)}" in "{key}"'))
        for name, value in inner(predicate, key, what).items()
    )


def number(predicate: Mapping[str, Any], key: str, what: str, *, least: int = 0) -> int:
    """A whole number from `least` to what every reader of JSON holds exactly."""
    value = field(predicate, key, int, what)
    if not least <= value <= MAX_NUMBER:
        raise InputError(BAD, f'"{key}" of {what} is not a number from {least} to {MAX_NUMBER}')
    return value


def number_or_none(predicate: Mapping[str, Any], key: str, what: str) -> int | None:
    """A whole number from 0 on; None where it is absent or null."""
    return None if predicate.get(key) is None else number(predicate, key, what)


def decimal(predicate: Mapping[str, Any], key: str, what: str, *, required: bool = True) -> str:
    """A decimal number as a text, such as "0.42"; "" where it is absent and may be."""
    return _matched(predicate, key, what, _DECIMAL, 'a decimal number in quotes, such as "0.42"', required)


def digest(predicate: Mapping[str, Any], key: str, what: str, *, required: bool = False) -> str:
    """`algorithm:hex`; "" where it is absent and may be."""
    return _matched(predicate, key, what, _DIGEST, "a digest such as sha256:…", required)


def hexadecimal(predicate: Mapping[str, Any], key: str, what: str, *, required: bool = False) -> str:
    """Lower-case hex; "" where it is absent and may be."""
    return _matched(predicate, key, what, _HEX, "hexadecimal in lower case", required)


def _matched(
    predicate: Mapping[str, Any], key: str, what: str, pattern: Any, wanted: str, required: bool
) -> str:
    if not required and predicate.get(key) in (None, ""):
        return ""
    value = field(predicate, key, str, what)
    if not pattern.match(value):
        raise InputError(BAD, f'"{key}" of {what} is not {wanted}: "{visible(value, 60)}"')
    return value


def word(predicate: Mapping[str, Any], key: str, allowed: Collection[str] | None, what: str) -> str:
    """One of the allowed words, or any lower-case word."""
    value = field(predicate, key, str, what)
    if (value not in allowed) if allowed is not None else not _WORD.match(value):
        known = f", known are {', '.join(sorted(allowed))}" if allowed else ""
        raise InputError(BAD, f'"{key}" of {what} is "{visible(value, 60)}"{known}')
    return value


def time(predicate: Mapping[str, Any], key: str, what: str, *, required: bool = True) -> str:
    """An RFC 3339 time with its zone, as it was written; "" where it is absent and may be."""
    if not required and predicate.get(key) in (None, ""):
        return ""
    value = field(predicate, key, str, what)
    if _TIME.match(value) and _is_day(value):
        return value
    raise InputError(BAD, f'"{key}" of {what} is no RFC 3339 time with a zone: "{visible(value, 40)}"')


def _is_day(value: str) -> bool:
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC).tzinfo is not None
    except (
        ValueError,
        OverflowError,
    ):  # the 30th of February; a time that is before the first or after the last year
        return False


def named(value: Any, what: str) -> Named:
    """A resource that is known by digest. Raises `InputError` (`bad-statement`) for one known by name alone."""
    refuse_unknown(_checked(value, dict, what), ("name", "digest"), what)
    return read_named(value, what)


def all_named(predicate: Mapping[str, Any], key: str, what: str) -> tuple[Named, ...]:
    """A list of resources, each known by digest; () where it is absent."""
    return tuple(named(row, f'an item of "{key}" of {what}') for row in _items(predicate, key, what))


_MATERIAL = ("name", "digest", "uri", "relation")


def materials(
    predicate: Mapping[str, Any], key: str, what: str, relation: Relation = Relation.DERIVED_FROM
) -> tuple[Material, ...]:
    """What went in, in our vocabulary: each known by digest, with its `relation`."""
    return tuple(
        _material(row, f'an item of "{key}" of {what}', relation) for row in rows(predicate, key, what)
    )


def _material(row: Mapping[str, Any], what: str, relation: Relation) -> Material:
    refuse_unknown(row, _MATERIAL, what)
    known = tuple(Relation)
    return Material(
        what=read_named(row, what),
        relation=Relation(word(row, "relation", known, what)) if "relation" in row else relation,
        uri=optional(row, "uri", "", what),
    )


def write_materials(said: Iterable[Material]) -> list[dict[str, Any]]:
    """The list that `materials` reads. Raises `InputError` (`bad-statement`) for one without a digest."""
    return [
        {**write_named(one.what), **({"uri": one.uri} if one.uri else {}), "relation": one.relation.value}
        for one in said
    ]


def given(**fields: Any) -> dict[str, Any]:
    """The fields that say something: empty texts, lists, objects and None are left out."""
    return {
        key: value for key, value in fields.items() if value is not None and value not in ("", [], {}, ())
    }


def refuse_unknown(predicate: Mapping[str, Any], known: Collection[str], what: str) -> None:
    """Our own vocabulary has no other fields: one that nobody reads could change what is said."""
    extra = sorted(set(predicate) - set(known))
    if extra:
        raise InputError(BAD, f'{what} has "{visible(extra[0], 60)}", which this version does not know')


def refuse_wild(predicate: Mapping[str, Any], what: str) -> None:
    """Numbers that readers disagree about, or that cannot be written again: beyond 2⁵³, infinite."""
    waiting: list[Any] = [predicate]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, float):
            if not -1e300 < value < 1e300:
                raise InputError(BAD, f"{what} has a number beyond what can be held")
        elif isinstance(value, int) and not -MAX_NUMBER <= value <= MAX_NUMBER:
            raise InputError(BAD, f"{what} has a whole number beyond 2^53, which readers hold differently")
