"""Annotations for GitHub Actions: `::error file=…,line=…,title=…::message`, one line each, between two plain lines.

A workflow command is read wherever a line begins with `::`, so every line here begins with a word of ours, and what
comes from a model is made one visible line and escaped as the runner's own toolkit does (`%`, `:`, `,`).
"""

from collections.abc import Iterator

from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.finding import Finding, Unread
from weighbridge.core.report import Report
from weighbridge.core.text import counted, visible
from weighbridge.report.places import repository_path
from weighbridge.report.summary import (
    counts_line,
    told_elsewhere,
    verdict_word,
    work_line,
    worst_first,
)

SHOWN = 10
"""A step shows ten annotations of a level; more would be dropped in silence, so they are counted aloud."""

_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def render(report: Report, *, prefix: str = "") -> str:
    """The lines, the verdict first and last."""
    counts = f"{counts_line(report)}. " if counts_line(report) else ""
    verdict = f"weighbridge: {verdict_word(report)} {visible(report.subject.name, 120)}"
    last = f"weighbridge: {verdict_word(report)}: {counts}{work_line(report)}"
    return "\n".join([verdict, *_annotations(report, prefix), last]) + "\n"


def _annotations(report: Report, prefix: str) -> Iterator[str]:
    lines = [
        *(_row(row, prefix) for row in report.evidence if _needs_a_line(row, report)),
        *(_finding(finding, prefix) for finding in worst_first(report.findings)),
        *(_unread(item, prefix) for item in report.unread),
    ]
    for level in _LEVELS.values():
        mine = [line for line in lines if line.startswith(f"::{level} ")]
        yield from mine[:SHOWN]
        if len(mine) > SHOWN:
            yield f"weighbridge: {counted(len(mine) - SHOWN, f'more {level}')} (--format json lists all)"


def _needs_a_line(row: Evidence, report: Report) -> bool:
    return row.outcome is not Outcome.PASS and not told_elsewhere(row, report)


def _row(row: Evidence, prefix: str) -> str:
    level, word = ("error", "failed") if row.outcome is Outcome.FAIL else ("warning", "unknown")
    return _command(level, prefix.strip("/"), 1, f"{row.question} {word}", row.why)


def _finding(finding: Finding, prefix: str) -> str:
    where = f" ({finding.place.where})" if finding.place.where else ""
    path = repository_path(prefix, finding.place.path)
    return _command(
        _LEVELS[finding.severity.value], path, finding.place.line or 1, finding.rule, finding.message + where
    )


def _unread(item: Unread, prefix: str) -> str:
    where = f" ({item.place.where})" if item.place.where else ""
    path = repository_path(prefix, item.place.path)
    return _command("warning", path, item.place.line or 1, item.code, f"not read: {item.message}{where}")


def _command(level: str, path: str, line: int, title: str, message: str) -> str:
    place = f"file={_property(path)},line={line}," if path else ""
    return f"::{level} {place}title={_property(title)}::{_data(visible(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
