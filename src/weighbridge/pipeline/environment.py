"""Which Python a command runs, and what is installed there: name, version, and the hash of each RECORD.

A RECORD lists the hashes of a distribution's files, so its own hash stands for all of them as they were installed.
Changes made since are not seen. Of programs that are not Python nothing is known.
"""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from weighbridge.core.errors import InputError
from weighbridge.core.text import visible
from weighbridge.core.wire import read_json

SECONDS = 30.0
MOST = 20_000
MAX_LISTING = 16 * 1024**2
MAX_SHEBANG = 512
PYTHON = re.compile(r"(?:python|pypy)[0-9.]*w?")
Installed = tuple[tuple[str, str, str], ...]
"""(distribution, version, SHA-256 hex of its RECORD or ""), sorted."""

_LIST = """\
import sys
if sys.path[:1] == ['']:
    del sys.path[0]
import hashlib, importlib.metadata, json
rows = []
for one in importlib.metadata.distributions():
    name = one.metadata['Name']
    record = one.read_text('RECORD') if name else None
    if name:
        rows.append([name, one.version or '', hashlib.sha256(record.encode()).hexdigest() if record else ''])
json.dump(rows, sys.stdout)
"""
"""Run by the Python of the command, which is about to be run anyway."""


class Listing:
    """What is installed, being listed while something else is done."""

    def __init__(self, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        """Start to ask the Python that `command` runs, if it runs one."""
        python = python_of(command)
        self._process = _asked(python, environment) if python else None

    def result(self) -> Installed:
        """What is installed. Raises `InputError` (`environment-unread`) where that Python did not answer."""
        if self._process is None:
            return ()
        try:
            out, _ = self._process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.stop()
            raise _unread("it did not answer in time") from None
        if self._process.returncode != 0 or len(out) > MAX_LISTING:
            raise _unread("it could not be asked")
        return _rows(read_json(out, "what is installed", limit=MAX_LISTING))

    def stop(self) -> None:
        """Ask no longer."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def _asked(python: str, environment: dict[str, str] | None) -> "subprocess.Popen[bytes] | None":
    try:
        return subprocess.Popen(
            [python, "-c", _LIST], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )  # fmt: skip
    except OSError:
        return None


def _rows(found: object) -> Installed:
    if not isinstance(found, list) or len(found) > MOST:
        raise _unread("its answer is no list")
    rows: set[tuple[str, str, str]] = set()
    for row in found:
        if not isinstance(row, list) or len(row) != 3 or not all(isinstance(word, str) for word in row):
            raise _unread("its answer is no list")
        rows.add((visible(row[0], 200), visible(row[1], 200), row[2]))
    return tuple(sorted(rows))


def _unread(why: str) -> InputError:
    return InputError(
        "environment-unread", f"what is installed for the Python of the command is unknown: {why}"
    )


def installed_here() -> Installed:
    """What is installed for the Python that runs this."""
    from importlib.metadata import distributions

    rows = set()
    for one in distributions():
        record = one.read_text("RECORD")
        hashed = hashlib.sha256(record.encode()).hexdigest() if record else ""
        name = one.metadata["Name"]
        if name:
            rows.add((visible(name, 200), visible(one.version or "", 200), hashed))
    return tuple(sorted(rows))


def python_of(command: Sequence[str], depth: int = 0) -> str | None:
    """The Python that runs a command: named, behind `env`, or in the first line of a script. None for no Python."""
    program = shutil.which(command[0]) if command else None
    if program is None or depth > 4:
        return None
    name = Path(command[0]).name
    if PYTHON.fullmatch(name):
        return program
    if name == "env":
        rest = [word for word in command[1:] if not word.startswith("-") and "=" not in word]
        return python_of(rest, depth + 1)
    words = _shebang(program)
    return python_of(words, depth + 1) if words else None


def _shebang(path: str) -> list[str]:
    try:
        with Path(path).open("rb") as file:
            line = file.read(MAX_SHEBANG).partition(b"\n")[0]
    except OSError:
        return []
    return os.fsdecode(line[2:]).split() if line.startswith(b"#!") else []
