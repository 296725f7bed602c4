"""Each guarantee of the threat model names tests that hold it, and those tests exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text("utf-8")


def test_every_guarantee_is_held_by_tests_that_exist():
    guarantees = re.findall(r"^([0-9]+)\. \*\*", PAGE, re.MULTILINE)
    rows = re.findall(r"^\| ([0-9]+) [^|]*\| (.+) \|$", PAGE, re.MULTILINE)
    assert guarantees
    assert [number for number, _ in rows] == guarantees
    for number, cell in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", cell)
        assert named, f"guarantee {number} is held by nothing"
        for file, test in named:
            assert re.search(rf"^def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), (file, test)
