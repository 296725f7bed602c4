"""One tree of errors: each has a stable code, a message, hints and an exit code.

"The model is bad" is never an exception: it is a `Finding` or `Evidence`. An exception means that *we* could not
do what was asked. The desk turns one that concerns a model's content into UNKNOWN evidence; only a door exits.

Messages are lower case, without a full stop, with the offending value in quotes; hints are commands or config
lines, two at most. What a code means: `docs/codes.md`.
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process says to whoever called it; the same in every command and format."""

    DONE = 0
    """Admitted, or done, and everything that was asked was answered."""
    REFUSED = 1
    """The model fails."""
    USAGE = 2
    """The request is impossible: unknown option, bad policy file, no such path."""
    UNDECIDED = 3
    """Not refused, but something could not be weighed."""
    BROKEN = 4
    """We could not work: disk, network, internal error."""
    INTERRUPTED = 130


class WeighbridgeError(Exception):
    """The root of the tree. `code` is kebab-case and stable; `message` is one line for people."""

    exit_code: ClassVar[ExitCode] = ExitCode.BROKEN

    def __init__(self, code: str, message: str, *hints: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hints = hints

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


class UsageError(WeighbridgeError):
    """The person asked for something impossible: no such path, unknown option, bad policy or config file."""

    exit_code = ExitCode.USAGE


class InputError(WeighbridgeError):
    """Bytes that came with a model do not follow their format, or changed while they were read."""

    exit_code = ExitCode.UNDECIDED


class LimitError(WeighbridgeError):
    """Reading further would cost more than the budget allows; what was not read stays UNKNOWN."""

    exit_code = ExitCode.UNDECIDED


class TrustError(WeighbridgeError):
    """A key, certificate, keyring or signature file of ours cannot be used as it stands."""

    exit_code = ExitCode.USAGE


class UnavailableError(WeighbridgeError):
    """Something needed is not here: an extra, a network that was forbidden, a token."""

    exit_code = ExitCode.UNDECIDED


class StepRefused(WeighbridgeError):  # noqa: N818 - what happened is no error of anybody's
    """A step may not start, an approval does not count, or a contribution may not leave quarantine; `reasons` say why."""

    exit_code = ExitCode.REFUSED

    def __init__(self, message: str, *hints: str, reasons: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__("step-refused", message, *hints)
        self.reasons = reasons
        """(code, sentence) of each reason."""

    def __str__(self) -> str:
        lines = [f"{self.message} [{self.code}]", *(f"  {why} [{code}]" for code, why in self.reasons)]
        return "\n".join([*lines, *(f"  next: {hint}" for hint in self.hints)])


class BrokenError(WeighbridgeError):
    """The machine or we ourselves failed: disk, network, a bug."""


class Interrupted(WeighbridgeError):  # noqa: N818 - what happened is no error of anybody's
    """Somebody ended the work before it was done."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("interrupted", "ended from the keyboard before the work was done")
