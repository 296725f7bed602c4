"""Rules in CEL: three outcomes, bounded cost, nothing hostile gets through, and the extra may be missing."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.finding import Confidence, FileResult, Finding, Place, Severity, Unread
from weighbridge.core.report import SignatureResult, Subject
from weighbridge.policy import Policy
from weighbridge.policy import cel as rules_in_cel
from weighbridge.policy.cel import check_rules, weigh_rules
from weighbridge.policy.words import PolicyRule

pytest.importorskip("cel", reason="needs the extra [cel]")

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SIGNED = Evidence(question="signed", outcome=Outcome.PASS, why="ok", by="release@acme.example")
FINDING = Finding(
    rule="a-rule",
    severity=Severity.WARNING,
    confidence=Confidence.LOW,
    place=Place(path="a\u202eb\udcff.bin"),
    message="m",
)
FILE = FileResult(
    path="model.safetensors", size=10, format="safetensors", outcome=Outcome.PASS, sha256="ab" * 32
)


def weigh(when: str = "", require: str = "", evidence: tuple[Evidence, ...] = (SIGNED,)) -> Evidence:
    policy = Policy(name="t", rules=(PolicyRule(name="r", message="broken", when=when, require=require),))
    (row,) = weigh_rules(
        policy,
        evidence,
        NOW,
        findings=(FINDING,),
        files=(FILE,),
        unread=(Unread(place=Place(path="x"), code="limit-bytes", message="m"),),
        signatures=(
            SignatureResult(outcome="pass", why="w", by="release@acme.example", roles=("publisher",)),
        ),
        subject=Subject(name="m", files=1, bytes=10, files_digest="sha256:ab"),
    )
    assert row.question == "rule:r"
    return row


@pytest.mark.parametrize(
    ("when", "require", "outcome", "code"),
    [
        ("", "true", "pass", ""),
        ("", "false", "fail", "rule-broken"),
        ("true", "", "fail", "rule-broken"),
        ("false", "", "pass", ""),
        ("false", "nonsense", "pass", ""),
        ("true", "1 == 1", "pass", ""),
        ("true", "1 == 2", "fail", "rule-broken"),
        (
            "",
            "evidence.signed.outcome == 'pass' && evidence['signed'].by.endsWith('@acme.example')",
            "pass",
            "",
        ),
        ("", "signatures.exists(s, 'publisher' in s.roles)", "pass", ""),
        ("", "files.all(f, f.format == 'safetensors')", "pass", ""),
        ("findings.exists(f, f.severity == 'warning')", "", "fail", "rule-broken"),
        ("", "subject.bytes < 100 && subject.digests.files == 'sha256:ab'", "pass", ""),
        ("", "unread.filter(u, u.code.startsWith('limit-')).size() == 0", "fail", "rule-broken"),
        ("", "now < timestamp('2027-01-01T00:00:00Z')", "pass", ""),
        ("", "findings[0].path == 'a\\\\u202eb\\\\xff.bin'", "pass", ""),
        ("", "evidence.traced.outcome == 'pass'", "unknown", "rule-error"),
        ("", "subject.digests.tensors == 'x'", "unknown", "rule-error"),
        ("", "missing", "unknown", "rule-error"),
        ("missing", "true", "unknown", "rule-error"),
        ("", "1", "unknown", "rule-error"),
        ("", "'true'", "unknown", "rule-error"),
        ("", "1/0 == 1", "unknown", "rule-error"),
        ("", "((", "unknown", "rule-error"),
        ("", "(" * 1500 + "true" + ")" * 1500, "unknown", "rule-error"),
        ("", "open('/etc/passwd') == ''", "unknown", "rule-error"),
    ],
)
def test_outcomes(when: str, require: str, outcome: str, code: str) -> None:
    row = weigh(when, require)
    assert (row.outcome, row.code) == (Outcome(outcome), code)


def test_a_broken_rule_says_its_message() -> None:
    assert weigh(require="false").why == "broken"
    assert weigh(require="missing").why.startswith("broken (RuntimeError: Undefined variable")


def test_of_two_rows_for_one_question_the_worst_is_seen() -> None:
    failed = Evidence(question="signed", outcome=Outcome.FAIL, why="no")
    for rows in ((SIGNED, failed), (failed, SIGNED)):
        assert weigh(require="evidence.signed.outcome == 'pass'", evidence=rows).outcome is Outcome.FAIL


def test_a_long_path_cannot_hide_its_end_from_a_rule() -> None:
    rule = PolicyRule(name="r", message="m", require="!files.exists(f, f.path.endsWith('.bin'))")
    long = FileResult(path="d/" * 400 + "x.bin", size=1, format="pickle", outcome=Outcome.PASS)
    (row,) = weigh_rules(Policy(name="t", rules=(rule,)), (), NOW, files=(long,))
    assert row.outcome is Outcome.FAIL


def test_loops_are_bounded() -> None:
    many = "[" + ",".join("1" * 300) + "]"
    nested = f"{many}.all(x, {many}.all(y, {many}.all(z, x == y)))"
    started = time.monotonic()
    row = weigh(require=nested)
    assert (row.outcome, row.code) == (Outcome.UNKNOWN, "limit-rule")
    assert time.monotonic() - started < 2
    disguised = f"{many}.all//\n(x, {many} . all (y, {many}.all(z, 'a)' == \")\" || x == y)))"
    assert weigh(require=disguised).code == "limit-rule"
    assert weigh(require=f"{many}.all(x, x == 1) && {many}.all(x, x == 1)").outcome is Outcome.PASS


def test_a_loop_over_many_files_is_bounded() -> None:
    policy = Policy(
        name="t", rules=(PolicyRule(name="r", message="m", require="files.all(f, files.all(g, f == g))"),)
    )
    (row,) = weigh_rules(policy, (), NOW, files=(FILE,) * 20_000)
    assert row.code == "limit-rule"
    flat = Policy(name="t", rules=(PolicyRule(name="r", message="m", require="files.all(f, f.size == 10)"),))
    (row,) = weigh_rules(flat, (), NOW, files=(FILE,) * 20_000)
    assert row.outcome is Outcome.PASS


def test_without_the_extra_every_rule_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_in_cel, "available", lambda: False)
    row = weigh(require="true")
    assert (row.outcome, row.code, row.details) == (
        Outcome.UNKNOWN,
        "extra-missing",
        ('pip install "weighbridge[cel]"',),
    )


def test_check_rules() -> None:
    rules = (
        PolicyRule(name="good", message="m", when="findings.exists(f, f.doubt)", require="size(files) > 0"),
        PolicyRule(name="typo", message="m", require="evidnce.signed.outcome == 'pass'"),
        PolicyRule(name="syntax", message="m", when="(("),
    )
    typo, syntax = check_rules(Policy(name="t", rules=rules))
    assert typo.startswith('rule "typo", require: evidnce is not known; known are evidence, findings')
    assert syntax.startswith('rule "syntax", when: Failed to parse')
    assert check_rules(Policy(name="t")) == ()


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.text("()[]{}.,'\"&|!=<>?:+-*/% \nabcxyz01", max_size=60))
def test_any_text_is_an_answer(expression: str) -> None:
    """Never an exception, and never a pass for text that is not a true condition."""
    row = weigh(require=expression or "x")
    assert row.outcome in (Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN)
