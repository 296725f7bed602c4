"""judge(): tables of decisions, and the laws that hold for every policy and all evidence."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.finding import Confidence, FileResult, Finding, Place, Severity, Unread
from weighbridge.core.verdict import Decision, Verdict
from weighbridge.policy import QUESTIONS, Policy, answers, examined, judge, load_preset, suppress
from weighbridge.policy.words import Findings, Need, PolicyRule, Suppression, Unknown

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DEFAULT = Policy(name="test")


def row(question: str, outcome: str, code: str = "", why: str = "because") -> Evidence:
    return Evidence(question=question, outcome=Outcome(outcome), why=why, code=code)


def rows(**outcomes: str) -> list[Evidence]:
    return [row(question, outcome) for question, outcome in outcomes.items()]


GOOD = rows(signed="pass", intact="pass", safe="pass", read="pass")


def found(severity: str, *, rule: str = "a-rule", path: str = "model.bin", doubt: bool = False) -> Finding:
    return Finding(
        rule=rule,
        severity=Severity(severity),
        confidence=Confidence.HIGH,
        place=Place(path=path),
        message="something",
        doubt=doubt,
    )


def with_rows(*changed: Evidence) -> list[Evidence]:
    named = {e.question for e in changed}
    return [*(e for e in GOOD if e.question not in named), *changed]


@pytest.mark.parametrize(
    ("policy", "evidence", "decision", "first"),
    [
        (DEFAULT, GOOD, "admitted", "signed: because"),
        (DEFAULT, [], "undecided", "signed: nothing answers this question here (unknown)"),
        (DEFAULT, with_rows(row("safe", "fail")), "refused", "safe: because"),
        (DEFAULT, with_rows(row("read", "unknown")), "undecided", "read: because (unknown)"),
        (DEFAULT, with_rows(row("read", "unknown"), row("signed", "fail")), "refused", "signed: because"),
        (replace(DEFAULT, unknown=(("default", Unknown.REFUSE),)), with_rows(row("read", "unknown")), "refused",
         "read: because (unknown, refused)"),
        (replace(DEFAULT, unknown=(("read", Unknown.ADMIT),)), with_rows(row("read", "unknown")), "admitted",
         "read: because (unknown, admitted)"),
        (replace(DEFAULT, unknown=(("read", Unknown.ADMIT),)), with_rows(row("safe", "unknown")), "undecided",
         "safe: because (unknown)"),
        (DEFAULT, [*GOOD, row("fresh", "unknown")], "admitted", "fresh: because (unknown, not asked)"),
        (DEFAULT, [*GOOD, row("fresh", "fail")], "refused", "fresh: because"),
        (DEFAULT, [*GOOD, row("safe", "fail", why="worse")], "refused", "safe: worse"),
        (replace(DEFAULT, log=Need.REQUIRED), GOOD, "undecided",
         "logged: nothing answers this question here (unknown)"),
        (replace(DEFAULT, trace=("build",)), GOOD, "undecided", "traced: nothing answers this question here (unknown)"),
        (replace(DEFAULT, findings=Findings.ANY), with_rows(row("safe", "fail")), "admitted",
         "safe: because (failed, decides nothing here)"),
        (replace(DEFAULT, rules=(PolicyRule(name="r", message="m", when="true"),)), GOOD, "undecided",
         "rule:r: nothing answers this question here (unknown)"),
        (replace(DEFAULT, rules=(PolicyRule(name="r", message="m", when="true"),)), [*GOOD, row("rule:r", "pass")],
         "admitted", "signed: because"),
        (replace(DEFAULT, valid_until=date(2026, 11, 20)), GOOD, "admitted", "signed: because"),
        (replace(DEFAULT, valid_until=date(2026, 11, 19)), GOOD, "undecided",
         "policy: this policy was valid until 2026-11-19 (unknown)"),
    ],
)  # fmt: skip
def test_decisions(policy: Policy, evidence: Sequence[Evidence], decision: str, first: str) -> None:
    verdict = judge(policy, evidence, [], NOW)
    assert verdict.decision is Decision(decision)
    assert verdict.reasons[0] == first


OPTIONAL = replace(DEFAULT, signature=Need.OPTIONAL)


@pytest.mark.parametrize(
    ("signed", "intact", "decision"),
    [
        (row("signed", "unknown", "no-signature"), row("intact", "unknown", "no-signature"), "admitted"),
        (row("signed", "unknown", "signer-unknown"), row("intact", "pass"), "undecided"),
        (row("signed", "pass"), row("intact", "fail"), "refused"),
        (row("signed", "fail", "no-signature"), row("intact", "unknown", "no-signature"), "refused"),
        (row("signed", "pass"), row("intact", "pass"), "admitted"),
    ],
)
def test_an_optional_signature_must_hold_when_it_is_there(
    signed: Evidence, intact: Evidence, decision: str
) -> None:
    assert judge(OPTIONAL, with_rows(signed, intact), [], NOW).decision is Decision(decision)
    required = judge(DEFAULT, with_rows(signed, intact), [], NOW).decision
    assert required is Decision(decision) or required is Decision.UNDECIDED


def test_findings_speak_for_themselves() -> None:
    """A scan that forgot to say `safe` failed does not admit an error."""
    assert judge(DEFAULT, GOOD, [found("error")], NOW).decision is Decision.REFUSED
    assert judge(DEFAULT, GOOD, [found("warning")], NOW).decision is Decision.ADMITTED
    strict = replace(DEFAULT, findings=Findings.NO_WARNINGS)
    assert judge(strict, GOOD, [found("warning")], NOW).decision is Decision.REFUSED
    assert judge(strict, GOOD, [found("note")], NOW).decision is Decision.ADMITTED
    mute = replace(DEFAULT, findings=Findings.ANY)
    assert judge(mute, GOOD, [found("error")], NOW).decision is Decision.ADMITTED


def test_a_command_asks_its_part() -> None:
    verify = judge(DEFAULT, rows(signed="pass", intact="pass"), [], NOW, asked=DEFAULT.questions_of("verify"))
    assert verify == Verdict(decision=Decision.ADMITTED, reasons=("signed: because", "intact: because"))
    assert judge(DEFAULT, [], [], NOW, asked=()).decision is Decision.UNDECIDED
    assert judge(DEFAULT, rows(safe="pass"), [], NOW, asked=()).decision is Decision.UNDECIDED
    assert judge(DEFAULT, rows(safe="fail"), [], NOW, asked=()).decision is Decision.REFUSED


def test_admitted_unknowns_are_told() -> None:
    policy = replace(DEFAULT, unknown=(("default", Unknown.ADMIT),))
    whole = rows(signed="pass", intact="pass")
    assert judge(policy, whole, [], NOW).admitted_unknowns == ("safe", "read")


def test_a_required_signature_is_not_replaced_by_one_that_cannot_be_read() -> None:
    policy = replace(DEFAULT, unknown=(("default", Unknown.ADMIT),))
    unreadable = rows(signed="unknown", intact="pass", safe="pass", read="pass")
    assert judge(policy, unreadable, [], NOW).decision is Decision.UNDECIDED


# Laws.

OUTCOMES = st.sampled_from(list(Outcome))
EVIDENCE = st.builds(
    Evidence,
    question=st.sampled_from([*QUESTIONS, "rule:a", "rule:b"]),
    outcome=OUTCOMES,
    why=st.sampled_from(["one", "two"]),
    code=st.sampled_from(["", "no-signature", "limit-bytes"]),
)
FINDINGS = st.lists(st.builds(found, st.sampled_from(["error", "warning", "note"])), max_size=3)
STRICT_WORDS = st.sampled_from([Unknown.UNDECIDED, Unknown.REFUSE])


def policies(words: st.SearchStrategy[Unknown]) -> st.SearchStrategy[Policy]:
    needs = st.sampled_from(list(Need))
    rule = PolicyRule(name="a", message="m", when="true")
    return st.builds(
        Policy,
        name=st.just("any"),
        signature=needs,
        log=needs,
        data=needs,
        trace=st.sampled_from([(), ("build",)]),
        findings=st.sampled_from(list(Findings)),
        unknown=st.dictionaries(st.sampled_from(["default", "signed", "read", "logged"]), words).map(
            lambda table: tuple(sorted(table.items()))
        ),
        rules=st.sampled_from([(), (rule,)]),
        valid_until=st.sampled_from([None, date(2026, 1, 1), date(2027, 1, 1)]),
    )


ANY_POLICY = policies(st.sampled_from(list(Unknown)))
RANK = {Decision.ADMITTED: 0, Decision.UNDECIDED: 1, Decision.REFUSED: 2}


@settings(max_examples=200, deadline=None)
@given(ANY_POLICY, st.lists(EVIDENCE, max_size=8), FINDINGS, st.sampled_from([*QUESTIONS, "rule:a"]))
def test_a_fail_never_improves(
    policy: Policy, evidence: list[Evidence], findings: list[Finding], question: str
) -> None:
    before = judge(policy, evidence, findings, NOW).decision
    after = judge(policy, [*evidence, row(question, "fail")], findings, NOW).decision
    assert RANK[after] >= RANK[before]
    if question != "safe" or policy.findings is not Findings.ANY:
        assert after is Decision.REFUSED


@settings(max_examples=200, deadline=None)
@given(policies(STRICT_WORDS), st.lists(EVIDENCE, max_size=8), FINDINGS, st.data())
def test_taking_evidence_away_never_admits(
    policy: Policy, evidence: list[Evidence], findings: list[Finding], data: st.DataObject
) -> None:
    """For policies that admit no unknown: what is gone is UNKNOWN, so at most a refusal becomes undecided.

    Where two answers to one question disagree, or nobody asked, both must go: taking away only the bad one is lying.
    """
    question = data.draw(st.sampled_from([*QUESTIONS, "rule:a", "rule:b"]))
    without = [e for e in evidence if e.question != question]
    if question in policy.questions and question != "policy":
        assert judge(policy, without, findings, NOW).decision is not Decision.ADMITTED


@settings(max_examples=200, deadline=None)
@given(ANY_POLICY, st.lists(EVIDENCE, max_size=8), FINDINGS, st.randoms(use_true_random=False))
def test_order_does_not_matter(
    policy: Policy, evidence: list[Evidence], findings: list[Finding], random: object
) -> None:
    mixed, mixed_findings = list(evidence), list(findings)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    random.shuffle(mixed_findings)  # type: ignore[attr-defined]
    assert judge(policy, evidence, findings, NOW) == judge(policy, mixed, mixed_findings, NOW)
    assert answers(policy, evidence, findings, NOW) == answers(policy, mixed, mixed_findings, NOW)


@settings(max_examples=200, deadline=None)
@given(ANY_POLICY, st.lists(EVIDENCE, max_size=8), FINDINGS)
def test_every_question_has_exactly_one_row_and_one_reason(
    policy: Policy, evidence: list[Evidence], findings: list[Finding]
) -> None:
    table = [e.question for e in answers(policy, evidence, findings, NOW)]
    assert len(table) == len(set(table))
    assert tuple(table[: len(policy.questions)]) == policy.questions
    assert {e.question for e in evidence} <= set(table)
    verdict = judge(policy, evidence, findings, NOW)
    assert sorted(reason.partition(": ")[0] for reason in verdict.reasons) == sorted(table)


@settings(max_examples=100, deadline=None)
@given(policies(STRICT_WORDS))
def test_no_evidence_is_never_admitted(policy: Policy) -> None:
    assert judge(policy, [], [], NOW).decision is not Decision.ADMITTED


@settings(max_examples=100, deadline=None)
@given(ANY_POLICY, st.lists(EVIDENCE, max_size=8), FINDINGS)
def test_admitted_means_no_undecided_row(
    policy: Policy, evidence: list[Evidence], findings: list[Finding]
) -> None:
    verdict = judge(policy, evidence, findings, NOW)
    if verdict.decision is Decision.ADMITTED:
        for answer in answers(policy, evidence, findings, NOW):
            muted = answer.question == "safe" and policy.findings is Findings.ANY
            assert answer.outcome is not Outcome.FAIL or muted
            unknown = answer.outcome is Outcome.UNKNOWN and answer.question in policy.questions
            assert unknown == (answer.question in verdict.admitted_unknowns)


# What a scan saw.


def files(*paths: str) -> tuple[FileResult, ...]:
    return tuple(FileResult(path=p, size=1, format="x", outcome=Outcome.PASS) for p in paths)


def test_examined() -> None:
    two = files("a", "b")
    assert [(e.question, e.outcome, e.why, e.code) for e in examined(DEFAULT, [], two, [])] == [
        ("safe", Outcome.PASS, "no error and no doubt in 2 files", ""),
        ("read", Outcome.PASS, "2 of 2 files", ""),
    ]
    errors = [found("error", path="a"), found("error", path="a", rule="b-rule"), found("warning", path="b")]
    safe, _ = examined(DEFAULT, errors, two, [])
    assert (safe.outcome, safe.why) == (Outcome.FAIL, "2 errors in 1 of 2 files: a-rule, b-rule")
    safe, _ = examined(DEFAULT, [found("note", path="a", doubt=True)], two, [])
    assert (safe.outcome, safe.why, safe.code) == (
        Outcome.UNKNOWN,
        "1 of 2 files cannot be judged: a-rule",
        "in-doubt",
    )
    safe, _ = examined(replace(DEFAULT, findings=Findings.NO_WARNINGS), errors[2:], two, [])
    assert (safe.outcome, safe.why, safe.code) == (
        Outcome.FAIL,
        "1 warning in 1 of 2 files: a-rule",
        "warning-finding",
    )
    gone = [Unread(place=Place(path="c"), code="unreadable", message="no permission")]
    _, read = examined(DEFAULT, [], two, gone)
    assert (read.outcome, read.why, read.code) == (
        Outcome.UNKNOWN,
        "1 of 3 files not read whole: unreadable",
        "unreadable",
    )


def test_nothing_examined_is_unknown() -> None:
    assert [e.outcome for e in examined(DEFAULT, [], (), [])] == [Outcome.UNKNOWN, Outcome.UNKNOWN]


# Suppressions.


def accepted(**more: object) -> Suppression:
    fields = {"rule": "a-rule", "path": "*.bin", "reason": "looked at", "until": date(2026, 11, 20), **more}
    return Suppression(**fields)  # type: ignore[arg-type]


def test_suppress() -> None:
    policy = replace(DEFAULT, suppressions=(accepted(source="weighbridge.toml"),))
    mine, other = found("error"), found("error", path="other.pkl")
    kept, suppressed, notes = suppress([mine, other, found("error", rule="b-rule")], policy, NOW)
    assert [f.place.path for f in kept] == ["other.pkl", "model.bin"]
    assert [(s.finding, s.reason, s.until) for s in suppressed] == [(mine, "looked at", "2026-11-20")]
    assert notes == ()


def test_an_expired_suppression_comes_back_as_a_warning() -> None:
    policy = replace(DEFAULT, suppressions=(accepted(source="weighbridge.toml"),))
    later = datetime(2026, 11, 21, tzinfo=UTC)
    kept, suppressed, notes = suppress([found("error"), found("error")], policy, later)
    assert (len(kept), suppressed) == (2, ())
    assert [(n.rule, n.severity, n.message, n.fix) for n in notes] == [
        (
            "suppression-expired",
            Severity.WARNING,
            '"a-rule" was accepted here until 2026-11-20: looked at',
            "look again, then renew or remove the suppression in weighbridge.toml",
        )
    ]
    assert suppress([found("error", path="other.pkl")], policy, later)[2] == ()


def test_a_suppression_that_holds_beats_an_expired_one() -> None:
    old, new = accepted(until=date(2026, 1, 1)), accepted(until=date(2027, 1, 1), reason="looked again")
    kept, suppressed, notes = suppress([found("error")], replace(DEFAULT, suppressions=(old, new)), NOW)
    assert (kept, [s.reason for s in suppressed], notes) == ((), ["looked again"], ())


def test_the_day_is_the_day_in_utc() -> None:
    from datetime import timedelta, timezone

    policy = replace(DEFAULT, suppressions=(accepted(),))
    morning_in_tokyo = datetime(2026, 11, 21, 8, tzinfo=timezone(timedelta(hours=9)))
    assert len(suppress([found("error")], policy, morning_in_tokyo)[1]) == 1


@settings(max_examples=100, deadline=None)
@given(
    FINDINGS,
    st.lists(st.builds(accepted, until=st.sampled_from([date(2026, 1, 1), date(2027, 1, 1)])), max_size=2),
)
def test_no_finding_is_lost(findings: list[Finding], suppressions: list[Suppression]) -> None:
    kept, suppressed, _ = suppress(findings, replace(DEFAULT, suppressions=tuple(suppressions)), NOW)
    assert len(kept) + len(suppressed) == len(findings)


def test_production_refuses_what_is_not_signed() -> None:
    nothing = with_rows(row("signed", "unknown", "no-signature"), row("intact", "unknown", "no-signature"))
    assert judge(load_preset("production"), nothing, [], NOW).decision is Decision.REFUSED
    assert judge(load_preset("default"), nothing, [], NOW).decision is Decision.UNDECIDED
    assert judge(load_preset("research"), nothing, [], NOW).decision is Decision.ADMITTED
    assert (
        judge(load_preset("field"), with_rows(row("read", "unknown")), [], NOW).decision is Decision.REFUSED
    )
