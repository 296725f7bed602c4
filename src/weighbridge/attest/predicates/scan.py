"""Scan: somebody's scanner looked at exactly these files, and saw this.

    {"scanner": {"name": "weighbridge", "version": "0.1.0"}, "outcome": "pass|fail|unknown",
     "counts": {"files": 12, "errors": 0, "warnings": 0, "notes": 1, "unread": 0, "suppressed": 0},
     "findings": [{"rule": …, "severity": …, "confidence": …, "path": …, "where": …, "message": …}], "findingsMore": 0,
     "timeScanned": …}

A scan that passed says that this version of this scanner saw nothing, and no more.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from weighbridge.attest import fields
from weighbridge.core.errors import InputError
from weighbridge.core.evidence import Outcome
from weighbridge.core.text import counted
from weighbridge.core.value import dataclass

TYPE = "weighbridge.scan/v1"
_KNOWN = ("scanner", "outcome", "counts", "findings", "findingsMore", "timeScanned")


class Counts(NamedTuple):
    """How much was seen."""

    files: int
    errors: int
    warnings: int
    notes: int
    unread: int
    suppressed: int


class Seen(NamedTuple):
    """One finding."""

    rule: str
    severity: str
    confidence: str
    path: str
    where: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One scan of the statement's subject."""

    scanner: str
    version: str
    outcome: Outcome
    counts: Counts
    time: str
    findings: tuple[Seen, ...] = ()
    """The worst first; capped, see `findings_more`."""
    findings_more: int = 0


def read(predicate: Mapping[str, Any], what: str) -> Scan:
    """Strict. Raises `InputError` (`bad-predicate`)."""
    fields.refuse_unknown(predicate, _KNOWN, what)
    scanner = fields.field(predicate, "scanner", dict, what)
    fields.refuse_unknown(scanner, ("name", "version"), f'"scanner" of {what}')
    counts = fields.field(predicate, "counts", dict, what)
    fields.refuse_unknown(counts, Counts._fields, f'"counts" of {what}')
    outcomes = [one.value for one in Outcome]
    found = Scan(
        scanner=fields.filled(scanner, "name", what),
        version=fields.field(scanner, "version", str, what),
        outcome=Outcome(fields.word(predicate, "outcome", outcomes, what)),
        counts=Counts(*(fields.number(counts, key, what) for key in Counts._fields)),
        time=fields.time(predicate, "timeScanned", what),
        findings=tuple(_seen(row, what) for row in fields.rows(predicate, "findings", what)),
        findings_more=fields.number(predicate, "findingsMore", what) if "findingsMore" in predicate else 0,
    )
    errors = found.counts.errors or any(one.severity == "error" for one in found.findings)
    if found.outcome is Outcome.PASS and (errors or found.counts.unread):
        raise InputError(fields.BAD, f"{what} says that the scan passed, and tells of errors or unread files")
    return found


def _seen(row: Mapping[str, Any], what: str) -> Seen:
    fields.refuse_unknown(row, Seen._fields, f"a finding of {what}")
    return Seen(*(fields.field(row, key, str, what) for key in Seen._fields))


def write(scan: Scan) -> dict[str, Any]:
    """`read(write(s)) == s`."""
    return {
        "scanner": {"name": scan.scanner, "version": scan.version},
        "outcome": scan.outcome.value,
        "counts": scan.counts._asdict(),
        "timeScanned": scan.time,
        **fields.given(findings=[one._asdict() for one in scan.findings]),
        "findingsMore": scan.findings_more,
    }


def say(scan: Scan) -> str:
    """In a few words."""
    seen = f"{counted(scan.counts.errors, 'error')}, {counted(scan.counts.warnings, 'warning')}"
    return f"{scan.outcome} by {scan.scanner} {scan.version}: {seen}, {scan.counts.unread} unread"
