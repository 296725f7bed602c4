"""Recall: the whole list of what somebody withdraws, in one statement: models, data sets, signers, tools.

    {"version": 7, "timeIssued": …, "nextExpected": …, "logSize": 120331, "entries": [
       {"kind": "dataset", "target": {"name": …, "digest": {…}}, "reason": …, "since": …, "severity": "refuse"},
       {"kind": "signer", "key": "<SHA-256 of the key>", …}, {"kind": "tool", "tool": "exporter@1.4.2", …}]}

The list is stated anew and whole each time, with a version that only grows: a list that lacks an entry is an older or
another list, and never a part of this one. Whose list counts, and whether it is old, `weighbridge.trust` says.
"""

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from weighbridge.attest import fields
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.statement import Named, write_named
from weighbridge.core.text import counted, visible
from weighbridge.core.value import dataclass

TYPE = "weighbridge.recall/v1"
_KNOWN = ("version", "timeIssued", "nextExpected", "logSize", "entries")
_KEY = late(r"[0-9a-f]{64}\Z")
_TOOL = late(r"[^\s@]{1,200}@[^\s@]{1,100}\Z")


class RecallKind(StrEnum):
    """What is withdrawn."""

    MODEL = "model"
    DATASET = "dataset"
    SIGNER = "signer"
    """A key, by its fingerprint: what it signed since then counts for nothing."""
    TOOL = "tool"
    """A program in one version, by name: what it made is in doubt."""


class Severity(StrEnum):
    """What to do about it."""

    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallEntry:
    """One thing that is withdrawn."""

    kind: RecallKind
    target: Named | str
    """A model or data set by digest; a signer by the SHA-256 fingerprint of the key; a tool as `name@version`."""
    reason: str
    since: str
    """From when on it is bad; what was made before is not meant."""
    severity: Severity = Severity.REFUSE

    @property
    def subject(self) -> Named:
        """The entry as a subject of the statement."""
        if isinstance(self.target, Named):
            return self.target
        if self.kind is RecallKind.SIGNER:
            return Named(name="signer", others=(("sha256", self.target),))
        return _by_text(f"tool {self.target}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """The whole list."""

    version: int
    """Grows with every list."""
    issued: str
    entries: tuple[RecallEntry, ...] = ()
    next: str = ""
    """When the next list is to be expected; "" where nobody promises one."""
    log_size: int | None = None
    """Entries of the transparency log when the list was issued: a clock that nobody can set back."""


def read(predicate: Mapping[str, Any], what: str) -> Recall:
    """Strict. Raises `InputError` (`bad-predicate`, `bad-statement`)."""
    fields.refuse_unknown(predicate, _KNOWN, what)
    return Recall(
        version=fields.number(predicate, "version", what, least=1),
        issued=fields.time(predicate, "timeIssued", what),
        next=fields.time(predicate, "nextExpected", what, required=False),
        log_size=fields.number_or_none(predicate, "logSize", what),
        entries=tuple(_entry(row, f"an entry of {what}") for row in fields.rows(predicate, "entries", what)),
    )


def _entry(row: Mapping[str, Any], what: str) -> RecallEntry:
    kind = RecallKind(fields.word(row, "kind", tuple(RecallKind), what))
    place = {RecallKind.SIGNER: "key", RecallKind.TOOL: "tool"}.get(kind, "target")
    fields.refuse_unknown(row, ("kind", "reason", "since", "severity", place), what)
    return RecallEntry(
        kind=kind,
        target=_target(row, kind, place, what),
        reason=fields.filled(row, "reason", what),
        since=fields.time(row, "since", what),
        severity=Severity(fields.word(row, "severity", tuple(Severity), what)),
    )


def _target(row: Mapping[str, Any], kind: RecallKind, place: str, what: str) -> Named | str:
    if place == "target":
        return fields.named(fields.field(row, "target", dict, what), what)
    text = fields.field(row, place, str, what)
    if not (_KEY if kind is RecallKind.SIGNER else _TOOL).match(text):
        wanted = "a key's SHA-256 fingerprint" if kind is RecallKind.SIGNER else "name@version"
        raise InputError(fields.BAD, f'"{place}" of {what} is not {wanted}: "{visible(text, 80)}"')
    return text


def write(recall: Recall) -> dict[str, Any]:
    """`read(write(r)) == r`."""
    return {
        "version": recall.version,
        "timeIssued": recall.issued,
        **fields.given(nextExpected=recall.next, logSize=recall.log_size),
        "entries": [_write_entry(entry) for entry in recall.entries],
    }


def _write_entry(entry: RecallEntry) -> dict[str, Any]:
    place = {RecallKind.SIGNER: "key", RecallKind.TOOL: "tool"}.get(entry.kind, "target")
    target = write_named(entry.target) if isinstance(entry.target, Named) else entry.target
    return {
        "kind": entry.kind.value,
        place: target,
        "reason": entry.reason,
        "since": entry.since,
        "severity": entry.severity.value,
    }


def subjects(recall: Recall) -> tuple[Named, ...]:
    """The subjects of the list's statement, each once; a list that withdraws nothing is about lists as such."""
    return tuple(dict.fromkeys(entry.subject for entry in recall.entries)) or (_by_text(TYPE),)


def _by_text(text: str) -> Named:
    """Something that has only a name: the hash of the name, marked as such, since a subject needs a digest."""
    marked = f"weighbridge.name/v1\n{text}".encode()
    return Named(name=text, others=(("sha256", hashlib.sha256(marked).hexdigest()),))


def say(recall: Recall) -> str:
    """In a few words."""
    return f"recall list {recall.version} of {recall.issued} with {counted(len(recall.entries), 'target')}"
