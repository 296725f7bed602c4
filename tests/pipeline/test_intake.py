"""Contributions of others: in quarantine until enough people agree, none of whom made them."""

import json
import os
import pickle
import shutil
import stat
import sys
from pathlib import Path

import pytest

from tests.documents import conforms
from tests.pipeline.conftest import process, statements
from tests.statements import ANOTHER_SPELLING, IN_A_KEYRING, THEN
from weighbridge.attest.predicates.review import TYPE as REVIEW
from weighbridge.core.statement import Named, Statement
from weighbridge.pipeline.quarantine import Quarantine
from weighbridge.pipeline.release import subjects_of
from weighbridge.signing import Wish, sign_model

ASK = ["--approvals", "safety=1,lead=1", "--waivers", "lead"]


class Harmful:
    def __reduce__(self):
        return os.system, ("echo weighbridge-sample",)


@pytest.fixture
def here(tmp_path, team) -> Path:
    """The working folder, with `adapter` and `evil`."""
    team.join("acme", "safety", "lead")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "config.json").write_text('{"r": 16}\n')
    (adapter / "run.sh").write_text("#!/bin/sh\necho weighbridge-sample\n")
    (adapter / "run.sh").chmod(0o755)
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "head.pkl").write_bytes(pickle.dumps(Harmful()))
    return tmp_path


@pytest.fixture
def intake(weighbridge, team, here):
    def call(action: str, *more: object, key: str = "", by_json: bool = True):
        where = "--into" if action == "add" else "--in"
        words = ["intake", action, *more, where, here / "q", "--trust", team.trust]
        words += ["--key", team.key(key)] if key else []
        return weighbridge(*words, *(["--format", "json"] if by_json else []))

    return call


def add(intake, path="adapter", contributor="acme", **more) -> str:
    answer = intake("add", path, "--kind", "adapter", "--contributor", contributor, **more)
    assert answer.code == 0, answer.out
    return answer.json["id"]


def agree(intake, identity, *more) -> None:
    for who, role in (("cleo", "safety"), ("dana", "lead")):
        answer = intake("approve", identity[:16], "--role", role, *ASK, *more, key=who)
        assert answer.code == 0, answer.out


def refused(answer) -> list[str]:
    assert answer.code == 1, answer.out
    return [code for code in answer.codes if code != "approval-left-out"]


def test_from_quarantine_to_release(intake, here, team):
    identity = add(intake)
    held = here / "q" / identity / "content/adapter/run.sh"
    assert stat.S_IMODE(held.stat().st_mode) == 0o644
    assert intake("list").json["contributions"][0]["state"] == "quarantined"  # nobody says who must approve
    assert intake("list", *ASK).json["contributions"][0]["state"] == "quarantined"
    assert refused(intake("release", identity, "--to", here / "models", *ASK)) == ["approval-missing"]
    assert not (here / "models/adapter").exists()
    agree(intake, identity)
    assert intake("show", identity, *ASK).json["state"] == "approved"
    answer = intake("release", identity, "--to", here / "models", *ASK)
    assert answer.code == 0, answer.out
    assert (here / "models/adapter/config.json").read_text() == '{"r": 16}\n'
    left = statements(here / "models/adapter.attestations.jsonl")
    assert [one["predicate"]["role"] for one in left] == ["safety", "lead"]
    assert intake("list", *ASK).json["contributions"][0]["state"] == "released"
    again = intake("release", identity, "--to", here / "models", *ASK)
    assert (again.code, again.json["error"]["code"]) == (2, "file-exists")


def test_the_reviews_that_come_with_it_count_for_check(intake, here, team, weighbridge):
    identity = add(intake)
    agree(intake, identity)
    intake("release", identity, "--to", here / "models", *ASK)
    (here / "weighbridge.toml").write_text(
        '[policy]\nsignature = "optional"\napprovals = {safety = 1, lead = 1}\n'
    )
    answer = weighbridge("check", here / "models/adapter", "--trust", team.trust, "--format", "json")
    row = next(row for row in answer.json["evidence"] if row["question"] == "approved")
    assert row["outcome"] == "pass", row


def test_the_policy_says_who(intake, here):
    (here / "weighbridge.toml").write_text("[intake]\napprovals = {safety = 1, lead = 1}\n")
    identity = add(intake)
    assert refused(intake("release", identity, "--to", here / "models")) == ["approval-missing"]
    # An option asks for more, never for less.
    assert refused(intake("release", identity, "--to", here / "models", "--approvals", "builder=1")) == [
        "approval-missing"
    ]
    agree(intake, identity)
    assert refused(intake("release", identity, "--to", here / "models", "--approvals", "builder=1")) == [
        "approval-missing"
    ]
    assert intake("release", identity, "--to", here / "models").code == 0


