"""The story of examples/, as it is told: real git, scikit-learn, processes, a log with two witnesses."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_story_ends_as_it_is_told(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, ROOT / "examples/story.py", tmp_path / "story"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout[-3000:]
    for line in (
        'REFUSED  the plan "iris" does not let this run start',
        "cosigned by ministry, ngo",
        "✓ traced   4 steps signed: collect → train → evaluate → convert",
        "ADMITTED: 0 errors. 2 of 2 files read",
        "✓ fresh    the list of recalls is of this hour; the log's head is of this hour",
        "ADMITTED: 2 unknown admitted by policy (signed, intact), 0 errors.",
        "✗ current  recalled: iris ← converted from model ← trained on data: labels-were-poisoned",
        "✗ current  recalled: small ← quantized from iris ← converted from model ← trained on data",
        "RECALLED: 2 models, 2 recalled, 0 unknown, 0 standing",
    ):
        assert line in told.stdout, line
    admitted = told.stdout.index("ADMITTED  iris")
    assert admitted < told.stdout.index("REFUSED  iris")
    assert not (tmp_path / "story" / "iris").exists()
