"""`attest`: what is said is signed and left beside the model; what nobody could read is never written."""

import json
from pathlib import Path

import pytest

from weighbridge.attest import predicates
from weighbridge.attest.predicates.training import Training
from weighbridge.core.manifest import Digest
from weighbridge.core.statement import Named, read_statement
from weighbridge.sign import keys
from weighbridge.sign.bundle import read_lines

from .conftest import write_model


@pytest.fixture
def place(tmp_path: Path, weighbridge) -> Path:
    write_model(tmp_path / "model")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1,2\n")
    private = keys.generate("ed25519")
    (tmp_path / "ann.key").write_bytes(keys.private_pem(private))
    (tmp_path / "ann.pub").write_bytes(keys.public_pem(private.public_key()))
    return tmp_path


def stated(path: Path):
    return [read_statement(one.envelope.payload) for one in read_lines(path.read_bytes(), path.name)]


def digest_of(weighbridge, path: Path) -> dict:
    return weighbridge("digest", path, "--format", "json").json


def test_a_review(place: Path, weighbridge) -> None:
    answer = weighbridge(
        "attest", "model", "--type", "review", "--approve", "--role", "safety", "--comment", "good",
        "--key", "ann.key", "--format", "json",
    )  # fmt: skip
    assert (answer.code, answer.err) == (0, "")
    assert answer.json["written"] == "model.attestations.jsonl"
    assert answer.json["signed"] is True
    (one,) = stated(place / "model.attestations.jsonl")
    measured = digest_of(weighbridge, place / "model")
    subject = Named(
        name="model", files=Digest.parse(measured["files"]), tensors=Digest.parse(measured["tensors"])
    )
    assert one.subjects == (subject,)
    review = predicates.read(one)
    assert (review.decision, review.role, review.comment) == ("approve", "safety", "good")


def test_a_second_statement_is_added_and_the_digests_stay(place: Path, weighbridge) -> None:
    before = digest_of(weighbridge, place / "model")["files"]
    for word in ("--approve", "--reject"):
        assert weighbridge("attest", "model", "--type", "review", word, "--key", "ann.key").code == 0
    assert len(stated(place / "model.attestations.jsonl")) == 2
    assert digest_of(weighbridge, place / "model")["files"] == before


def test_two_keys_make_two_lines(place: Path, weighbridge) -> None:
    (place / "ben.key").write_bytes(keys.private_pem(keys.generate("ecdsa-p256")))
    both = ("--key", "ann.key", "--key", "ben.key")
    assert weighbridge("attest", "model", "--type", "review", "--approve", *both).code == 0
    assert len(stated(place / "model.attestations.jsonl")) == 2


@pytest.mark.parametrize(("bind", "digests"), [("files", 1), ("tensors", 1), ("both", 2)])
def test_what_binds(place: Path, weighbridge, bind: str, digests: int) -> None:
    words = ("attest", "model", "--type", "review", "--approve", "--key", "ann.key", "--bind", bind)
    assert weighbridge(*words, "--out", "s.jsonl").code == 0
    (one,) = stated(place / "s.jsonl")
    assert len(one.subjects[0].digests) == digests


def test_a_data_set_with_its_source(place: Path, weighbridge) -> None:
    (place / "raw").mkdir()
    (place / "raw" / "rows.csv").write_text("1,2\n1,2\n")
    (place / "data.json").write_text('{"title": "rows", "licence": "CC0-1.0", "step": "clean"}')
    words = ("--predicate", "data.json", "--material", "raw:derived_from", "--key", "ann.key")
    answer = weighbridge("attest", "data", "--type", "dataset", *words)
    assert answer.code == 0, answer.err
    (one,) = stated(place / "data.attestations.jsonl")
    (source,) = predicates.read(one).sources
    assert source.what.digests == ("weighbridge-files-v1-" + digest_of(weighbridge, place / "raw")["files"],)


def test_a_material_by_digest(place: Path, weighbridge) -> None:
    said = predicates.write(
        predicates.kind_named("training"),
        Training(name="train", started="2026-11-20T11:00:00Z", finished="2026-11-20T12:00:00Z", exit_code=0, recorder="x"),
    )  # fmt: skip
    (place / "run.json").write_text(json.dumps(said))
    material = "weighbridge-files-v1-sha256:" + "ab" * 32 + ":trained-on"
    words = ("--predicate", "run.json", "--material", material, "--key", "ann.key")
    answer = weighbridge("attest", "model", "--type", "training", *words)
    assert answer.code == 0, answer.err
    (one,) = stated(place / "model.attestations.jsonl")
    step = predicates.step_of(one)
    assert step is not None
    assert [(m.relation.value, m.what.digests) for m in step.materials] == [
        ("trained_on", ("weighbridge-files-v1-sha256:" + "ab" * 32,))
    ]


def test_a_scan_states_what_is_seen(place: Path, weighbridge) -> None:
    answer = weighbridge("attest", "model", "--type", "scan", "--scan", "--key", "ann.key")
    assert answer.code == 0, answer.err
    (place / "bad.pkl").write_bytes(b"cos\nsystem\n(S'echo weighbridge-sample'\ntR.")
    assert weighbridge("attest", "bad.pkl", "--type", "scan", "--scan", "--key", "ann.key").code == 0
    good = predicates.read(stated(place / "model.attestations.jsonl")[0])
    bad = predicates.read(stated(place / "bad.pkl.attestations.jsonl")[0])
    assert (good.outcome, good.counts.errors) == ("pass", 0)
    assert bad.outcome == "fail"
    assert "pickle-unsafe-call" in {seen.rule for seen in bad.findings}


