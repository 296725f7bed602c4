"""The machine contract `weighbridge.report/v1`: one JSON document, and the strict reader that takes it back.

Only additive changes, ever; `schemas/report.v1.json` and docs/formats/report.md describe it. Names stand exactly as
they are on disk, except bytes that are not UTF-8, which I-JSON (RFC 7493) has no way to write and which appear as
`\\xff`. Hidden characters are written as JSON escapes, so that the document is also harmless on a terminal.
`read(render(report).encode()) == report` for every report without such bytes.
"""

import json
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import InputError
from weighbridge.core.finding import FileResult, Finding, Place, Unread
from weighbridge.core.manifest import Difference
from weighbridge.core.pattern import late
from weighbridge.core.report import Report, SignatureResult, Subject, Suppressed
from weighbridge.core.text import visible

if TYPE_CHECKING:
    from weighbridge.report import wire

SCHEMA = "weighbridge.report/v1"

_NOT_PLAIN = late(r"[^\x00-\x7e\xa1-\xac\xae-\u02ff]")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def render(report: Report) -> str:
    """The document, indented, ending in a newline."""
    return document_text(document(report))


def document(report: Report) -> dict[str, Any]:
    """The document as plain values; the members of `report.extra` follow the fixed ones and never replace them."""
    fixed: dict[str, Any] = {
        "schema": SCHEMA,
        "command": report.command,
        "verdict": report.verdict.decision.value,
        "reasons": list(report.verdict.reasons),
        "admitted_unknowns": list(report.verdict.admitted_unknowns),
        "subject": _subject(report.subject),
        "evidence": [
            {
                "question": row.question,
                "outcome": row.outcome.value,
                "why": row.why,
                "by": row.by,
                "code": row.code,
                "details": list(row.details),
            }
            for row in report.evidence
        ],
        "signatures": [_signature(signature) for signature in report.signatures],
        "files": [_file(file) for file in report.files],
        "findings": [_finding(finding) for finding in report.findings],
        "unread": [_unread(item) for item in report.unread],
        "suppressed": [
            {**_finding(item.finding), "reason": item.reason, "until": item.until}
            for item in report.suppressed
        ],
        "policy": {"name": report.policy[0], "digest": report.policy[1]} if report.policy else None,
        "started": report.started,
        "seconds": round(report.seconds, 3),
        "tool": {"name": "weighbridge", "version": report.tool_version},
    }
    if report.chain is not None:
        from weighbridge.report import trace

        fixed["trace"] = trace.document(report.chain)
    return {**fixed, **{key: value for key, value in report.extra.items() if key not in fixed}}


def document_text(value: Mapping[str, Any]) -> str:
    """Indented JSON that every parser accepts and no terminal obeys."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    return _NOT_PLAIN.sub(lambda match: _escaped(match[0]), text) + "\n"


def _escaped(char: str) -> str:
    """A character inside a JSON string: itself, or an escape where it would be hidden; lone surrogates as `\\xff`."""
    if 0xD800 <= ord(char) <= 0xDFFF:
        return visible(char).replace("\\", "\\\\")
    if unicodedata.category(char) not in _HIDDEN:
        return char
    return json.dumps(char)[1:-1] if ord(char) > 0x7F else f"\\u{ord(char):04x}"


def _subject(subject: Subject) -> dict[str, Any]:
    digests = {"files": subject.files_digest, "tensors": subject.tensors_digest, "card": subject.card_digest}
    return {"name": subject.name, "digests": digests, "files": subject.files, "bytes": subject.bytes}


def _signature(signature: SignatureResult) -> dict[str, Any]:
    difference = signature.difference
    return {
        "outcome": signature.outcome,
        "why": signature.why,
        "code": signature.code,
        "by": signature.by,
        "roles": list(signature.roles),
        "how": signature.how,
        "when": signature.when,
        "covers": signature.covers,
        "key": signature.key,
        "bundle": signature.bundle,
        "difference": None if difference is None else _difference(difference),
    }


def _difference(difference: Difference) -> dict[str, Any]:
    """The same shape as `weighbridge diff --format json`."""
    return {
        "changed": list(difference.changed),
        "added": list(difference.added),
        "removed": list(difference.removed),
        "tensors": {
            "changed": list(difference.tensors_changed),
            "added": list(difference.tensors_added),
            "removed": list(difference.tensors_removed),
        },
    }


def _file(file: FileResult) -> dict[str, Any]:
    return {
        "path": file.path,
        "format": file.format,
        "size": file.size,
        "sha256": file.sha256,
        "outcome": file.outcome.value,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        **_place(finding.place),
        "message": finding.message,
        "doubt": finding.doubt,
        "trail": list(finding.trail),
        "fix": finding.fix,
        "advisories": list(finding.advisories),
    }


def _unread(item: Unread) -> dict[str, Any]:
    place = _place(item.place)
    return {"path": place.pop("path"), "reason": item.message, "code": item.code, **place}


def _place(place: Place) -> dict[str, Any]:
    return {
        "path": place.path,
        "where": place.where,
        "parts": list(place.parts),
        "offset": place.offset,
        "line": place.line,
    }


# Reading a saved report.


def read(data: bytes) -> Report:
    """The report that a document describes. Members that this version does not know are kept in `extra`.

    Raises `InputError` (`bad-report`, `bad-json`, `duplicate-key`) and `LimitError` (`limit-json`).
    """
    import msgspec

    from weighbridge.core.wire import read_json
    from weighbridge.report import wire

    value = read_json(data, "this report")
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise InputError("bad-report", f'this is no report: its "schema" is not "{SCHEMA}"')
    try:
        read = msgspec.convert(value, wire.Document)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InputError(
            "bad-report", f"this report is not as {SCHEMA} has it: {visible(str(error), 200)}"
        ) from None
    return _report(
        read, {key: item for key, item in value.items() if key not in wire.Document.__struct_fields__}
    )


def _report(read: "wire.Document", extra: Mapping[str, Any]) -> Report:
    from weighbridge.core.evidence import Evidence
    from weighbridge.core.verdict import Verdict

    return Report(
        command=read.command,
        verdict=Verdict(
            decision=read.verdict, reasons=read.reasons, admitted_unknowns=read.admitted_unknowns
        ),
        subject=Subject(
            name=read.subject.name,
            files=read.subject.files,
            bytes=read.subject.bytes,
            files_digest=read.subject.digests.files,
            tensors_digest=read.subject.digests.tensors,
            card_digest=read.subject.digests.card,
        ),
        evidence=tuple(
            Evidence(
                question=row.question,
                outcome=row.outcome,
                why=row.why,
                by=row.by,
                code=row.code,
                details=row.details,
            )
            for row in read.evidence
        ),
        signatures=tuple(signature.value() for signature in read.signatures),
        files=tuple(file.value() for file in read.files),
        findings=tuple(finding.value() for finding in read.findings),
        unread=tuple(item.value() for item in read.unread),
        suppressed=tuple(
            Suppressed(finding=item.value(), reason=item.reason, until=item.until) for item in read.suppressed
        ),
        policy=(read.policy.name, read.policy.digest) if read.policy else None,
        started=read.started,
        seconds=read.seconds,
        tool_version=read.tool.version,
        chain=read.trace.value() if read.trace else None,
        extra=dict(extra),
    )
