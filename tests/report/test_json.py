"""The machine contract: against the published schema, strictly, and read back to the same report."""

import json
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report import reports
from weighbridge.core.errors import InputError, LimitError, UsageError, WeighbridgeError
from weighbridge.report import read_report, render, render_error

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schemas/report.v1.json").read_text())
ERROR_SCHEMA = json.loads((ROOT / "schemas/error.v1.json").read_text())


def closed(schema: Any) -> Any:
    """The schema with nothing added: whatever we print must be described in it."""
    if isinstance(schema, dict):
        changed = {key: closed(value) for key, value in schema.items()}
        if "properties" in changed and changed.get("type") == "object":
            changed["unevaluatedProperties"] = False
        return changed
    return [closed(item) for item in schema] if isinstance(schema, list) else schema


def strict() -> jsonschema.Draft202012Validator:
    schema = closed(deepcopy(SCHEMA))
    schema["$defs"]["finding"].pop("unevaluatedProperties")
    schema["properties"]["findings"]["items"]["unevaluatedProperties"] = False
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("make", reports.EVERY)
def test_against_the_schema(make: Any) -> None:
    document = json.loads(render(make(), "json"))
    assert [error.message for error in strict().iter_errors(document)] == []
    assert set(SCHEMA["properties"]) == set(document)


def test_the_strict_schema_can_fail() -> None:
    document = json.loads(render(reports.refused(), "json"))
    for path in ([], ["findings", 0], ["suppressed", 0], ["subject"], ["signatures", 0]):
        broken = deepcopy(document)
        target = broken
        for step in path:
            target = target[step]
        target["nobody-said-so"] = 1
        assert not strict().is_valid(broken)
        assert jsonschema.Draft202012Validator(SCHEMA).is_valid(broken), (
            "readers must allow what is added later"
        )


def test_the_contract_word_for_word() -> None:
    document = json.loads(render(reports.refused(), "json"))
    assert document["schema"] == "weighbridge.report/v1"
    assert (document["command"], document["verdict"]) == ("check", "refused")
    assert document["subject"] == {
        "name": "chat-7b",
        "digests": {"files": reports.DIGEST, "tensors": "blake3:" + "ab" * 32, "card": None},
        "files": 4,
        "bytes": 13_500_002_660,
    }
    assert {"question": "safe", "outcome": "fail", "why": "1 of 4 files can run code when loaded",
            "by": "weighbridge scan", "code": "error-finding", "details": []} in document["evidence"]  # fmt: skip
    assert document["files"][1] == {
        "path": "extra/head.bin", "format": "pytorch-zip", "size": 2048, "sha256": "bb" * 32, "outcome": "fail",
    }  # fmt: skip
    finding = document["findings"][1]
    assert finding["where"] == "archive/data.pkl › byte 42"
    assert (finding["rule"], finding["severity"], finding["confidence"]) == (
        "pickle-unsafe-call",
        "error",
        "high",
    )
    assert document["policy"] == {"name": "production", "digest": "sha256:" + "de" * 32}
    assert document["tool"] == {"name": "weighbridge", "version": "0.1.0"}
    assert document["suppressed"][0]["until"] == "2027-02-01"


@pytest.mark.parametrize("make", reports.EVERY)
def test_read_back(make: Any) -> None:
    report = make()
    again = read_report(render(report, "json").encode())
    assert again == report
    for format_name in ("human", "sarif", "html", "markdown", "junit", "github", "gitlab"):
        assert render(again, format_name) == render(report, format_name)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_hostile_names_survive_exactly_and_harmlessly(text: str) -> None:
    report = reports.hostile(text)
    document = render(report, "json")
    assert read_report(document.encode()) == report
    assert json.loads(document)["files"][0]["path"] == text
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]", document
    )


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(categories=["Cs"]) | st.sampled_from("ab\\"), min_size=1, max_size=10))
def test_bytes_that_are_not_utf8_are_i_json(text: str) -> None:
    """RFC 7493 section 2.1: no lone surrogate, not even as an escape."""
    document = render(reports.hostile(text), "json")
    document.encode("utf-8")
    assert not re.search(r"(?<!\\)(\\\\)*\\u[dD][89a-fA-F]", document)
    read_report(document.encode())


