"""A team with a keyring, a git repository with a script, data and a base; the program called in-process or as a process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.statements import Person
from weighbridge.cli.app import run
from weighbridge.trust.keyring.editing import add_identity, init_keyring

SRC = Path(__file__).parents[2] / "src"
TRAIN = """\
import pathlib, sys
out = pathlib.Path(sys.argv[2])
out.mkdir(exist_ok=True)
(out / "model.txt").write_text("trained on " + (pathlib.Path(sys.argv[1]) / "rows.csv").read_text())
print("epoch 1")
"""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def codes(self) -> list[str]:
        """Of the reasons of a refusal."""
        return sorted({row["code"] for row in self.json["reasons"]})


Call = Callable[..., Answer]


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch, tmp_path):
    """No keyring, policy, git configuration or setting of the machine that runs the tests."""
    for name in [name for name in os.environ if name.startswith(("WEIGHBRIDGE_", "GIT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def weighbridge(capfd) -> Call:
    def call(*arguments: object) -> Answer:
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return call


def process(*arguments: object, **settings: Any) -> "subprocess.Popen[str]":
    """The program as a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(SRC)}
    return subprocess.Popen(
        [sys.executable, "-m", "weighbridge", *map(str, arguments)],
        env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings,
    )  # fmt: skip


def git(folder: Path, *words: str) -> str:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *names, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class Team:
    """People, their keys in `keys/`, and a keyring in `trust/`."""

    folder: Path
    people: dict[str, Person] = field(default_factory=dict)

    def join(self, name: str, *roles: str, key: str = "") -> Person:
        person = Person(name, *roles, key=self.people.get(key))
        self.people[name] = person
        add_identity(self.trust, person.anchor)
        person.leave(self.keys)
        return person

    def stranger(self, name: str) -> Person:
        person = Person(name)
        self.people[name] = person
        person.leave(self.keys)
        return person

    @property
    def trust(self) -> Path:
        return self.folder / "trust"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    def key(self, name: str) -> Path:
        return self.keys / f"{name}.key"


@pytest.fixture
def team(tmp_path) -> Team:
    made = Team(tmp_path)
    made.keys.mkdir()
    init_keyring(made.trust)
    made.join("anna", "author")
    made.join("ben", "builder")
    made.join("cleo", "safety")
    made.join("dana", "lead")
    made.join("dora", "safety", "lead")
    return made


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A clean repository with `train.py`, and beside it `data`; the working folder."""
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "train.py").write_text(TRAIN)
    git(repo, "init", "-q", "-b", "main")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "first")
    data = tmp_path / "data"
    data.mkdir()
    (data / "rows.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(repo)
    return repo


def statements(path: Path) -> list[dict[str, Any]]:
    """The payloads of a file of statements."""
    from weighbridge.sign.bundle import read_lines

    return [json.loads(one.envelope.payload) for one in read_lines(path.read_bytes(), path.name)]


def copied(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))
