"""Every rule is listed, documented and has a sample that it finds; no folder of samples is without its rule."""

import re
from inspect import cleandoc

import pytest

from tests.scan.samples import SAMPLES, Sample, samples, scan
from weighbridge.core.evidence import worst
from weighbridge.core.text import visible
from weighbridge.scan.engine import load_rule
from weighbridge.scan.rule import Rule
from weighbridge.scan.rules import RULES

HEADINGS = ("## What it does", "## Why is this bad?", "## Example", "## Use instead", "## Known problems")
NAMES = tuple(name for name, _ in RULES)
WITH_WEIGHTS = frozenset(name for name in NAMES if name.startswith("weights-"))
"""Rules that look only where `--weights` is asked for."""
ALL = tuple(sample for name in NAMES for sample in samples(name))


def test_names_are_unique_and_kebab_case() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert [name for name in NAMES if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", name)] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_list_equals_the_class(name: str) -> None:
    rule = load_rule(name)
    assert rule.name == name
    assert (*rule.formats, *(("folder",) if rule.folder else ())) == dict(RULES)[name]
    assert rule.folder == (type(rule).look_folder is not Rule.look_folder)
    assert bool(rule.formats) == (type(rule).look is not Rule.look)


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_is_a_page(name: str) -> None:
    rule = load_rule(name)
    page = cleandoc(rule.__doc__ or "").splitlines()
    assert [line for line in page if line in HEADINGS] == list(HEADINGS)
    assert {line for line in page if line.startswith("## ")} <= {*HEADINGS, "## References"}
    assert rule.summary
    assert not rule.summary.endswith(".")
    assert "\n" not in rule.summary


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_has_a_sample(name: str) -> None:
    assert [sample for sample in ALL if sample.rule == name]


def test_every_folder_of_samples_has_its_rule() -> None:
    assert {path.name for path in SAMPLES.iterdir() if path.is_dir()} <= set(NAMES)


@pytest.mark.parametrize("sample", ALL, ids=lambda sample: sample.name)
def test_the_sample_is_found(sample: Sample) -> None:
    result = scan(sample.files, obstacles=sample.obstacles, weights=sample.rule in WITH_WEIGHTS)
    found = [
        {"rule": f.rule, "severity": str(f.severity), "path": f.place.path, "where": f.place.where}
        for f in result.findings
        if f.rule == sample.rule
    ]
    assert sorted(found, key=str) == sorted(sample.expected["findings"], key=str)
    assert str(worst([file.outcome for file in result.files])) == sample.expected["outcome"]


@pytest.mark.parametrize("sample", [s for s in ALL if s.benign], ids=lambda sample: sample.name)
def test_the_benign_twin_is_not(sample: Sample) -> None:
    assert sample.benign
    result = scan(sample.benign, weights=sample.rule in WITH_WEIGHTS)
    assert [visible(str(f)) for f in result.findings if f.rule == sample.rule] == []
    outcome = str(worst([file.outcome for file in result.files]))
    assert outcome == sample.expected.get("benign_outcome", "pass"), (result.findings, result.unread)
