"""Markdown for job summaries and comments: every foreign text stands in a code span, where nothing in it can act.

A code span makes no links, images, mentions or HTML, whatever is written in it; its fence is longer than any run of
backticks inside (CommonMark 6.1). Lists and no tables: renderers disagree how a backslash and a pipe end a cell.
"""

import re
from collections.abc import Iterator

from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.finding import Finding
from weighbridge.core.report import Report
from weighbridge.core.text import visible
from weighbridge.report.summary import (
    SYMBOLS,
    counts_line,
    differences,
    gaps,
    short_digest,
    size_line,
    verdict_word,
    work_line,
    worst_first,
)

MAX_FINDINGS = 100
"""Job summaries are cut by the services at about a megabyte."""
MAX_ROWS = 50


def render(report: Report) -> str:
    """The document."""
    sections = (_head(report), _evidence(report), _signatures(report), _differences(report), _findings(report),
                _unread(report), _suppressed(report), _tail(report))  # fmt: skip
    return "\n\n".join("\n".join(lines) for section in sections if (lines := [*section])) + "\n"


def code(text: str, limit: int = 300) -> str:
    """Any text as one code span that nothing in it can leave."""
    shown = visible(text, limit)
    if not shown.strip():
        return "` `"
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {shown} {fence}" if longest else f"{fence}{shown}{fence}"


def _head(report: Report) -> Iterator[str]:
    mark = {"admitted": "✓", "refused": "✗"}.get(report.verdict.decision.value, "?")
    digest = short_digest(report.subject.files_digest)
    yield f"## {mark} {verdict_word(report)}: {code(report.subject.name, 120)}"
    yield ""
    facts = [code(digest) if digest else "", size_line(report)]
    facts += [f"policy {code(report.policy[0], 80)}"] if report.policy else []
    yield ", ".join(fact for fact in facts if fact)


def _evidence(report: Report) -> Iterator[str]:
    yield from (
        f"- {SYMBOLS[row.outcome]} {code(row.question)} {_answer(row, report)}" for row in report.evidence
    )


def _answer(row: Evidence, report: Report) -> str:
    word = {Outcome.PASS: "pass", Outcome.FAIL: "**fail**", Outcome.UNKNOWN: "unknown"}[row.outcome]
    admitted = ", admitted" if row.question in report.verdict.admitted_unknowns else ""
    return f"{word}{admitted}: {code(row.why)}"


def _signatures(report: Report) -> Iterator[str]:
    if report.signatures:
        yield "### Signatures"
        yield ""
    for item in report.signatures[:MAX_ROWS]:
        facts = (("by", item.by), ("how", item.how), ("when", item.when), ("covers", item.covers))
        told = "; ".join(f"{word} {code(fact)}" for word, fact in facts if fact)
        yield f"- {item.outcome}: {code(item.why)}" + (f"; {told}" if told else "")


def _differences(report: Report) -> Iterator[str]:
    rows = differences(report)
    if rows:
        yield "**What differs from the signed manifest**"
        yield ""
    yield from (f"- {word} {code(name)}" for word, name in rows[:MAX_ROWS])
    if len(rows) > MAX_ROWS:
        yield f"- and {len(rows) - MAX_ROWS} more"


def _findings(report: Report) -> Iterator[str]:
    if report.findings:
        yield "### Findings"
    for finding in worst_first(report.findings)[:MAX_FINDINGS]:
        yield ""
        yield from _finding(finding)
    if len(report.findings) > MAX_FINDINGS:
        yield ""
        yield f"and {len(report.findings) - MAX_FINDINGS} more findings."


def _finding(finding: Finding) -> Iterator[str]:
    place = finding.place.path + (f" › {finding.place.where}" if finding.place.where else "")
    yield f"- **{finding.severity.value}** {code(finding.rule)} in {code(place)}: {code(finding.message)}"
    yield from (f"  - {code(line)}" for line in finding.trail)
    yield from (f"  - uses {code(line)}" for line in finding.advisories)
    if finding.fix:
        yield f"  - fix: {code(finding.fix)}"


def _unread(report: Report) -> Iterator[str]:
    if report.unread:
        yield "### Not read"
        yield ""
    for gap in gaps(report.unread)[:MAX_ROWS]:
        names = ", ".join(code(path, 120) for path in gap.paths[:3])
        more = f" and {len(gap.paths) - 3} more" if len(gap.paths) > 3 else ""
        yield f"- {names}{more}: {code(gap.message)} ({code(gap.code)})"


def _suppressed(report: Report) -> Iterator[str]:
    if report.suppressed:
        yield "### Suppressed"
        yield ""
    for item in report.suppressed[:MAX_ROWS]:
        place = code(item.finding.place.path, 120)
        yield f"- {code(item.finding.rule)} in {place} until {code(item.until)}: {code(item.reason)}"


def _tail(report: Report) -> Iterator[str]:
    counts = counts_line(report)
    yield f"**{verdict_word(report)}**: {code(counts) + '. ' if counts else ''}{work_line(report)}"
