"""The lines of a policy as they are in force, each with the file that set it: what `policy show` prints."""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from weighbridge.policy.words import Line


def effective_lines(layers: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Line, ...]:
    """One line a key of (source, tables), the last to set it (one a question in `unknown`, one an entry in `[[…]]` arrays)."""
    lines: dict[tuple[str, str], Line] = {}
    for source, tables in layers:
        for table, keys in tables.items():
            for key, value in keys.items():
                for line in _lines_of(table, key, value, source):
                    if key == "unknown" and "*" in value:
                        lines = {at: old for at, old in lines.items() if not old.key.startswith("unknown.")}
                    lines[table, line.key] = line
    return tuple(sorted(lines.values(), key=line_order))


def _lines_of(table: str, key: str, value: Any, source: str) -> list[Line]:
    if key == "unknown":
        return [
            Line(table=table, key=f"unknown.{question}", value=toml(word), source=source)
            for question, word in value.items()
            if question != "*"
        ]
    if key == "rule":
        return [
            Line(table=table, key=f"rule {rule['name']}", value=toml(rule), source=source) for rule in value
        ]
    if key == "step":
        return [
            Line(table=table, key=f"step {rule['name']}", value=toml(rule), source=source) for rule in value
        ]
    if key == "suppress":
        return [
            Line(table=table, key=f"suppress {item['rule']} {item['path']}", value=toml(item), source=source)
            for item in value
        ]
    return [Line(table=table, key=key, value=toml(value), source=source)]


def line_order(line: Line) -> tuple[int, int, str]:
    """As the reference lists tables and words."""
    from weighbridge.policy.document import TABLES

    words = list(TABLES[line.table])
    word = line.key.partition(".")[0].partition(" ")[0].replace("_", "-")
    return list(TABLES).index(line.table), words.index(word) if word in words else len(words), line.key


def toml(value: Any) -> str:
    """A value as TOML would write it on one line; good enough to read and to paste."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml_key(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else f"{value}"


def _toml_key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else json.dumps(key)
