"""The hooks of `.pre-commit-hooks.yaml`, run by pre-commit itself from a checkout of this repository."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / ".venv-interop" / "bin" / "pre-commit"
HARMFUL = b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00echoq\x00\x85R."

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not PROGRAM.exists() and os.environ.get("WEIGHBRIDGE_REAL") != "1",
        reason="pre-commit is not installed",
    ),
]


def test_the_scan_hook_stops_a_harmful_file_and_lets_a_good_one_pass(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "cache")}

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=work, check=True, capture_output=True)

    def hook() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, "try-repo", ROOT, "weighbridge-scan", "--verbose", "--all-files"],
            cwd=work, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    git("init", "-q")
    (work / "good.npy").write_bytes(b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
                                    + b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n" + bytes(4))  # fmt: skip
    git("add", ".")
    done = hook()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ADMITTED" in done.stdout
    (work / "bad.pkl").write_bytes(HARMFUL)
    git("add", ".")
    done = hook()
    assert done.returncode == 1
    assert "pickle-unsafe-call" in done.stdout
