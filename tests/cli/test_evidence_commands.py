"""`trace`, `check` with statements, `recall` and `sweep`, as a person runs them."""

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.documents import conforms
from tests.statements import Person, subject

from weighbridge.attest.step import Relation

from .conftest import write_model

POLICY = """
[policy]
name = "chain"
signature = "optional"
trace = ["collect", "train"]
data = "required"
approvals = {safety = 1}

[[policy.step]]
name = "train"
signers = ["ben"]
"""
ANNA, BEN, CLEO, OFFICE = Person("anna"), Person("ben"), Person("cleo", "safety"), Person("office", "recall")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weighbridge) -> Path:
    """A data set, a model from it, the statements beside it, a keyring and a policy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEIGHBRIDGE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("WEIGHBRIDGE_TRUST", str(tmp_path / "trust"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("1,2\n")
    write_model(tmp_path / "model")
    assert weighbridge("trust", "init").code == 0
    for person in (ANNA, BEN, CLEO, OFFICE):
        _, public = person.leave(tmp_path)
        roles = [word for role in person.roles for word in ("--role", role)]
        assert weighbridge("trust", "add", person.name, "--key", public, *roles).code == 0
    data, model = subject(tmp_path / "data").what, subject(tmp_path / "model").what
    lines = ANNA.collected(data) + BEN.ran("train", model, (Relation.TRAINED_ON, data)) + CLEO.reviewed(model)
    (tmp_path / "model.attestations.jsonl").write_bytes(lines)
    (tmp_path / "weighbridge.toml").write_text(POLICY)
    return tmp_path


def rows(answer) -> dict[str, tuple[str, str]]:
    return {row["question"]: (row["outcome"], row["code"]) for row in answer.json["evidence"]}


def test_check_admits_a_whole_chain(weighbridge, place) -> None:
    answer = weighbridge("check", "model", "-f", "json")
    assert answer.code == 0, answer.out
    found = rows(answer)
    assert [found[word] for word in ("traced", "data", "approved")] == [("pass", "")] * 3


def test_a_changed_model_is_not_the_one_that_was_made(weighbridge, place) -> None:
    with (place / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    answer = weighbridge("check", "model", "-f", "json")
    assert answer.code == 1
    assert rows(answer)["traced"] == ("fail", "step-other-model")


def test_trace_draws_the_chain(weighbridge, place) -> None:
    answer = weighbridge("trace", "model")
    assert answer.code == 0, answer.out
    assert answer.out.startswith("TRACED  model")
    assert "└─ trained on  data" in answer.out
    assert "✓ signed by ben" in answer.out
    document = weighbridge("trace", "model", "-f", "json").json
    assert document["trace"]["steps"][0]["materials"][0]["relation"] == "trained_on"
    assert weighbridge("trace", "model", "-f", "dot").out.startswith("digraph trace {")
    assert weighbridge("trace", "model", "-f", "svg").out.startswith("<svg ")
    (place / "saved.json").write_text(json.dumps(document))
    assert "└─ trained on  data" in weighbridge("report", "saved.json").out


def test_names_in_a_chain_are_harmless(weighbridge, place) -> None:
    from dataclasses import replace

    model = subject(place / "model").what
    evil = replace(subject(place / "data").what, name='<script>"\x1b[31m\n</svg>')
    (place / "model.attestations.jsonl").write_bytes(BEN.ran("train", model, (Relation.TRAINED_ON, evil)))
    for form in ("human", "dot", "svg"):
        out = weighbridge("trace", "model", "-f", form).out
        assert "\x1b" not in out
        assert form != "svg" or "<script>" not in out


def test_statements_inside_the_folder_are_no_part_of_the_model(weighbridge, place) -> None:
    (place / "model.attestations.jsonl").rename(place / "model" / "attestations.jsonl")
    assert weighbridge("check", "model").code == 0
    with (place / "model" / "attestations.jsonl").open("a") as file:
        file.write("import os\n")
    answer = weighbridge("check", "model", "-f", "json")
    assert answer.code == 1
    assert "attestations.jsonl" in {file["path"] for file in answer.json["files"]}


def test_statements_elsewhere(weighbridge, place) -> None:
    (place / "model.attestations.jsonl").rename(place / "elsewhere.jsonl")
    assert weighbridge("check", "model").code == 1
    assert weighbridge("check", "model", "--statements", "elsewhere.jsonl").code == 0
    assert weighbridge("check", "model", "--statements", "nowhere.jsonl").code == 2
    from weighbridge.store.statements import StatementStore

    store = StatementStore(place / "store")
    for line in (place / "elsewhere.jsonl").read_bytes().splitlines():
        store.put(line)
    assert weighbridge("check", "model", "--statements", "store").code == 0


def test_a_recall_refuses_everywhere(weighbridge, place) -> None:
    signed = weighbridge("sign", "model", "--key", "ben.key")
    assert signed.code == 0
    assert weighbridge("verify", "model").code == 0
    words = ("recall", "add", "data", "--kind", "dataset", "--reason", "labels were poisoned")
    made = weighbridge(*words, "--signing-key", "office.key", "-f", "json")
    assert (made.code, made.json["version"]) == (0, 1), made.out + made.err
    for command in ("check", "trace"):
        answer = weighbridge(command, "model", "--recalls", "recalls.jsonl")
        assert answer.code == 1
        assert "model ← trained on data: labels were poisoned" in answer.out
    # What was seen once is remembered, for every command.
    for command in ("check", "verify", "trace"):
        answer = weighbridge(command, "model", "-f", "json")
        assert rows(answer)["current"] == ("fail", "recalled"), command


def test_load_refuses_what_was_recalled(weighbridge, place) -> None:
    import weighbridge as library

    assert weighbridge("sign", "model", "--key", "ben.key").code == 0
    assert library.load("model", trust="trust", policy="weighbridge.toml")
    words = ("recall", "add", "model", "--reason", "wrong weights", "--signing-key", "office.key")
    assert weighbridge(*words).code == 0
    assert weighbridge("recall", "update", "recalls.jsonl").code == 0
    with pytest.raises(library.LoadRefused, match="wrong weights"):
        library.load("model", trust="trust", policy="weighbridge.toml")


def test_a_list_grows_and_is_not_rolled_back(weighbridge, place) -> None:
    words = ("--reason", "x", "--signing-key", "office.key")
    weighbridge("recall", "add", f"sha256:{7:064x}", *words)
    shutil.copy("recalls.jsonl", "old.jsonl")
    assert weighbridge("recall", "add", f"sha256:{8:064x}", *words, "-f", "json").json["version"] == 2
    assert weighbridge("recall", "update", "recalls.jsonl").code == 0
    answer = weighbridge("recall", "update", "old.jsonl", "-f", "json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "recalls-older")
    assert "version 2" in weighbridge("recall", "show").out
    assert weighbridge("check", "model", "--recalls", "old.jsonl").code == 0


def test_several_lists_are_one_document(weighbridge, place) -> None:
    words = ("recall", "issue", "--signing-key", "office.key", "--list")
    assert weighbridge(*words, "one.jsonl").code == 0
    assert weighbridge(*words, "two.jsonl").code == 0
    both = b"".join(Path(name).read_bytes() for name in ("one.jsonl", "two.jsonl"))
    Path("both.jsonl").write_bytes(both + b"not a bundle\n")
    answer = weighbridge("recall", "show", "both.jsonl", "-f", "json")
    assert (answer.code, conforms("recall-answer", answer.json)["action"]) == (0, "show")
    assert [(one["version"], one["by"]) for one in answer.json["lists"]] == [(1, "office")] * 2
    assert [problem.partition(":")[0] for problem in answer.json["problems"]] == ["both.jsonl"]


def test_what_cannot_be_measured_whole_is_not_recalled(weighbridge, place) -> None:
    os.mkfifo(place / "data" / "rows.pipe")
    words = ("recall", "add", "data", "--reason", "x", "--signing-key", "office.key", "-f", "json")
    answer = weighbridge(*words)
    assert (answer.code, answer.json["error"]["code"]) == (3, "material-unread")
    assert not Path("recalls.jsonl").exists()


def test_a_forged_list_is_not_continued(weighbridge, place) -> None:
    words = ("recall", "add", f"sha256:{7:064x}", "--reason", "x")
    assert weighbridge(*words, "--signing-key", "anna.key").code == 0
    answer = weighbridge(*words, "--signing-key", "office.key", "-f", "json")
    assert (answer.code, answer.json["error"]["code"]) == (2, "recalls-untrusted")
    assert answer.json["error"]["hints"] == ["weighbridge trust add NAME --key PUBLIC.pem --role recall"]
    assert rows(weighbridge("check", "model", "--recalls", "recalls.jsonl", "-f", "json"))["current"] == (
        "unknown", "recalls-untrusted",
    )  # fmt: skip


def test_what_cannot_be_recalled(weighbridge, place) -> None:
    for target in ("nowhere", "sha256:xyz", "a@"):
        words = ("recall", "add", target, "--reason", "x", "--signing-key", "office.key", "-f", "json")
        answer = weighbridge(*words, *(("--kind", "tool") if "@" in target else ()))
        assert (answer.code, answer.json["error"]["code"]) == (2, "bad-target"), target
        assert not Path("recalls.jsonl").exists()


def test_sweep_finds_what_was_recalled_in_the_hubs_cache(weighbridge, place, monkeypatch) -> None:
    cache = place / "hf" / "hub" / "models--acme--tiny"
    (cache / "blobs").mkdir(parents=True)
    for rev in ("good", "bad"):
        snapshot = cache / "snapshots" / rev
        for path in sorted((place / "model").rglob("*")):
            if path.is_file():
                data = path.read_bytes() + (b"" if rev == "bad" or path.suffix != ".md" else b"more\n")
                blob = cache / "blobs" / f"{path.name}-{len(data)}"
                blob.write_bytes(data)
                link = snapshot / path.relative_to(place / "model")
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(os.path.relpath(blob, link.parent))
    monkeypatch.setenv("HF_HOME", str(place / "hf"))
    words = ("recall", "add", "model", "--reason", "wrong weights", "--signing-key", "office.key")
    assert weighbridge(*words).code == 0
    assert weighbridge("recall", "update", "recalls.jsonl").code == 0
    found = conforms("sweep", weighbridge("sweep", "-f", "json").json)["models"]
    # Both have the same tensors, which were recalled in every package.
    assert {Path(one["path"]).name: one["outcome"] for one in found} == {"good": "fail", "bad": "fail"}
    answer = weighbridge("sweep", "--quarantine", "away")
    assert answer.code == 1
    assert "RECALLED: 2 models, 2 recalled" in answer.out
    assert list((cache / "snapshots").iterdir()) == []
    assert list((cache / "blobs").iterdir()) == []
    records = sorted(Path("away").glob("*/record.json"))
    assert [conforms("quarantine", json.loads(path.read_text()))["why"][:9] for path in records] == [
        "recalled:"
    ] * 2
    assert weighbridge("sweep").out == "CLEAN: 0 models, 0 recalled, 0 unknown, 0 standing\n"


def test_sweep_leaves_what_stands(weighbridge, place) -> None:
    weighbridge("recall", "add", f"sha256:{7:064x}", "--reason", "x", "--signing-key", "office.key")
    answer = weighbridge("sweep", "model", "--recalls", "recalls.jsonl", "--quarantine", "away")
    assert (answer.code, Path("away").exists()) == (0, False), answer.out
    assert weighbridge("sweep", "model").code == 0  # remembered
    shutil.rmtree("state")
    assert weighbridge("sweep", "model").code == 3  # nobody can say
    assert weighbridge("sweep", "nowhere").code == 2


def test_a_lineage_finds_what_no_statement_beside_the_model_tells(weighbridge, place) -> None:
    assert weighbridge("lineage", "add", "model.attestations.jsonl", "--db", "lineage.db").code == 0
    words = (
        "recall",
        "add",
        "data",
        "--kind",
        "dataset",
        "--reason",
        "poisoned",
        "--signing-key",
        "office.key",
    )
    made = conforms("recall-answer", weighbridge(*words, "--lineage", "lineage.db", "-f", "json").json)
    assert (made["descendants"]["total"], made["descendants"]["sure"]) == (1, 1)
    (place / "model.attestations.jsonl").unlink()
    (place / "weighbridge.toml").write_text(
        '[policy]\nsignature = "optional"\n[evidence]\nlineage = "lineage.db"\nrecalls = ["recalls.jsonl"]\n'
    )
    answer = weighbridge("check", "model", "-f", "json")
    assert (answer.code, rows(answer)["current"]) == (1, ("fail", "recalled"))
    assert "trained on" in next(r["why"] for r in answer.json["evidence"] if r["question"] == "current")
    (place / "lineage.db").unlink()
    answer = weighbridge("check", "model", "-f", "json")
    assert rows(answer)["current"] == ("unknown", "no-such-path")


def test_only_a_recall_key_and_the_role_let_somebody_call_back(weighbridge, place) -> None:
    """One notion for every command: `--key` believes signatures and gives nobody the role."""
    assert weighbridge("recall", "add", "model", "--reason", "x", "--signing-key", "anna.key").code == 0
    for given in (("--key", "anna.pub"), ("--key", "anna.pub", "--trust", "trust")):
        for verb in (
            ("show", "recalls.jsonl"),
            ("update", "recalls.jsonl"),
            ("issue", "--signing-key", "anna.key"),
        ):
            answer = weighbridge("recall", *verb, *given, "-f", "json")
            assert (answer.code, answer.json["error"]["code"]) == (2, "recalls-untrusted"), verb
            assert 'has not the role "recall"' in answer.json["error"]["message"]
        for command in ("check", "verify", "trace"):
            answer = weighbridge(command, "model", "--recalls", "recalls.jsonl", *given, "-f", "json")
            assert rows(answer)["current"] == ("unknown", "recalls-untrusted"), command
        answer = weighbridge("sweep", "model", "--recalls", "recalls.jsonl", *given, "-f", "json")
        assert [(one["outcome"], one["code"]) for one in answer.json["models"]] == [
            ("unknown", "recalls-untrusted")
        ]


@pytest.mark.parametrize("command", ["check", "verify", "trace"])
def test_a_recall_key_counts_for_every_command(weighbridge, place, command) -> None:
    assert weighbridge("recall", "add", "model", "--reason", "x", "--signing-key", "anna.key").code == 0
    words = ("--recalls", "recalls.jsonl", "--recall-key", "anna.pub", "-f", "json")
    assert rows(weighbridge(command, "model", *words))["current"] == ("fail", "recalled")


def test_a_recall_key_counts_for_recall_and_sweep(weighbridge, place) -> None:
    key = ("--recall-key", "anna.pub", "-f", "json")
    assert weighbridge("recall", "add", "model", "--reason", "x", "--signing-key", "anna.key").code == 0
    assert weighbridge("recall", "show", "recalls.jsonl", *key).json["lists"][0]["by"] == "anna.pub"
    assert weighbridge("recall", "update", "recalls.jsonl", *key).code == 0
    assert weighbridge("recall", "issue", "--signing-key", "anna.key", *key).json["version"] == 2
    answer = weighbridge("sweep", "model", *key)
    assert [(one["outcome"], one["code"]) for one in answer.json["models"]] == [("fail", "recalled")]


def test_a_recall_key_is_believed_for_nothing_else(weighbridge, place) -> None:
    Person("gus").leave(place)
    assert weighbridge("sign", "model", "--key", "gus.key").code == 0
    answer = weighbridge("verify", "model", "--recall-key", "gus.pub", "-f", "json")
    assert answer.code == 1
    assert rows(answer)["signed"] == ("fail", "signer-unknown")
    # and nobody of the keyring is lost by it
    assert weighbridge("sign", "model", "--key", "ben.key", "--add").code == 0
    answer = weighbridge("verify", "model", "--recall-key", "gus.pub", "-f", "json")
    assert rows(answer)["signed"] == ("pass", "")


def test_what_a_policy_admitted_without_an_answer_is_told_last(weighbridge, place) -> None:
    (place / "weighbridge.toml").write_text(
        '[policy]\nname = "mild"\nsignature = "optional"\ndata = "required"\nunknown = {data = "admit"}\n'
    )
    (place / "model.attestations.jsonl").unlink()
    answer = weighbridge("check", "model")
    assert answer.code == 0, answer.out
    last = answer.out.splitlines()[-1]
    assert last.startswith("ADMITTED: ")
    assert "3 unknown admitted by policy (signed, intact, data), 0 errors." in last
