"""`weighbridge guard -- COMMAND`: run a program that one cannot edit, and refuse the model loads that the policy refuses.

Python processes are guarded from within, as far as docs/integrations.md says. Any other program cannot be watched: the
model files that its arguments name are weighed before it starts, and handed to it as sealed memory; that is all, and it is
said. A program that could not be guarded is not started.
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.cli import options as shared
from weighbridge.core.errors import UsageError
from weighbridge.core.refused import LoadRefused
from weighbridge.core.text import some, visible

if TYPE_CHECKING:
    from weighbridge.integrations import Guard
    from weighbridge.loading import Asked

EXAMPLES = (
    "weighbridge guard --key publisher.pub -- python serve.py ./chat-7b",
    "weighbridge guard --policy production -- llama-server -m chat-7b.gguf",
)

PYTHON = re.compile(r"(python|pypy)[0-9.]*w?")
UNGUARDED = {
    "I": "isolates it from the environment",
    "E": "makes it ignore the environment",
    "S": "keeps it from starting the guard",
}
"""Flags of Python that would leave the process without a guard."""
WITH_VALUE = "WX"
TAKES_AWAY = re.compile(r"(-u|--unset=)?(PYTHONPATH|WEIGHBRIDGE_GUARD)(=.*)?", re.DOTALL)
"""Arguments of env that unset or replace what starts the guard."""
SPLIT = re.compile(r"-[0-9]{5}-of-[0-9]{5}\.gguf\Z")
"""One of several files that only work together."""
MAX_SHEBANG = 512
PYTHON_WATCHED = (
    "its Python processes are guarded, but for those that it starts with -I, -E, -S or another PYTHONPATH"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Whom to trust, by which policy, and the program."""
    shared.trust(parser, "--key", "--trust", "--by")
    by_path = "hand weighed files to a program that is not Python by their own paths, not as sealed memory"
    shared.group(parser, "Policy", (
        shared.value("--policy", "FILE|PRESET", shared.PRESETS),
        shared.switch("--by-path", by_path),
    ))  # fmt: skip
    shared.output(parser, shared.BOTH)
    parser.add_argument(
        "program", metavar="-- COMMAND", nargs=argparse.REMAINDER, help="the program and its arguments"
    )


def run(options: argparse.Namespace) -> int:
    """The program's own exit code; 1 or 3 where a model that it names is not admitted, and it was not started."""
    from weighbridge.integrations.child import environment
    from weighbridge.integrations.guarding import Guard, refuse_elsewhere
    from weighbridge.integrations.shelf import shelf
    from weighbridge.loading import ask

    program = options.program[1:] if options.program[:1] == ["--"] else options.program
    if not program:
        raise UsageError(
            "bad-option", "no program is named", "weighbridge guard --key publisher.pub -- python serve.py"
        )
    refuse_elsewhere()
    asked = ask(key=options.key, trust=options.trust, policy=options.policy, by=options.by)
    executable = shutil.which(program[0])
    if executable is None:
        raise UsageError("no-such-path", f'there is no program "{visible(program[0])}"')
    python = _refuse_unguarded([executable, *program[1:]])
    asked.settled()  # a mistake in policy or keyring is told before anything starts
    env = environment(asked, dict(os.environ))
    try:
        if not python:
            guard = Guard(asked)
            program = [program[0], *_weighed(guard, program[1:], options)]
        elif not options.quiet:
            _say(f"{_trusting(asked)}; {PYTHON_WATCHED}")
        return _ended([executable, *program[1:]], program[0], env)
    except LoadRefused as refusal:
        return _refused(refusal, options)
    finally:
        shelf().clear()


def _refused(refusal: LoadRefused, options: argparse.Namespace) -> int:
    """The whole report where there is one; the program was not started."""
    if refusal.report is None:
        raise refusal
    from weighbridge.cli.output import emit

    options.min_severity, options.exit_zero = None, False
    code = emit(refusal.report, options)
    _say("the program was not started")
    return code


# ------------------------------------------------------------------------------------------------- which program is it


def _refuse_unguarded(command: Sequence[str]) -> bool:
    """Whether the program is Python. Raises `UsageError` (`guard-impossible`) where it would run without its guard."""
    name, arguments = os.path.basename(command[0]), list(command[1:])  # noqa: PTH119
    if name == "env":
        return _refuse_env(arguments)
    if PYTHON.fullmatch(name):
        _refuse_flags(arguments)
        return True
    shebang = _shebang(command[0])
    return bool(shebang) and _refuse_unguarded([*shebang, command[0], *arguments])


