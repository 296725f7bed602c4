"""The strict reader of `weighbridge.toml`: every table, key and value is known or refused, with a suggestion.

It checks one document and merges documents laid over each other; it does not know what the words mean (`policy`), and
it never looks for files (`find`). The same words, for editors, are in `weighbridge/policy/policy.v1.json`.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from weighbridge.core.errors import UsageError
from weighbridge.core.text import visible
from weighbridge.policy.words import QUESTIONS, Findings, Need, Unknown

MAX_DOCUMENT = 1024**2
"""Bytes of a policy file; a person writes it."""

Check = Callable[[Any, str], Any]
"""Takes a value and where it stands; answers with the value in its plain form, or raises `UsageError`."""


def read_document(data: bytes, source: str) -> dict[str, Any]:
    """The checked tables of a `weighbridge.toml`. Raises `UsageError` (`bad-toml`, `unknown-key`, `bad-value`)."""
    return check_tables(parse_toml(data, source), source)


def parse_toml(data: bytes, source: str) -> dict[str, Any]:
    """The raw tables of a TOML file. Raises `UsageError` (`bad-toml`)."""
    if len(data) > MAX_DOCUMENT:
        raise UsageError("bad-toml", f'"{visible(source)}" has {len(data)} bytes, limit {MAX_DOCUMENT}')
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError("bad-toml", f'"{visible(source)}" is not TOML: {visible(str(error), 200)}') from None


def check_tables(tables: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Tables with every key known and every value in its plain form; the schema's own `extends` stays on top."""
    checked: dict[str, Any] = {}
    for name, table in tables.items():
        if name not in TABLES:
            raise _unknown_key(name, TABLES, visible(source))
        if not isinstance(table, dict):
            raise _bad(name, "a table", table, source)
        checked[name] = _check_keys(table, TABLES[name], name, source)
    return checked


