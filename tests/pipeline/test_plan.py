"""Plans: who may let a step run on what, and every way to get around it."""

import json
import sys

import pytest

from tests.documents import conforms
from tests.pipeline.conftest import git, statements
from tests.statements import ANOTHER_SPELLING, IN_A_KEYRING, NOW, THEN
from weighbridge.attest.predicates.plan import plan_named
from weighbridge.attest.predicates.review import TYPE as REVIEW
from weighbridge.attest.predicates.training import Training
from weighbridge.core.statement import Named, Statement
from weighbridge.pipeline.plan import load
from weighbridge.trust.keyring import load_keyring
from weighbridge.trust.keyring.editing import revoke_identity

RUN = ["--", sys.executable, "train.py", "../data", "../out"]


@pytest.fixture
def made(weighbridge, team, project, tmp_path):
    """A plan by anna for this code on this data, not approved by anybody."""
    answer = weighbridge(
        "plan", "make", "--name", "triage", "--data", "../data", "--code", ".", "--approvals", "safety=1,lead=1",
        "--until", "2999-12-31", "--out", "../triage.plan.jsonl", "--key", team.key("anna"), "--format", "json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    return tmp_path / "triage.plan.jsonl", answer.json["plan"]


@pytest.fixture
def plan(made):
    return made[0]


@pytest.fixture
def approve(weighbridge, team, plan):
    def call(who: str, role: str, *more: object, verb: str = "approve", target=None):
        return weighbridge(
            "plan",
            verb,
            target or plan,
            "--role",
            role,
            "--key",
            team.key(who),
            "--trust",
            team.trust,
            "--format",
            "json",
            *more,
        )

    return call


@pytest.fixture
def start(weighbridge, team, plan, tmp_path):
    def call(*more: object, command=RUN, name="train", materials=("../data",), target=None):
        return weighbridge(
            "run", "--name", name, "--materials", *materials, "--products", "../out", "--key", team.key("ben"),
            "--plan", target or plan, "--trust", team.trust, "--format", "json", *more, *command,
        )  # fmt: skip

    return call


@pytest.fixture
def approved(approve, plan):
    assert approve("cleo", "safety").code == 0
    assert approve("dana", "lead").code == 0
    return plan


def refused(answer, tmp_path) -> list[str]:
    assert answer.code == 1, answer.out + answer.err
    assert answer.json["verdict"] == "refused"
    assert not (tmp_path / "out").exists()
    return [code for code in answer.codes if code != "approval-left-out"]


def test_an_approved_plan_lets_the_run_start_and_is_named(approved, made, start, tmp_path):
    assert start().code == 0
    training, provenance = statements(tmp_path / "out.attestations.jsonl")
    assert training["predicate"]["plan"] == made[1]
    assert provenance["predicate"]["buildDefinition"]["externalParameters"]["plan"] == made[1]


def test_nobody_has_approved(start, tmp_path):
    assert refused(start(), tmp_path) == ["approval-missing"]


def test_one_of_two_has_approved(start, approve, tmp_path):
    assert approve("cleo", "safety").code == 0
    answer = start()
    assert refused(answer, tmp_path) == ["approval-missing"]
    assert 'the role "lead"' in answer.json["reasons"][0]["why"]


def test_one_person_with_both_roles_is_one_person(start, approve, tmp_path):
    assert approve("dora", "safety").code == 0
    again = approve("dora", "lead")
    assert (again.code, again.codes) == (1, ["approved-twice"])
    assert refused(start(), tmp_path) == ["approval-missing"]


def test_whoever_holds_two_roles_takes_the_place_that_is_free(start, approve):
    assert approve("dora", "safety").code == 0
    assert approve("dana", "lead").code == 0
    assert start().code == 0


def test_the_author_does_not_approve(team, approve, weighbridge, project, tmp_path):
    answer = weighbridge(
        "plan", "make", "--name", "own", "--data", "../data", "--approvals", "safety=1,lead=1", "--until", "2999-01-01",
        "--out", "../own.jsonl", "--key", team.key("dora"),
    )  # fmt: skip
    assert answer.code == 0
    answer = approve("dora", "safety", target=tmp_path / "own.jsonl")
    assert (answer.code, answer.codes) == (1, ["own-approval"])


@pytest.mark.parametrize(
    ("who", "role", "codes"),
    [
        ("ben", "safety", ["reviewer-role"]),
        ("cleo", "lead", ["reviewer-role"]),
        ("ben", "builder", ["reviewer-role"]),
        ("eve", "safety", ["reviewer-unknown"]),
    ],
)
def test_approvals_that_would_not_count_are_not_written(team, plan, approve, who, role, codes):
    team.stranger("eve")
    before = plan.read_bytes()
    answer = approve(who, role)
    assert (answer.code, answer.codes) == (1, codes)
    assert plan.read_bytes() == before


# What somebody puts into the file by hand, past `plan approve`


def add(plan, *lines: bytes) -> None:
    plan.write_bytes(plan.read_bytes() + b"".join(lines))


def test_a_forged_approval(team, plan, made, approve, start, tmp_path):
    eve = team.stranger("eve")
    assert approve("cleo", "safety").code == 0
    add(plan, eve.reviewed(plan_named(made[1]), role="lead"))
    line = json.loads(team.people["dana"].reviewed(plan_named(made[1]), role="lead"))
    line["dsseEnvelope"]["signatures"][0]["sig"] = json.loads(eve.reviewed(plan_named(made[1])))[
        "dsseEnvelope"
    ]["signatures"][0]["sig"]
    add(plan, json.dumps(line).encode() + b"\n")
    assert refused(start(), tmp_path) == ["approval-missing"]


def test_one_person_under_two_names_with_one_key(team, plan, made, start, tmp_path):
    team.join("donald", "lead", key="cleo")
    cleo, donald = team.people["cleo"], team.people["donald"]
    add(
        plan,
        cleo.reviewed(plan_named(made[1]), role="safety"),
        donald.reviewed(plan_named(made[1]), role="lead"),
    )
    assert refused(start(), tmp_path) == ["approval-missing"]


def test_one_person_with_two_keys(team, plan, made, start, tmp_path):
    second = team.join("cleo", "safety", "lead")
    add(
        plan,
        second.reviewed(plan_named(made[1]), role="safety"),
        second.reviewed(plan_named(made[1]), role="lead"),
    )
    assert refused(start(), tmp_path) == ["approval-missing"]


def test_two_names_that_the_keyring_ties_together_by_another_key(team, plan, made, start, tmp_path):
    """`carl` has cleo's key and one of his own, and signs with his own."""
    team.join("carl", "lead", key="cleo")
    carl = team.join("carl", "lead")
    add(
        plan,
        team.people["cleo"].reviewed(plan_named(made[1]), role="safety"),
        carl.reviewed(plan_named(made[1]), role="lead"),
    )
    assert refused(start(), tmp_path) == ["approval-missing"]


@pytest.mark.parametrize("how", IN_A_KEYRING)
def test_one_person_by_another_spelling(team, plan, made, approve, start, tmp_path, how):
    first, second = (
        team.join(name, role) for name, role in zip(ANOTHER_SPELLING[how], ("safety", "lead"), strict=True)
    )
    assert approve(first.name, "safety").code == 0
    again = approve(second.name, "lead")
    assert (again.code, again.codes) == (1, ["approved-twice"])
    add(plan, second.reviewed(plan_named(made[1]), role="lead"))
    assert refused(start(), tmp_path) == ["approval-missing"]


@pytest.mark.parametrize("how", IN_A_KEYRING)
def test_the_author_by_another_spelling(team, weighbridge, approve, project, tmp_path, how):
    author, again = (team.join(name, "safety") for name in ANOTHER_SPELLING[how])
    answer = weighbridge(
        "plan", "make", "--name", "own", "--data", "../data", "--approvals", "safety=1,lead=1", "--until", "2999-01-01",
        "--out", "../own.jsonl", "--key", team.key(author.name),
    )  # fmt: skip
    assert answer.code == 0
    answer = approve(again.name, "safety", target=tmp_path / "own.jsonl")
    assert (answer.code, answer.codes) == (1, ["own-approval"])


def test_the_author_under_another_name_with_the_same_key(team, plan, made, start, tmp_path):
    team.join("annette", "safety", key="anna")
    add(
        plan, team.people["annette"].reviewed(plan_named(made[1]), role="safety"),
        team.people["dana"].reviewed(plan_named(made[1]), role="lead"),
    )  # fmt: skip
    assert refused(start(), tmp_path) == ["approval-missing"]


def test_the_approval_of_another_plan(team, plan, start, tmp_path):
    other = "sha256:" + "ab" * 32
    add(
        plan, team.people["cleo"].reviewed(plan_named(other), role="safety"),
        team.people["dana"].reviewed(plan_named(other), role="lead"),
    )  # fmt: skip
    answer = start()
    assert refused(answer, tmp_path) == ["approval-missing"]
    assert "is about something else" in answer.out


def test_approvals_without_a_role_or_only_comments(team, plan, made, start, tmp_path):
    add(
        plan, team.people["cleo"].reviewed(plan_named(made[1])),
        team.people["dana"].reviewed(plan_named(made[1]), "comment", role="lead"),
    )  # fmt: skip
    assert refused(start(), tmp_path) == ["approval-missing"]


def test_a_rejection_stands(approved, approve, start, tmp_path):
    assert approve("dora", "lead", "--comment", "not on this data", verb="reject").code == 0
    assert refused(start(), tmp_path) == ["rejected"]


def test_what_a_reviewer_says_in_unknown_words_may_be_a_rejection(team, approved, made, start, tmp_path):
    dana, eve = team.people["dana"], team.stranger("eve")
    said = Statement(
        subjects=(plan_named(made[1]),), predicate_type=REVIEW, predicate={"decision": "veto", "time": THEN}
    )
    add(approved, eve.signs(said))
    assert load(approved, load_keyring(team.trust), NOW).reasons == ()
    add(approved, dana.signs(said))
    assert refused(start(), tmp_path) == ["review-unread"]


def test_somebody_unknown_cannot_reject(team, approved, made, start):
    add(approved, team.stranger("eve").reviewed(plan_named(made[1]), "reject", role="lead"))
    assert start().code == 0


def test_an_approver_who_was_revoked(team, approved, start, tmp_path):
    from tests.statements import NOW

    revoke_identity(team.trust, "dana", at=NOW.replace(year=2020), reason="left")
    assert refused(start(), tmp_path) == ["approval-missing"]


def test_a_plan_that_nobody_known_signed(team, weighbridge, project, start, tmp_path):
    team.stranger("eve")
    answer = weighbridge(
        "plan", "make", "--name", "x", "--data", "../data", "--approvals", "safety=1,lead=1", "--until", "2999-01-01",
        "--out", "../x.jsonl", "--key", team.key("eve"), "--format", "json",
    )  # fmt: skip
    target = tmp_path / "x.jsonl"
    digest = answer.json["plan"]
    add(
        target, team.people["cleo"].reviewed(plan_named(digest), role="safety"),
        team.people["dana"].reviewed(plan_named(digest), role="lead"),
    )  # fmt: skip
    assert refused(start(target=target), tmp_path) == ["plan-unsigned"]


# Other inputs, other code, other times


def test_other_data(approved, start, tmp_path):
    (tmp_path / "data/rows.csv").write_text("poisoned\n")
    assert refused(start(), tmp_path) == ["plan-missing-input", "plan-other-input"]


def test_more_than_the_plan_names(approved, start, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more/x.csv").write_text("x")
    assert refused(start(materials=("../data", "../more")), tmp_path) == ["plan-other-input"]


def test_less_than_the_plan_names(approved, start, tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more/x.csv").write_text("x")
    assert refused(start(materials=("../more",)), tmp_path) == ["plan-missing-input", "plan-other-input"]


def test_another_step(approved, start, tmp_path):
    assert refused(start(name="release"), tmp_path) == ["plan-other-step"]


def test_another_commit(approved, start, project, tmp_path):
    (project / "more.py").write_text("1\n")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "second")
    assert refused(start(), tmp_path) == ["plan-other-code"]


@pytest.mark.parametrize("file", ["train.py", "helper.py"])
def test_a_dirty_tree(approved, start, project, tmp_path, file):
    (project / file).write_text("print('other')\n")
    codes = refused(start(), tmp_path)
    assert codes == ["plan-dirty-code"]


def test_no_repository(approved, start, project, tmp_path, monkeypatch):
    (tmp_path / "plain").mkdir()
    monkeypatch.chdir(tmp_path / "plain")
    command = ["--", sys.executable, "../repo/train.py", "../data", "../out"]
    assert refused(start(command=command), tmp_path) == ["plan-other-code"]


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-c", "import os; os.mkdir('../out')"],
        [sys.executable, "../evil.py", "../data", "../out"],
        [sys.executable, "ignored.py", "../data", "../out"],
        [sys.executable, "-m", "http.server", "--help"],
        ["env", "X=1", sys.executable, "-c", "pass"],
        ["sh", "-c", "mkdir ../out"],
        ["../evil.py"],
        ["true"],
    ],
)
def test_a_program_that_is_not_the_code(weighbridge, team, project, start, approve, tmp_path, command):
    """An ignored file is none of the commit, though the tree is clean."""
    (project / ".gitignore").write_text("ignored.py\n")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "ignore")
    (project / "ignored.py").write_text("print(1)\n")
    (tmp_path / "evil.py").write_text("#!/bin/sh\nmkdir ../out\n")
    (tmp_path / "evil.py").chmod(0o755)
    target = tmp_path / "second.jsonl"
    weighbridge(
        "plan", "make", "--name", "second", "--data", "../data", "--code", ".", "--approvals", "safety=1,lead=1",
        "--until", "2999-12-31", "--out", target, "--key", team.key("anna"),
    )  # fmt: skip
    approve("cleo", "safety", target=target)
    approve("dana", "lead", target=target)
    assert refused(start(command=["--", *command], target=target), tmp_path) == ["plan-other-program"]


