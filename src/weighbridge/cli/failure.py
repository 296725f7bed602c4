"""How an error is told: once, with its code and hints; as a JSON document when JSON was asked for."""

import itertools
import sys
import tempfile
import traceback
from pathlib import Path

from weighbridge.core.errors import BrokenError, UsageError, WeighbridgeError


def say(error: WeighbridgeError, arguments: list[str]) -> int:
    """Print the error where this invocation's answer belongs and return its exit code."""
    from weighbridge.report import render_error

    if wants_json(arguments):
        sys.stdout.write(render_error(error, "json") + "\n")
    else:
        sys.stderr.write(render_error(error))
    return int(error.exit_code)


def wants_json(arguments: list[str]) -> bool:
    """Whether `--format json` stands on the command line, even where the rest of it could not be parsed."""
    pairs = itertools.pairwise(arguments)
    return "--format=json" in arguments or any(a in ("--format", "-f") and b == "json" for a, b in pairs)


def from_os(error: OSError) -> WeighbridgeError:
    """What the operating system refused, in our words."""
    where = f' "{error.filename}"' if error.filename else ""
    reason = (error.strerror or str(error)).lower()
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UsageError("no-such-path", f"there is nothing at{where}")
    if isinstance(error, PermissionError):
        return UsageError("unreadable", f"no permission for{where}")
    return BrokenError("disk", f"{reason}{where}")


def from_bug(bug: Exception) -> WeighbridgeError:
    """A bug of ours: the traceback goes to a file, the person gets its path."""
    with tempfile.NamedTemporaryFile("w", prefix="weighbridge-", suffix=".log", delete=False) as log:
        traceback.print_exception(bug, file=log)
    return BrokenError(
        "internal-error",
        f"this is a bug in weighbridge ({type(bug).__name__})",
        f"please report it with the file {Path(log.name)}",
    )
