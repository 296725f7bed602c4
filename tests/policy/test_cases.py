"""Trying a policy on samples."""

from datetime import UTC, datetime

import pytest

from weighbridge.core.errors import UsageError
from weighbridge.core.verdict import Decision
from weighbridge.policy import load_preset
from weighbridge.policy.cases import read_cases, run_cases

NOW = datetime(2026, 11, 20, tzinfo=UTC)
CASES = b"""
[[case]]
name = "signed and clean"
expect = "admitted"
evidence = { signed = "pass", intact = "pass", safe = "pass", read = "pass" }

[[case]]
name = "not signed"
expect = "refused"
because = ["signed", "intact"]
[case.evidence]
signed = { outcome = "unknown", code = "no-signature" }
intact = { outcome = "unknown", code = "no-signature" }
safe = "pass"
read = "pass"

[[case]]
name = "a pickle that runs code"
expect = "refused"
because = ["safe"]
now = 2026-12-24
evidence = { signed = "pass", intact = "pass", read = "pass" }
[[case.finding]]
rule = "pickle-unsafe-call"
severity = "error"

[[case]]
name = "nothing known"
expect = "admitted"
"""


def test_cases() -> None:
    results = run_cases(load_preset("production"), read_cases(CASES, "cases.toml"), NOW)
    assert [(result.case.name, result.as_expected) for result in results] == [
        ("signed and clean", True),
        ("not signed", True),
        ("a pickle that runs code", True),
        ("nothing known", False),
    ]
    assert results[3].verdict.decision is Decision.REFUSED


def test_the_wrong_reason_is_not_as_expected() -> None:
    cases = read_cases(CASES.replace(b'because = ["safe"]', b'because = ["read"]'), "cases.toml")
    assert not run_cases(load_preset("production"), cases, NOW)[2].as_expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[[cases]]",
        b"[[case]]\nname = 'a'",
        b"[[case]]\nname = 'a'\nexpect = 'maybe'",
        b"[[case]]\nname = 'a'\nexpect = 'refused'\nevidence = {signed = 'yes'}",
        b"[[case]]\nname = 'a'\nexpect = 'refused'\nevidence = {signed = {code = 'x'}}",
        b"[[case]]\nname = 'a'\nexpect = 'refused'\nevidence = {signed = {outcome = 'pass', color = 'x'}}",
        b"[[case]]\nname = 'a'\nexpect = 'refused'\nevidence = 3",
        b"[[case]]\nname = 'a'\nexpect = 'refused'\nmore = 3",
        b"[[case]]\nname = 'a'\nexpect = 'refused'\nnow = 3",
        b"[[case]]\nname = 'a'\nexpect = 'refused'\n[[case.finding]]\nrule = 'a'",
        b"case = 3",
    ],
)
def test_bad_cases(text: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        read_cases(text, "cases.toml")
    assert caught.value.code == "bad-case"