def test_code_as_files(weighbridge, team, project, start, approve, tmp_path):
    target = tmp_path / "files.jsonl"
    weighbridge(
        "plan", "make", "--name", "files", "--data", "../data", "--code", "train.py", "--approvals", "safety=1,lead=1",
        "--until", "2999-12-31", "--out", target, "--key", team.key("anna"),
    )  # fmt: skip
    approve("cleo", "safety", target=target)
    approve("dana", "lead", target=target)
    assert refused(start(target=target), tmp_path) == ["plan-missing-input", "plan-other-program"]
    assert start("--code", "train.py", target=target).code == 0
    (project / "train.py").write_text("print('other')\n")
    (tmp_path / "out.attestations.jsonl").unlink()
    again = start("--code", "train.py", target=target)
    assert (again.code, again.codes) == (1, ["plan-missing-input", "plan-other-input", "plan-other-program"])


def test_after_its_end(weighbridge, team, project, start, approve, tmp_path):
    target = tmp_path / "old.jsonl"
    weighbridge(
        "plan", "make", "--name", "old", "--data", "../data", "--approvals", "safety=1,lead=1",
        "--until", "2020-01-31", "--out", target, "--key", team.key("anna"),
    )  # fmt: skip
    approve("cleo", "safety", target=target)
    approve("dana", "lead", target=target)
    assert refused(start(target=target), tmp_path) == ["plan-over"]
    assert weighbridge("plan", "show", target, "--trust", team.trust).out.startswith("OVER ")


