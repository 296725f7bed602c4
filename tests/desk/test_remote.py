"""Models elsewhere, through the program: what a report says of bytes that nobody fetched."""

import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.store.served import Served, serving

from weighbridge.cli.app import run

HARMFUL = b"\x80\x02cposix\nsystem\nX\x10\x00\x00\x00echo weighbridgeq\x00\x85R."


def tensors(size: int) -> bytes:
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Served]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A signed model, and the keys beside it."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(tensors(3 * 1024**2))
    (model / "config.json").write_text('{"model_type": "bert"}')
    assert run(["key", "new", "team"]) == 0
    assert run(["sign", str(model), "--key", str(tmp_path / "team.key")]) == 0
    return model


def weigh(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    capfd.readouterr()
    code = run([*arguments, "--format", "json"])
    return code, json.loads(capfd.readouterr().out)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_harmful_file_is_refused_before_it_is_downloaded(
    web: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    web.hub("team/model", {"big.safetensors": tensors(3 * 1024**2), "model.pkl": HARMFUL})
    code, report = weigh(capfd, "scan", "hf://team/model")
    assert (code, report["verdict"]) == (1, "refused")
    assert {f["path"]: f["outcome"] for f in report["files"]} == {
        "big.safetensors": "unknown",
        "model.pkl": "fail",
    }
    assert [(u["path"], u["code"]) for u in report["unread"]] == [("big.safetensors", "not-fetched")]
    assert 0 < report["fetched"]["bytes"] < 700_000


def test_what_was_not_fetched_is_undecided(
    web: Served, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    web.hub("team/model", contents(folder))
    code, report = weigh(capfd, "scan", "hf://team/model")
    assert (code, report["verdict"]) == (3, "undecided")


def test_a_signed_digest_covers_what_was_not_fetched(
    web: Served, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    web.hub("team/model", contents(folder))
    code, report = weigh(capfd, "check", "hf://team/model", "--key", str(tmp_path / "team.pub"))
    rows = {row["question"]: (row["outcome"], row.get("code", "")) for row in report["evidence"]}
    assert rows["signed"][0] == rows["safe"][0] == rows["read"][0] == "pass"
    assert rows["intact"] == ("unknown", "not-measured")
    assert code == 3


def test_a_hub_that_states_another_digest(
    web: Served, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    web.hub("team/model", contents(folder), lie={"model.safetensors": hashlib.sha256(b"other").hexdigest()})
    code, report = weigh(capfd, "check", "hf://team/model", "--key", str(tmp_path / "team.pub"))
    rows = {row["question"]: row["outcome"] for row in report["evidence"]}
    assert (code, rows["intact"], rows["read"]) == (1, "fail", "unknown")


def test_nobody_s_signature_covers_nothing(
    web: Served, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    web.hub("team/model", contents(folder))
    _, report = weigh(capfd, "check", "hf://team/model")
    assert {row["question"]: row["outcome"] for row in report["evidence"]}["read"] == "unknown"


def test_verify_wants_the_bytes(web: Served, capfd: pytest.CaptureFixture[str]) -> None:
    code, report = weigh(capfd, "verify", "hf://team/model")
    assert (code, report["error"]["code"]) == (2, "remote-alone")


def test_inspect_says_what_is_there(web: Served, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    web.hub("team/model", contents(folder))
    code, found = weigh(capfd, "inspect", "hf://team/model")
    assert code == 0
    assert {file["path"]: file["tensors"] for file in found["files"]}["model.safetensors"] == 1
