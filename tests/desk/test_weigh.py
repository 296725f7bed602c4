"""The desk, over real folders: what no room can see alone."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.conftest import safetensors, write_model

from weighbridge.check import Ask, Request, weigh
from weighbridge.core.errors import UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.core.verdict import Decision
from weighbridge.policy import load_preset
from weighbridge.sign.signer import open_signer
from weighbridge.signing import Wish, sign_model
from weighbridge.trust.keygen import new_key
from weighbridge.trust.keyring import Keyring, from_public_key

HARMFUL = b"\x80\x02cposix\nsystem\nX\x10\x00\x00\x00echo weighbridgeq\x00\x85R."


@pytest.fixture(scope="module")
def publisher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    new_key(folder / "publisher.key")
    return folder


@pytest.fixture
def model(tmp_path, publisher):
    folder = write_model(tmp_path / "model")
    sign_model(Wish(path=str(folder)), [open_signer(str(publisher / "publisher.key"))])
    return folder


@pytest.fixture
def weighed(publisher):
    keyring = Keyring(anchors=(from_public_key((publisher / "publisher.pub").read_bytes(), "publisher"),))

    def run(path: Path, command: str = "check", **more):
        ask = {"check": frozenset(Ask), "verify": {Ask.SIGNATURES}, "scan": {Ask.CONTENT}}[command]
        return weigh(
            Request(
                paths=(str(path),),
                command=command,
                ask=frozenset(ask),
                policy=more.pop("policy", load_preset()),
                keyring=more.pop("keyring", keyring),
                now=more.pop("now", datetime.now(UTC)),
                **more,
            )
        )

    return run


def outcomes(report):
    return {row.question: row.outcome for row in report.evidence}


def test_every_command_answers_its_own_questions_and_no_row_vanishes(model, weighed):
    assert set(outcomes(weighed(model))) == {"signed", "intact", "safe", "read"}
    assert set(outcomes(weighed(model, "verify"))) == {"signed", "intact"}
    assert set(outcomes(weighed(model, "scan"))) == {"safe", "read"}
    for command in ("check", "verify", "scan"):
        assert weighed(model, command).verdict.decision is Decision.ADMITTED


def test_a_signature_s_name_is_no_place_to_hide(model, weighed):
    """A file called model.sig that holds no bundle is weighed like any other."""
    (model / "model.sig").write_bytes(HARMFUL)
    report = weighed(model, "check")
    assert report.verdict.decision is Decision.REFUSED
    assert [f.path for f in report.files if f.outcome is Outcome.FAIL] == ["model.sig"]


def test_harm_in_a_signed_model_is_still_refused(model, publisher, weighed):
    (model / "extra.bin").write_bytes(HARMFUL)
    sign_model(Wish(path=str(model)), [open_signer(str(publisher / "publisher.key"))])
    report = weighed(model)
    assert outcomes(report)["signed"] is Outcome.PASS
    assert outcomes(report)["safe"] is Outcome.FAIL
    assert report.verdict.decision is Decision.REFUSED


@pytest.mark.parametrize("plant", ["fifo", "device", "socket", "outside", "broken", "loop"])
def test_what_is_no_file_is_never_passed_and_never_waited_for(plant, model, weighed, tmp_path):
    path = model / "weights.bin"
    match plant:
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            import socket

            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
        case "outside":
            (tmp_path / "elsewhere.bin").write_bytes(b"x")
            path.symlink_to(tmp_path / "elsewhere.bin")
        case "broken":
            path.symlink_to("nowhere")
        case "loop":
            path.symlink_to("weights.bin")
    scan = weighed(model, "scan")
    assert scan.verdict.decision is not Decision.ADMITTED
    assert "weights.bin" in {item.place.path for item in scan.unread}
    assert weighed(model, "verify").verdict.decision is not Decision.ADMITTED


def test_a_planted_git_folder_is_not_covered_and_never_passed_in_silence(model, weighed):
    (model / ".git").mkdir()
    (model / ".git" / "hook.bin").write_bytes(b"\x00\x01")
    report = weighed(model, "verify")
    assert report.verdict.decision is not Decision.ADMITTED
    assert ".git/hook.bin" in report.signatures[0].why or report.signatures[0].code == "uncovered-files"


def test_names_that_are_not_unicode_are_weighed_and_shown_harmlessly(model, weighed):
    odd = os.fsencode(str(model)) + b"/bad\xff\x1b[31m\xe2\x80\xae.txt"
    Path(os.fsdecode(odd)).write_text("x")
    report = weighed(model, "scan")
    assert len(report.files) == 5
    from weighbridge.report import FORMATS, render

    for name in FORMATS:
        text = render(report, name)
        assert "\x1b" not in text
        assert "\u202e" not in text
        text.encode("utf-8")


def test_an_empty_folder_is_undecided_and_cannot_be_signed(tmp_path, publisher, weighed):
    (tmp_path / "empty").mkdir()
    assert weighed(tmp_path / "empty", "scan").verdict.decision is Decision.UNDECIDED
    with pytest.raises(UsageError) as caught:
        sign_model(Wish(path=str(tmp_path / "empty")), [open_signer(str(publisher / "publisher.key"))])
    assert caught.value.code == "empty-model"


def test_a_clock_before_the_year_is_known_decides_nothing(model, weighed):
    report = weighed(model, "verify", now=datetime(1985, 1, 1, tzinfo=UTC))
    assert report.verdict.decision in (Decision.UNDECIDED, Decision.ADMITTED)


def test_a_file_that_changes_while_it_is_read_is_unknown(model, weighed, monkeypatch):
    from weighbridge.scan.engine import Scanner

    (model / "model.safetensors").write_bytes(safetensors(w=bytes(4 * 1024**2)))
    real = Scanner.examine

    def examine(self, member, source):
        result = real(self, member, source)
        if member.path == "model.safetensors":
            with (model / "model.safetensors").open("ab") as file:
                file.write(b"more")
        return result

    monkeypatch.setattr(Scanner, "examine", examine)
    report = weighed(model)
    assert report.verdict.decision is not Decision.ADMITTED
    assert "file-changed" in {item.code for item in report.unread}
    changed = next(file for file in report.files if file.path == "model.safetensors")
    assert changed.outcome is Outcome.UNKNOWN


def test_a_signature_moved_to_another_model_does_not_pass(model, tmp_path, weighed):
    other = write_model(tmp_path / "other")
    (other / "config.json").write_text('{"hidden_size": 8}')
    shutil.copy(model / "model.sig", other / "model.sig")
    report = weighed(other, "verify")
    assert report.verdict.decision is Decision.REFUSED
    assert report.signatures[0].difference.changed == ("config.json",)


def test_a_hub_cache_snapshot_is_followed_to_its_blobs(tmp_path, weighed):
    cache = tmp_path / "models--acme--tiny"
    (cache / "blobs").mkdir(parents=True)
    (cache / "blobs" / "abc").write_bytes(safetensors(w=b"1234"))
    snapshot = cache / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to("../../blobs/abc")
    report = weighed(snapshot, "scan")
    assert report.verdict.decision is Decision.ADMITTED
    assert [file.format for file in report.files] == ["safetensors"]
