"""SARIF against the standard's own schema, and the promises that the schema does not make."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report import reports
from weighbridge.core.report import Report
from weighbridge.report import RulePage, render

SCHEMA = json.loads((Path(__file__).parents[1] / "vectors/sarif/sarif-2.1.0-rtm.5.json").read_text())
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)
PAGES = {
    "pickle-unsafe-call": RulePage(
        summary="A call that runs code.", help="## What it does\n", uri="docs/rules/x.md"
    ),
    "config-remote-code": RulePage(
        summary="Remote code.", help="help", uri="https://weighbridge.example/rules/x"
    ),
}


def run_of(report: Report, **more: Any) -> dict[str, Any]:
    document = json.loads(render(report, "sarif", **more))
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert place["region"]["startLine"] >= 1
        if "index" in place["artifactLocation"]:
            named = run["artifacts"][place["artifactLocation"]["index"]]["location"]["uri"]
            assert named == place["artifactLocation"]["uri"]
    return run  # type: ignore[no-any-return]


@pytest.mark.parametrize("make", reports.EVERY)
def test_schema(make: Any) -> None:
    run_of(make())
    run_of(make(), rules=PAGES, prefix="models/chat-7b")


def test_schema_can_fail() -> None:
    document = json.loads(render(reports.refused(), "sarif"))
    document["runs"][0]["results"][0]["level"] = "fatal"
    assert not VALIDATOR.is_valid(document)


def test_a_finding() -> None:
    run = run_of(reports.refused(), rules=PAGES, prefix="models/chat-7b/")
    (result,) = (r for r in run["results"] if r["ruleId"] == "pickle-unsafe-call")
    assert result["level"] == "error"
    assert result["message"] == {"text": "loading this file runs a shell command"}
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "models/chat-7b/extra/head.bin"
    assert location["physicalLocation"]["region"] == {"startLine": 1}, "the offset is one inside a member"
    assert location["logicalLocations"] == [
        {"name": "byte 42", "fullyQualifiedName": "head.bin/archive/data.pkl/byte 42", "kind": "member"}
    ]
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert rule["shortDescription"] == {"text": "A call that runs code."}
    assert rule["help"]["markdown"] == "## What it does\n"
    assert "helpUri" not in rule, "SARIF wants an absolute address there"


def test_an_offset_in_the_file_itself() -> None:
    place = replace(reports.SHELL.place, parts=())
    report = replace(reports.refused(), findings=(replace(reports.SHELL, place=place),))
    (result,) = (r for r in run_of(report)["results"] if r["ruleId"] == "pickle-unsafe-call")
    assert result["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 1,
        "byteOffset": 42,
        "byteLength": 0,
    }


def test_unknown_is_a_note_and_a_notification() -> None:
    run = run_of(reports.undecided())
    notes = [r for r in run["results"] if r["level"] == "note"]
    assert [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in notes] == [
        "a.rknn",
        "b.rknn",
        "big.zip",
    ]
    (invocation,) = run["invocations"]
    assert invocation["exitCode"] == 3
    told = [n["message"]["text"] for n in invocation["toolExecutionNotifications"]]
    assert told == [
        "read is unknown: 3 of 41 files not read whole",
        "a.rknn was not read: format not supported",
        "b.rknn was not read: format not supported",
        "big.zip was not read: stopped at 10 GiB unpacked",
    ]


def test_failed_questions_are_results() -> None:
    run = run_of(reports.tampered(), prefix="models/chat-7b")
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("question-intact", "error")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "models/chat-7b"


def test_suppressed_is_listed_as_suppressed() -> None:
    run = run_of(reports.refused())
    (result,) = (r for r in run["results"] if "suppressions" in r)
    assert result["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "modeling_x.py was read by two people (until 2027-02-01)",
        }
    ]


def test_fingerprints_stay_while_the_file_stays() -> None:
    def identity(report: Report, **more: Any) -> str:
        (result,) = (r for r in run_of(report, **more)["results"] if r["ruleId"] == "pickle-unsafe-call")
        return str(result["partialFingerprints"]["weighbridge/v1"])

    report = reports.refused()
    moved = replace(
        report, subject=replace(report.subject, name="other", files_digest=reports.OTHER), started=""
    )
    assert identity(report) == identity(moved) == identity(report, prefix="elsewhere")
    changed = replace(report, files=tuple(replace(f, sha256="ee" * 32) for f in report.files))
    assert identity(report) != identity(changed)


def test_messages_make_no_links() -> None:
    """SARIF 3.11.6: a viewer turns [words](address) in a plain message into a link."""
    document = render(reports.hostile("[click](https://evil.example)"), "sarif")
    assert "](" not in "".join(_texts(json.loads(document)))


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for item in value.values() for text in _texts(item)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(), min_size=1, max_size=40))
def test_hostile_names(text: str) -> None:
    document = render(reports.hostile(text), "sarif", prefix="models")
    assert document.isascii()
    run_of(reports.hostile(text))
    for place in json.loads(document)["runs"][0]["artifacts"]:
        assert place["location"]["uri"].startswith("models/")
        assert not set(place["location"]["uri"]) & set(' <>"{}|\\^`:?#')
