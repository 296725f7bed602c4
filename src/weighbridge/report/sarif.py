"""SARIF 2.1.0 for code scanning: findings as results, and what is unknown as notes, so that green is never silence.

A nested place becomes `logicalLocations` (`head.bin/data.pkl/byte 42`, SARIF section 3.33). A place has a `byteOffset`
where the offset is one of the file itself (section 3.30.9), and always a line, since code scanning shows no result
without one. UNKNOWN is a result of level `note` and a notification of the invocation (section 3.20.21).
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.finding import Finding, Place, Unread
from weighbridge.core.report import Report
from weighbridge.core.text import visible
from weighbridge.report.places import fingerprint, repository_path, uri
from weighbridge.report.summary import counts_line, told_elsewhere, verdict_word

if TYPE_CHECKING:
    from weighbridge.report import RulePage

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_LEVELS = {Outcome.FAIL: "error", Outcome.UNKNOWN: "note"}


def render(report: Report, *, rules: Mapping[str, "RulePage"], prefix: str = "") -> str:
    """The log file: one run."""
    log = _Log(report, rules, prefix)
    return json.dumps(log.document(), ensure_ascii=True, indent=2, allow_nan=False) + "\n"


class _Log:
    """Builds one log; rules and artifacts are numbered as results name them."""

    def __init__(self, report: Report, rules: Mapping[str, "RulePage"], prefix: str) -> None:
        self._report, self._pages, self._prefix = report, rules, prefix
        self._rules: dict[str, dict[str, Any]] = {}
        self._artifacts: dict[str, int] = {}
        self._files = {file.path: file for file in report.files}

    def document(self) -> dict[str, Any]:
        results = [*self._results()]
        run = {
            "tool": {"driver": self._driver()},
            "invocations": [self._invocation()],
            "artifacts": [self._artifact(path) for path in self._artifacts],
            "results": results,
            "columnKind": "unicodeCodePoints",
            "properties": self._properties(),
        }
        return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}

    def _results(self) -> Iterator[dict[str, Any]]:
        for row in self._report.evidence:
            if row.outcome is not Outcome.PASS and not told_elsewhere(row, self._report):
                yield self._question(row)
        for finding in self._report.findings:
            yield self._finding(finding)
        for item in self._report.unread:
            yield self._unread(item)
        for item_ in self._report.suppressed:
            accepted = {"kind": "external", "status": "accepted"}
            accepted["justification"] = f"{visible(item_.reason)} (until {item_.until})"
            yield {**self._finding(item_.finding), "suppressions": [accepted]}

    def _question(self, row: Evidence) -> dict[str, Any]:
        name = f"question-{row.question.replace(':', '-')}"
        self._rule(name, f"The policy asks: {row.question}", _LEVELS[row.outcome])
        word = "failed" if row.outcome is Outcome.FAIL else "unknown"
        text = ". ".join([f"{row.question} {word}: {row.why}", *row.details])
        return self._result(name, _LEVELS[row.outcome], text, Place(path=""))

    def _finding(self, finding: Finding) -> dict[str, Any]:
        self._rule(finding.rule, finding.message, finding.severity.value)
        result = self._result(finding.rule, finding.severity.value, finding.message, finding.place)
        result["properties"] = {
            "confidence": finding.confidence.value,
            "doubt": finding.doubt,
            "trail": [visible(line) for line in finding.trail],
            "advisories": list(finding.advisories),
            "fix": visible(finding.fix),
        }
        return result

    def _unread(self, item: Unread) -> dict[str, Any]:
        self._rule(item.code, "A part of the model was not read or not understood", "note")
        return self._result(item.code, "note", f"not read: {item.message}", item.place)

    def _result(self, rule: str, level: str, text: str, place: Place) -> dict[str, Any]:
        file = self._files.get(place.path)
        digest = (file.sha256 if file else None) or self._report.subject.files_digest or ""
        identity = fingerprint(digest, place, rule)
        return {
            "ruleId": rule,
            "ruleIndex": list(self._rules).index(rule),
            "level": level,
            "message": {"text": plain(text)},
            "locations": [self._location(place)],
            "partialFingerprints": {
                "weighbridge/v1": identity,
                "primaryLocationLineHash": f"{identity[:16]}:1",
            },
        }

    def _location(self, place: Place) -> dict[str, Any]:
        path = repository_path(self._prefix, place.path) if place.path else self._prefix.strip("/")
        location: dict[str, Any] = {"uri": uri(path)}
        if place.path:
            location["index"] = self._artifacts.setdefault(place.path, len(self._artifacts))
        region: dict[str, Any] = {"startLine": max(1, place.line or 1)}
        if place.offset is not None and not place.parts and place.offset >= 0:
            region |= {"byteOffset": place.offset, "byteLength": 0}
        physical = {"physicalLocation": {"artifactLocation": location, "region": region}}
        nested = place.parts or place.offset is not None
        return {**physical, "logicalLocations": [_logical(place)]} if nested else physical

    def _artifact(self, path: str) -> dict[str, Any]:
        file = self._files.get(path)
        artifact: dict[str, Any] = {"location": {"uri": uri(repository_path(self._prefix, path))}}
        if file is not None:
            artifact["length"] = file.size
            artifact |= {"hashes": {"sha-256": file.sha256}} if file.sha256 else {}
        return artifact

    def _rule(self, name: str, summary: str, level: str) -> None:
        if name in self._rules:
            return
        page = self._pages.get(name)
        text = plain(page.summary if page else summary)
        rule: dict[str, Any] = {
            "id": name,
            "name": "".join(word.capitalize() for word in name.split("-")),
            "shortDescription": {"text": text},
            "help": {"text": page.help or text, "markdown": page.help or text} if page else {"text": text},
            "defaultConfiguration": {"level": level},
            "properties": {"tags": ["security", "model"]},
        }
        if page and page.uri.startswith("https://"):
            rule["helpUri"] = page.uri
        self._rules[name] = rule

    def _driver(self) -> dict[str, Any]:
        version = self._report.tool_version
        return {
            "name": "weighbridge",
            **({"version": version} if version else {}),
            "rules": list(self._rules.values()),
            "notifications": [
                {"id": "unknown", "shortDescription": {"text": "A question of the policy has no answer"}},
                {
                    "id": "unread",
                    "shortDescription": {"text": "A part of the model was not read or not understood"},
                },
            ],
        }

    def _invocation(self) -> dict[str, Any]:
        decision = self._report.verdict.decision
        invocation: dict[str, Any] = {
            "executionSuccessful": True,
            "exitCode": int(decision.exit_code),
            "exitCodeDescription": f"{verdict_word(self._report)}: {counts_line(self._report)}",
            "toolExecutionNotifications": [*self._notifications()],
        }
        if self._report.started:
            invocation["startTimeUtc"] = self._report.started
        return invocation

    def _notifications(self) -> Iterator[dict[str, Any]]:
        for row in self._report.evidence:
            if row.outcome is Outcome.UNKNOWN:
                text = f"{row.question} is unknown: {row.why}"
                yield {
                    "descriptor": {"id": "unknown"},
                    "level": "warning",
                    "message": {"text": plain(text)},
                }
        for item in self._report.unread:
            notification = {"descriptor": {"id": "unread"}, "level": "warning"}
            message = {"text": plain(f"{item.place.path} was not read: {item.message}")}
            yield {**notification, "message": message, "locations": [self._location(item.place)]}

    def _properties(self) -> dict[str, Any]:
        report = self._report
        digests = {
            "files": report.subject.files_digest,
            "tensors": report.subject.tensors_digest,
            "card": report.subject.card_digest,
        }
        return {
            "verdict": report.verdict.decision.value,
            "reasons": [visible(reason, 2000) for reason in report.verdict.reasons],
            "subject": {
                "name": visible(report.subject.name),
                "digests": {k: v for k, v in digests.items() if v},
            },
            "policy": {"name": report.policy[0], "digest": report.policy[1]} if report.policy else {},
        }


def plain(text: str) -> str:
    """A message of plain text: `[words](address)` in it would be a link for a viewer (section 3.11.6)."""
    return visible(text, 2000).replace("](", "] (")


def _logical(place: Place) -> dict[str, Any]:
    at = Place(path="", offset=place.offset, line=place.line).where
    steps = [visible(step, 200) for step in (*place.parts, *([at] if at else []))]
    name = place.path.rpartition("/")[2]
    return {"name": steps[-1], "fullyQualifiedName": "/".join([visible(name, 200), *steps]), "kind": "member"}
