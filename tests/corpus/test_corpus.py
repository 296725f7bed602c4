"""The scanner over the whole corpus: nothing that runs code passes, nearly all harm is named, nothing harmless is refused."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import pytest

from tests.corpus.case import Case, Expect
from tests.corpus.make import cases
from tests.scan.samples import scan
from weighbridge.core.evidence import Outcome

CASES = tuple(cases())


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the scanner said of one case."""

    case: Case
    outcome: str
    said: str
    bugs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.case.name}: expected {self.case.expect}, got {self.outcome} ({self.said})"


@cache
def seen() -> tuple[Seen, ...]:
    """Every case, scanned once."""
    return tuple(_seen(case) for case in CASES)


def _seen(case: Case) -> Seen:
    result = scan(case.files)
    outcomes = {file.outcome for file in result.files}
    worst = next(o for o in (Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS) if o in outcomes)
    said = [finding.message for finding in result.findings] + [item.message for item in result.unread]
    bugs = tuple(item.message for item in result.unread if item.code == "internal-error")
    return Seen(case=case, outcome=str(worst), said="; ".join(said)[:200], bugs=bugs)


def of(expect: Expect) -> list[Seen]:
    return [item for item in seen() if item.case.expect is expect]


def listed(items: Iterable[Seen]) -> str:
    return "\n" + "\n".join(map(str, items))


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    count = Counter(case.expect for case in CASES)
    assert count[Expect.FAIL] >= 1000
    assert count[Expect.PASS] >= 400
    assert [name for name, n in Counter(case.name for case in CASES).items() if n > 1] == []


def test_nothing_malicious_passes() -> None:
    passed = [item for item in (*of(Expect.FAIL), *of(Expect.UNKNOWN)) if item.outcome == "pass"]
    assert not passed, listed(passed)


def test_what_cannot_be_judged_is_unknown() -> None:
    wrong = [item for item in of(Expect.UNKNOWN) if item.outcome != "unknown"]
    assert not wrong, listed(wrong)


def test_nearly_all_harm_is_named() -> None:
    missed = [item for item in of(Expect.FAIL) if item.outcome != "fail"]
    assert len(missed) <= len(of(Expect.FAIL)) * 0.02, listed(missed)


@pytest.mark.parametrize("family", sorted({case.family for case in CASES if case.expect is Expect.FAIL}))
def test_harm_is_named_in_every_family(family: str) -> None:
    inside = [item for item in of(Expect.FAIL) if item.case.family == family]
    missed = [item for item in inside if item.outcome != "fail"]
    assert len(missed) <= len(inside) * 0.05, listed(missed)


def test_nothing_harmless_is_refused() -> None:
    refused = [item for item in of(Expect.PASS) if item.outcome == "fail"]
    assert not refused, listed(refused)


def test_nearly_everything_harmless_passes() -> None:
    unsure = [item for item in of(Expect.PASS) if item.outcome != "pass"]
    assert len(unsure) <= len(of(Expect.PASS)) * 0.01, listed(unsure)


def test_nothing_breaks_the_scanner() -> None:
    broken = [item for item in seen() if item.bugs]
    assert not broken, listed(broken)
