"""Verdict: ADMITTED, REFUSED or UNDECIDED, with the reasons."""

from enum import StrEnum
from typing import NoReturn

from weighbridge.core.errors import ExitCode
from weighbridge.core.value import dataclass


class Decision(StrEnum):
    """What a gate does with the model."""

    ADMITTED = "admitted"
    REFUSED = "refused"
    UNDECIDED = "undecided"

    def __bool__(self) -> NoReturn:
        raise TypeError("a Decision has three values: compare it with `is`")

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that says the same."""
        return {"admitted": ExitCode.DONE, "refused": ExitCode.REFUSED}.get(self.value, ExitCode.UNDECIDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision and why: one line a reason, worst first, each beginning with the question it answers."""

    decision: Decision
    reasons: tuple[str, ...] = ()
    admitted_unknowns: tuple[str, ...] = ()
    """Questions whose UNKNOWN the policy let pass; still shown and counted."""

    def __bool__(self) -> NoReturn:
        raise TypeError("a Verdict has three values: look at .decision")