def test_nobody_says_who(intake, here):
    answer = intake("release", add(intake), "--to", here / "models")
    assert (answer.code, answer.json["error"]["code"]) == (2, "approvals-needed")


def test_the_contributor_approves_their_own(intake, here):
    identity = add(intake)
    assert intake("approve", identity, "--role", "safety", *ASK, key="acme").codes == ["own-approval"]
    assert refused(intake("release", identity, "--to", here / "models", *ASK)) == ["approval-missing"]


@pytest.mark.parametrize("case", ["case", "key", "key-option", "signature"])
def test_the_contributor_under_another_name(intake, here, team, case):
    if case == "case":
        identity, who = add(intake, contributor="ACME"), "acme"
    elif case == "key":
        team.join("alice", "safety", key="acme")
        identity, who = add(intake), "alice"
    elif case == "key-option":
        answer = intake(
            "add",
            "adapter",
            "--kind",
            "adapter",
            "--contributor",
            "somebody",
            "--contributor-key",
            team.keys / "cleo.pub",
        )
        identity, who = answer.json["id"], "cleo"
    else:
        sign_model(Wish(path=str(here / "adapter")), [team.people["cleo"].signer])
        identity, who = add(intake, contributor="somebody"), "cleo"
    assert intake("approve", identity, "--role", "safety", *ASK, key=who).codes == ["own-approval"]
    # and past the command, by hand
    record = here / "q" / identity / "record.json"
    assert record.exists()
    force(here, identity, team, (who, "safety"), ("dana", "lead"))
    assert refused(intake("release", identity, "--to", here / "models", *ASK)) == ["approval-missing"]


def subjects(here: Path, identity: str) -> tuple[Named, ...]:
    from weighbridge.pipeline.quarantine import Quarantine
    from weighbridge.pipeline.release import subjects_of

    return subjects_of(Quarantine(here / "q").record(identity))


def force(here, identity, team, *votes) -> None:
    lines = b""
    for who, role in votes:
        from weighbridge.attest.predicates.review import Decision, Review

        said = Review(decision=Decision.APPROVE, time="2026-11-20T00:00:00Z", role=role)
        lines += team.people[who].states("review", said, *subjects(here, identity))
    path = here / "q" / identity / "reviews.jsonl"
    path.write_bytes((path.read_bytes() if path.exists() else b"") + lines)


def test_forged_reviews_and_one_person_twice(intake, here, team):
    team.stranger("eve")
    team.join("donald", "lead", key="cleo")
    identity = add(intake)
    force(here, identity, team, ("eve", "lead"), ("cleo", "safety"), ("donald", "lead"))
    assert refused(intake("release", identity, "--to", here / "models", *ASK)) == ["approval-missing"]


@pytest.mark.parametrize("how", IN_A_KEYRING)
def test_one_person_by_another_spelling(intake, here, team, how):
    first, second = (
        team.join(name, role).name
        for name, role in zip(ANOTHER_SPELLING[how], ("safety", "lead"), strict=True)
    )
    identity = add(intake)
    force(here, identity, team, (first, "safety"), (second, "lead"))
    assert refused(intake("release", identity, "--to", here / "models", *ASK)) == ["approval-missing"]


@pytest.mark.parametrize("how", IN_A_KEYRING)
def test_the_contributor_by_another_spelling(intake, here, team, how):
    contributor, again = ANOTHER_SPELLING[how]
    team.join(again, "safety")
    identity = add(intake, contributor=contributor)
    assert intake("approve", identity, "--role", "safety", *ASK, key=again).codes == ["own-approval"]
    force(here, identity, team, (again, "safety"), ("dana", "lead"))
    assert refused(intake("release", identity, "--to", here / "models", *ASK)) == ["approval-missing"]


def test_reviews_of_another_contribution(intake, here, team):
    first = add(intake)
    agree(intake, first)
    (here / "adapter/config.json").write_text('{"r": 32}\n')
    second = add(intake)
    shutil.copy(here / "q" / first / "reviews.jsonl", here / "q" / second / "reviews.jsonl")
    assert refused(intake("release", second, "--to", here / "models", *ASK)) == ["approval-missing"]


