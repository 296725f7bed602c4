"""The verdict as an in-toto statement (predicate `weighbridge.check/v1`), for the next gate to trust. Unsigned.

Only the file-set digest stands as the subject's digest: a verdict is about these files. The tensor-set digest is told
inside the predicate, since somebody could put the same tensors beside a file that runs code, and a reader that takes a
statement's subject by any digest that matches would then believe the verdict.
"""

from typing import Any

from weighbridge.core.errors import UsageError
from weighbridge.core.report import CHECK_PREDICATE, FILES_ALGORITHM, Report

STATEMENT = "https://in-toto.io/Statement/v1"


def check_statement(report: Report) -> dict[str, Any]:
    """The statement about one `check`. Raises `UsageError` (`no-digest`) where the model has no file-set digest."""
    if report.subject.files_digest is None:
        raise UsageError(
            "no-digest", f'"{report.subject.name}" has no digest, so nothing can be stated about it'
        )
    algorithm, _, value = report.subject.files_digest.partition(":")
    return {
        "_type": STATEMENT,
        "subject": [{"name": report.subject.name, "digest": {f"{FILES_ALGORITHM}{algorithm}": value}}],
        "predicateType": CHECK_PREDICATE,
        "predicate": _predicate(report),
    }


def _predicate(report: Report) -> dict[str, Any]:
    subject = report.subject
    return {
        "verdict": report.verdict.decision.value,
        "reasons": list(report.verdict.reasons),
        "admittedUnknowns": list(report.verdict.admitted_unknowns),
        "policy": {"name": report.policy[0], "digest": report.policy[1]} if report.policy else None,
        "evidence": [
            {
                "question": row.question,
                "outcome": row.outcome.value,
                "why": row.why,
                "by": row.by,
                "code": row.code,
            }
            for row in report.evidence
        ],
        "digests": {
            "files": subject.files_digest,
            "tensors": subject.tensors_digest,
            "card": subject.card_digest,
        },
        "counts": {
            "files": subject.files,
            "bytes": subject.bytes,
            "findings": len(report.findings),
            "unread": len(report.unread),
            "suppressed": len(report.suppressed),
        },
        "tool": {"name": "weighbridge", "version": report.tool_version},
        "timeVerified": report.started,
    }
