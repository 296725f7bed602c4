"""The fields of `trust.toml`, each read as the one type it may have; everything else is `keyring-invalid`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from weighbridge.core.errors import TrustError
from weighbridge.core.text import visible
from weighbridge.trust.keyring.folder import FILE


def parse(data: bytes, root: Path) -> dict[str, Any]:
    """`trust.toml` as a table."""
    import tomllib  # only for those who have a keyring

    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise invalid(f'"{visible(str(root / FILE), 200)}" is not TOML: {visible(str(error), 200)}') from None


def tables(document: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    """The entries of a list of tables; none where it is not there."""
    found = document.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise invalid(f'"{key}" in {where} is not a list of tables', f"[[{key}]]")
    return found


def refuse_unknown(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """A field that nobody knows is a typing mistake, and never passed over."""
    from difflib import get_close_matches

    for key in table:
        if key not in known:
            guess = get_close_matches(key, known, 1)
            hint = f'did you mean "{guess[0]}"' if guess else f"known: {', '.join(known)}"
            raise invalid(f'unknown key "{visible(key, 50)}" in {where}', hint)


def text(table: Mapping[str, Any], key: str, where: str, *, default: str | None = None) -> str:
    """A text without hidden characters, and not empty unless it may be left out."""
    value = table.get(key, default)
    if not isinstance(value, str):
        raise invalid(
            f'{where} has no "{key}", or it is no text' if value is None else f'"{key}" of {where} is no text'
        )
    if (not value and default is None) or visible(value, 1000) != value:
        raise invalid(f'"{key}" of {where} is empty or has hidden characters')
    return value


def texts(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    """A list of such texts; empty where it is not there."""
    value = table.get(key, [])
    if not isinstance(value, list):
        raise invalid(f'"{key}" of {where} is no list', f'{key} = ["…"]')
    return tuple(text({key: one}, key, where) for one in value)


def time_of(table: Mapping[str, Any], key: str, where: str) -> datetime | None:
    """A time with an offset, in UTC; None where it is not there."""
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise invalid(f'"{key}" of {where} is no time with an offset', f"{key} = 2026-01-31T12:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise invalid(f'"{key}" of {where} is no time that exists in UTC') from None


def invalid(message: str, *hints: str) -> TrustError:
    """The refusal of a keyring that says what it cannot say."""
    return TrustError("keyring-invalid", message, *hints)
