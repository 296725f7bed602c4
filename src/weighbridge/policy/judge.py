"""judge(): evidence in, verdict out. Pure and total: no disk, no clock, no exception for anything a model does.

1. `answers`   one row for every question that is asked; no row can vanish, of several the worst is believed.
2. A FAIL in any row refuses, also in one that nobody asked.
3. An UNKNOWN row does what the policy says for that question: undecided, refuse or admit.
4. The worst row decides; the reasons stand worst first.

`suppress` and `examined` turn what a scan saw into the rows `safe` and `read`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from weighbridge.core.evidence import WORST_FIRST, Evidence, Outcome
from weighbridge.core.finding import FileResult, Finding, Place, Severity, Unread
from weighbridge.core.report import Suppressed
from weighbridge.core.text import counted, some
from weighbridge.core.verdict import Decision, Verdict
from weighbridge.policy.policy import Policy
from weighbridge.policy.words import QUESTIONS, Findings, Need, Suppression, Unknown

UNSIGNED = "no-signature"
"""The code with which `signed` and `intact` say that there is no signature at all."""


def judge(
    policy: Policy,
    evidence: Sequence[Evidence],
    findings: Sequence[Finding],
    now: datetime,
    *,
    asked: Sequence[str] | None = None,
) -> Verdict:
    """The verdict on a model. `asked` narrows the questions to a command's part (`Policy.questions_of`)."""
    rows = answers(policy, evidence, findings, now, asked=asked)
    decided = [(row, decide(policy, row, asked)) for row in rows]
    ordered = sorted(decided, key=lambda pair: (_rank(pair[1]), WORST_FIRST.index(pair[0].outcome)))
    if not any(_is_asked(policy, row, asked) for row in rows) and not (
        ordered and ordered[0][1] is Decision.REFUSED
    ):
        return Verdict(decision=Decision.UNDECIDED, reasons=("nothing was asked",))
    return Verdict(
        decision=ordered[0][1],
        reasons=tuple(_reason(row, decision, _is_asked(policy, row, asked)) for row, decision in ordered),
        admitted_unknowns=tuple(
            row.question
            for row, decision in decided
            if _let_through(row, decision) and _is_asked(policy, row, asked)
        ),
    )


def answers(
    policy: Policy,
    evidence: Sequence[Evidence],
    findings: Sequence[Finding],
    now: datetime,
    *,
    asked: Sequence[str] | None = None,
) -> tuple[Evidence, ...]:
    """One row a question: first what is asked, in the policy's order, then what was answered without being asked."""
    questions = policy.questions if asked is None else tuple(dict.fromkeys(asked))
    given = [*evidence, *_from_findings(policy, evidence, findings), *_from_policy(policy, now)]
    extra = sorted({row.question for row in given} - set(questions), key=_screen_order)
    return tuple(_one_row(question, given) for question in (*questions, *extra))


def decide(policy: Policy, row: Evidence, asked: Sequence[str] | None = None) -> Decision:
    """What one row alone would decide."""
    if row.outcome is Outcome.PASS or _is_mute(policy, row):
        return Decision.ADMITTED
    if row.outcome is Outcome.FAIL:
        return Decision.REFUSED
    if not _is_asked(policy, row, asked) or _is_optional(policy, row):
        return Decision.ADMITTED
    if policy.unknown_for(row.question) is Unknown.REFUSE:
        return Decision.REFUSED
    if _unknown_word(policy, row.question) is Unknown.ADMIT and not _is_required(policy, row):
        return Decision.ADMITTED
    return Decision.UNDECIDED


_STATED = frozenset({"logged", "traced", "based", "data", "approved", "current", "fresh"})
"""Questions that are asked only where the policy says that there must be an answer."""


def _unknown_word(policy: Policy, question: str) -> Unknown:
    """What to do where there is no answer. `unknown = "admit"` is no word about what must be there: that needs its name."""
    word = policy.unknown_for(question)
    if word is Unknown.ADMIT and question in _STATED and question not in dict(policy.unknown):
        return Unknown.UNDECIDED
    return word