@pytest.mark.parametrize("change", ["changed", "added", "removed", "replaced"])
def test_changed_in_quarantine(intake, here, change):
    identity = add(intake)
    agree(intake, identity)
    folder = here / "q" / identity / "content/adapter"
    if change == "changed":
        (folder / "config.json").write_text('{"r": 17}\n')
    elif change == "added":
        (folder / "more.json").write_text("{}")
    elif change == "removed":
        (folder / "config.json").unlink()
    else:
        folder.rename(here / "away")
        folder.symlink_to(here / "evil")
    answer = intake("release", identity, "--to", here / "models", *ASK)
    assert (answer.code, answer.json["error"]["code"]) == (3, "quarantine-changed")
    assert not (here / "models/adapter").exists()
    assert intake("show", identity).json["error"]["code"] == "quarantine-changed"


def test_a_record_that_was_changed_has_no_approvals_left(intake, here):
    """Somebody makes the contributor somebody else, after or before the approvals."""
    identity = add(intake)
    agree(intake, identity)
    path = here / "q" / identity / "record.json"
    path.write_text(path.read_text().replace('"acme"', '"other"'))
    assert refused(intake("release", identity, "--to", here / "models", *ASK)) == ["approval-missing"]


def test_findings_block_until_they_are_waived(intake, here):
    identity = add(intake, "evil")
    conforms("contribution", json.loads((here / "q" / identity / "record.json").read_text()))
    conforms("intake", intake("list").json)
    assert intake("show", identity).json["scan"]["verdict"] == "refused"
    agree(intake, identity)
    assert refused(intake("release", identity, "--to", here / "models", *ASK)) == ["finding-blocks"]
    assert not (here / "models/evil").exists()
    waive = ["--waive", "a test of ours"]
    assert intake("approve", identity, "--role", "safety", *waive, *ASK, key="cleo").codes == ["waiver-role"]
    empty = intake("approve", identity, "--role", "lead", "--waive", " ", *ASK, key="dana")
    assert empty.json["error"]["code"] == "waiver-reason"
    assert intake("approve", identity, "--role", "lead", *waive, *ASK, key="dana").code == 0
    assert intake("show", identity, *ASK).json["waivers"][0]["why"] == "a test of ours"
    # The waiver counts only where the policy lets the role waive.
    bare = ["--approvals", "safety=1,lead=1"]
    assert refused(intake("release", identity, "--to", here / "models", *bare)) == ["finding-blocks"]
    assert intake("release", identity, "--to", here / "models", *ASK).code == 0


def test_a_finding_taken_out_of_the_record_is_found_again(intake, here, team):
    identity = add(intake, "evil")
    path = here / "q" / identity / "record.json"
    document = json.loads(path.read_text())
    document["scan"]["findings"] = []
    path.write_text(json.dumps(document))
    force(here, identity, team, ("cleo", "safety"), ("dana", "lead"))
    assert refused(intake("release", identity, "--to", here / "models", *ASK)) == ["finding-blocks"]


def test_a_rejection_stands(intake, here):
    identity = add(intake)
    agree(intake, identity)
    assert intake("reject", identity, "--role", "safety", "--comment", "no", *ASK, key="dora").code == 0
    assert intake("show", identity, *ASK).json["state"] == "rejected"
    assert refused(intake("release", identity, "--to", here / "models", *ASK)) == ["rejected"]


def test_the_same_files_again(intake, here):
    identity = add(intake)
    assert add(intake) == identity
    answer = intake("add", "adapter", "--kind", "adapter", "--contributor", "mallory")
    assert (answer.code, answer.json["error"]["code"]) == (2, "contribution-known")


def test_nothing_is_left_behind_and_links_out_are_refused(intake, here):
    (here / "adapter/link").symlink_to("/etc/passwd")
    answer = intake("add", "adapter", "--kind", "adapter", "--contributor", "acme")
    assert (answer.code, answer.json["error"]["code"]) == (2, "cannot-take")
    assert list((here / "q").iterdir()) == []


def test_one_file_and_a_signature_beside_it(intake, here, team):
    file = here / "tiny.json"
    file.write_text("[1]")
    sign_model(Wish(path=str(file)), [team.people["acme"].signer])
    answer = intake("add", file, "--kind", "data", "--contributor", "acme")
    assert answer.json["signatures"][0]["by"] == "acme"
    identity = answer.json["id"]
    agree(intake, identity)
    assert intake("release", identity, "--to", here / "models", *ASK).code == 0
    assert {path.name for path in (here / "models").iterdir()} == {
        "tiny.json",
        "tiny.json.sig",
        "tiny.json.attestations.jsonl",
    }


@pytest.mark.parametrize("text", ["abc", "zzzzzzzz", "0" * 64])
def test_no_such_contribution(intake, here, text):
    add(intake)
    answer = intake("show", text)
    assert (answer.code, answer.json["error"]["code"]) == (2, "no-such-contribution")


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "weighbridge.intake/v1"}', "{"])
def test_a_record_that_is_none(intake, here, text):
    identity = add(intake)
    (here / "q" / identity / "record.json").write_text(text)
    answer = intake("list")
    assert (answer.code, answer.json["error"]["code"]) == (3, "quarantine-damaged")


