"""Attacks with files: what lies beside, inside and around a model, and what machines remember."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import safetensors
from tests.statements import NOW, Person, subject
from weighbridge.attest.predicates.recall import Recall, RecallEntry, RecallKind
from weighbridge.attest.step import Relation
from weighbridge.check import Ask, Request, weigh
from weighbridge.core.errors import UsageError
from weighbridge.core.report import Report
from weighbridge.core.statement import Named
from weighbridge.core.verdict import Decision
from weighbridge.evidence import statement_file_inside
from weighbridge.policy import Policy, default_policy
from weighbridge.policy.words import Need
from weighbridge.recall.lists import statement_of
from weighbridge.recall.sweep import sweep
from weighbridge.signing import Wish, sign_model
from weighbridge.store.statements import StatementStore
from weighbridge.trust.keyring import Keyring

ANNA, BEN, CLEO, EVE = (
    Person("anna", "data"),
    Person("ben", "builder"),
    Person("cleo", "safety"),
    Person("eve"),
)
OFFICE = Person("office", "recall")
TEAM = (ANNA, BEN, CLEO, OFFICE)
POLICY = replace(default_policy(), signature=Need.OPTIONAL, trace=("train",), approvals=(("safety", 1),))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose chain and approval lie beside it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"hidden_size": 4}\n')
    for number in (1, 2):
        (folder / f"part-{number}.safetensors").write_bytes(
            safetensors(**{f"w{number}": bytes([number]) * 64})
        )
    what, data = subject(folder).what, Named(name="data", others=(("sha256", "dd" * 32),))
    lines = BEN.ran("train", what, (Relation.TRAINED_ON, data)) + CLEO.reviewed(what)
    (tmp_path / "model.attestations.jsonl").write_bytes(lines)
    return folder


def weighed(
    model: Path, policy: Policy = POLICY, command: str = "check", team: Sequence[Person] = TEAM, **more
) -> Report:
    ask = frozenset({Ask.STATEMENTS} if command == "trace" else Ask)
    return weigh(
        Request(
            paths=(str(model),),
            command=command,
            ask=ask,
            policy=policy,
            now=datetime.now(UTC),
            keyring=Keyring(anchors=tuple(one.anchor for one in team)),
            **more,
        )
    )


def row(report: Report, question: str) -> tuple[str, str]:
    found = next(one for one in report.evidence if one.question == question)
    return found.outcome.value, found.code


def listed(*entries: RecallEntry, version: int = 1) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return OFFICE.signs(statement_of(Recall(version=version, issued=now, entries=entries)))


def entry(target: Named, kind: RecallKind = RecallKind.MODEL) -> RecallEntry:
    return RecallEntry(kind=kind, target=target, reason="bad", since="2026-01-01T00:00:00Z")


def with_places(**places: object) -> Policy:
    settings = POLICY.settings
    return replace(POLICY, settings=replace(settings, evidence=replace(settings.evidence, **places)))


def test_the_good_model_passes(model: Path) -> None:
    for command in ("check", "trace"):
        report = weighed(model, command=command)
        assert report.verdict.decision is Decision.ADMITTED, report.verdict.reasons


# -- files that are no part of the model


def bundle_with(model: Path, where: tuple[str, ...], field: str) -> bytes:
    document = json.loads((model.parent / "model.attestations.jsonl").read_bytes().splitlines()[0])
    at = document
    for key in where:
        at = at[int(key)] if key.isdigit() else at[key]
    at[field] = {"auto_map": "evil.Evil"}
    return json.dumps(document).encode() + b"\n"


@pytest.mark.parametrize(
    "where", [(), ("verificationMaterial",), ("dsseEnvelope",), ("dsseEnvelope", "signatures", "0"), ("verificationMaterial", "publicKey")]
)  # fmt: skip
def test_a_bundle_that_carries_something_besides_is_part_of_the_model(
    model: Path, where: tuple[str, ...]
) -> None:
    (model / "attestations.jsonl").write_bytes(bundle_with(model, where, "model"))
    report = weighed(model)
    assert "attestations.jsonl" in {file.path for file in report.files}
    assert report.verdict.decision is not Decision.ADMITTED


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf", b"PK\x03\x04", b"{}\n", b"import os\n"])
def test_a_file_of_statements_that_is_none_is_part_of_the_model(model: Path, data: bytes) -> None:
    lines = (model.parent / "model.attestations.jsonl").read_bytes()
    (model / "attestations.jsonl").write_bytes(data + lines if data.strip() else data)
    assert statement_file_inside(model) == frozenset()
    assert weighed(model).verdict.decision is not Decision.ADMITTED


def test_a_signed_payload_that_is_no_statement_is_part_of_the_model(model: Path) -> None:
    from weighbridge.sign.signer import sign_statement

    (model / "attestations.jsonl").write_bytes(sign_statement(b"import os\n", EVE.signer) + b"\n")
    assert statement_file_inside(model) == frozenset()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_something_else_under_the_name_of_statements(model: Path, kind: str) -> None:
    at = model / "attestations.jsonl"
    if kind == "link":
        at.symlink_to(model.parent / "model.attestations.jsonl")
    elif kind == "pipe":
        os.mkfifo(at)
    else:
        at.mkdir()
        (at / "x.py").write_text("import os\n")
    assert statement_file_inside(model) == frozenset()
    for command in ("check", "trace"):
        assert weighed(model, command=command).verdict.decision is not Decision.ADMITTED


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_cannot_be_measured_is_in_no_statement(model: Path, kind: str) -> None:
    """The digest of what could be read is still the one that was approved."""
    outside = model.parent / "evil.bin"
    outside.write_bytes(b"evil")
    (model / "extra.bin").symlink_to(outside) if kind == "link" else os.mkfifo(model / "extra.bin")
    report = weighed(model, command="trace")
    assert report.verdict.decision is Decision.UNDECIDED
    for question in ("traced", "approved"):
        assert row(report, question) == ("unknown", "not-measured")


# -- many statements


def test_a_copy_that_does_not_count_takes_nobodys_place(model: Path) -> None:
    """The stranger's copy of a rejection, spoiled, stands first."""
    no = CLEO.reviewed(subject(model).what, "reject")
    document = json.loads(no)
    document["verificationMaterial"] = {"publicKey": {"hint": "x"}, "tlogEntries": []}
    spoiled = json.loads(no)
    spoiled["dsseEnvelope"]["signatures"][0]["sig"] = json.loads(BEN.reviewed(subject(model).what))[
        "dsseEnvelope"
    ]["signatures"][0]["sig"]
    beside = model.parent / "model.attestations.jsonl"
    beside.write_bytes(
        json.dumps(spoiled).encode() + b"\n" + beside.read_bytes() + json.dumps(document).encode() + b"\n"
    )
    assert row(weighed(model), "approved") == ("fail", "rejected")