def _is_required(policy: Policy, row: Evidence) -> bool:
    """A signature that must be there is not replaced by one that cannot be read: anybody could leave such a file."""
    return policy.signature is Need.REQUIRED and row.question in ("signed", "intact")


def _is_asked(policy: Policy, row: Evidence, asked: Sequence[str] | None) -> bool:
    return row.question in (policy.questions if asked is None else asked)


def _is_mute(policy: Policy, row: Evidence) -> bool:
    """Findings that decide nothing: the policy said `findings = "any"`."""
    return row.question == "safe" and policy.findings is Findings.ANY


def _is_optional(policy: Policy, row: Evidence) -> bool:
    """A model without any signature, where the policy lets a signature be absent."""
    return policy.signature is Need.OPTIONAL and row.question in ("signed", "intact") and row.code == UNSIGNED


def _let_through(row: Evidence, decision: Decision) -> bool:
    return row.outcome is Outcome.UNKNOWN and decision is Decision.ADMITTED


def _rank(decision: Decision) -> int:
    return (Decision.REFUSED, Decision.UNDECIDED, Decision.ADMITTED).index(decision)


def _reason(row: Evidence, decision: Decision, is_asked: bool) -> str:
    note = {
        (Outcome.UNKNOWN, Decision.ADMITTED): " (unknown, admitted)" if is_asked else " (unknown, not asked)",
        (Outcome.UNKNOWN, Decision.REFUSED): " (unknown, refused)",
        (Outcome.UNKNOWN, Decision.UNDECIDED): " (unknown)",
        (Outcome.FAIL, Decision.ADMITTED): " (failed, decides nothing here)",
    }.get((row.outcome, decision), "")
    return f"{row.question}: {row.why}{note}"


def _one_row(question: str, given: Iterable[Evidence]) -> Evidence:
    """The worst of the rows for a question; which of equally bad ones is settled by their text, not their order."""
    rows = [row for row in given if row.question == question]
    if not rows:
        why = "nothing answers this question here"
        return Evidence(question=question, outcome=Outcome.UNKNOWN, why=why, code="not-answered")
    return min(rows, key=lambda row: (WORST_FIRST.index(row.outcome), row.code, row.why, row.by, row.details))


def _screen_order(question: str) -> tuple[int, str]:
    return (QUESTIONS.index(question) if question in QUESTIONS else len(QUESTIONS), question)


def _from_findings(
    policy: Policy, evidence: Sequence[Evidence], findings: Sequence[Finding]
) -> list[Evidence]:
    """`safe` fails where findings break the policy's word, also when no evidence says so."""
    row = _safe_failure(policy, findings)
    said = any(given.question == "safe" and given.outcome is Outcome.FAIL for given in evidence)
    return [] if row is None or said else [row]


def _from_policy(policy: Policy, now: datetime) -> list[Evidence]:
    if policy.valid_until is None:
        return []
    day = policy.valid_until.isoformat()
    if _day(now) <= day:
        return [Evidence(question="policy", outcome=Outcome.PASS, why=f"valid until {day}", by=policy.name)]
    why = f"this policy was valid until {day}"
    return [
        Evidence(question="policy", outcome=Outcome.UNKNOWN, why=why, by=policy.name, code="policy-expired")
    ]


# What a scan saw, as the rows `safe` and `read`.


def suppress(
    findings: Sequence[Finding], policy: Policy, now: datetime, hashes: Mapping[str, str | None] | None = None
) -> tuple[tuple[Finding, ...], tuple[Suppressed, ...], tuple[Finding, ...]]:
    """(kept, suppressed, notes): a finding under an expired suppression is kept, with a warning that says so.

    `hashes` is path → SHA-256 in hex: what a baseline accepted holds only for the bytes that were looked at.
    """
    seen = hashes or {}
    kept: list[Finding] = []
    suppressed: list[Suppressed] = []
    notes: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        matching = [entry for entry in policy.suppressions if _matches(entry, finding, seen)]
        holding = [entry for entry in matching if _day(now) <= entry.until.isoformat()]
        if holding:
            last = max(holding, key=lambda entry: (entry.until, entry.reason))
            suppressed.append(Suppressed(finding=finding, reason=last.reason, until=last.until.isoformat()))
            continue
        kept.append(finding)
        notes.update({(entry.rule, entry.path): _expired(entry, finding) for entry in matching})
    return tuple(kept), tuple(suppressed), tuple(notes[key] for key in sorted(notes))


