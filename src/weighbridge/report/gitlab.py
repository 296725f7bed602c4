"""GitLab's code quality report: a JSON list of issues, one for each finding, unread part and unanswered question."""

import json
from collections.abc import Iterator
from typing import Any

from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Place
from weighbridge.core.report import Report
from weighbridge.core.text import visible
from weighbridge.report.places import fingerprint, repository_path
from weighbridge.report.summary import told_elsewhere, worst_first

_SEVERITIES = {"error": "critical", "warning": "major", "note": "info"}


def render(report: Report, *, prefix: str = "") -> str:
    """The list; two issues never share a fingerprint, since GitLab would show only one of them."""
    seen: dict[str, int] = {}
    issues = []
    for issue in _issues(report, prefix):
        number = seen.setdefault(issue["fingerprint"], 0)
        seen[issue["fingerprint"]] += 1
        issue["fingerprint"] += f"-{number}" if number else ""
        issues.append(issue)
    return json.dumps(issues, ensure_ascii=True, indent=2) + "\n"


def _issues(report: Report, prefix: str) -> Iterator[dict[str, Any]]:
    digests = {file.path: file.sha256 for file in report.files}

    def issue(rule: str, severity: str, text: str, place: Place) -> dict[str, Any]:
        path = repository_path(prefix, place.path) if place.path else prefix.strip("/") or report.subject.name
        digest = digests.get(place.path) or report.subject.files_digest or ""
        return {
            "description": visible(text),
            "check_name": visible(rule),
            "fingerprint": fingerprint(digest, place, rule),
            "severity": severity,
            "location": {"path": visible(path), "lines": {"begin": max(1, place.line or 1)}},
        }

    for row in report.evidence:
        if row.outcome is not Outcome.PASS and not told_elsewhere(row, report):
            word, severity = ("failed", "critical") if row.outcome is Outcome.FAIL else ("unknown", "minor")
            yield issue(
                f"question-{row.question}", severity, f"{row.question} {word}: {row.why}", Place(path="")
            )
    for finding in worst_first(report.findings):
        where = f" ({finding.place.where})" if finding.place.where else ""
        severity = _SEVERITIES[finding.severity.value]
        yield issue(finding.rule, severity, f"{finding.message}{where}", finding.place)
    for item in report.unread:
        yield issue(item.code, "minor", f"not read: {item.message}", item.place)
