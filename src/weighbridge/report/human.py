"""The report for people: the same words on and off a terminal; colour and width are all that differs.

First the verdict, then why, then the verdict again with all counts and the exit code, so that neither the first line
of a screen nor the last of a CI log can mislead. Every text is made visible (core.text) before it stands on a line.
"""

import re
from collections.abc import Iterator, Sequence

from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.finding import Finding, Severity
from weighbridge.core.report import Report, SignatureResult
from weighbridge.core.text import counted, some, visible
from weighbridge.core.value import dataclass
from weighbridge.core.verdict import Decision
from weighbridge.report.summary import (
    OPTION_OF_LIMIT,
    SYMBOLS,
    Gap,
    at_least,
    counts_line,
    differences,
    gaps,
    reading_line,
    short_digest,
    size_line,
    told_elsewhere,
    verdict_word,
    work_line,
    worst_first,
)

MAX_BLOCKS = 50
"""Findings shown in full; the rest is counted, and `--format json` has it."""
MAX_ROWS = 20
"""Differing files or tensors shown; the rest is counted."""

_COLORS = {
    "admitted": "1;32",
    "refused": "1;31",
    "undecided": "1;33",
    "pass": "32",
    "fail": "31",
    "unknown": "33",
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "dim": "2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """How to draw."""

    color: bool = False
    width: int = 80
    verbose: bool = False
    """Show everything that is otherwise only counted, and the details of what passed."""
    quiet: bool = False
    """Only the last line."""
    min_severity: Severity = Severity.NOTE
    exit_code: int | None = None
    """What the process will exit with, where that differs from the verdict's code."""

    def paint(self, text: str, style: str) -> str:
        """`text` in a colour, where colours were asked for. Only our own words are painted."""
        return f"\x1b[{_COLORS[style]}m{text}\x1b[0m" if self.color else text


def render(report: Report, screen: Screen) -> str:
    """The whole screen, ending in a newline."""
    last = _last_line(report, screen)
    if screen.quiet:
        return f"{last}\n"
    sections = [
        list(_head(report, screen)),
        list(_body(report, screen)),
        *(list(_finding(finding, screen)) for finding in _shown(report, screen)),
        list(_left_out(report, screen)),
        list(_suppressed(report, screen)),
    ]
    blocks = ["\n".join(section) for section in sections if section]
    return "\n\n".join([*blocks, last]) + "\n"


def _head(report: Report, screen: Screen) -> Iterator[str]:
    parts = [
        screen.paint(verdict_word(report), report.verdict.decision.value),
        visible(report.subject.name, 120),
        short_digest(report.subject.files_digest),
    ]
    rest = "" if report.command == "verify" else size_line(report)
    rest += f": {reading_line(report)}" if reading_line(report) and rest else ""
    policy = f"policy {visible(report.policy[0], 80)}" if report.policy and report.command == "check" else ""
    yield "  ".join(part for part in parts if part) + "".join(f"   {part}" for part in (rest, policy) if part)


def _body(report: Report, screen: Screen) -> Iterator[str]:
    if report.chain is not None:
        from weighbridge.report import trace

        yield from (f"  {line}" for line in trace.tree(report.chain))
    if report.command == "verify":
        yield from _verify(report, screen)
    else:
        yield from _questions(report, screen)
    yield from _gaps(report, screen)


# The rows of evidence.


def _questions(report: Report, screen: Screen) -> Iterator[str]:
    rows = [row for row in report.evidence if report.command != "scan" or _needs_a_row(row, report)]
    column = max((len(row.question) for row in rows), default=0)
    for row in rows:
        yield from _question(row, max(column, 8), report, screen)
    yield from _difference_rows(report, screen, "      ")


def _needs_a_row(row: Evidence, report: Report) -> bool:
    """`scan` asks only `safe` and `read`: a row where the blocks and lists below do not already answer."""
    passed = row.question in ("safe", "read") and row.outcome is Outcome.PASS
    return not passed and not told_elsewhere(row, report)


def _question(row: Evidence, column: int, report: Report, screen: Screen) -> Iterator[str]:
    mark = screen.paint(SYMBOLS[row.outcome], row.outcome.value)
    answer = visible(row.why)
    if row.by and row.outcome is Outcome.PASS and row.question == "signed" and row.by not in row.why:
        answer = f"{visible(row.by, 120)}, {answer}"
    line = f"  {mark} {visible(row.question, 90):<{column}} {answer}"
    note = _note(row, report)
    if note:
        taken = len(line) - (len(mark) - 1)
        line += " " * max(2, min(screen.width, 80) - taken - len(note)) + screen.paint(note, "dim")
    yield line
    if row.outcome is not Outcome.PASS or screen.verbose:
        yield from (f"      {visible(detail)}" for detail in row.details)


def _note(row: Evidence, report: Report) -> str:
    if row.question in report.verdict.admitted_unknowns:
        return "unknown, admitted"
    word = {Outcome.FAIL: "failed", Outcome.UNKNOWN: "unknown"}.get(row.outcome, "")
    return f"{word}  [{row.code}]" if word and row.code else word


def _difference_rows(report: Report, screen: Screen, indent: str) -> Iterator[str]:
    rows = differences(report)
    shown = rows if screen.verbose else rows[:MAX_ROWS]
    column = max((len(word) for word, _ in shown), default=0)
    for word, name in shown:
        yield f"{indent}{word:<{max(8, column)}} {visible(name)}"
    if len(rows) > len(shown):
        yield f"{indent}and {len(rows) - len(shown)} more (-v shows all)"


def _gaps(report: Report, screen: Screen) -> Iterator[str]:
    groups = gaps(report.unread)
    shown = groups if screen.verbose else groups[:MAX_ROWS]
    names = [_paths(gap) for gap in shown]
    column = min(40, max((len(name) for name in names), default=0))
    for gap, name in zip(shown, names, strict=True):
        option = f"   raise {OPTION_OF_LIMIT[gap.code]}" if gap.code in OPTION_OF_LIMIT else ""
        mark = screen.paint("?", "unknown")
        yield f"  {mark} {name:<{column}}   {visible(gap.message)}   [{gap.code}]{option}"
    if len(groups) > len(shown):
        yield f"  and {len(groups) - len(shown)} more reasons (-v shows all)"


def _paths(gap: Gap) -> str:
    return some(gap.paths)


# The screens of `verify`.


def _verify(report: Report, screen: Screen) -> Iterator[str]:
    good = [signature for signature in report.signatures if signature.outcome == "pass"]
    others = [signature for signature in report.signatures if signature.outcome != "pass"]
    if report.verdict.decision is Decision.ADMITTED:
        for signature in good:
            yield from _facts(signature)
        yield from (_not_counted(signature, screen) for signature in others)
        admitted = report.verdict.admitted_unknowns
        rows = [row for row in report.evidence if screen.verbose or row.question in admitted]
    else:
        rows = [row for row in report.evidence if row.outcome is not Outcome.PASS or screen.verbose]
    for row in rows:
        yield from _question(row, 8, report, screen)
    if report.verdict.decision is Decision.ADMITTED:
        return
    told = {row.why for row in rows}
    yield from (_not_counted(signature, screen) for signature in others if signature.why not in told)
    yield from _difference_rows(report, screen, "  ")


def _facts(signature: SignatureResult) -> Iterator[str]:
    roles = f"  ({', '.join(visible(role, 80) for role in signature.roles)})" if signature.roles else ""
    facts = (
        ("by", visible(signature.by, 200) + roles),
        ("how", visible(signature.how)),
        ("when", _time(signature.when) if signature.when else "nobody vouches for a time"),
        ("covers", visible(signature.covers)),
    )
    yield from (f"  {name:<8}{value}" for name, value in facts if value)


def _time(text: str) -> str:
    """`2026-11-20 14:02 UTC` for an RFC 3339 time in UTC; anything else as it is."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d(?:\.\d+)?(?:Z|\+00:00)", text, re.ASCII)
    return f"{match[1]} {match[2]} UTC" if match else visible(text)


def _not_counted(signature: SignatureResult, screen: Screen) -> str:
    word = "failed" if signature.outcome == "fail" else "unknown"
    where = f"{visible(signature.bundle, 120)}: " if signature.bundle else ""
    code = f"   [{signature.code}]" if signature.code else ""
    mark = screen.paint("✗" if word == "failed" else "?", "fail" if word == "failed" else "unknown")
    return f"  {mark} {word:<8} {where}{visible(signature.why)}{code}"


# Findings.


def _shown(report: Report, screen: Screen) -> Sequence[Finding]:
    wanted = worst_first(at_least(report.findings, screen.min_severity))
    return wanted if screen.verbose else wanted[:MAX_BLOCKS]


def _finding(finding: Finding, screen: Screen) -> Iterator[str]:
    head = screen.paint(f"{finding.severity.value}[{visible(finding.rule, 80)}]", finding.severity.value)
    sure = "" if finding.confidence == "high" else f" ({finding.confidence.value} confidence)"
    yield f"{head}: {visible(finding.message)}{sure}"
    where = visible(finding.place.where)
    yield f"  {visible(finding.place.path)}" + (f" › {where}" if where else "")
    yield from (f"      {visible(line)}" for line in finding.trail)
    yield from (f"      uses {visible(line)}" for line in finding.advisories)
    if finding.doubt:
        yield "  note  this file cannot be judged, so it does not pass"
    if finding.fix:
        yield f"  fix   {visible(finding.fix)}"
    yield f"  more  weighbridge rule {visible(finding.rule, 80)}"


def _left_out(report: Report, screen: Screen) -> Iterator[str]:
    hidden = len(report.findings) - len(at_least(report.findings, screen.min_severity))
    if hidden:
        yield f"{counted(hidden, 'finding')} below {screen.min_severity.value} not shown (--min-severity)"
    more = len(report.findings) - hidden - len(_shown(report, screen))
    if more:
        yield f"{counted(more, 'more finding')} not shown (-v, or --format json)"


def _suppressed(report: Report, screen: Screen) -> Iterator[str]:
    shown = report.suppressed if screen.verbose else report.suppressed[:MAX_ROWS]
    for item in shown:
        place = visible(item.finding.place.path, 120)
        yield f"suppressed until {item.until}: {item.finding.rule} in {place}: {visible(item.reason, 200)}"
    if len(report.suppressed) > len(shown):
        yield f"and {len(report.suppressed) - len(shown)} more suppressed (-v shows all)"


def _last_line(report: Report, screen: Screen) -> str:
    word = verdict_word(report)
    counts = counts_line(report)
    line = f"{word}: {counts}. {work_line(report)}" if counts else f"{word}: {work_line(report)}"
    code = int(report.verdict.decision.exit_code) if screen.exit_code is None else screen.exit_code
    end = f"exit {code}"
    gap = max(2, min(screen.width, 84) - len(line) - len(end))
    return (
        screen.paint(word, report.verdict.decision.value)
        + line[len(word) :]
        + " " * gap
        + screen.paint(end, "dim")
    )