def examined(
    policy: Policy,
    findings: Sequence[Finding],
    files: Sequence[FileResult],
    unread: Sequence[Unread],
    *,
    by: str = "weighbridge scan",
) -> tuple[Evidence, Evidence]:
    """The rows `safe` and `read` for the findings that were kept. With no file examined, both are UNKNOWN."""
    if not files and not unread:
        nothing = {
            "outcome": Outcome.UNKNOWN,
            "why": "there is no file to examine",
            "code": "nothing-examined",
        }
        return Evidence(question="safe", by=by, **nothing), Evidence(question="read", by=by, **nothing)  # type: ignore[arg-type]
    return _safe(policy, findings, len(files), by), _read(files, unread, by)


def _safe(policy: Policy, findings: Sequence[Finding], files: int, by: str) -> Evidence:
    failure = _safe_failure(policy, findings, files, by)
    if failure is not None:
        return failure
    doubts = [finding for finding in findings if finding.doubt]
    if doubts:
        why = f"{_in_files(doubts, files)} cannot be judged: {_rule_names(doubts)}"
        return Evidence(question="safe", outcome=Outcome.UNKNOWN, why=why, by=by, code="in-doubt")
    why = f"no error and no doubt in {counted(files, 'file')}"
    return Evidence(question="safe", outcome=Outcome.PASS, why=why, by=by)


def _safe_failure(
    policy: Policy, findings: Sequence[Finding], files: int | None = None, by: str = "weighbridge scan"
) -> Evidence | None:
    worst = [finding for finding in findings if finding.severity is Severity.ERROR]
    code = "error-finding"
    if not worst and policy.findings is Findings.NO_WARNINGS:
        worst = [finding for finding in findings if finding.severity is Severity.WARNING]
        code = "warning-finding"
    if not worst:
        return None
    word = counted(len(worst), "error" if code == "error-finding" else "warning")
    why = f"{word} in {_in_files(worst, files)}: {_rule_names(worst)}"
    return Evidence(question="safe", outcome=Outcome.FAIL, why=why, by=by, code=code)


def _read(files: Sequence[FileResult], unread: Sequence[Unread], by: str) -> Evidence:
    if not unread:
        why = f"{len(files)} of {counted(len(files), 'file')}"
        return Evidence(question="read", outcome=Outcome.PASS, why=why, by=by)
    paths = {item.place.path for item in unread}
    codes = sorted({item.code for item in unread})
    total = len({*(file.path for file in files), *paths})
    why = f"{len(paths)} of {counted(total, 'file')} not read whole: {some(codes)}"
    return Evidence(question="read", outcome=Outcome.UNKNOWN, why=why, by=by, code=codes[0])


def _matches(entry: Suppression, finding: Finding, hashes: Mapping[str, str | None]) -> bool:
    place = finding.place
    if entry.rule != finding.rule:
        return False
    if entry.where is None:
        return fnmatchcase(place.path, entry.path)
    same = entry.path == place.path and entry.where == place.where
    return same and entry.sha256 is not None and entry.sha256 == hashes.get(place.path)


def _expired(entry: Suppression, finding: Finding) -> Finding:
    return Finding(
        rule="suppression-expired",
        severity=Severity.WARNING,
        confidence=finding.confidence,
        place=Place(path=finding.place.path),
        message=f'"{entry.rule}" was accepted here until {entry.until.isoformat()}: {entry.reason}',
        fix=f"look again, then renew or remove the suppression in {entry.source or 'the policy'}",
    )


def _day(now: datetime) -> str:
    return now.astimezone(UTC).date().isoformat()


def _in_files(findings: Sequence[Finding], files: int | None) -> str:
    paths = len({finding.place.path for finding in findings})
    return (
        counted(paths, "file") if files is None or files < paths else f"{paths} of {counted(files, 'file')}"
    )


def _rule_names(findings: Sequence[Finding]) -> str:
    return some(sorted({finding.rule for finding in findings}))
