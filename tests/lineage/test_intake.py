"""Cards, edges and bundles in bulk: hostile ones are counted, and nothing else is lost."""

import json
from pathlib import Path

import pytest

from tests.statements import NOW, Person, thing
from weighbridge.attest.attestation import judge_one
from weighbridge.attest.step import Relation
from weighbridge.lineage import Grade, Lineage, ancestors, descendants
from weighbridge.lineage.cards import node_of, read_card
from weighbridge.lineage.intake import Intake, Taken, front_matter

ANN = Person("ann")
SHA = "ab" * 20


def take(lineage: Lineage, *paths: Path, own: bool = False) -> Taken:
    return Intake(lambda bundle: judge_one(bundle, [ANN.anchor], (), NOW), own=own).run(lineage, paths)


def lines(path: Path, *rows: object) -> Path:
    path.write_bytes(
        b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
    )
    return path


def test_cards_of_a_hub(lineage: Lineage, tmp_path: Path) -> None:
    file = lines(
        tmp_path / "cards.jsonl",
        {"id": "acme/chat", "sha": SHA, "base_model": "meta/base", "base_model_relation": "finetune",
         "datasets": ["acme/support"], "lastModified": "2026-11-20T14:02:00Z"},
        {"modelId": "eve/chat-gguf", "tags": ["base_model:acme/chat", "base_model:quantized:acme/chat"]},
        {"id": "eve/merged", "cardData": {"base_model": ["acme/chat", "meta/base"]}},
        {"id": "eve/alone"},
    )  # fmt: skip
    taken = take(lineage, file)
    assert (taken.lines, taken.cards, taken.bare, taken.counts) == (4, 4, 1, ())
    assert take(lineage, file).added.new == 0
    rows = {row.node.title: row for row in descendants(lineage, ["hf:meta/base"]).rows}
    assert set(rows) == {f"hf:acme/chat@{SHA}", "hf:acme/chat", "hf:eve/chat-gguf", "hf:eve/merged"}
    assert not any(row.sure for row in rows.values())
    assert rows[f"hf:acme/chat@{SHA}"].edges[0].relation is Relation.FINE_TUNED_FROM
    assert {edge.relation for edge in rows["hf:eve/chat-gguf"].edges} == {
        Relation.QUANTIZED_FROM,
        Relation.DERIVED_FROM,
    }
    assert "hf:datasets/acme/support" in [
        row.node.title for row in ancestors(lineage, ["hf:eve/merged"]).rows
    ]


HOSTILE = (
    b"not json", b'{"id": "a/b", "id": "c/d"}', b"[" * 5000, b"7", b"{}", {"id": 7}, {"id": "../../etc"},
    {"id": "w/x", "base_model": {"a": 1}}, {"id": "w/y", "base_model": [1, None, "ok/base"]},
    {"id": "w/z", "base_model": "w/z"}, {"id": "c/one", "base_model": "c/two"}, {"id": "c/two", "base_model": "c/one"},
    {"id": "w/rel", "base_model": "ok/base", "base_model_relation": "stolen"},
    {"child": "sha256:zz", "parent": "hf:a/b", "relation": "trained_on"},
    {"child": "hf:a/b", "parent": "hf:c/d", "relation": "likes"}, {"child": 1, "parent": 2},
    {"child": "hf:a/b", "parent": "hf:c/d", "relation": "trained_on", "time": True},
    {"child": "hf:a/b", "parent": "hf:c/d", "relation": "trained_on", "time": 10**30},
    {"dsseEnvelope": 1}, {"id": "w/e", "base_model": "\u202eevil\n"}, {"id": "w/s", "base_model": "\ud800"},
    {"id": "ok/last", "base_model": "ok/base"},
)  # fmt: skip


