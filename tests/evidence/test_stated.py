"""Everything stated about a model: many statements are judged as few are, and all ages are told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.evidence.test_attacks_files import BEN, CLEO, EVE, POLICY, TEAM, model, weighed
from tests.statements import NOW, Person, subject
from weighbridge.attest import batch
from weighbridge.attest.attestation import Attestation
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.value import replace
from weighbridge.evidence import Question, stated
from weighbridge.evidence.find import statements_path
from weighbridge.store.statements import StatementStore

__all__ = ["model"]


def spoiled(line: bytes) -> bytes:
    """The same statement under a signature that does not hold."""
    document = json.loads(line)
    signature = document["dsseEnvelope"]["signatures"][0]
    signature["sig"] = json.loads(EVE.reviewed(subject_of_nothing()))["dsseEnvelope"]["signatures"][0]["sig"]
    return json.dumps(document).encode() + b"\n"


def subject_of_nothing():
    from tests.statements import thing

    return thing("nothing", 1)


def lines(model: Path, kind: str) -> bytes:
    """Eighty statements about the model: good ones, bad ones, or each in turn."""
    what = subject(model).what
    good = [CLEO.reviewed(what, role=f"r{number}") for number in range(40)]
    bad = [
        b"no bundle\n", b"{}\n", EVE.reviewed(what), spoiled(good[0]), good[1].replace(b"payload", b"Payload"),
        good[2] * 2, Person("new").reviewed(what, "reject"), b'{"mediaType":' * 5000 + b"\n",
    ]  # fmt: skip
    chosen = {
        "good": good * 2,
        "bad": bad * 10,
        "mixed": [one for pair in zip(good, bad * 5, strict=True) for one in pair],
    }
    return b"".join(chosen[kind])


def question(model: Path, *named: Path) -> Question:
    return Question(
        path=model, named=tuple(map(str, named)), policy=POLICY, command="check",
        anchors=tuple(one.anchor for one in TEAM), authorities=(), now=NOW,
    )  # fmt: skip


def shown(found: tuple[Attestation, ...]) -> list[tuple[str, ...]]:
    return [
        (one.source, one.signer.outcome.value, one.signer.by, one.signer.code, one.code, one.why, one.digest)
        for one in found
    ]


@pytest.mark.parametrize("kind", ["good", "bad", "mixed"])
@pytest.mark.parametrize("where", ["beside", "named", "store"])
def test_very_many_are_judged_as_one_by_one(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, where: str
) -> None:
    """The same attestations, signers and errors, each with its place."""
    place = {"beside": statements_path(model), "named": tmp_path / "more.jsonl", "store": tmp_path / "store"}[
        where
    ]
    data = lines(model, kind)
    if where == "store":
        kept = put_all(StatementStore(place), data)
        assert kept >= (0 if kind == "bad" else 20)
    else:
        place.write_bytes(data)
    asked = question(model, *([] if where == "beside" else [place]))
    batched = counted_calls(monkeypatch)
    monkeypatch.setattr(stated, "MANY", 5)
    many = stated.attestations_of(asked, subject(model))
    assert batched
    monkeypatch.setattr(stated, "MANY", 10**9)
    few = stated.attestations_of(asked, subject(model))
    assert shown(many) == shown(few)
    assert many == few


def put_all(store: StatementStore, data: bytes) -> int:
    from weighbridge.core.errors import WeighbridgeError

    kept = set()
    for line in data.splitlines():
        try:
            kept.add(store.put(line))
        except WeighbridgeError:
            continue
    return len(kept)


def counted_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    whole: Callable[..., object] = batch.judge_many

    def judge_many(lines: object, *rest: object) -> object:
        calls.append(1)
        return whole(lines, *rest)

    monkeypatch.setattr(batch, "judge_many", judge_many)
    return calls


def test_a_check_beside_very_many_statements(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rejection among hundreds counts, and junk among them is named by its line."""
    first = statements_path(model).read_bytes()
    crowd = b"".join(EVE.reviewed(subject(model).what, "reject", role=f"r{number}") for number in range(200))
    statements_path(model).write_bytes(first + crowd)
    batched = counted_calls(monkeypatch)
    assert outcome(model) == ("pass", "")
    statements_path(model).write_bytes(first + crowd + CLEO.reviewed(subject(model).what, "reject"))
    assert outcome(model) == ("fail", "rejected")
    statements_path(model).write_bytes(BEN.ran("other", subject(model).what) + crowd + b"junk\n")
    row = next(row for row in weighed(model).evidence if row.question == "traced")
    assert row.outcome is Outcome.UNKNOWN
    assert any(detail.startswith("model.attestations.jsonl:202: ") for detail in row.details)
    assert len(batched) == 3


def outcome(model: Path) -> tuple[str, str]:
    row = next(row for row in weighed(model).evidence if row.question == "approved")
    return row.outcome.value, row.code


# -- ages


RECALLS = Evidence(question="fresh", outcome=Outcome.PASS, why="the list of recalls is 3 days old")
OLD = replace(RECALLS, outcome=Outcome.UNKNOWN, why="the list of recalls is 41 days old", code="recalls-old")
HEAD = Evidence(question="fresh", outcome=Outcome.PASS, why="the log's head is 2 hours old")
STALE = replace(HEAD, outcome=Outcome.UNKNOWN, why="the log's head is 50 days old", code="log-stale")
OTHER = Evidence(question="current", outcome=Outcome.PASS, why="not among 3 recalls")


@pytest.mark.parametrize(
    ("rows", "code", "why"),
    [
        ([RECALLS, HEAD], "", "the list of recalls is 3 days old; the log's head is 2 hours old"),
        ([OLD, HEAD], "recalls-old", "the list of recalls is 41 days old; the log's head is 2 hours old"),
        ([RECALLS, STALE], "log-stale", "the list of recalls is 3 days old; the log's head is 50 days old"),
        ([OLD, STALE], "recalls-old", "the list of recalls is 41 days old; the log's head is 50 days old"),
        ([OLD], "recalls-old", "the list of recalls is 41 days old"),
    ],
)
def test_every_age_is_told(rows: list[Evidence], code: str, why: str) -> None:
    found = list(stated._one_age([OTHER, *rows]))
    assert [row.question for row in found] == ["current", "fresh"]
    assert (found[1].code, found[1].why) == (code, why)
    assert (found[1].outcome is Outcome.PASS) == (not code)
