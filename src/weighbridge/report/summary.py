"""What every renderer says in the same words: counts, verdict words, short digests, groups of unread files.

Nothing here formats for a particular output, and every text is still as the report holds it: a renderer makes it
visible and escapes it for its own format.
"""

from collections.abc import Iterable

from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.finding import Finding, Severity, Unread
from weighbridge.core.manifest import Difference
from weighbridge.core.report import Report
from weighbridge.core.text import counted, human_bytes, some
from weighbridge.core.value import dataclass
from weighbridge.core.verdict import Decision

SYMBOLS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.UNKNOWN: "?"}
"""Never alone: the word stands beside it."""

SEVERITIES = (Severity.ERROR, Severity.WARNING, Severity.NOTE)

OPTION_OF_LIMIT = {
    "limit-bytes": "--max-bytes",
    "limit-depth": "--max-depth",
    "limit-members": "--max-members",
    "limit-seconds": "--timeout",
}
"""The option that moves a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Files that were not read for the same reason."""

    code: str
    message: str
    paths: tuple[str, ...]


def verdict_word(report: Report) -> str:
    """The word that opens and closes the screen. VERIFIED is only said where a signature and the contents hold."""
    if report.command == "verify":
        if report.verdict.decision is Decision.REFUSED:
            return "NOT VERIFIED"
        passed = {row.question for row in report.evidence if row.outcome is Outcome.PASS}
        if report.verdict.decision is Decision.ADMITTED and {"signed", "intact"} <= passed:
            return "VERIFIED"
    if report.command == "trace" and report.verdict.decision is not Decision.UNDECIDED:
        return "TRACED" if report.verdict.decision is Decision.ADMITTED else "NOT TRACED"
    return report.verdict.decision.value.upper()


def told_elsewhere(row: Evidence, report: Report) -> bool:
    """Whether findings or unread parts already say what the row says: then listing it too would count it twice."""
    if row.question == "safe":
        telling = Severity.ERROR if row.outcome is Outcome.FAIL else None
        return any(finding.severity is telling or finding.doubt for finding in report.findings)
    return row.question == "read" and bool(report.unread)


def short_digest(digest: str | None) -> str:
    """`sha256:5f1c…9e02`: enough to compare by eye, never enough to rely on."""
    if not digest:
        return ""
    algorithm, _, value = digest.partition(":")
    algorithm = algorithm.removeprefix("weighbridge-files-v1-").removeprefix("weighbridge-tensors-v1-")
    return digest if len(value) <= 12 else f"{algorithm}:{value[:4]}…{value[-4:]}"


def size_line(report: Report) -> str:
    """`4 files, 13.5 GB`."""
    fetched = report.extra.get("fetched")
    came = f", {human_bytes(fetched['bytes'])} of it fetched" if isinstance(fetched, dict) else ""
    return f"{counted(report.subject.files, 'file')}, {human_bytes(report.subject.bytes)}{came}"


def severity_count(report: Report, severity: Severity) -> int:
    """How many findings of one severity were kept."""
    return sum(finding.severity is severity for finding in report.findings)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors, warnings, notes; in the order seen within each."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def at_least(findings: Iterable[Finding], lowest: Severity) -> tuple[Finding, ...]:
    """The findings that are as bad as `lowest` or worse."""
    return tuple(f for f in findings if SEVERITIES.index(f.severity) <= SEVERITIES.index(lowest))


def unread_paths(report: Report) -> frozenset[str]:
    """The files of which something was not read."""
    return frozenset(item.place.path for item in report.unread)


def gaps(unread: Iterable[Unread]) -> tuple[Gap, ...]:
    """Unread parts grouped by reason, in the order in which the reasons were met."""
    groups: dict[tuple[str, str], dict[str, None]] = {}
    for item in unread:
        groups.setdefault((item.code, item.message), {})[item.place.path] = None
    return tuple(Gap(code=code, message=text, paths=tuple(paths)) for (code, text), paths in groups.items())


