"""docs/getting-started.md: every command on it is run, and does and prints what the page says."""

import importlib.util
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "getting-started.md").read_text("utf-8")
SPEC = importlib.util.spec_from_file_location("walk", DOCS / "walk.py")
assert SPEC
assert SPEC.loader
walk = importlib.util.module_from_spec(SPEC)
sys.modules["walk"] = walk
SPEC.loader.exec_module(walk)


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    return walk.walk(PAGE, tmp_path_factory.mktemp("walk"))


def test_every_command_ends_as_the_page_says(steps):
    assert [(step.command, step.code) for step in steps] == [
        (step.command, step.expected_code) for step in steps
    ]


def test_every_command_prints_what_the_page_says(steps):
    assert walk.plain(walk.retold(PAGE, steps)) == walk.plain(PAGE), "run: make docs, and read what changed"


def test_the_walk_meets_all_verdicts_and_the_main_commands(steps):
    assert {step.code for step in steps} == {0, 1, 3}
    met = {step.command.split()[1] for step in steps if step.command.startswith("weighbridge ")}
    assert met >= {"scan", "key", "sign", "verify", "trust", "policy", "check", "report", "explain"}


def test_plain_hides_only_what_differs_from_run_to_run():
    assert walk.plain("key 947aabf701f265e7…, 0.1 s, 12 files") == walk.plain(
        "key 0140fb3da87331ba…, 2.5 s, 12 files"
    )
    assert walk.plain("12 files") != walk.plain("13 files")
