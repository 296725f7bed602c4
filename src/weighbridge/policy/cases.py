"""Samples for a policy: `policy test` runs them, so that a policy's owner sees what a change of it would decide.

A case says what evidence there is and which decision is expected; what it does not say is not there. Cases stand in a
TOML file of their own (docs/policy.md, "Trying a policy").
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from weighbridge.core.errors import UsageError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.core.verdict import Decision, Verdict
from weighbridge.policy.cel import weigh_rules
from weighbridge.policy.document import parse_toml
from weighbridge.policy.judge import answers, judge, suppress
from weighbridge.policy.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One sample."""

    name: str
    expect: Decision
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()
    now: datetime | None = None
    because: tuple[str, ...] = ()
    """Questions that must be the first reasons, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What the policy decided for one sample."""

    case: Case
    verdict: Verdict

    @property
    def as_expected(self) -> bool:
        """Whether decision and first reasons are those that the case expects."""
        first = tuple(reason.partition(": ")[0] for reason in self.verdict.reasons[: len(self.case.because)])
        return self.verdict.decision is self.case.expect and first == self.case.because


def run_cases(policy: Policy, cases: tuple[Case, ...], now: datetime) -> tuple[CaseResult, ...]:
    """Judge every case; `now` stands in where a case names no time."""
    return tuple(CaseResult(case=case, verdict=_judge(policy, case, case.now or now)) for case in cases)


def _judge(policy: Policy, case: Case, now: datetime) -> Verdict:
    kept, _, notes = suppress(case.findings, policy, now)
    rows = answers(policy, case.evidence, (*kept, *notes), now)
    weighed = weigh_rules(
        policy, [row for row in rows if not row.question.startswith("rule:")], now, findings=kept
    )
    given = {row.question for row in case.evidence}
    rules = [row for row in weighed if row.question not in given]
    return judge(policy, (*case.evidence, *rules), (*kept, *notes), now)


def read_cases(data: bytes, source: str) -> tuple[Case, ...]:
    """The cases of a TOML file. Raises `UsageError` (`bad-toml`, `bad-case`)."""
    tables = parse_toml(data, source)
    entries = tables.get("case")
    if set(tables) != {"case"} or not isinstance(entries, list) or not entries:
        raise _bad(source, 0, "a file of cases holds [[case]] tables and nothing else")
    return tuple(_case(entry, source, number) for number, entry in enumerate(entries, 1))


def _case(entry: Any, source: str, number: int) -> Case:
    known = {"name", "expect", "evidence", "finding", "now", "because"}
    if not isinstance(entry, dict) or not set(entry) <= known or not {"name", "expect"} <= set(entry):
        raise _bad(source, number, f'a case has "name" and "expect", and may have {", ".join(sorted(known))}')
    try:
        return Case(
            name=str(entry["name"]),
            expect=Decision(entry["expect"]),
            evidence=tuple(
                _evidence(question, value) for question, value in entry.get("evidence", {}).items()
            ),
            findings=tuple(_finding(item) for item in entry.get("finding", ())),
            now=_time(entry.get("now")),
            because=tuple(entry.get("because", ())),
        )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise _bad(source, number, visible(str(error), 200)) from None


def _evidence(question: str, value: str | Mapping[str, str]) -> Evidence:
    fields = {"outcome": value} if isinstance(value, str) else dict(value)
    outcome = Outcome(fields.pop("outcome"))
    return Evidence(question=question, outcome=outcome, **{"why": f"the case says {outcome.value}", **fields})  # type: ignore[arg-type]


def _finding(item: Mapping[str, Any]) -> Finding:
    return Finding(
        rule=item["rule"],
        severity=Severity(item["severity"]),
        confidence=Confidence(item.get("confidence", "high")),
        place=Place(path=item.get("path", "model.bin")),
        message=item.get("message", "a finding of the case"),
        doubt=bool(item.get("doubt", False)),
    )


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise TypeError(f"{value!r} is no date")


def _bad(source: str, number: int, message: str) -> UsageError:
    at = f", case {number}" if number else ""
    return UsageError("bad-case", f'"{visible(source)}"{at}: {message}')