@pytest.mark.parametrize(
    ("old", "new"), [('"size": ', '"size": 1e999, "was": '), ('"files": "', '"files": 7, "was": "')]
)
def test_a_record_with_other_values(intake, here, old, new):
    identity = add(intake)
    path = here / "q" / identity / "record.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    answer = intake("list")
    assert (answer.code, answer.json["error"]["code"]) == (3, "quarantine-damaged")


def test_a_review_that_nobody_can_read_may_be_a_rejection(intake, here, team):
    """Signed by somebody of the keyring, in words that this version does not know."""
    identity = add(intake)
    agree(intake, identity)
    dana = team.people["dana"]
    said = Statement(
        subjects=subjects_of(Quarantine(here / "q").record(identity)),
        predicate_type=REVIEW,
        predicate={"decision": "veto", "time": THEN, "role": "lead"},
    )
    with (here / "q" / identity / "reviews.jsonl").open("ab") as file:
        file.write(dana.signs(said))
    shown = conforms("intake", intake("show", identity, *ASK).json)
    assert (shown["state"], [one["who"] for one in shown["unread"]]) == ("quarantined", ["dana"])
    answer = intake("release", identity, "--to", here / "models", *ASK)
    assert conforms("intake", answer.json)["verdict"] == "refused"
    assert refused(answer) == ["review-unread"]
    assert not (here / "models/adapter").exists()


def test_a_quarantine_that_everybody_may_write(intake, here):
    (here / "q").mkdir()
    (here / "q").chmod(0o777)
    answer = intake("add", "adapter", "--kind", "adapter", "--contributor", "acme")
    assert answer.json["error"]["code"] == "quarantine-writable"


def test_writers_at_the_same_time(team, here):
    words = [
        "intake",
        "add",
        "adapter",
        "--kind",
        "adapter",
        "--contributor",
        "acme",
        "--into",
        "q",
        "--trust",
        team.trust,
    ]
    for one in [process(*words, "--format", "json") for _ in range(4)]:
        out, err = one.communicate(timeout=60)
        assert one.returncode == 0, out + err
    (identity,) = [path.name for path in (here / "q").iterdir()]
    votes = [("cleo", "safety"), ("dana", "lead"), ("dora", "lead")]
    running = [
        process(
            "intake",
            "approve",
            identity,
            "--in",
            "q",
            "--role",
            role,
            "--key",
            team.key(who),
            "--trust",
            team.trust,
        )
        for who, role in votes
    ]
    for one in running:
        out, err = one.communicate(timeout=60)
        assert one.returncode == 0, out + err
    assert len(statements(here / "q" / identity / "reviews.jsonl")) == 3
    outs = [
        process("intake", "release", identity, "--in", "q", "--to", "m", "--trust", team.trust, *ASK)
        for _ in range(3)
    ]
    codes = sorted((one.communicate(timeout=60), one.returncode)[1] for one in outs)
    assert codes == [0, 2, 2]


CEDAR = """
permit (principal in Role::"safety", action == Action::"approve", resource is Contribution);
permit (principal in Role::"lead", action == Action::"approve", resource is Contribution) when { resource.kind == "adapter" };
permit (principal in Role::"builder", action == Action::"admit", resource is Contribution) when { resource.errors == 0 };
"""


def test_cedar_says_who_may_let_it_out(intake, here):
    (here / "who.cedar").write_text(CEDAR)
    cedar = ["--cedar", here / "who.cedar"]
    identity = add(intake)
    assert intake("approve", identity, "--role", "builder", *ASK, *cedar, key="ben").codes == ["cedar-denied"]
    agree(intake, identity, *cedar)
    release = ["release", identity, "--to", here / "models", *ASK, *cedar]
    assert refused(intake(*release)) == ["cedar-nobody"]
    assert refused(intake(*release, key="cleo")) == ["cedar-denied"]
    assert intake(*release, key="ben").code == 0


def test_for_people(intake, here):
    identity = add(intake, "evil")
    shown = intake("show", identity, *ASK, by_json=False)
    assert shown.out.startswith("QUARANTINED")
    assert "[pickle-unsafe-call]" in shown.out
    assert intake("list", by_json=False).out.count("\n") == 1
    answer = intake("release", identity, "--to", "models", *ASK, by_json=False)
    assert answer.out.startswith("REFUSED")
    assert sys.getsizeof(answer.out) > 100
