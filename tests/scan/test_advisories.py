"""Advisories: every finding names what it uses, and a version that is not affected changes only what depends on it."""

import pytest

from weighbridge.core.errors import UsageError
from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.scan.advisories import all_advisories, informed, parse_loaders
from weighbridge.scan.rules import RULES

ALL = all_advisories()


def finding(rule: str, message: str = "names a module") -> Finding:
    return Finding(
        rule=rule,
        severity=Severity.ERROR,
        confidence=Confidence.HIGH,
        place=Place(path="m.keras"),
        message=message,
    )


def judged(rule: str, message: str = "names a module", **loaders: str) -> Finding:
    (found,) = informed([finding(rule, message)], loaders)
    return found


@pytest.mark.parametrize("advisory", ALL, ids=lambda one: one.id)
def test_each_advisory_can_be_met(advisory) -> None:
    from packaging.specifiers import SpecifierSet

    assert SpecifierSet(advisory.affected)
    assert advisory.what
    assert set(advisory.rules) & {name for name, _ in RULES}, "no rule of ours sees it"


def test_ids_stand_once() -> None:
    assert len({one.id for one in ALL}) == len(ALL) > 30


def test_a_finding_names_what_it_uses() -> None:
    assert "CVE-2025-1550 (keras <3.9)" in judged("keras-unsafe-module").advisories
    assert judged("file-empty").advisories == ()


def test_any_version_counts_where_none_is_named() -> None:
    assert judged("keras-unsafe-module").severity is Severity.ERROR
    assert judged("keras-unsafe-module", torch="2.5").severity is Severity.ERROR


def test_a_version_that_refuses_the_file_makes_a_note() -> None:
    assert judged("keras-unsafe-module", keras="3.8").severity is Severity.ERROR
    note = judged("keras-unsafe-module", keras="3.9")
    assert (note.severity, note.doubt, note.message) == (
        Severity.NOTE,
        False,
        "names a module (not with keras 3.9)",
    )


def test_every_advisory_must_be_out_of_reach() -> None:
    message = "calls keras.utils.get_file"
    assert judged("keras-unsafe-module", message, keras="3.9").severity is Severity.ERROR


def test_harm_in_every_version_stays() -> None:
    assert judged("onnx-external-path", onnx="1.30").severity is Severity.ERROR
    assert judged("pickle-unsafe-call", torch="2.13").severity is Severity.ERROR


def test_loaders_are_read() -> None:
    assert parse_loaders(["Keras==3.12", "llama.cpp==b8146", "llama_cpp_python == 0.3.1"]) == {
        "keras": "3.12", "llama.cpp": "8146", "llama-cpp-python": "0.3.1",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["torch", "torch==", "torch==new", "torch>=2", "nobody==1", "=="])
def test_what_is_no_loader_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_loaders([text])
    assert caught.value.code == "bad-loader"