def lay_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`: keys replace keys, rules and suppressions are added, `unknown` merges by question."""
    merged = {name: dict(table) for name, table in below.items()}
    for name, table in above.items():
        target = merged.setdefault(name, {})
        for key, value in table.items():
            target[key] = _MERGES.get(key, _replace)(target.get(key), value)
    return merged


def _replace(_: Any, above: Any) -> Any:
    return above


def _merge_unknown(below: dict[str, str] | None, above: dict[str, str]) -> dict[str, str]:
    return dict(above) if _PLAIN in above else {**(below or {}), **above}


def _merge_rules(below: list[dict[str, Any]] | None, above: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {rule["name"] for rule in above}
    return [*(rule for rule in below or () if rule["name"] not in names), *above]


def _merge_suppressions(
    below: list[dict[str, Any]] | None, above: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    return [*(below or ()), *above]


_PLAIN = "*"
"""Marks `unknown = "word"`, which replaces every word below it; the table form only adds."""

_MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "unknown": _merge_unknown,
    "rule": _merge_rules,
    "step": _merge_rules,
    "suppress": _merge_suppressions,
}


def _check_keys(
    table: Mapping[str, Any], words: Mapping[str, Check], where: str, source: str
) -> dict[str, Any]:
    checked = {}
    for key, value in table.items():
        if key not in words:
            raise _unknown_key(f"{where}.{key}" if where else key, words, visible(source), key)
        try:
            checked[key] = words[key](value, f"{where}.{key}")
        except _WrongError as wrong:
            raise _bad(wrong.where, wrong.wanted, wrong.value, source) from None
    return checked


class _WrongError(Exception):
    """A value that is not what its key wants; becomes a `UsageError` where the file's name is known."""

    def __init__(self, where: str, wanted: str, value: Any) -> None:
        super().__init__(where)
        self.where, self.wanted, self.value = where, wanted, value


def _bad(where: str, wanted: str, value: Any, source: str) -> UsageError:
    shown = visible(repr(value), 80)
    return UsageError("bad-value", f'"{visible(where)}" in "{visible(source)}" must be {wanted}, not {shown}')


def _unknown_key(where: str, known: Mapping[str, Any], source: str, key: str | None = None) -> UsageError:
    from difflib import get_close_matches

    close = get_close_matches(key or where, known, n=1, cutoff=0.5)
    hint = f'did you mean "{close[0]}"?' if close else f"known here: {', '.join(sorted(known))}"
    return UsageError(
        "unknown-key", f'"{visible(where)}" in "{source}" is not a word of this configuration', hint
    )


# What values may be. Each answers with a value of TOML's plain types, so that layers can be merged and digested.


def _one_of(*words: str) -> Check:
    def check(value: Any, where: str) -> str:
        if not isinstance(value, str) or value not in words:
            raise _WrongError(where, " or ".join(f'"{word}"' for word in words), value)
        return value

    return check


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 4000:
        raise _WrongError(where, "a text that is not empty", value)
    return value


def _line(value: Any, where: str) -> str:
    text = _text(value, where)
    if "\n" in text or len(text) > 500:
        raise _WrongError(where, "one line of text", value)
    return text


def _kebab(value: Any, where: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value) or len(value) > 80:
        raise _WrongError(where, "a name like this-one", value)
    return value


def _rule_name(value: Any, where: str) -> str:
    """A rule of ours, or `origin/rule` of a package or of another scanner."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", value) or len(value) > 170:
        raise _WrongError(where, "a rule such as pickle-unsafe-call or modelscan/unsafe-operator", value)
    return value


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, list):
        raise _WrongError(where, "a list of texts", value)
    texts = [_line(item, where) for item in value]
    if len(set(texts)) != len(texts):
        raise _WrongError(where, "a list that names nobody twice", value)
    return texts


def _switch(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _WrongError(where, "true or false", value)
    return value


def _count(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 2**62:
        raise _WrongError(where, "a whole number from 1", value)
    return value


def _counts(value: Any, where: str) -> dict[str, int]:
    if not isinstance(value, dict):
        raise _WrongError(where, "a table of names and numbers", value)
    return {_line(name, where): _count(count, f"{where}.{name}") for name, count in value.items()}


def _seconds(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise _WrongError(where, "a number of seconds above 0", value)
    return float(value)


def _size(value: Any, where: str) -> int:
    if isinstance(value, str):
        match = re.fullmatch(r"([1-9][0-9]{0,14}) ?([KMGT]?)(i?B)?", value)
        if match and not (match[3] == "iB" and not match[2]):
            return int(match[1]) << (10 * " KMGT".index(match[2] or " "))
    elif isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 2**62:
        return value
    raise _WrongError(where, 'a number of bytes, or a text like "40G"', value)


def _date(value: Any, where: str) -> str:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise _WrongError(where, "a date like 2027-01-31", value) from None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _WrongError(where, "a date like 2027-01-31", value)
    return value.isoformat()


def _days(value: Any, where: str) -> str:
    """`"45d"` or `"6w"`, in days."""
    match = re.fullmatch(r"([1-9][0-9]{0,3})([dw])", value) if isinstance(value, str) else None
    if match is None:
        raise _WrongError(where, 'a time such as "45d" or "6w"', value)
    return f"{int(match[1]) * (7 if match[2] == 'w' else 1)}d"


def _steps(value: Any, where: str) -> list[dict[str, Any]]:
    words = {
        "name": _kebab,
        "signers": _texts,
        "role": _line,
        "threshold": _count,
        "types": _texts,
        "after": _texts,
    }
    steps: list[dict[str, Any]] = _array(words, ("name",))(value, where)
    names = [step["name"] for step in steps]
    if len(set(names)) != len(names):
        raise _WrongError(where, "steps with different names", names)
    return steps


def _unknown(value: Any, where: str) -> dict[str, str]:
    word = _one_of(*Unknown)
    if not isinstance(value, dict):
        return {_PLAIN: word(value, where), "default": value}
    for question in value:
        if question not in ("default", *QUESTIONS) and not re.fullmatch(r"rule:[a-z0-9-]+", question):
            raise _WrongError(where, f"a table of questions ({', '.join(('default', *QUESTIONS))})", question)
    return {question: word(item, f"{where}.{question}") for question, item in value.items()}


def _array(words: Mapping[str, Check], required: tuple[str, ...]) -> Check:
    def check(value: Any, where: str) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise _WrongError(where, f"written as [[{where}]] tables", value)
        return [_entry(item, words, required, where) for item in value]

    return check


def _entry(
    item: Mapping[str, Any], words: Mapping[str, Check], required: tuple[str, ...], where: str
) -> dict[str, Any]:
    for key in item:
        if key not in words:
            raise _WrongError(f"{where}.{key}", f"one of {', '.join(words)}", item[key])
    for key in required:
        if key not in item:
            raise _WrongError(where, f'a table with "{key}"', dict(item))
    return {key: words[key](value, f"{where}.{key}") for key, value in item.items()}


def _rules(value: Any, where: str) -> list[dict[str, Any]]:
    words = {"name": _kebab, "when": _text, "require": _text, "message": _line}
    rules: list[dict[str, Any]] = _array(words, ("name", "message"))(value, where)
    for rule in rules:
        if "when" not in rule and "require" not in rule:
            raise _WrongError(where, 'a table with "when" or "require"', rule)
    if len({rule["name"] for rule in rules}) != len(rules):
        raise _WrongError(where, "rules with different names", [rule["name"] for rule in rules])
    return rules


NEED = _one_of(*Need)

TABLES: dict[str, dict[str, Check]] = {
    "policy": {
        "name": _line,
        "extends": _line,
        "signature": NEED,
        "signers": _texts,
        "roles": _counts,
        "threshold": _count,
        "log": NEED,
        "trace": _texts,
        "base": NEED,
        "data": NEED,
        "fresh": NEED,
        "max-age": _days,
        "recalls": NEED,
        "approval": NEED,
        "approvals": _counts,
        "step": _steps,
        "others": _texts,
        "findings": _one_of(*Findings),
        "unknown": _unknown,
        "valid-until": _date,
        "rule": _rules,
    },
    "trust": {"dir": _line},
    "evidence": {
        "statements": _texts,
        "log-policy": _line,
        "recalls": _texts,
        "lineage": _line,
        "layout": _line,
        "layout-keys": _texts,
        "link-dir": _line,
    },
    "intake": {"approvals": _counts, "waivers": _texts, "cedar": _line},
    "scan": {
        "rules": _texts,
        "loaders": _texts,
        "weights": _switch,
        "suppress": _array(
            {"rule": _rule_name, "path": _line, "reason": _line, "until": _date},
            ("rule", "path", "reason", "until"),
        ),
    },
    "limits": {
        "max-bytes": _size,
        "max-depth": _count,
        "max-members": _count,
        "max-memory": _size,
        "timeout": _seconds,
        "jobs": _count,
    },
    "output": {
        "format": _one_of("human", "json", "sarif", "html", "markdown", "junit", "github", "gitlab"),
        "color": _one_of("auto", "always", "never"),
        "min-severity": _one_of("error", "warning", "note"),
    },
}
"""Every table and key of `weighbridge.toml`, and what its value may be."""
