"""Findings that somebody accepted, rules of others and results of other scanners, through the program."""

import json

import pytest

HARMFUL = b"\x80\x02cposix\nsystem\nX\x10\x00\x00\x00echo weighbridgeq\x00\x85R."


@pytest.fixture
def bad(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/old.pkl").write_bytes(HARMFUL)
    return tmp_path / "models"


def accept(weighbridge, until="2999-12-31"):
    return weighbridge(
        "scan", "models", "--write-baseline", "known.json", "--reason", "known before", "--until", until
    )


def test_a_baseline_hides_what_is_known_and_nothing_else(weighbridge, bad):
    assert accept(weighbridge).code == 1
    known = weighbridge("scan", "models", "--baseline", "known.json", "-f", "json")
    assert known.code == 0
    assert [(item["rule"], item["reason"], item["until"]) for item in known.json["suppressed"]] == [
        ("pickle-unsafe-call", "known before", "2999-12-31")
    ]
    (bad / "new.pkl").write_bytes(HARMFUL)
    assert weighbridge("scan", "models", "--baseline", "known.json").code == 1


def test_a_baseline_holds_for_the_bytes_that_were_looked_at(weighbridge, bad):
    accept(weighbridge)
    (bad / "old.pkl").write_bytes(HARMFUL.replace(b"bridge", b"BRIDGE"))
    answer = weighbridge("scan", "models", "--baseline", "known.json", "-f", "json")
    assert answer.code == 1
    assert answer.json["suppressed"] == []


def test_a_baseline_ends(weighbridge, bad):
    accept(weighbridge, "2020-01-01")
    answer = weighbridge("scan", "models", "--baseline", "known.json", "-f", "json")
    assert answer.code == 1
    assert {finding["rule"] for finding in answer.json["findings"]} == {
        "pickle-unsafe-call",
        "suppression-expired",
    }


@pytest.mark.parametrize(
    "more", [(), ("--reason", "x"), ("--until", "2999-01-01"), ("--reason", " ", "--until", "2999-01-01")]
)
def test_a_baseline_needs_a_reason_and_an_end(more, weighbridge, bad):
    answer = weighbridge("scan", "models", "--write-baseline", "known.json", *more)
    assert (answer.code, "[baseline-unbound]" in answer.err) == (2, True)
    assert not (bad.parent / "known.json").exists()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "no-such-baseline"), ("[]", "bad-baseline"), ("{", "bad-baseline"),
        ('{"schema": "weighbridge.baseline/v1", "reason": " ", "until": "2999-01-01", "findings": []}', "bad-baseline"),
        ('{"schema": "weighbridge.baseline/v1", "reason": "x", "until": "soon", "findings": []}', "bad-baseline"),
        ('{"schema": "weighbridge.baseline/v1", "reason": "x", "until": "2999-01-01", "findings": [{}]}', "bad-baseline"),
    ],
)  # fmt: skip
def test_a_broken_baseline_is_refused(text, code, weighbridge, bad):
    if text is not None:
        (bad.parent / "known.json").write_text(text)
    answer = weighbridge("scan", "models", "--baseline", "known.json")
    assert (answer.code, f"[{code}]" in answer.err) == (2, True)


def test_a_model_does_not_bring_its_own_baseline(weighbridge, bad):
    accept(weighbridge)
    (bad.parent / "known.json").rename(bad / "known.json")
    answer = weighbridge("scan", "models", "--baseline", "models/known.json")
    assert (answer.code, "[policy-inside-model]" in answer.err) == (2, True)


def sarif(path, level="error"):
    place = {"physicalLocation": {"artifactLocation": {"uri": "models/fine.txt"}}}
    result = {"ruleId": "R1", "level": level, "message": {"text": "odd"}, "locations": [place]}
    run = {"tool": {"driver": {"name": "other"}}, "results": [result]}
    path.write_text(json.dumps({"version": "2.1.0", "runs": [run]}))


def test_results_of_another_scanner_count_and_can_be_accepted(weighbridge, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/fine.txt").write_text("fine\n")
    sarif(tmp_path / "other.sarif")
    assert weighbridge("scan", "models").code == 0
    answer = weighbridge("scan", "models", "--sarif", "other.sarif", "-f", "json")
    assert answer.code == 1
    assert [(f["rule"], f["path"]) for f in answer.json["findings"]] == [("other/R1", "fine.txt")]
    assert {row["question"]: row["outcome"] for row in answer.json["evidence"]}["others"] == "fail"
    sarif(tmp_path / "other.sarif", "note")
    assert weighbridge("scan", "models", "--sarif", "other.sarif").code == 0


def test_a_policy_misses_a_scanner_that_has_not_reported(weighbridge, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/fine.txt").write_text("fine\n")
    (tmp_path / "weighbridge.toml").write_text('[policy]\nothers = ["other"]\n')
    answer = weighbridge("scan", "models", "-f", "json")
    assert answer.code == 3
    assert {row["question"]: row["code"] for row in answer.json["evidence"]}["others"] == "others-absent"
    sarif(tmp_path / "other.sarif", "note")
    assert weighbridge("scan", "models", "--sarif", "other.sarif").code == 0


def test_rules_that_are_not_installed_are_refused(weighbridge, bad):
    answer = weighbridge("scan", "models", "--rules", "nobody")
    assert (answer.code, "[no-such-rules]" in answer.err) == (2, True)
