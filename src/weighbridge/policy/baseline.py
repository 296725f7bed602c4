"""Baselines: the findings that somebody has looked at and accepted for a time, each bound to the bytes it stood in.

A baseline is written from a report and read back as suppressions. It never hides what is new: another file, another
place, another rule or changed bytes bring a finding back, and so does the day after `until`.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from weighbridge.core.errors import InputError, LimitError, UsageError
from weighbridge.core.finding import Finding
from weighbridge.core.text import visible
from weighbridge.core.wire import read_json, write_json
from weighbridge.policy.find import Models, refuse_inside
from weighbridge.policy.words import Suppression

SCHEMA = "weighbridge.baseline/v1"
MAX_BASELINE = 64 * 1024**2
"""Bytes; a few hundred thousand findings."""


def write_baseline(
    findings: Iterable[Finding], hashes: Mapping[str, str | None], *, reason: str, until: date
) -> bytes:
    """The document. `hashes` is path → SHA-256 in hex; a finding about something that has no bytes is left out."""
    entries = [
        {
            "rule": finding.rule,
            "path": finding.place.path,
            "where": finding.place.where,
            "sha256": hashes[finding.place.path],
            "message": visible(finding.message),
        }
        for finding in findings
        if hashes.get(finding.place.path)
    ]
    entries.sort(key=lambda entry: (entry["path"], entry["where"], entry["rule"]))
    return write_json(
        {"schema": SCHEMA, "reason": reason, "until": until.isoformat(), "findings": entries}, indent=2
    )


def read_baseline(path: Path, *, model: Models = None) -> tuple[Suppression, ...]:
    """The suppressions of a baseline. Raises `UsageError` (`no-such-baseline`, `bad-baseline`, `policy-inside-model`)."""
    refuse_inside(path, model)
    shown = visible(str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise UsageError("no-such-baseline", f'cannot read the baseline "{shown}": {reason}') from None
    try:
        return tuple(_suppressions(read_json(data, f'baseline "{shown}"', limit=MAX_BASELINE), shown))
    except (InputError, LimitError) as error:
        raise UsageError("bad-baseline", error.message) from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(
            "bad-baseline", f'"{shown}" is no {SCHEMA}', "weighbridge scan MODEL --write-baseline FILE"
        ) from None


def _suppressions(document: Any, source: str) -> Iterable[Suppression]:
    if document["schema"] != SCHEMA or not str(document["reason"]).strip():
        raise ValueError
    until = date.fromisoformat(document["until"])
    for entry in document["findings"]:
        if not all(isinstance(entry[key], str) for key in ("rule", "path", "where", "sha256")):
            raise ValueError
        yield Suppression(
            rule=entry["rule"],
            path=entry["path"],
            reason=str(document["reason"]),
            until=until,
            source=source,
            where=entry["where"],
            sha256=entry["sha256"],
        )
