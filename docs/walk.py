"""Walk through a page as its reader would: run every command on it, in order, in an empty folder.

A page tells the walk in three kinds of blocks: `python` is run, `toml` is saved under the name in its first line, and
`console` holds commands behind `$ ` with what they print. A command ends with exit code 0 unless its output says
`exit N`. What differs from run to run (digests of new keys, times) is told apart from what does not by `plain`.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from weighbridge.cli.app import run

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXIT = re.compile(r"exit (\d+)$", re.MULTILINE)
WIDTH = 110
HOME = "/home/you/models"
"""What stands on the page for the folder of the walk."""


@dataclass(frozen=True)
class Step:
    """One command, and what it did."""

    command: str
    expected: str
    """What the page says it prints."""
    output: str
    code: int

    @property
    def expected_code(self) -> int:
        """The exit code that the page says; 0 where it says none."""
        said = EXIT.findall(self.expected)
        return int(said[-1]) if said else 0


def walk(text: str, folder: Path) -> list[Step]:
    """Run a page's blocks in order. The folder should be empty."""
    return [step for kind, body in BLOCK.findall(text) for step in _block(kind, body, folder)]


def retold(text: str, steps: list[Step]) -> str:
    """The page with what its commands really print."""
    left = iter(steps)

    def console(match: re.Match[str]) -> str:
        if match[1] != "console":
            return match[0]
        told = [next(left) for _ in commands(match[2])]
        return (
            "```console\n" + "".join(f"$ {step.command}\n{step.output}\n" for step in told).strip() + "\n```"
        )

    return BLOCK.sub(console, text)


def plain(text: str) -> str:
    """A page without what no two runs have in common: digests, seconds, dates."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", text)
    text = re.sub(r"\b[0-9a-f]{4,40}…([0-9a-f]{4})?", "DIGEST", text)
    text = re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d|T\d\d:\d\d:\d\dZ)?", "DATE", text)
    return re.sub(r" +\d+\.\d+ s\b", " SECONDS", text)


def commands(body: str) -> list[tuple[str, str]]:
    """(command, what it prints) of a console block."""
    parts = re.split(r"^\$ (.*)\n", body, flags=re.MULTILINE)[1:]
    return [(parts[i], parts[i + 1].strip("\n")) for i in range(0, len(parts), 2)]


def _block(kind: str, body: str, folder: Path) -> Iterator[Step]:
    if kind == "python":
        with contextlib.chdir(folder):
            exec(compile(body, "page", "exec"), {})  # noqa: S102 - our own page
    elif kind == "toml":
        name = body.split("\n", 1)[0].removeprefix("# ")
        (folder / name).write_text(body, encoding="utf-8")
    elif kind == "console":
        for command, expected in commands(body):
            code, output = _run(command, folder)
            yield Step(command=command, expected=expected, output=output, code=code)


def _run(command: str, folder: Path) -> tuple[int, str]:
    """Run one command: ours in this process, another through the shell."""
    if not command.startswith("weighbridge "):
        done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_")}
    settings = kept | {"COLUMNS": str(WIDTH), "NO_COLOR": "1", "XDG_CONFIG_HOME": str(folder / ".config")}
    screen = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    with (
        mock.patch.dict(os.environ, settings, clear=True),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(screen),
        contextlib.redirect_stderr(screen),
    ):
        code = run(shlex.split(command, comments=True)[1:])
    screen.seek(0)
    told = screen.read().replace(str(folder.resolve()), HOME)
    lines = [line.rstrip() for line in told.rstrip().splitlines()]
    return code, "".join(f"{line}\n" for line in lines)
