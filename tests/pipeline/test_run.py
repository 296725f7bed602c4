"""`weighbridge run`: what is stated about a step, and what never is."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.pipeline.conftest import git, process, statements
from tests.statements import NOW, judged
from weighbridge.attest.chain import told_step
from weighbridge.evidence import statements_path

PYTHON = sys.executable


def wish(
    team, *more: object, name: str = "train", out: str = "../out", materials=("../data",)
) -> list[object]:
    return [
        "run",
        "--name",
        name,
        "--materials",
        *materials,
        "--products",
        out,
        "--key",
        team.key("ben"),
        *more,
    ]


TRAIN = ["--", PYTHON, "train.py", "../data", "../out"]


def test_a_run_leaves_two_signed_statements_beside_its_product(weighbridge, team, project, tmp_path):
    answer = weighbridge(*wish(team, "--format", "json", "--parameter", "seed=7"), *TRAIN)
    assert answer.code == 0, answer.err
    assert "epoch 1" in answer.err  # standard output holds one JSON document
    assert answer.json["verdict"] == "stated"
    left = tmp_path / "out.attestations.jsonl"
    training, provenance = statements(left)
    assert (training["predicateType"], provenance["predicateType"]) == (
        "weighbridge.training/v1", "https://slsa.dev/provenance/v1",
    )  # fmt: skip
    assert training["subject"] == provenance["subject"]
    said = training["predicate"]
    assert said["exitCode"] == 0
    assert said["parameters"] == {"seed": "7"}
    assert said["git"] == {"commit": git(project, "rev-parse", "HEAD"), "dirty": False}
    assert said["materials"][0]["relation"] == "trained_on"
    assert said["host"] == {"platform": sys.platform}
    assert {row["name"].lower() for row in said["environment"]} >= {"cryptography", "pytest"}
    assert all(len(row["sha256"]) == 64 for row in said["environment"] if row["name"] == "pytest")
    ours, theirs = judged(left.read_bytes(), [team.people["ben"]], NOW)
    assert ours.is_signed
    assert theirs.is_signed
    one, other = told_step(ours), told_step(theirs)
    assert (one.name, one.products) == (other.name, other.products) == ("train", ours.statement.subjects)
    assert one.materials[0].what == other.materials[0].what


def test_the_next_run_adds_to_the_same_file(weighbridge, team, project, tmp_path):
    for _ in range(2):
        assert weighbridge(*wish(team), *TRAIN).code == 0
    assert len(statements(tmp_path / "out.attestations.jsonl")) == 4


def test_human_answers_leave_standard_output_to_the_command(weighbridge, team, project):
    answer = weighbridge(*wish(team), *TRAIN)
    assert answer.out == "epoch 1\n"
    assert "wrote    ../out.attestations.jsonl" in answer.err


def test_no_path_of_this_machine_is_written_down(weighbridge, team, project, tmp_path):
    assert weighbridge(*wish(team), "--", PYTHON, "train.py", "../data", "../out").code == 0
    said = statements(tmp_path / "out.attestations.jsonl")[0]["predicate"]
    assert str(tmp_path) not in str(said)
    assert os.uname().nodename not in str(said["host"])


def test_facts_of_the_machine_only_as_allowed(weighbridge, team, project, tmp_path):
    assert weighbridge(*wish(team, "--host", "os,cpu,gpu"), *TRAIN).code == 0
    host = statements(tmp_path / "out.attestations.jsonl")[0]["predicate"]["host"]
    assert set(host) >= {"platform", "os", "cpu", "gpu"}
    assert weighbridge(*wish(team, "--host", "network"), *TRAIN).code == 2


@pytest.mark.parametrize(("code", "expected"), [(1, 1), (7, 7), (120, 120)])
def test_a_failed_command_passes_its_code_on_and_states_nothing(
    weighbridge, team, project, tmp_path, code, expected
):
    program = f"import os; os.makedirs('../out'); open('../out/x','w').write('x'); raise SystemExit({code})"
    answer = weighbridge(*wish(team, "--format", "json"), "--", PYTHON, "-c", program)
    assert answer.code == expected
    assert [row["code"] for row in answer.json["problems"]] == ["run-failed"]
    assert not (tmp_path / "out.attestations.jsonl").exists()


def test_a_failed_command_is_stated_where_that_is_asked_for(weighbridge, team, project, tmp_path):
    program = "import os; os.makedirs('../out'); open('../out/x','w').write('x'); raise SystemExit(3)"
    assert weighbridge(*wish(team, "--keep-failed"), "--", PYTHON, "-c", program).code == 3
    assert statements(tmp_path / "out.attestations.jsonl")[0]["predicate"]["exitCode"] == 3


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("open('../data/rows.csv','a').write('9,9')", "material-changed"),
        ("open('../data/more.csv','w').write('9,9')", "material-changed"),
        ("import os; os.unlink('../data/rows.csv')", "material-changed"),
        ("open('train.py','a').write('#')", "code-changed"),
        ("import os; os.rmdir('../out')", "product-missing"),
    ],
)
def test_nothing_is_stated_where_something_changed_meanwhile(
    weighbridge, team, project, tmp_path, program, code
):
    made = f"import os; os.makedirs('../out'); {program}; os.path.isdir('../out') and open('../out/x','w').write('x')"
    answer = weighbridge(*wish(team, "--format", "json"), "--", PYTHON, "-c", made)
    assert answer.code == 3
    assert [row["code"] for row in answer.json["problems"]] == [code]
    assert not (tmp_path / "out.attestations.jsonl").exists()


def test_a_product_that_stood_there_before_is_not_this_runs(weighbridge, team, project, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/model.txt").write_text("old")
    answer = weighbridge(*wish(team, "--format", "json"), "--", PYTHON, "-c", "pass")
    assert answer.code == 3
    assert [row["code"] for row in answer.json["problems"]] == ["product-missing"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--products", "../data/out"], "paths-overlap"),
        (["--products", ".."], "paths-overlap"),
        (["--materials", "../nowhere"], "no-such-path"),
        (["--products", "../no/folder/out"], "cannot-write"),
        (["--name", "Not A Word"], "bad-option"),
        (["--env", "NOT_SET_ANYWHERE"], "bad-option"),
        (["--parameter", "api_key=abc"], "setting-secret"),
    ],
)
def test_impossible_requests_start_nothing(weighbridge, team, project, tmp_path, arguments, code):
    answer = weighbridge(
        *wish(team, "--format", "json", *arguments), "--", PYTHON, "-c", "open('../ran','w')"
    )
    assert (answer.code, answer.json["error"]["code"]) == (2, code)
    assert not (tmp_path / "ran").exists()


def test_no_command_and_no_such_program(weighbridge, team, project):
    assert weighbridge(*wish(team)).code == 2
    assert weighbridge(*wish(team), "--", "no-such-program-anywhere").code == 2


def test_code_and_relations(weighbridge, team, project, tmp_path):
    materials = ["evaluated_on=../data"]
    assert (
        weighbridge(*wish(team, "--code", "train.py", name="evaluate", materials=materials), *TRAIN).code == 0
    )
    rows = statements(tmp_path / "out.attestations.jsonl")[0]["predicate"]["materials"]
    assert [row["relation"] for row in rows] == ["evaluated_on", "built_with"]


def test_killed_at_any_time_it_leaves_no_statement(team, project, tmp_path):
    program = "import time, os; os.makedirs('../out'); open('../out/x','w').write('x'); open('../started','w'); time.sleep(60)"
    running = process(*wish(team), "--", PYTHON, "-c", program, start_new_session=True)
    wait_for(tmp_path / "started")
    running.kill()
    running.wait()
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert not (tmp_path / "out.attestations.jsonl").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith((".weigh", "out"))) == [
        "out"
    ]


@pytest.mark.parametrize("milliseconds", range(50, 800, 75))
def test_killed_after_any_time_there_are_both_statements_or_none(team, project, tmp_path, milliseconds):
    left = tmp_path / "out.attestations.jsonl"
    left.write_bytes(b"")
    running = process(*wish(team), *TRAIN, start_new_session=True)
    time.sleep(milliseconds / 1000)
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    assert len(statements(left)) in (0, 2)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".weighbridge")] == []


def wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP])
def test_signals_reach_the_command(team, project, tmp_path, number):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("whoever started the tests ignores this signal, and so does every child (nohup)")
    program = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\nopen('../started', 'w')\ntime.sleep(60)"
    )
    running = process(*wish(team), "--", PYTHON, "-c", program, start_new_session=True)
    wait_for(tmp_path / "started")
    running.send_signal(number)
    running.communicate(timeout=30)
    assert running.returncode == 42
    assert not (tmp_path / "out.attestations.jsonl").exists()


def test_a_command_that_a_signal_ends(weighbridge, team, project):
    assert weighbridge(*wish(team), "--", PYTHON, "-c", "import os; os.kill(os.getpid(), 9)").code == 137


def test_two_runs_at_once_lose_nothing(team, project, tmp_path):
    both = []
    for number in range(4):
        code = f"import os; os.makedirs('../out',exist_ok=True); open('../out/x','w').write('{number}')"
        both.append(process(*wish(team), "--", PYTHON, "-c", code))
    ended = [(one.communicate(), one.returncode) for one in both]
    stated = sum(code == 0 for _, code in ended)
    assert stated >= 1
    assert len(statements(tmp_path / "out.attestations.jsonl")) == 2 * stated


def test_the_repositorys_own_programs_are_not_run(weighbridge, team, project, tmp_path):
    """Filters, hooks, monitors: configuration that came with a repository."""
    mark = tmp_path / "pwned"
    hook = project / "monitor.sh"
    hook.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    hook.chmod(0o755)
    (project / ".gitattributes").write_text("*.bin filter=evil diff=evil\n")
    (project / "a.bin").write_text("x")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "second")
    for key in (
        "filter.evil.clean",
        "filter.evil.process",
        "diff.evil.textconv",
        "core.fsmonitor",
        "core.sshCommand",
    ):
        git(project, "config", key, str(hook))
    (project / ".git/hooks/post-index-change").write_bytes(hook.read_bytes())
    (project / ".git/hooks/post-index-change").chmod(0o755)
    (project / "a.bin").write_text("y")
    mark.unlink(missing_ok=True)
    assert weighbridge(*wish(team), *TRAIN).code == 0
    assert not mark.exists()
    assert statements(tmp_path / "out.attestations.jsonl")[0]["predicate"]["git"]["dirty"] is True


@pytest.mark.parametrize("change", ["untracked", "modified", "staged", "submodule"])
def test_code_that_differs_is_dirty(weighbridge, team, project, tmp_path, change):
    if change == "untracked":
        (project / "helper.py").write_text("x = 1\n")
    elif change == "submodule":
        inner = tmp_path / "inner"
        inner.mkdir()
        git(inner, "init", "-q")
        (inner / "a.py").write_text("1")
        git(inner, "add", ".")
        git(inner, "commit", "-q", "-m", "x")
        git(project, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
        git(project, "commit", "-q", "-m", "sub")
        assert (
            weighbridge(*wish(team, out="../first"), "--", PYTHON, "train.py", "../data", "../first").code
            == 0
        )
        assert statements(tmp_path / "first.attestations.jsonl")[0]["predicate"]["git"]["dirty"] is False
        (project / "sub/a.py").write_text("2")
    else:
        (project / "train.py").write_text((project / "train.py").read_text() + "\n")
        if change == "staged":
            git(project, "add", ".")
    assert weighbridge(*wish(team), *TRAIN).code == 0
    assert statements(tmp_path / "out.attestations.jsonl")[0]["predicate"]["git"]["dirty"] is True


def test_products_and_statements_inside_the_repository_are_no_difference(weighbridge, team, project):
    for _ in range(2):
        assert weighbridge(*wish(team, out="out"), "--", PYTHON, "train.py", "../data", "out").code == 0
    assert [one["predicate"]["git"]["dirty"] for one in statements(statements_path(Path("out")))[::2]] == [
        False,
        False,
    ]


def test_a_worktree_and_no_repository(weighbridge, team, project, tmp_path, monkeypatch):
    git(project, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "other")
    monkeypatch.chdir(tmp_path / "tree")
    assert weighbridge(*wish(team), *TRAIN).code == 0
    assert statements(tmp_path / "out.attestations.jsonl")[0]["predicate"]["git"]["dirty"] is False
    (tmp_path / "plain").mkdir()
    monkeypatch.chdir(tmp_path / "plain")
    code = "import os; os.makedirs('../second'); open('../second/x','w').write('x')"
    assert weighbridge(*wish(team, out="../second"), "--", PYTHON, "-c", code).code == 0
    assert "git" not in statements(tmp_path / "second.attestations.jsonl")[0]["predicate"]


def test_a_shell_script_has_no_python_environment(weighbridge, team, project, tmp_path):
    answer = weighbridge(*wish(team), "--", "sh", "-c", "mkdir ../out; echo x > ../out/x")
    assert answer.code == 0
    assert "environment" not in statements(tmp_path / "out.attestations.jsonl")[0]["predicate"]
