"""The documentation says what the code does."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from tests.docs.codes import collect

from weighbridge.cli.explain import known_codes
from weighbridge.scan.rules import RULES

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert SPEC
assert SPEC.loader
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)

# argparse lays its help out a little differently from version to version; the pages are made with 3.11.
ONLY_311 = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="help is laid out as Python 3.11 does")

PAGES = generate.pages()


@pytest.mark.parametrize("name", sorted(n for n in PAGES if not n.startswith("commands/")))
def test_generated_page_is_current(name):
    assert (ROOT / "docs" / name).read_text("utf-8") == PAGES[name], "run: make docs"


@ONLY_311
@pytest.mark.parametrize("name", sorted(n for n in PAGES if n.startswith("commands/")))
def test_command_page_is_current(name):
    assert (ROOT / "docs" / name).read_text("utf-8") == PAGES[name], "run: make docs"


def test_no_page_is_left_over():
    kept = {
        str(p.relative_to(ROOT / "docs"))
        for f in ("commands", "rules")
        for p in (ROOT / "docs" / f).glob("*.md")
    }
    assert kept == {n for n in PAGES if "/" in n}


# What the collector cannot follow, and the codes that this hides.
UNCLEAR = {
    "check.py: fields.optional(row, 'code', '', what)": (),  # of a row that another gate stated
    "judge.py: codes[0]": (),  # of something unread, whose code was given where that was made
    "summary.py: code": (),  # the same, grouped
    "quorum.py: lacks[0][0]": ("threshold-not-met", "role-missing"),
}
AS_RULES = ("suppression-expired",)  # stands in the place of a rule's name
IN_PAIRS = ("limit-parents",)  # stands first in a pair of code and words
IN_CLASSES = ("load-refused", "step-refused", "interrupted")  # stands in the class of the error


@pytest.fixture(scope="module")
def codes():
    return collect(ROOT / "src")


def test_every_code_can_be_followed_to_its_text(codes):
    assert sorted(set(codes.unclear)) == sorted(UNCLEAR)


def test_every_code_is_explained_and_every_explanation_is_of_a_code(codes):
    hidden = {code for codes_there in UNCLEAR.values() for code in codes_there}
    used = {*codes.used, *hidden, *AS_RULES, *IN_PAIRS, *IN_CLASSES}
    rules = {name for name, _ in RULES}
    assert sorted(used - set(known_codes()) - rules) == []
    assert sorted(set(known_codes()) - used) == []
    assert sorted(set(known_codes()) & rules) == [], "the rule's page explains it"


def test_codes_are_kebab_case_and_their_texts_are_sentences():
    for code, text in known_codes().items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
        assert text[0].isupper() or text.startswith("`"), code
        assert text.endswith((".", "?", ".)")), code
        assert len(text) >= 25, code


def test_every_code_stands_once_on_its_page():
    listed = [code for codes in generate.sections().values() for code in codes]
    assert sorted(listed) == sorted(known_codes())


def test_links_between_pages_lead_somewhere():
    dead = []
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", path.read_text("utf-8")):
            if not (path.parent / target).exists():
                dead.append(f"{path.relative_to(ROOT)} → {target}")
    assert dead == []


def test_every_page_can_be_reached_from_the_readme():
    seen, left = set(), [ROOT / "README.md"]
    while left:
        path = left.pop()
        if path not in seen and path.exists():
            seen.add(path)
            links = re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", path.read_text("utf-8"))
            left += [(path.parent / link).resolve() for link in links]
    assert sorted(str(p.relative_to(ROOT)) for p in set((ROOT / "docs").rglob("*.md")) - seen) == []