def test_data_by_its_digest_alone(weighbridge, team, project, start, approve, tmp_path):
    digest = weighbridge("digest", "../data", "--format", "json").json["files"]
    target = tmp_path / "digest.jsonl"
    made = weighbridge(
        "plan", "make", "--name", "d", "--data", digest, "--approvals", "safety=1,lead=1", "--until", "2999-12-31",
        "--out", target, "--key", team.key("anna"),
    )  # fmt: skip
    assert made.code == 0
    approve("cleo", "safety", target=target)
    approve("dana", "lead", target=target)
    assert start(target=target).code == 0


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--approvals", "safety=1"], "plan-unguarded"),
        (["--approvals", "safety=0,lead=2"], "bad-approvals"),
        (["--approvals", "safety"], "plan-unguarded"),
        (["--approvals", "safety=x"], "bad-approvals"),
        (["--data", "no-such-thing"], "bad-target"),
        (["--code", "abc"], "bad-target"),
    ],
)
def test_plans_that_cannot_be_made(weighbridge, team, project, more, code):
    answer = weighbridge(
        "plan", "make", "--name", "x", "--data", "../data", "--approvals", "safety=1,lead=1", "--until", "2999-01-01",
        "--key", team.key("anna"), "--format", "json", *more,
    )  # fmt: skip
    assert (answer.code, answer.json["error"]["code"]) == (2, code)