def _refuse_env(arguments: list[str]) -> bool:
    """`env [-i] [-u NAME] [NAME=VALUE…] COMMAND`."""
    while arguments:
        first = arguments.pop(0)
        if first in ("-i", "-", "--ignore-environment") or TAKES_AWAY.fullmatch(first):
            raise _impossible(f"env {first}", "takes away what starts the guard")
        if first in ("-u", "--unset", "-C", "--chdir"):
            if arguments and arguments[0] in ("PYTHONPATH", "WEIGHBRIDGE_GUARD"):
                raise _impossible(f"env {first} {arguments[0]}", "takes away what starts the guard")
            del arguments[:1]
        elif first in ("-S", "--split-string"):
            arguments[:1] = shlex.split(arguments[0]) if arguments else []
        elif not first.startswith("-") and "=" not in first:
            return _refuse_unguarded([first, *arguments])
    return False


def _refuse_flags(arguments: Sequence[str]) -> None:
    """Python's own flags, up to the script, `-c` or `-m`."""
    rest = iter(arguments)
    for argument in rest:
        if not argument.startswith("-") or argument == "-":
            return
        if argument.startswith("--"):
            if argument == "--check-hash-based-pycs":
                next(rest, None)
            continue
        for at, letter in enumerate(argument[1:], 1):
            if letter in UNGUARDED:
                raise _impossible(f"python -{letter}", UNGUARDED[letter])
            if letter in "cm":
                return
            if letter in WITH_VALUE:
                if at == len(argument) - 1:
                    next(rest, None)
                break


def _impossible(what: str, why: str) -> UsageError:
    return UsageError(
        "guard-impossible", f'"{visible(what)}" {why}, so the program was not started', "leave it out"
    )


def _shebang(path: str) -> list[str]:
    """The interpreter of a script, and its argument; [] for a binary."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            line = file.read(MAX_SHEBANG).partition(b"\n")[0]
    except OSError:
        return []
    if not line.startswith(b"#!"):
        return []
    interpreter, _, argument = line[2:].decode("utf-8", "replace").strip().partition(" ")
    words = argument.strip()
    if os.path.basename(interpreter) == "env" and words.startswith("-S"):  # noqa: PTH119
        return [interpreter, *shlex.split(words[2:])]
    return [interpreter, words] if words else [interpreter]


# ---------------------------------------------------------------------------------------- what a program's arguments name


def _weighed(guard: "Guard", arguments: Sequence[str], options: argparse.Namespace) -> list[str]:
    """The arguments, with model files exchanged for the memory that was weighed. Raises `LoadRefused`."""
    from weighbridge.integrations.shelf import shelf

    found, done = [], []
    for argument in arguments:
        head, mark, value = argument.partition("=") if argument.startswith("-") else ("", "", argument)
        if not _is_model(value):
            done.append(argument)
            continue
        found.append(value)
        if options.by_path or Path(value).is_dir() or SPLIT.search(value):
            for one in _together(value):
                guard.weigh(one)
            done.append(argument)
        else:
            held = guard.admit(value)[""]
            shelf().keep(held)
            done.append(f"{head}{mark}{shelf().place(held, value)}")
    if not options.quiet:
        _say(_watched(found))
    return done


def _together(path: str) -> Iterator[str]:
    """A split model's files, or the one path."""
    if not SPLIT.search(path):
        yield path
        return
    stem = SPLIT.sub("", path)
    yield from (
        str(one) for one in sorted(Path(path).parent.glob("*.gguf")) if SPLIT.sub("", str(one)) == stem
    )


def _is_model(value: str) -> bool:
    """Whether an argument names a file or folder of weights that is there."""
    from weighbridge.core.artifact import SIGNATURE_NAME
    from weighbridge.measure.tensors import WEIGHTS

    if not value:
        return False
    try:
        path = Path(value)
        if path.is_file():
            return value.lower().endswith((*WEIGHTS, ".ggml", ".ort", ".llamafile"))
        return path.is_dir() and (
            (path / SIGNATURE_NAME).exists()
            or any(one.name.lower().endswith(WEIGHTS) for one in path.iterdir())
        )
    except (OSError, ValueError):
        return False


def _watched(found: Sequence[str]) -> str:
    rest = "what else it opens is not watched, but for Python processes that it starts"
    if not found:
        return (
            f"this is no Python program, and no argument of it names a model: nothing was weighed, and {rest}"
        )
    return f"weighed and admitted before the start: {some(found)}; {rest}"


def _trusting(asked: "Asked") -> str:
    names = some([name for name, _ in asked.keys]) if asked.keys else "the keyring"
    return f"policy {asked.settled().name}, trusting {names}"


def _say(line: str) -> None:
    sys.stderr.write(f"weighbridge guard: {line}\n")
    sys.stderr.flush()


# ------------------------------------------------------------------------------------------------------ running it


def _ended(command: Sequence[str], name: str, env: dict[str, str]) -> int:
    """Run it to its end, hand on signals, and answer as it did."""
    process = subprocess.Popen([name, *command[1:]], executable=command[0], env=env)
    kept = {number: signal.signal(number, lambda got, _: process.send_signal(got)) for number in _HANDED_ON}
    kept[signal.SIGINT] = signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # the terminal tells the program itself
    try:
        code = process.wait()
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


_HANDED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
