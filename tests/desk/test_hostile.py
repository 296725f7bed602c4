"""What happens while a model is weighed, and on a machine that is not as it should be."""

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.conftest import write_model

from weighbridge.check import Ask, Request, weigh
from weighbridge.core.evidence import Outcome
from weighbridge.core.report import Report
from weighbridge.core.verdict import Decision
from weighbridge.measure import Plan, measure
from weighbridge.policy import load_preset
from weighbridge.sign.signer import open_signer
from weighbridge.signing import Wish, attest, sign_model
from weighbridge.store import open_artifact
from weighbridge.trust.keygen import new_key
from weighbridge.trust.keyring import Keyring, from_public_key


@pytest.fixture
def weighed(tmp_path):
    new_key(tmp_path / "publisher.key")
    keyring = Keyring(anchors=(from_public_key((tmp_path / "publisher.pub").read_bytes(), "publisher"),))

    def run(path: Path, now: datetime | None = None) -> Report:
        return weigh(
            Request(
                paths=(str(path),),
                command="check",
                ask=frozenset(Ask),
                policy=load_preset(),
                keyring=keyring,
                now=now or datetime.now(UTC),
            )
        )

    return run


@pytest.fixture
def model(tmp_path, weighed):
    folder = write_model(tmp_path / "model")
    sign_model(Wish(path=str(folder)), [open_signer(str(tmp_path / "publisher.key"))])
    return folder


def test_a_file_that_is_written_to_meanwhile_never_passes(model, weighed):
    path = model / "weights.bin"
    path.write_bytes(bytes(48 * 1024**2))
    stop = threading.Event()

    def write() -> None:
        handle = os.open(path, os.O_WRONLY)
        while not stop.is_set():
            os.pwrite(handle, os.urandom(8), 1024)
            stop.wait(0.001)
        os.close(handle)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        report = weighed(model)
    finally:
        stop.set()
        writer.join()
    assert report.verdict.decision is not Decision.ADMITTED
    assert "file-changed" in {item.code for item in report.unread if item.place.path == "weights.bin"}
    file = next(file for file in report.files if file.path == "weights.bin")
    assert (file.outcome, file.sha256) == (Outcome.UNKNOWN, None)
    assert report.subject.files_digest is None


def test_a_file_that_grows_or_goes_between_listing_and_reading_is_unread(model):
    artifact = open_artifact(model)
    with (model / "config.json").open("a") as file:
        file.write(" ")
    (model / "README.md").unlink()
    (model / "sub" / "vocab.txt").unlink()
    (model / "sub" / "vocab.txt").symlink_to("/etc/passwd")
    found = measure(artifact, Plan())
    assert {item.place.path: item.code for item in found.unread} == {
        "README.md": "file-changed",
        "config.json": "file-changed",
        "sub/vocab.txt": "file-changed",
    }


@pytest.mark.parametrize("year", [1970, 1989, 9999])
def test_a_clock_that_is_wrong_breaks_nothing(year, model, weighed):
    report = weighed(model, datetime(year, 1, 1, tzinfo=UTC))
    assert report.started.startswith(str(year))
    assert {row.outcome for row in report.evidence if row.question == "safe"} == {Outcome.PASS}


@pytest.mark.parametrize(
    "statement",
    [
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://model_signing/signature/v9.0"}',
        b'{"_type":"https://in-toto.io/Statement/v9","subject":[],"predicateType":"x","predicate":{}}',
        b'{"_type":"https://in-toto.io/Statement/v1","_type":"twice"}',
        b"[]",
        b"null",
        b"",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_signed_statement_that_nobody_knows_is_no_pass(statement, model, weighed, tmp_path):
    attest(statement, [open_signer(str(tmp_path / "publisher.key"))], model / "model.sig")
    report = weighed(model)
    assert report.verdict.decision is not Decision.ADMITTED
    assert [row.outcome is Outcome.PASS for row in report.signatures] == [False]
    assert report.signatures[0].code


def test_time_is_over_for_every_file_that_is_left(model):
    found = measure(open_artifact(model), Plan(tensors=True), seconds=0)
    assert {item.code for item in found.unread} == {"limit-seconds"}
    assert len(found.unread) == len(found.manifest.entries)
    assert found.manifest.files_digest() is None
