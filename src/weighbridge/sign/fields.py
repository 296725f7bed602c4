"""Taking typed fields out of JSON that somebody else wrote: present and of the right type, or an `InputError`."""

from collections.abc import Mapping
from typing import Any, TypeVar

from weighbridge.core.errors import InputError

T = TypeVar("T")

_JSON_NAMES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer"}


def need(value: Any, kind: type[T], code: str, what: str) -> T:
    """`value` when it is of `kind`. Raises `InputError` with `code`; `what` names the place in the message."""
    # A JSON boolean is a Python int; a document that says `true` for a number is wrong all the same.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(code, f"{what} is not {_JSON_NAMES[kind]}")
    return value


def take(document: Mapping[str, Any], key: str, kind: type[T], code: str, what: str) -> T:
    """The field `key` of a JSON object. Raises `InputError` with `code` when it is missing or of another type."""
    if key not in document:
        raise InputError(code, f'{what} has no "{key}"')
    return need(document[key], kind, code, f'"{key}" of {what}')


def maybe(document: Mapping[str, Any], key: str, default: T, code: str) -> T:
    """The field `key`, or `default` where it is absent or null; of the default's type. Raises `InputError`."""
    value = document.get(key)
    return default if value is None else need(value, type(default), code, f'"{key}"')