def test_a_plan_without_data_is_none(weighbridge, team, project):
    answer = weighbridge(
        "plan", "make", "--name", "x", "--approvals", "safety=2", "--until", "2999-01-01", "--key", team.key("anna"),
        "--format", "json",
    )  # fmt: skip
    assert answer.json["error"]["code"] == "plan-empty"


def test_files_that_are_no_plan(weighbridge, team, plan, tmp_path):
    ben = team.people["ben"]
    run = Training(
        name="train",
        started="2026-01-01T00:00:00Z",
        finished="2026-01-01T00:00:00Z",
        exit_code=0,
        recorder="x",
    )
    (tmp_path / "other.jsonl").write_bytes(
        ben.states("training", run, Named(name="x", others=(("sha256", "ab" * 32),)))
    )
    for name, code in (("other.jsonl", "bad-plan"), ("nowhere.jsonl", "no-such-path")):
        answer = weighbridge("plan", "show", tmp_path / name, "--trust", team.trust, "--format", "json")
        assert answer.json["error"]["code"] == code
    second = team.people["dora"].states(
        "plan", load(plan, load_keyring(team.trust), _now()).plan, *_inputs(plan, team)
    )
    assert second != plan.read_bytes()  # the same plan by somebody else is the same plan
    assert load(plan, load_keyring(team.trust), _now()).authors == ("anna",)
    add(plan, second)
    assert load(plan, load_keyring(team.trust), _now()).authors == ("anna", "dora")


