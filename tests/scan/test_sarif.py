"""Other scanners' results: they add findings, and never a pass that nobody gave."""

import json
from typing import Any

import pytest

from weighbridge.core.errors import UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Severity
from weighbridge.scan.sarif import missing, read_sarif

FILES: dict[str, str | None] = {"model.pkl": "aa" * 32, "sub/config.json": "bb" * 32}


def log(*results: dict[str, Any], **run: Any) -> bytes:
    driver = {
        "name": "modelscan",
        "version": "0.8.8",
        "rules": [{"id": "R1", "defaultConfiguration": {"level": "error"}}],
    }
    one = {"tool": {"driver": driver}, "invocations": [{"executionSuccessful": True}], "results": [*results]}
    return json.dumps({"version": "2.1.0", "runs": [{**one, **run}]}).encode()


def result(uri: str, **more: Any) -> dict[str, Any]:
    place = {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 3}}}
    return {"ruleId": "R1", "message": {"text": "unsafe operator"}, "locations": [place], **more}


def test_a_result_becomes_a_finding_with_its_origin() -> None:
    scan = read_sarif(log(result("file:///builds/7/sub/config.json")), "other.sarif", FILES)
    (finding,) = scan.findings
    assert (finding.rule, finding.severity, finding.place.path, finding.place.line) == (
        "modelscan/R1", Severity.ERROR, "sub/config.json", 3,
    )  # fmt: skip
    assert finding.trail == ("reported by modelscan 0.8.8 in other.sarif",)
    assert scan.evidence.outcome is Outcome.FAIL
    assert scan.evidence.by == "modelscan 0.8.8"


def test_the_level_of_a_result_beats_its_rule() -> None:
    scan = read_sarif(log(result("model.pkl", level="note")), "x", FILES)
    assert [finding.severity for finding in scan.findings] == [Severity.NOTE]
    assert scan.evidence.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (log(invocations=[{"executionSuccessful": False}]), "did not finish"),
        (log(invocations=[{}]), "did not finish"),
        (log(results=None), "looked at nothing"),
        (log(result("elsewhere.bin")), "not in this model"),
        (log({"message": {"text": "no place"}}), "not in this model"),
        (
            log(artifacts=[{"location": {"uri": "model.pkl"}, "hashes": {"sha-256": "cc" * 32}}]),
            "other contents",
        ),
    ],
)
def test_what_is_no_full_answer_is_unknown(data: bytes, told: str) -> None:
    row = read_sarif(data, "x", FILES).evidence
    assert row.outcome is Outcome.UNKNOWN
    assert told in row.why


def test_the_right_hash_is_a_full_answer() -> None:
    data = log(artifacts=[{"location": {"uri": "model.pkl"}, "hashes": {"sha-256": "AA" * 32}}])
    assert read_sarif(data, "x", FILES).evidence.outcome is Outcome.PASS


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"{}", b'{"version": "2.1.0", "runs": []}', b'{"version": "1.0", "runs": [{}]}', b"\xff",
        b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x", "rules": [3]}}}]}',
        log(result("model.pkl", message=None)), log(result("model.pkl", locations=["x"])),
    ],
)  # fmt: skip
def test_a_broken_log_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        read_sarif(data, "x", FILES)
    assert caught.value.code == "bad-sarif"


def test_a_scanner_that_has_not_reported_is_missed() -> None:
    logs = [read_sarif(log(), "x", FILES)]
    assert missing(("ModelScan",), logs) == ()
    (row,) = missing(("picklescan",), logs)
    assert (row.outcome, row.code) == (Outcome.UNKNOWN, "others-absent")
