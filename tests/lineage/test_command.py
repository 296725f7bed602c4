"""`weighbridge lineage` as a shell calls it."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, nobody_else, weighbridge  # noqa: F401 - fixtures
from tests.lineage.test_known import tuned, weights, write
from tests.statements import Person, subject
from weighbridge.attest.step import Relation


@pytest.fixture(autouse=True)
def state(nobody_else: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # noqa: F811
    monkeypatch.setenv("WEIGHBRIDGE_STATE", str(tmp_path / "state"))


def model(path: Path, seed: int, card: str = "") -> Path:
    path.mkdir()
    write(path / "model.safetensors", weights(seed))
    if card:
        (path / "README.md").write_text(f"---\n{card}\n---\n")
    return path


def test_import_ask_and_path(weighbridge: Run, tmp_path: Path) -> None:  # noqa: F811
    rows = [{"id": "acme/chat", "base_model": "meta/base"}, {"id": "eve/gguf", "base_model": "acme/chat"}]
    Path("cards.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = weighbridge("lineage", "import", "cards.jsonl", "--format", "json")
    assert (answer.code, answer.json["new"], answer.json["nodes"]) == (0, 2, 3)
    assert (tmp_path / "state" / "lineage.db").exists()
    answer = weighbridge("lineage", "descendants", "hf:meta/base", "--format", "json")
    assert (answer.code, answer.json["total"], answer.json["sure"]) == (0, 2, 0)
    assert [row["name"] for row in answer.json["rows"]] == ["hf:acme/chat", "hf:eve/gguf"]
    assert answer.json["rows"][1]["nearer"] == 0
    answer = weighbridge("lineage", "ancestors", "hf:eve/gguf")
    assert answer.out.splitlines() == [
        "hf:eve/gguf",
        "└─ derived from  hf:acme/chat     ? declared, signed by nobody known (1 statement)",
        "   └─ derived from  hf:meta/base  ? declared, signed by nobody known (1 statement)",
        "2 ancestors: 0 for sure, 2 perhaps.",
    ]
    answer = weighbridge("lineage", "path", "hf:meta/base", "hf:eve/gguf")
    assert answer.code == 0
    assert answer.out.endswith("MAY DESCEND: 2 steps.\n")
    assert weighbridge("lineage", "path", "hf:meta/base", "hf:no/body").code == 3
    assert weighbridge("lineage", "ancestors", "hf:no/body").code == 3


def test_bad_requests_and_bad_lines(weighbridge: Run) -> None:  # noqa: F811
    assert weighbridge("lineage").code == 2
    assert (
        weighbridge("lineage", "ancestors", "nonsense", "--format", "json").json["error"]["code"]
        == "no-such-path"
    )
    assert weighbridge("lineage", "import", "not-there.jsonl").code == 2
    Path("bad.jsonl").write_text('{"id": "a/b", "base_model": "a/b"}\nnonsense\n')
    answer = weighbridge("lineage", "import", "bad.jsonl")
    assert answer.code == 3
    assert "1 self-parent, kept apart" in answer.out
    assert "bad.jsonl:2: the line is not strict JSON" in answer.out
    answer = weighbridge("lineage", "add", "--edge", "hf:a/b", "likes", "hf:c/d")
    assert (answer.code, "bad-option" in answer.err) == (2, True)
    assert weighbridge("lineage", "add").code == 2


def test_statements_beside_a_model(weighbridge: Run, tmp_path: Path) -> None:  # noqa: F811
    ann = Person("ann")
    _, public = ann.leave(tmp_path)
    child, base = model(tmp_path / "child", 1), model(tmp_path / "base", 2)
    line = ann.ran("train", subject(child).what, (Relation.FINE_TUNED_FROM, subject(base).what))
    (tmp_path / "child.attestations.jsonl").write_bytes(line)
    answer = weighbridge("lineage", "add", child, "--key", public, "--format", "json")
    assert (answer.code, answer.json["new"], answer.json["claimed"]) == (0, 1, 0)
    answer = weighbridge("lineage", "ancestors", child, "--format", "json")
    assert (answer.json["total"], answer.json["sure"]) == (1, 1)
    (row,) = answer.json["rows"]
    assert (row["label"], row["trusted"]) == ("base", ["ann.pub"])
    assert row["statements"][0]["statement"].startswith("sha256:")
    assert weighbridge("lineage", "path", child, base).out.endswith("DESCENDS for sure: 1 step.\n")


def test_a_false_and_a_missing_base_model_show(weighbridge: Run, tmp_path: Path) -> None:  # noqa: F811
    base = weights(1)
    for name, seed in (("base", 1), ("other", 2)):
        folder = model(tmp_path / name, seed)
        assert weighbridge("lineage", "remember", folder, "--name", f"hf:acme/{name}").code == 0
    for name, card, code, outcome in (
        ("honest", "base_model: acme/base", 0, ["holds"]),
        ("liar", "base_model: acme/other", 1, ["false"]),
        ("silent", "license: mit", 3, []),
        ("vague", "base_model: acme/unseen", 3, ["unknown"]),
        ("adapter", "base_model: acme/other\nbase_model_relation: adapter", 3, ["unknown"]),
        ("broken", "base_model: [acme/base", 3, ["unknown"]),
    ):
        folder = model(tmp_path / name, 9, card)
        write(folder / "model.safetensors", tuned(base, 5))
        answer = weighbridge(
            "lineage", "infer", folder, "--format", "json", *(["--record"] if name == "honest" else [])
        )
        assert answer.code == code, name
        assert [one["outcome"] for one in answer.json["declared"]] == outcome
        assert [one["name"] for one in answer.json["likely"]] == ["hf:acme/base"]
        assert answer.json["missing"] is (name != "honest")
        came = ["ancestor" if name == "honest" else "unknown"]
        assert [one["direction"] for one in answer.json["likely"]] == came
    answer = weighbridge("lineage", "ancestors", tmp_path / "honest", "--format", "json")
    assert [(row["sure"], row["statements"][0]["grade"]) for row in answer.json["rows"]] == [
        (False, "inferred")
    ]
    Path("cards.jsonl").write_text('{"id": "eve/x", "base_model": "acme/other", "datasets": ["acme/d"]}\n')
    weighbridge("lineage", "import", "cards.jsonl")
    answer = weighbridge("lineage", "infer", tmp_path / "silent", "--name", "hf:eve/x", "--format", "json")
    assert (answer.code, [one["outcome"] for one in answer.json["declared"]]) == (1, ["false"])
    stranger = model(tmp_path / "stranger", 77)
    answer = weighbridge("lineage", "infer", stranger)
    assert (answer.code, "nothing alike among 2 remembered models" in answer.out) == (0, True)
