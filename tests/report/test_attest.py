"""The verdict as an in-toto statement."""

from dataclasses import replace

import pytest

from tests.report import reports
from weighbridge.core.errors import UsageError
from weighbridge.report.attest import check_statement


def test_statement() -> None:
    statement = check_statement(reports.refused())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "weighbridge.check/v1"
    assert statement["subject"] == [
        {"name": "chat-7b", "digest": {"weighbridge-files-v1-sha256": reports.DIGEST.removeprefix("sha256:")}}
    ]
    predicate = statement["predicate"]
    assert predicate["verdict"] == "refused"
    assert predicate["policy"] == {"name": "production", "digest": "sha256:" + "de" * 32}
    assert predicate["digests"]["tensors"] == "blake3:" + "ab" * 32
    assert predicate["timeVerified"] == "2026-11-20T14:05:00Z"
    assert [row["question"] for row in predicate["evidence"]] == ["signed", "intact", "safe", "read", "data"]
    assert predicate["counts"] == {
        "files": 4,
        "bytes": 13_500_002_660,
        "findings": 2,
        "unread": 0,
        "suppressed": 1,
    }


def test_the_subject_is_never_matched_by_tensors_alone() -> None:
    (subject,) = check_statement(reports.refused())["subject"]
    assert list(subject["digest"]) == ["weighbridge-files-v1-sha256"]


def test_nothing_is_stated_about_nothing() -> None:
    report = reports.refused()
    with pytest.raises(UsageError) as caught:
        check_statement(replace(report, subject=replace(report.subject, files_digest=None)))
    assert caught.value.code == "no-digest"
