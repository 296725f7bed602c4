"""What a refused load says: the verdict, each reason with the question it answers, and what to do next."""

from collections.abc import Iterator

from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Severity
from weighbridge.core.refused import LoadRefused
from weighbridge.core.report import Report
from weighbridge.core.text import visible
from weighbridge.core.verdict import Decision

SHOWN = 5
"""Findings, and files that were not read, that the text lists."""

NEXT = {
    "no-signature": "get the signed model from its publisher, or sign it: weighbridge sign MODEL --key KEY",
    "no-anchors": "say whom you trust: key=PUBLIC.pem, trust=FOLDER or --key PUBLIC.pem",
    "signer-unknown": "get the publisher's key by a way you trust and give that one",
    "signature-wrong": "get the publisher's key by a way you trust and give that one",
    "contents-differ": "get the model again from its publisher; these are not the files that were signed",
    "file-changed": "look who writes into the model's folder, and load it again",
}
"""Code → what helps; all others are explained by `weighbridge explain`."""


def refused(report: Report, path: str) -> LoadRefused:
    """The exception for a model that was not admitted."""
    verdict = report.verdict.decision
    reasons = tuple(_reasons(report))
    return LoadRefused(
        f'{verdict.value.upper()}, so nothing was loaded: "{visible(path)}"',
        *_hints(report, path),
        reasons=reasons,
        report=report,
    )


def _reasons(report: Report) -> Iterator[str]:
    rows = [row for row in report.evidence if row.outcome is not Outcome.PASS]
    admitted = set(report.verdict.admitted_unknowns)
    for row in sorted(rows, key=lambda row: row.outcome is Outcome.UNKNOWN):
        if row.question not in admitted:
            yield f"{row.question}: {row.outcome.value}, {row.why}" + (f" [{row.code}]" if row.code else "")
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    for finding in errors[:SHOWN]:
        yield f"error[{finding.rule}]: {visible(finding.place.path, 200)}: {visible(finding.message, 300)}"
    for item in report.unread[:SHOWN]:
        yield f"not read: {visible(item.place.path, 200)}: {visible(item.message, 300)} [{item.code}]"


def _hints(report: Report, path: str) -> list[str]:
    admitted = report.verdict.admitted_unknowns
    rows = [row for row in report.evidence if row.question not in admitted]
    codes = [row.code for row in rows if row.outcome is not Outcome.PASS]
    codes += [item.code for item in report.unread]
    hints = [NEXT[code] for code in dict.fromkeys(codes) if code in NEXT][:1]
    if report.verdict.decision is Decision.REFUSED or not hints:
        hints.append(f"weighbridge check {visible(path)}")
    return hints
