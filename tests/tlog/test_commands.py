"""`weighbridge log`, as people use it: an operator, two witnesses in processes of their own, a reader with files alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.statements import Person, thing
from weighbridge.cli.app import run
from weighbridge.tlog.client import from_directory
from weighbridge.tlog.compare import compare
from weighbridge.tlog.merkle import Tile
from weighbridge.tlog.publish import publish
from weighbridge.tlog.sequencer import Sequencer
from weighbridge.tlog.targets import DirectoryTarget

from .logs import LOG, NOW, ORIGIN, entries

ANN = Person("ann")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEIGHBRIDGE_STATE", str(tmp_path / "state"))
    return tmp_path


class Cli:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: object, rc: int = 0) -> Any:
        """The JSON document of a verb that ends with `rc`."""
        self.capsys.readouterr()
        code = run(["log", *map(str, words), "--format", "json"])
        said = self.capsys.readouterr()
        assert code == rc, said
        return json.loads(said.out)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def statements(place: str, start: int, stop: int) -> Path:
    """A file of signed statements."""
    lines = [ANN.reviewed(thing(f"model-{at}", at)) for at in range(start, stop)]
    Path(place).write_bytes(b"".join(lines))
    return Path(place)


def digests(document: Any) -> list[str]:
    return [row["statement"] for row in document["entries"]]


@contextmanager
def witness(folder: str, watch: str) -> Iterator[str]:
    """A witness in a process of its own; its address."""
    command = [sys.executable, "-m", "weighbridge", "log", "witness", folder, "--watch", watch]
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--format", "json"], stdout=-1, env={**os.environ}
    ) as process:
        try:
            assert process.stdout
            text = b""
            while not text.endswith(b"\n}\n"):
                line = process.stdout.readline()
                assert line, "the witness ended"
                text += line
            yield json.loads(text)["url"]
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def watched(cli: Cli, quorum: str, **urls: str) -> None:
    """Name the witnesses in the policy."""
    lines = [line for line in Path("log/log-policy").read_text().splitlines() if line.startswith("log ")]
    for name, url in urls.items():
        from weighbridge.cli.log.folder import read_key

        lines.append(f"witness {name} {read_key(Path(name) / 'witness.key').vkey} {url}")
    lines += [f"group both all {' '.join(urls)}"] if quorum == "both" else []
    Path("log/log-policy").write_text("\n".join([*lines, f"quorum {quorum}", ""]))


@pytest.mark.parametrize("more", [[], ["--post-quantum"]])
def test_an_organisation_two_witnesses_and_a_stick(cli: Cli, more: list[str], here: Path) -> None:
    key = cli("init", "--origin", "example.com/models", *more)["keys"][0]
    assert key.startswith("example.com/models+")
    assert [path.stat().st_mode & 0o077 for path in Path("log").glob("*.key")] == [0] * (1 + len(more))
    model = here / "model"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"1234")
    private, _ = ANN.leave(here)
    assert run(["sign", str(model), "--key", str(private), "--quiet"]) == 0
    statements("model.attestations.jsonl", 0, 3)
    assert [row["index"] for row in cli("append", model)["entries"]] == [0, 1, 2, 3]
    assert cli("append", statements("more.jsonl", 3, 300))["size"] == 301
    for name, kind in (("north", []), ("south", ["--post-quantum"])):
        cli("witness", name, "--new", f"{name}.example.org/w", *kind)
    with witness("north", "log/log-policy") as north:
        watched(cli, "both", north=north, south="http://127.0.0.1:9")
        refused = fails(cli, "publish", rc=3)
        assert refused["error"]["code"] == "log-quorum"
        assert "south.example.org/w: the witness does not answer" in refused["error"]["message"]
        assert not Path("log/public/checkpoint").exists()
        with witness("south", "log/log-policy") as south:
            watched(cli, "both", north=north, south=south)
            head = cli("publish")
            assert [one["name"] for one in head["witnesses"]] == ["north", "south"]
            assert (head["size"], head["refused"]) == (301, [])
    proved = cli("prove", model)
    assert (proved["entries"], proved["missing"], proved["proof"]) == (
        [0, 1, 2, 3],
        [],
        str(here / "model.tlog-proof"),
    )
    # The clinic: a folder of files, and a policy that came another way.
    stick = here / "stick"
    assert cli("mirror", "log/public", stick, "--log-policy", "log/log-policy")["size"] == 301
    for name in ("model", "model.tlog-proof", "model.attestations.jsonl", "log/log-policy"):
        (shutil.copytree if (here / name).is_dir() else shutil.copy)(here / name, stick / Path(name).name)
    shutil.rmtree("log")
    verified = cli("verify", stick / "model", "--log-policy", stick / "log-policy", "--max-age", 1)
    assert [(row["question"], row["outcome"]) for row in verified["evidence"]] == [
        ("logged", "pass"),
        ("fresh", "pass"),
    ]
    assert (
        cli("verify", stick / "model.tlog-proof", "--log-policy", stick / "log-policy")["outcome"] == "pass"
    )
    entry = cli("show", 7, "--from", stick, "--log-policy", stick / "log-policy")["entry"]
    assert (
        cli("show", entry["statement"], "--from", stick, "--log-policy", stick / "log-policy")["index"] == 7
    )
    cli(
        "prove",
        entry["statement"],
        "--from",
        stick,
        "--log-policy",
        stick / "log-policy",
        "--out",
        "7.tlog-proof",
    )
    assert cli("verify", "7.tlog-proof", "--log-policy", stick / "log-policy")["entries"][0]["index"] == 7
    # Another model of the same name is not what was logged.
    (stick / "model/model.sig").write_bytes(ANN.reviewed(thing("model", 999)).strip())
    assert (
        cli("verify", stick / "model", "--log-policy", stick / "log-policy", rc=3)["evidence"][0]["code"]
        == "log-no-proof"
    )


def fails(cli: Cli, *words: object, rc: int) -> Any:
    """The JSON document of an error."""
    return cli(*words, rc=rc)


def begun(cli: Cli, count: int = 10) -> list[str]:
    """A published log without witnesses."""
    cli("init", "--origin", "example.com/models")
    found = digests(cli("append", statements("some.jsonl", 0, count)))
    cli("publish")
    return found


def test_singles_batches_bodies_and_who_signed(cli: Cli, here: Path) -> None:
    cli("init", "--origin", "example.com/models", "--database", "elsewhere.db", "--publish-to", "web")
    _, public = ANN.leave(here)
    made = cli("append", statements("a.jsonl", 0, 5), "--one-by-one", "--key", public)
    assert [(row["index"], row["new"]) for row in made["entries"]] == [(at, True) for at in range(5)]
    again = cli("append", statements("b.jsonl", 3, 8), "--no-bodies")
    # Reviews are signed anew, and the statement is the same: it has its place already.
    assert [(row["index"], row["new"]) for row in again["entries"]] == [
        (3, False),
        (4, False),
        (5, True),
        (6, True),
        (7, True),
    ]
    cli("publish")
    assert cli("show", 0)["entry"]["issuer"].startswith("sha256:")
    assert cli("show", 7)["entry"]["issuer"].startswith("hint:")
    assert cli("show", 7)["entry"]["kind"] == "attest"
    audited = cli("audit", "web", "--log-policy", "log/log-policy", "--bodies", "log/bodies")
    assert (audited["bodies"], audited["kinds"], audited["problems"]) == (5, {"attest": 8}, [])
    assert (here / "elsewhere.db").exists()
    _, other = Person("bob").leave(here)
    assert fails(cli, "append", "a.jsonl", "--key", other, rc=2)["error"]["code"] == "not-signed-by-known"


def test_the_keyring_tells_who_is_verified_and_who_is_claimed(cli: Cli, here: Path) -> None:
    cli("init", "--origin", "example.com/models")
    _, public = ANN.leave(here)
    claimed = cli("append", statements("a.jsonl", 0, 1), "--trust", ring(here, "others", Person("bob")))
    assert [(row["claimed"], row["issuer"][:5]) for row in claimed["entries"]] == [(True, "hint:")]
    ours = ring(here, "ours", ANN)
    verified = cli("append", statements("b.jsonl", 1, 2), "--trust", ours)["entries"][0]
    given = cli("append", statements("c.jsonl", 2, 3), "--key", public)["entries"][0]
    assert (verified["claimed"], verified["issuer"]) == (False, given["issuer"])
    assert verified["issuer"].startswith("sha256:")
    assert cli("append", statements("d.jsonl", 3, 4), "--trust", ours, "--known-only")["size"] == 4
    refused = fails(cli, "append", "a.jsonl", "--trust", here / "others", "--known-only", rc=2)
    assert refused["error"]["code"] == "not-signed-by-known"


def ring(here: Path, name: str, person: Person) -> Path:
    """A keyring that knows one person."""
    (here / f"{name}-key").mkdir()
    _, public = person.leave(here / f"{name}-key")
    assert run(["trust", "init", "--trust", str(here / name)]) == 0
    added = ["trust", "add", person.name, "--key", str(public), "--trust", str(here / name)]
    assert run(added) == 0
    return here / name


@pytest.mark.parametrize(
    ("words", "rc", "code"),
    [
        (["append", "some.jsonl", "--log", "nowhere"], 2, "no-such-path"),
        (["append", "nothing.jsonl"], 2, "no-such-path"),
        (["append", "broken.jsonl"], 3, "bad-json"),
        (["init", "--origin", "example.com/models"], 2, "file-exists"),
        (["init", "--origin", "a+b", "--log", "other"], 2, "bad-vkey"),
        (["show", "99"], 2, "log-no-entry"),
        (["show", "x"], 2, "bad-digest"),
        (["show", "--from", "nowhere"], 2, "no-such-path"),
        (["show", "--from", "http://log.example.com"], 2, "plain-http"),
        (["prove", "sha256:" + "0" * 64], 3, "log-no-proof"),
        (["verify", "some.jsonl"], 2, "log-no-policy"),
        (["verify", "x.tlog-proof", "--log-policy", "log/log-policy"], 2, "no-such-path"),
        (["audit", "log/public", "--log-policy", "some.jsonl"], 2, "bad-log-policy"),
        (["mirror", "log/public", "https://log.example.com", "--log-policy", "log/log-policy"], 2, "bad-reference"),
        (["witness", "w"], 2, "log-no-policy"),
        (["witness", "w", "--watch", "log/log-policy"], 2, "no-such-path"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(cli: Cli, words: list[str], rc: int, code: str) -> None:
    begun(cli)
    Path("broken.jsonl").write_text("{\n")
    assert fails(cli, *words, rc=rc)["error"]["code"] == code


def test_a_bad_address_and_a_bad_configuration(cli: Cli) -> None:
    begun(cli)
    cli("witness", "w", "--new", "w.example.org/w")
    bad = fails(cli, "witness", "w", "--watch", "log/log-policy", "--listen", "8080", rc=2)
    assert bad["error"]["code"] == "bad-option"
    Path("log/log.toml").write_text('origin = "x"\n')
    assert fails(cli, "show", rc=2)["error"]["code"] == "bad-log-config"


# ------------------------------------------------------------------------------------------------------------ enemies


def test_an_operator_who_shrinks_or_forks_is_told(cli: Cli) -> None:
    """By the auditor, and by the reader, each of which remembers what it saw."""
    begun(cli)
    policy = ["--log-policy", "log/log-policy"]
    shutil.copytree("log", "past")
    cli("append", statements("more.jsonl", 10, 20))
    cli("publish")
    assert cli("audit", "log/public", *policy)["problems"] == []
    shrunk = cli("audit", "past/public", *policy, rc=1)["problems"]
    assert [(one["code"], one["where"]) for one in shrunk] == [("log-rollback", "checkpoint")]
    assert fails(cli, "show", "--from", "past/public", *policy, rc=3)["error"]["code"] == "log-rollback"
    # The old copy goes on from there, with the same key.
    cli("append", statements("others.jsonl", 100, 130), "--log", "past")
    cli("publish", "--log", "past")
    forked = cli("audit", "past/public", *policy, "--against", "log/public", rc=1)["problems"]
    assert [(one["code"], one["where"]) for one in forked] == [
        ("log-fork", "entry 19"),
        ("log-fork", "entry 10"),
    ]
    assert forked[1]["message"] == "10 entries of the other copy are not here, and 10 stand in their place"
    assert fails(cli, "show", "--from", "past/public", *policy, rc=3)["error"]["code"] == "log-fork"


def test_a_reordered_log_is_told(tmp_path: Path) -> None:
    """The same entries in another order: the roots differ, and the copies say how."""
    made = entries(0, 300)
    copies = []
    for name, order in (("one", made), ("other", [*made[:254], *reversed(made[254:260]), *made[260:]])):
        (tmp_path / name).mkdir()
        log = Sequencer(tmp_path / name / "log.db", ORIGIN)
        log.append(order)
        publish(log, DirectoryTarget(tmp_path / name / "public"), [LOG], now=NOW)
        log.close()
        copies.append(from_directory(tmp_path / name / "public"))
    assert [(one.code, one.where) for one in compare(*copies)] == [("log-reordered", "entry 254")]
    assert compare(copies[0], copies[0]) == ()


def test_lost_and_torn_files_are_told_and_repaired(cli: Cli) -> None:
    begun(cli, 300)
    public, policy = Path("log/public"), ["--log-policy", "log/log-policy"]
    (public / Tile(0, 0).path).unlink()
    (public / "tile/entries/001.p/44").write_bytes(b"torn")
    problems = cli("audit", public, *policy, rc=1)["problems"]
    assert [(one["code"], one["where"]) for one in problems][:2] == [
        ("log-missing", "tile/0/000"),
        ("log-damaged", "tile/entries/001.p/44"),
    ]
    assert cli("publish", "--repair")["repaired"] == 2
    assert cli("audit", public, *policy)["problems"] == []


def test_a_frozen_log_and_a_clock_set_back(cli: Cli, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    """A proof of long ago says its age; a clock that is set back does not make it young."""
    import time

    cli("init", "--origin", "example.com/models")
    cli("append", statements("some.jsonl", 0, 3))
    cli("witness", "north", "--new", "north.example.org/w")
    with witness("north", "log/log-policy") as north:
        watched(cli, "north", north=north)
        cli("publish")
    cli("prove", "some.jsonl")
    words = ["verify", "some.jsonl", "--log-policy", "log/log-policy"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 41 * 86400)
    assert cli(*words, "--max-age", 60)["evidence"][1]["why"] == "the log's head is 41 days old"
    stale = cli(*words, "--max-age", 30, rc=3)["evidence"][1]
    assert (stale["code"], stale["why"]) == (
        "log-stale",
        "the log's head is 41 days old; 30 days are allowed",
    )
    monkeypatch.setattr(time, "time", lambda: now)
    back = cli(*words, "--max-age", 30, rc=3)["evidence"][1]
    assert (back["outcome"], back["code"]) == ("unknown", "clock-behind")
    assert cli(*words)["outcome"] == "pass"  # the age was not asked for


def test_a_proof_that_was_changed_refuses(cli: Cli) -> None:
    begun(cli)
    cli("prove", "some.jsonl")
    proof = Path("some.jsonl.tlog-proof")
    lines = proof.read_text().split("\n")
    lines[3] = "A" * 43 + "="
    proof.write_text("\n".join(lines))
    bad = cli("verify", "some.jsonl", "--log-policy", "log/log-policy", rc=1)
    assert [(row["outcome"], row["code"]) for row in bad["evidence"]] == [("fail", "log-not-included")]