def test_a_flood_in_a_store_hides_no_rejection(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weighbridge.evidence import find

    monkeypatch.setattr(find, "MOST_FETCHED", 3)
    store, what = StatementStore(model.parent / "store"), subject(model).what
    for number in range(5):
        store.put(Person(f"eve{number}").reviewed(what))
    store.put(CLEO.reviewed(what, "reject"))
    with pytest.raises(UsageError, match="more than 3 statements"):
        weighed(model, statements=(str(model.parent / "store"),))


# -- recalls


def test_a_padded_list_is_refused_and_not_cut(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weighbridge.evidence import find

    monkeypatch.setattr(find, "MAX_LIST", 2000)
    (model.parent / "recalls.jsonl").write_bytes(b" " * 4000 + b"\n" + listed(entry(subject(model).what)))
    with pytest.raises(UsageError, match="more than 2000 bytes"):
        weighed(model, with_places(recalls=(str(model.parent / "recalls.jsonl"),)))


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_a_memory_that_cannot_be_read_ends_in_a_refusal(model: Path, kind: str) -> None:
    state = model.parent / "state"
    state.mkdir()
    os.mkfifo(state / "recalls.jsonl") if kind == "pipe" else (state / "recalls.jsonl").mkdir()
    with pytest.raises(UsageError, match="no regular file"):
        weighed(model, state=state)


def test_two_writers_forget_nothing(model: Path) -> None:
    """A list that somebody else remembers between our look and our writing stays."""
    from weighbridge.evidence import mark

    state = model.parent / "state"
    old, new = listed(version=1).strip(), listed(entry(subject(model).what), version=2).strip()
    mark.keep_lists(state, [old], [])
    mark.keep_lists(state, [new], [old, new])
    mark.keep_lists(state, [old], [old])  # had seen nothing newer
    assert row(weighed(model, state=state), "current") == ("fail", "recalled")


def test_a_part_of_what_was_recalled(model: Path) -> None:
    """A guard weighs the files that are opened; what was recalled is the whole."""
    sign_model(Wish(path=str(model)), [BEN.signer])
    whole = subject(model).what
    state = model.parent / "state"
    state.mkdir()
    (state / "recalls.jsonl").write_bytes(listed(entry(replace(whole, name="model"))))
    part = weighed(model, default_policy(), only=("part-1.safetensors",), state=state)
    assert row(part, "current") == ("fail", "recalled")
    assert part.verdict.decision is Decision.REFUSED
    (state / "recalls.jsonl").write_bytes(listed(version=2))
    part = weighed(model, default_policy(), only=("part-1.safetensors",), state=state)
    assert row(part, "current") == ("unknown", "not-measured")


def test_a_lineage_that_cannot_be_asked(model: Path) -> None:
    recalls = model.parent / "recalls.jsonl"
    recalls.write_bytes(listed(entry(Named(name="base", others=(("sha256", "bb" * 32),)))))
    assert row(weighed(model, with_places(recalls=(str(recalls),))), "current") == ("pass", "")
    policy = with_places(recalls=(str(recalls),), lineage=str(model.parent / "nowhere.db"))
    assert row(weighed(model, policy), "current") == ("unknown", "no-such-path")


def test_what_only_the_lineage_of_the_policy_knows(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weighbridge.evidence import records
    from weighbridge.evidence.recalls import Ancestor

    recalls, base = model.parent / "recalls.jsonl", Named(name="base", others=(("sha256", "bb" * 32),))
    recalls.write_bytes(listed(entry(base)))
    known = (Ancestor(base, ("fine tuned from base",), sure=True),)
    monkeypatch.setattr(records, "ancestors", lambda question, subject: known)
    policy = with_places(recalls=(str(recalls),), lineage="lineage.db")
    assert row(weighed(model, policy), "current") == ("fail", "recalled")


def test_a_log_with_another_statement_is_not_one_with_the_signature(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from weighbridge.evidence import records

    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        records, "log_rows", lambda question, statements: seen.append(tuple(statements)) or ()
    )
    weighed(model, replace(POLICY, log=Need.REQUIRED))
    assert len(seen[0]) == 2
    sign_model(Wish(path=str(model)), [BEN.signer])
    weighed(model, replace(POLICY, log=Need.REQUIRED))
    assert len(seen[1]) == 1
    assert not set(seen[0]) & set(seen[1])


# -- sweep


def swept(*places: Path, recalled: Named, quarantine: Path | None = None) -> dict[str, tuple[str, str, str]]:
    state = places[0].parent / "state"
    state.mkdir(exist_ok=True)
    (state / "recalls.jsonl").write_bytes(listed(entry(recalled)))
    policy = replace(default_policy(), recalls=Need.REQUIRED)
    found = sweep(places, lambda path: weighed(path, policy, "sweep", state=state), quarantine, now=NOW)
    return {Path(one.path).name: (one.outcome.value, one.code, one.quarantined) for one in found}


def test_a_quarantine_inside_of_the_model_moves_nothing_and_says_so(model: Path) -> None:
    found = swept(model, recalled=subject(model).what, quarantine=model / "away")
    assert found == {"model": ("fail", "cannot-write", "")}
    assert (model / "config.json").exists()


def test_one_that_cannot_be_moved_does_not_hide_the_others(tmp_path: Path, model: Path) -> None:
    import shutil

    place, blocked = tmp_path / "place", tmp_path / "blocked"
    shutil.copytree(model, place / "a")
    shutil.copytree(model, place / "b")
    blocked.write_text("a file where the quarantine should be")
    found = swept(place, recalled=subject(model).what, quarantine=blocked)
    assert {name: row[0] for name, row in found.items()} == {"a": "fail", "b": "fail"}


def test_a_folder_with_the_name_of_a_cache_is_looked_into(tmp_path: Path, model: Path) -> None:
    import shutil

    shutil.copytree(model, tmp_path / "place" / "blobs")
    assert swept(tmp_path / "place", recalled=subject(model).what)["blobs"][0] == "fail"


def test_a_link_is_followed_to_what_is_moved(tmp_path: Path, model: Path) -> None:
    (tmp_path / "link").symlink_to(model)
    found = swept(tmp_path / "link", recalled=subject(model).what, quarantine=tmp_path / "away")
    assert found["link"][0] == "fail"
    assert not model.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_not_clean(tmp_path: Path, model: Path) -> None:
    closed = tmp_path / "place" / "closed"
    closed.mkdir(parents=True)
    closed.chmod(0)
    try:
        assert swept(tmp_path / "place", recalled=subject(model).what)["closed"][0] == "unknown"
    finally:
        closed.chmod(0o700)


def test_the_fields_of_other_signers_bundles_are_known() -> None:
    """A bundle with a chain and a timestamp stays a bundle; with anything else in it, it is a file like any other."""
    from weighbridge.evidence.find import _only_known
    from weighbridge.sign.bundle import certificate_material, write_bundle
    from weighbridge.sign.dsse import Envelope

    envelope = Envelope(payload=b"{}", signature=b"s")
    document = json.loads(write_bundle(envelope, certificate_material([b"der"]), [b"stamp"]))
    assert _only_known(document)
    document["verificationMaterial"]["x509CertificateChain"]["certificates"][0]["x"] = 1
    assert not _only_known(document)
