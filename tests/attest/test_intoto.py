"""Layouts of in-toto: our verification against the tool's own, over layouts and links that the tool made.

The maker below runs in an environment of its own with in-toto 3.x; it writes what each case needs, and what
`in_toto_verify` says of it. Without it only the cases that were kept (`tests/vectors/intoto`) are held.
"""

import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.services import REQUIRED, ROOT
from weighbridge.attest.intoto import verify_layout
from weighbridge.attest.intoto.metadata import canonical, key_of_pem
from weighbridge.core.errors import InputError
from weighbridge.core.evidence import Outcome
from weighbridge.core.manifest import Entry, Manifest

KEPT = ROOT / "tests/vectors/intoto"
PYTHON = ROOT / ".venv-interop/bin/python"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
CASES = {case["name"]: case for case in json.loads((KEPT / "cases.json").read_text())}


def judge(folder: Path, now: datetime = NOW):
    """Our answer for one case: `root.layout`, `owner*.pem`, links, and the model in `model`."""
    files = sorted((folder / "model").rglob("*"))
    entries = tuple(
        Entry(path.relative_to(folder / "model").as_posix(), path.stat().st_size, sha256(path))
        for path in files
    )
    return verify_layout(
        (folder / "root.layout").read_bytes(),
        [key_of_pem(path.read_bytes()) for path in sorted(folder.glob("owner*.pem"))],
        {path.name: path.read_bytes() for path in folder.glob("*.link")},
        Manifest(entries=entries),
        now,
    )


def sha256(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


@pytest.mark.parametrize("name", CASES)
def test_kept_cases(name: str) -> None:
    case = CASES[name]
    answer = judge(KEPT / name)
    assert (answer.outcome.value, answer.code) == (case["outcome"], case["code"])
    # What the tool refuses never passes here. It does not look at the model, which we do.
    assert case["oracle"] or answer.outcome is not Outcome.PASS


@pytest.mark.real
def test_the_tool_says_the_same(tmp_path: Path) -> None:
    if not PYTHON.exists() and not REQUIRED:
        pytest.skip("in-toto is not installed")
    subprocess.run([PYTHON, Path(__file__).with_name("make_layouts.py"), tmp_path], check=True)
    cases = json.loads((tmp_path / "cases.json").read_text())
    assert len(cases) >= 25
    for case in cases:
        answer = judge(tmp_path / case["name"], datetime.now(UTC))
        assert (answer.outcome.value, answer.code) == (case["outcome"], case["code"]), case["name"]
        assert case["oracle"] == (answer.outcome is Outcome.PASS) or case["ours_alone"], case["name"]


def test_another_model_is_refused(tmp_path: Path) -> None:
    shutil.copytree(KEPT / "good", tmp_path, dirs_exist_ok=True)
    (tmp_path / "model" / "extra.py").write_text("import os\n")
    assert judge(tmp_path).code == "step-other-model"


def test_nobody_is_trusted(tmp_path: Path) -> None:
    shutil.copytree(KEPT / "good", tmp_path, dirs_exist_ok=True)
    (tmp_path / "owner.pem").unlink()
    answer = judge(tmp_path)
    assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, "no-anchors")


def test_an_expired_layout_is_refused() -> None:
    assert judge(KEPT / "good", datetime(2126, 1, 1, tzinfo=UTC)).code == "layout-expired"


def test_one_person_with_two_names_is_one(tmp_path: Path) -> None:
    """Two key ids for one key do not make a threshold of two."""
    assert judge(KEPT / "one-key-twice").code == "step-missing"


@pytest.mark.parametrize("junk", [b"", b"{}", b"[]", b'{"signatures":[],"signed":{}}', b"\xff", b"{" * 5000])
def test_junk_is_refused(tmp_path: Path, junk: bytes) -> None:
    shutil.copytree(KEPT / "good", tmp_path, dirs_exist_ok=True)
    (tmp_path / "root.layout").write_bytes(junk)
    assert judge(tmp_path).outcome is Outcome.FAIL


def test_canonical_json() -> None:
    assert (
        canonical({"b": [1, True, None], "a": 'x"\\\n\u00e9'})
        == '{"a":"x\\"\\\\\n\u00e9","b":[1,true,null]}'.encode()
    )
    with pytest.raises(InputError):
        canonical({"a": 1.5})
