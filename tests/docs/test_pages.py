"""The documentation says what the code does."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert SPEC
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)

from weighbridge.cli.explain import known_codes  # noqa: E402

# argparse lays its help out a little differently from version to version; the pages are made with 3.11.
ONLY_311 = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="help is laid out as Python 3.11 does")


@pytest.mark.parametrize("name", sorted(n for n in generate.pages() if not n.startswith("commands/")))
def test_generated_page_is_current(name):
    assert (ROOT / "docs" / name).read_text("utf-8") == generate.pages()[name], "run: make docs"


@ONLY_311
@pytest.mark.parametrize("name", sorted(n for n in generate.pages() if n.startswith("commands/")))
def test_command_page_is_current(name):
    assert (ROOT / "docs" / name).read_text("utf-8") == generate.pages()[name], "run: make docs"


def test_no_page_is_left_over():
    kept = {str(p.relative_to(ROOT / "docs")) for f in ("commands", "rules") for p in (ROOT / "docs" / f).glob("*.md")}
    assert kept == {n for n in generate.pages() if "/" in n}


CODE_IN_SOURCE = re.compile(
    r"""(?:(?:Usage|Input|Limit|Trust|Unavailable|Broken)Error\(\s*|\bcode=\s*|\bGap\(code=)"([a-z0-9]+(?:-[a-z0-9]+)+)\""""
)


def used_codes() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        found |= set(CODE_IN_SOURCE.findall(path.read_text("utf-8")))
    return found


def test_every_code_in_the_source_is_explained():
    assert sorted(used_codes() - set(known_codes())) == []


def test_links_between_pages_lead_somewhere():
    dead = []
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+\.md)\)", path.read_text("utf-8")):
            if not (path.parent / target).exists():
                dead.append(f"{path.relative_to(ROOT)} → {target}")
    assert dead == []
