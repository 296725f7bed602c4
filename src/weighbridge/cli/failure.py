"""How an error is told: once, with its code and hints; as a JSON document when JSON was asked for."""

import itertools
import os
import re
import sys
import tempfile
import traceback

from weighbridge.core.errors import BrokenError, Interrupted, UsageError, WeighbridgeError
from weighbridge.core.text import visible


def say(error: WeighbridgeError, arguments: list[str]) -> int:
    """Print the error where this invocation's answer belongs and return its exit code."""
    from weighbridge.report import render_error

    if wants_json(arguments):
        sys.stdout.write(render_error(error, "json"))
    else:
        from weighbridge.cli.output import colored

        choice = (_said("--color", "", arguments) or ["auto"])[-1]
        sys.stderr.write(render_error(error, color=colored(choice, None, sys.stderr)))
    return int(error.exit_code)


def wants_json(arguments: list[str]) -> bool:
    """Whether JSON was asked for, even where the rest of the command line could not be parsed."""
    said = _said("--format", "f", arguments)
    return "json" in said if said else os.environ.get("WEIGHBRIDGE_FORMAT") == "json"


def _said(long: str, short: str, arguments: list[str]) -> list[str]:
    """What is said of an option, before the `--` behind which another program's words stand."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    flags = re.compile(rf"-[qv]*{short or '(?!)'}(.*)", re.DOTALL)
    said = [b for a, b in itertools.pairwise(own) if a == long or ((m := flags.fullmatch(a)) and not m[1])]
    said += [a.removeprefix(f"{long}=") for a in own if a.startswith(f"{long}=")]
    return said + [m[1] for a in own if (m := flags.fullmatch(a)) and m[1]]


def interrupted(arguments: list[str]) -> int:
    """Somebody pressed Ctrl-C, and knows it: only a program that waits for a document is told."""
    error = Interrupted()
    return say(error, arguments) if wants_json(arguments) else int(error.exit_code)


def from_os(error: OSError) -> WeighbridgeError:
    """What the operating system refused, in our words."""
    where = f'"{visible(os.fsdecode(error.filename))}"' if isinstance(error.filename, str | bytes) else ""
    reason = (error.strerror or str(error)).lower()
    if where and isinstance(error, FileNotFoundError | NotADirectoryError):
        return UsageError("no-such-path", f"there is nothing at {where}")
    if where and isinstance(error, PermissionError):
        return UsageError("unreadable", f"no permission for {where}")
    return BrokenError("disk", f"{where}: {reason}" if where else reason)


def from_bug(bug: Exception) -> WeighbridgeError:
    """A bug of ours: the traceback goes to a file, the person gets its path."""
    message = f"this is a bug in weighbridge ({type(bug).__name__})"
    try:
        handle, log = tempfile.mkstemp(prefix="weighbridge-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(bug, file=file)
    except OSError:  # a full disk can be what made the bug show
        return BrokenError("internal-error", message)
    return BrokenError("internal-error", message, f"please report it with the file {log}")