def _now():
    from datetime import UTC, datetime

    return datetime.now(UTC)


def _inputs(plan, team):
    return load(plan, load_keyring(team.trust), _now()).plan.inputs


def test_show_says_what_is_missing(weighbridge, team, plan, approve):
    answer = weighbridge("plan", "show", plan, "--trust", team.trust)
    assert answer.code == 3
    assert answer.out.startswith("WAITING")
    assert "[approval-missing]" in answer.out
    shown = conforms(
        "plan-answer", weighbridge("plan", "show", plan, "--trust", team.trust, "-f", "json").json
    )
    assert (shown["verdict"], shown["lacking"]) == ("waiting", {"lead": 1, "safety": 1})
    conforms("plan-answer", approve("cleo", "safety").json)
    approve("dana", "lead")
    answer = weighbridge("plan", "show", plan, "--trust", team.trust)
    assert answer.code == 0
    assert answer.out.startswith("READY")
    assert "yes      cleo as safety" in answer.out


# Cedar


PERMIT = """
permit (principal in Role::"builder", action == Action::"run", resource is Plan) when { resource.step == "train" };
permit (principal in Role::"safety", action == Action::"approve", resource);
permit (principal in Role::"lead", action == Action::"approve", resource);
"""


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (PERMIT, None),
        ("", "bad-cedar"),
        ("permit (principal, action, resource)", "cedar-error"),
        ('permit (principal, action == Action::"approve", resource);', "cedar-denied"),
        (PERMIT + 'forbid (principal, action == Action::"run", resource);', "cedar-denied"),
        (PERMIT + "forbid (principal, action, resource) when { resource.nothing > 3 };", "cedar-error"),
        (PERMIT + 'forbid (principal == Person::"ben", action == Action::"run", resource);', "cedar-denied"),
    ],
)
def test_cedar_says_who_may_run(approved, start, tmp_path, policy, code):
    (tmp_path / "who.cedar").write_text(policy)
    answer = start("--cedar", tmp_path / "who.cedar")
    if code is None:
        assert answer.code == 0, answer.out
    elif code == "bad-cedar":
        assert answer.json["error"]["code"] == code
    else:
        assert refused(answer, tmp_path) == [code]


def test_a_runner_whom_nobody_knows(team, approved, start, tmp_path):
    team.stranger("eve")
    (tmp_path / "who.cedar").write_text("permit (principal, action, resource);")
    answer = start("--cedar", tmp_path / "who.cedar", "--key", team.key("eve"))
    assert answer.code == 0  # ben signs too, and he is known
    (team.key("ben")).write_bytes(team.key("eve").read_bytes())
    (tmp_path / "out/model.txt").unlink()
    (tmp_path / "out").rmdir()
    assert refused(start("--cedar", tmp_path / "who.cedar"), tmp_path) == ["cedar-nobody"]


def test_cedar_that_is_not_installed(approved, start, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cedarpy", None)
    (tmp_path / "who.cedar").write_text("permit (principal, action, resource);")
    answer = start("--cedar", tmp_path / "who.cedar")
    assert refused(answer, tmp_path) == ["extra-missing"]
    assert "weighbridge[cedar]" in answer.out


def test_the_plan_names_its_cedar_policy(weighbridge, team, project, approve, start, tmp_path):
    policy, other = tmp_path / "who.cedar", tmp_path / "other.cedar"
    policy.write_text(PERMIT)
    other.write_text("permit (principal, action, resource);")
    target = tmp_path / "c.jsonl"
    weighbridge(
        "plan", "make", "--name", "c", "--data", "../data", "--approvals", "safety=1,lead=1", "--until", "2999-12-31",
        "--out", target, "--key", team.key("anna"), "--cedar", policy,
    )  # fmt: skip
    assert approve("cleo", "safety", target=target).codes == ["plan-other-cedar"]
    assert approve("cleo", "safety", "--cedar", other, target=target).codes == ["plan-other-cedar"]
    assert approve("cleo", "safety", "--cedar", policy, target=target).code == 0
    assert approve("dana", "lead", "--cedar", policy, target=target).code == 0
    assert refused(start(target=target), tmp_path) == ["plan-other-cedar"]
    assert refused(start("--cedar", other, target=target), tmp_path) == ["plan-other-cedar"]
    assert start("--cedar", policy, target=target).code == 0