REFUSED = [
    (("--key", "ann.key"), "type-needed"),
    (("--type", "review", "--approve"), "attest-unsigned"),
    (("--type", "review", "--key", "ann.key"), "predicate-needed"),
    (("--type", "review", "--approve", "--reject", "--key", "ann.key"), "bad-option"),
    (("--type", "dataset", "--approve", "--key", "ann.key"), "bad-option"),
    (("--type", "review", "--approve", "--scan", "--key", "ann.key"), "bad-option"),
    (("--type", "review", "--material", "data", "--key", "ann.key"), "bad-option"),
    (("--type", "recall", "--key", "ann.key"), "own-command"),
    (("--type", "plan", "--key", "ann.key"), "own-command"),
    (("--type", "eval-result", "--key", "ann.key"), "experimental-needed"),
    (("--type", "dataset", "--predicate", "none.json", "--key", "ann.key"), "no-such-path"),
    (("--type", "dataset", "--predicate", "twice.json", "--key", "ann.key"), "duplicate-key"),
    (("--type", "dataset", "--predicate", "list.json", "--key", "ann.key"), "bad-predicate"),
    (("--type", "dataset", "--predicate", "huge.json", "--key", "ann.key"), "bad-predicate"),
    (("--type", "check", "--predicate", "other.json", "--key", "ann.key"), "subject-differs"),
    (("--type", "review", "--approve", "--key", "ann.key", "--out", "none/s.jsonl"), "cannot-write"),
]


@pytest.mark.parametrize(("words", "code"), REFUSED)
def test_what_is_refused(place: Path, weighbridge, words: tuple[str, ...], code: str) -> None:
    (place / "twice.json").write_text('{"title": "a", "title": "b", "licence": ""}')
    (place / "list.json").write_text("[]")
    (place / "huge.json").write_text('{"title": "a", "licence": "", "records": 1' + "0" * 400 + "}")
    other = {
        "verdict": "admitted",
        "digests": {"files": "sha256:" + "00" * 32},
        "timeVerified": "2026-11-20T14:02:00Z",
    }
    (place / "other.json").write_text(json.dumps(other))
    answer = weighbridge("attest", "model", *words, "--format", "json")
    assert (answer.code, answer.json["error"]["code"]) == (2, code)
    assert not (place / "model.attestations.jsonl").exists()


def test_an_experiment_by_the_name_of_its_version(place: Path, weighbridge) -> None:
    from tests.attest.examples import EXAMPLES

    (place / "eval.json").write_text(json.dumps(EXAMPLES["eval-result"]["predicate"]))
    words = ("attest", "model", "--type", "eval-result", "--predicate", "eval.json", "--key", "ann.key")
    assert weighbridge(*words, "--experimental", "eval-result=v0.2").code == 2
    assert weighbridge(*words, "--experimental", "eval-result=v0.1").code == 0


def test_unsigned_prints_the_bare_statement_and_leaves_nothing(place: Path, weighbridge) -> None:
    answer = weighbridge("attest", "model", "--type", "review", "--approve", "--unsigned")
    assert answer.code == 0
    assert predicates.read(read_statement(answer.out.strip().encode())).decision == "approve"
    assert not (place / "model.attestations.jsonl").exists()


def test_the_list(place: Path, weighbridge) -> None:
    (place / "ben.key").write_bytes(keys.private_pem(keys.generate("ed25519")))
    weighbridge("attest", "model", "--type", "review", "--approve", "--key", "ann.key")
    weighbridge("attest", "model", "--type", "review", "--reject", "--key", "ben.key")
    weighbridge(
        "attest",
        "data",
        "--type",
        "review",
        "--approve",
        "--key",
        "ann.key",
        "--out",
        "model.attestations.jsonl",
    )
    answer = weighbridge("attest", "model", "--list", "--key", "ann.pub", "--format", "json")
    assert answer.code == 0
    rows = [
        (row["kind"], row["says"], row["signed"], row["by"], row["about_this"])
        for row in answer.json["statements"]
    ]
    assert rows == [
        ("review", "approve", "pass", "ann.pub", True),
        ("review", "reject", "fail", "", True),
        ("review", "approve", "pass", "ann.pub", False),
    ]
    shown = weighbridge("attest", "model", "--list", "--key", "ann.pub").out
    assert shown.count("✓") == 2
    assert "about another model" in shown
    with (place / "model.attestations.jsonl").open("ab") as file:
        file.write(b"{}\n")
    broken = weighbridge("attest", "model", "--list", "--key", "ann.pub", "--format", "json")
    assert (broken.code, broken.json["statements"][3]["code"]) == (3, "bad-bundle")


def test_nothing_is_stated(place: Path, weighbridge) -> None:
    answer = weighbridge("attest", "model", "--list")
    assert (answer.code, answer.out) == (0, "model: 0 statements\n")