def test_extra_members_are_added_and_kept() -> None:
    report = replace(reports.refused(), extra={"graph": {"nodes": []}, "verdict": "admitted"})
    document = json.loads(render(report, "json"))
    assert document["verdict"] == "refused", "an extra member never replaces a fixed one"
    assert document["graph"] == {"nodes": []}
    assert read_report(json.dumps(document).encode()).extra == {"graph": {"nodes": []}}


def minimal() -> dict[str, Any]:
    """A document with only what the first version of the contract has."""
    return {
        "schema": "weighbridge.report/v1", "command": "check", "verdict": "refused",
        "subject": {"name": "m", "digests": {"files": "sha256:ab", "tensors": None, "card": None}, "files": 1, "bytes": 2},
        "evidence": [{"question": "safe", "outcome": "fail", "why": "w", "by": ""}],
        "files": [{"path": "a", "format": "pickle", "size": 1, "sha256": None, "outcome": "fail"}],
        "findings": [{"rule": "r", "severity": "error", "confidence": "high", "path": "a", "where": "x › byte 2", "message": "m"}],
        "unread": [{"path": "b", "reason": "why"}], "suppressed": [],
        "policy": {"name": "p", "digest": "sha256:" + "ab" * 32}, "tool": {"name": "weighbridge", "version": "0"},
    }  # fmt: skip


def test_a_document_with_only_the_contract_is_read() -> None:
    report = read_report(json.dumps(minimal()).encode())
    assert report.findings[0].place.where == "x › byte 2"
    assert (report.unread[0].code, report.unread[0].message) == ("unread", "why")
    assert "x › byte 2" in render(report)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"schema": "weighbridge.report/v2"}, "bad-report"),
        ({"verdict": "maybe"}, "bad-report"),
        ({"verdict": None}, "bad-report"),
        ({"subject": {"name": "m"}}, "bad-report"),
        ({"evidence": {"question": "x"}}, "bad-report"),
        ({"findings": [{"rule": "r"}]}, "bad-report"),
        ({"files": [{"path": 1, "format": "x", "size": 1, "outcome": "pass"}]}, "bad-report"),
        ({"files": [{"path": "a", "format": "x", "size": "1", "outcome": "pass"}]}, "bad-report"),
        ({"unread": "none"}, "bad-report"),
    ],
)
def test_what_is_no_report(change: dict[str, Any], code: str) -> None:
    with pytest.raises(InputError) as caught:
        read_report(json.dumps({**minimal(), **change}).encode())
    assert caught.value.code == code


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"3", b"\xff", b'{"schema": 1, "schema": 2}', b"[" * 100_000, b'{"a": NaN}']
)
def test_bytes_that_are_no_report(data: bytes) -> None:
    with pytest.raises((InputError, LimitError)):
        read_report(data)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*minimal(), "name", "digests", "path", "outcome"]), inner, max_size=5
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(list(minimal())),
)
def test_any_member_is_a_report_or_an_input_error(value: Any, member: str) -> None:
    try:
        report = read_report(json.dumps({**minimal(), member: value}).encode())
    except InputError:
        return
    render(report)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UsageError("no-such-path", 'there is nothing at "x"', "did you mean y"), 2),
        (LimitError("limit-json", "too much"), 3),
        (WeighbridgeError("disk", "full\u202e"), 4),
    ],
)
def test_error_documents(error: WeighbridgeError, expected: int) -> None:
    text = render_error(error, "json")
    document = json.loads(text)
    jsonschema.validate(document, ERROR_SCHEMA)
    assert document["error"] == {
        "code": error.code, "message": error.message, "hints": list(error.hints), "exit_code": expected,
    }  # fmt: skip
    assert "\u202e" not in text


def test_error_for_people() -> None:
    error = UsageError(
        "no-signature", "no signature found for ./chat-7b", "sign it: weighbridge sign ./chat-7b", "b", "c"
    )
    assert render_error(error) == (
        "error: no signature found for ./chat-7b   [no-signature]\n"
        "  hint       sign it: weighbridge sign ./chat-7b\n"
        "  hint       b\n"
    )
    assert render_error(error, color=True).startswith("\x1b[1;31merror\x1b[0m: no")


def test_unknown_format() -> None:
    with pytest.raises(UsageError) as caught:
        render(reports.refused(), "pdf")
    assert caught.value.code == "unknown-format"