def reading_line(report: Report) -> str:
    """`38 read, 2 not understood, 1 over limits`; "" when everything was read."""
    if not report.unread:
        return ""
    kinds: dict[str, set[str]] = {"not understood": set(), "over limits": set(), "not read whole": set()}
    for item in report.unread:
        kinds[_kind(item.code)].add(item.place.path)
    read = max(0, report.subject.files - len(unread_paths(report)))
    return ", ".join([f"{read} read", *(f"{len(paths)} {kind}" for kind, paths in kinds.items() if paths)])


def _kind(code: str) -> str:
    if code.startswith("limit-"):
        return "over limits"
    return "not understood" if code == "format-unknown" else "not read whole"


def counts_line(report: Report) -> str:
    """The counts of the last line, worst first: nothing that was dropped, suppressed or admitted is left out."""
    parts = [
        f"{row.question} failed"
        for row in report.evidence
        if row.outcome is Outcome.FAIL and _speaks(row.question, report)
    ]
    parts += _unknowns(report)
    if report.command != "verify":
        parts.append(counted(severity_count(report, Severity.ERROR), "error"))
    parts += [
        counted(number, severity.value)
        for severity in (Severity.WARNING, Severity.NOTE)
        if (number := severity_count(report, severity))
    ]
    parts += _more_counts(report)
    return ", ".join(parts)


def _unknowns(report: Report) -> list[str]:
    """What has no answer; of a model that is admitted nonetheless, on whose word."""
    admitted = report.verdict.admitted_unknowns
    unknown = [row.question for row in report.evidence if row.outcome is Outcome.UNKNOWN]
    others = [question for question in unknown if question not in admitted]
    if report.verdict.decision is not Decision.ADMITTED:
        return [f"{question} unknown" for question in others]
    kinds = (("admitted by policy", admitted), ("not asked by policy", others))
    return [f"{len(names)} unknown {how} ({some(names, 8)})" for how, names in kinds if names]


def _speaks(question: str, report: Report) -> bool:
    """`safe` is told by its errors where there are any."""
    return question != "safe" or not severity_count(report, Severity.ERROR)


def _more_counts(report: Report) -> list[str]:
    told = report.verdict.decision is Decision.ADMITTED  # by name, at the beginning
    rows = [
        (0 if told else len(report.verdict.admitted_unknowns), "unknown admitted"),
        (len(report.suppressed), "suppressed"),
    ]
    parts = [f"{number} {words}" for number, words in rows if number]
    unread = len(unread_paths(report))
    return [*parts, f"{counted(unread, 'file')} unread"] if unread else parts


def work_line(report: Report) -> str:
    """`4 of 4 files read, 3.1 s.`; `verify` says how many signatures it looked at."""
    seconds = f"{report.seconds:.1f} s"
    total = report.subject.files
    if report.command == "verify":
        return f"{counted(len(report.signatures), 'signature')}, {counted(total, 'file')}, {seconds}."
    if not report.files and not report.unread:
        return f"{counted(total, 'file')}, {seconds}."
    return f"{max(0, total - len(unread_paths(report)))} of {counted(total, 'file')} read, {seconds}."


def differences(report: Report) -> tuple[tuple[str, str], ...]:
    """(word, path or tensor) over all signatures, each once: changed, extra, missing, then tensors."""
    rows: dict[tuple[str, str], None] = {}
    for signature in report.signatures:
        if signature.difference is not None:
            rows.update(dict.fromkeys(_rows(signature.difference)))
    order = ("changed", "extra", "missing", "tensor changed", "tensor extra", "tensor missing")
    return tuple(sorted(rows, key=lambda row: (order.index(row[0]), row[1])))


def _rows(difference: Difference) -> list[tuple[str, str]]:
    groups = {
        "changed": difference.changed,
        "extra": difference.added,
        "missing": difference.removed,
        "tensor changed": difference.tensors_changed,
        "tensor extra": difference.tensors_added,
        "tensor missing": difference.tensors_removed,
    }
    return [(word, name) for word, names in groups.items() for name in names]
