"""The table of published bypasses: none passes, and no id that is named anywhere is without its row."""

import re
from pathlib import Path

import pytest

from tests.scan.published import BYPASSES, ids
from tests.scan.published.row import Bypass, Files
from tests.scan.samples import LINK, scan
from weighbridge.core.artifact import Obstacle
from weighbridge.core.evidence import Outcome, worst
from weighbridge.core.finding import Severity
from weighbridge.scan.advisories import all_advisories
from weighbridge.scan.rules import RULES

ROOT = Path(__file__).parents[2]
ID = re.compile(r"\b(?:CVE-\d{4}-\d{4,}|GHSA(?:-[0-9a-z]{4}){3})\b")
PUBLISHED = re.compile(rf"{ID.pattern}|[a-z]+#\d+")
OF_PYTHON = frozenset({"CVE-2020-10735"})
"""Of the interpreter, named where a limit is taken from it: no file that a model is made of uses them."""


def judged(files: Files) -> tuple[Outcome, set[str], set[str]]:
    """The outcome, the rules that name harm, and everything that was told."""
    links = tuple(
        Obstacle(path, "link-outside", "the link leads out") for path in files if files[path] == LINK
    )
    result = scan({path: data for path, data in files.items() if data != LINK}, obstacles=links)
    codes = {gap.code for gap in result.unread}
    assert "internal-error" not in codes, result.unread
    errors = {finding.rule for finding in result.findings if finding.severity is Severity.ERROR}
    return worst([file.outcome for file in result.files]), errors, {f.rule for f in result.findings} | codes


@pytest.mark.parametrize("row", BYPASSES, ids=str)
def test_a_published_bypass_does_not_pass(row: Bypass) -> None:
    cases = list(row.cases())
    assert cases
    for number, files in enumerate(cases):
        outcome, errors, told = judged(files)
        assert outcome is row.outcome, (number, list(files), told)
        assert row.rule in (errors if row.outcome is Outcome.FAIL else told), (number, list(files), told)


def test_ids_stand_once_and_are_ids() -> None:
    listed = list(ids())
    assert [one for one in listed if not PUBLISHED.fullmatch(one)] == []
    assert sorted({one for one in listed if listed.count(one) > 1}) == []


def test_a_row_says_what_it_is() -> None:
    known = {name for name, _ in RULES} | {"truncated", "table-outside"}
    for row in BYPASSES:
        assert row.outcome in (Outcome.FAIL, Outcome.UNKNOWN), row.id
        assert bool(row.why) is (row.outcome is Outcome.UNKNOWN), row.id
        assert row.what, row.id
        assert row.affected, row.id
        assert row.what[0].islower() or row.what[0] == "`" or row.what.split()[0].isupper(), row.what
        assert not row.what.endswith("."), row.what
        assert row.rule in known, row.id


def test_every_advisory_of_a_finding_has_a_row() -> None:
    assert sorted({one.id for one in all_advisories()} - set(ids())) == []


@pytest.mark.parametrize("folder", ["src/weighbridge", "docs"])
def test_every_id_that_is_named_has_a_row(folder: str) -> None:
    """In the pages of rules and formats, in comments, and in the page of this table."""
    texts = (p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".toml", ".md"))
    named = {one for path in texts for one in ID.findall(path.read_text("utf-8"))}
    assert sorted(named - set(ids()) - OF_PYTHON) == []


def test_a_file_without_a_payload_is_none_of_these() -> None:
    """The makers are no accusation: what they make without a payload passes, or says nothing of harm."""
    from tests.kerasfiles import archive, layer, model
    from tests.scan.published.row import GOOD, torch_legacy, torch_zip
    from tests.tensorfiles import Gguf

    harmless = {"m.pkl": GOOD, "m.pt": torch_zip(GOOD), "m.bin": torch_legacy(), "m.gguf": Gguf().bytes()}
    harmless |= {"m.keras": archive(model(layer("Dense", units=1)))}
    assert {path: judged({path: data})[0] for path, data in harmless.items()} == dict.fromkeys(
        harmless, Outcome.PASS
    )