def test_hostile_lines_are_counted_and_the_others_stand(lineage: Lineage, tmp_path: Path) -> None:
    taken = take(lineage, lines(tmp_path / "bad.jsonl", *HOSTILE))
    assert taken.lines == len(HOSTILE)
    counts = dict(taken.counts)
    assert counts["bad-json"] == 2
    assert counts["duplicate-key"] == 1
    assert counts["bad-edge"] == 4
    assert counts["bad-node"] == 1
    assert counts["bad-card"] >= 7
    assert taken.added.own == 1
    found = {row.node.title for row in descendants(lineage, ["hf:ok/base"]).rows}
    assert found == {"hf:ok/last", "hf:w/y", "hf:w/rel"}
    assert ancestors(lineage, ["hf:c/one"]).circular
    assert len(ancestors(lineage, ["hf:w/z"]).selves) == 1


def test_a_list_of_ten_megabytes(lineage: Lineage, tmp_path: Path) -> None:
    huge = {"id": "w/x", "base_model": [f"org/base{n:07}" for n in range(500_000)]}
    taken = take(
        lineage,
        lines(tmp_path / "huge.jsonl", huge, b"x" * (17 * 1024**2), {"id": "a/b", "base_model": "c/d"}),
    )
    assert taken.counts == (("limit-json", 1), ("limit-parents", 1))
    assert taken.added.new == 1001


def test_a_file_cannot_attest_unless_it_is_our_own(lineage: Lineage, tmp_path: Path) -> None:
    row = {
        "child": "hf:a/b",
        "parent": "hf:c/d",
        "relation": "trained_on",
        "grade": "attested",
        "issuer": "ann",
    }
    file = lines(tmp_path / "edges.jsonl", row)
    assert take(lineage, file).lowered == 1
    assert ancestors(lineage, ["hf:a/b"]).sure == 0
    assert take(lineage, file, own=True).lowered == 0
    (found,) = ancestors(lineage, ["hf:a/b"]).rows
    assert (found.sure, found.trusted) == (True, ("ann",))


def test_bundles_count_for_who_signed_them(lineage: Lineage, tmp_path: Path) -> None:
    model, data = thing("model", 1), thing("data", 2)
    good = ANN.ran("train", model, (Relation.TRAINED_ON, data)).strip()
    file = lines(
        tmp_path / "a.jsonl", good, Person("eve").ran("x", data, (Relation.TRAINED_ON, model)).strip()
    )
    taken = take(lineage, file)
    assert (taken.bundles, taken.counts) == (2, ())
    assert ancestors(lineage, model.digests).sure == 1
    assert ancestors(lineage, data.digests).sure == 0


def test_a_folder_of_readmes(lineage: Lineage, tmp_path: Path) -> None:
    cards = tmp_path / "hub"
    for name, text in {
        "acme/chat": "---\nbase_model: meta/base\nbase_model_relation: adapter\n---\n# Chat\n",
        "acme/bad": "---\nbase_model: [a, b\n---\n",
        "acme/doubled": "---\nbase_model: a/b\nbase_model: c/d\n---\n",
        "acme/none": "# nothing\n",
        f"models--eve--tuned/snapshots/{SHA}": "---\nbase_model:\n- acme/chat\n---\n",
    }.items():
        (cards / name).mkdir(parents=True)
        (cards / name / "README.md").write_text(text)
    taken = take(lineage, cards)
    assert (taken.cards, taken.counts) == (3, (("bad-yaml", 2),))
    found = [row.node.title for row in descendants(lineage, ["hf:meta/base"]).rows]
    assert found == ["hf:acme/chat", f"hf:eve/tuned@{SHA}", "hf:eve/tuned"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("org/name", "hf:org/name"),
        ("https://huggingface.co/org/name/", "hf:org/name"),
        (f"org/name@{SHA}", f"hf:org/name@{SHA}"),
        ("gpt2", "hf:gpt2"),
        ("./my models/x", "name:./my models/x"),
        (" \n", ""),
    ],
)
def test_names_as_cards_write_them(text: str, key: str) -> None:
    assert node_of(text) == key


def test_a_card_without_a_name_tells_nothing() -> None:
    assert read_card({"base_model": "a/b"}).problems == (("bad-card", "it names no repository of its own"),)
    assert all(edge.grade is Grade.DECLARED for edge in read_card({"base_model": "a/b"}, "c/d").edges)
    assert front_matter(b"# no fences") == {}
