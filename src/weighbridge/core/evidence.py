"""Evidence: PASS, FAIL or UNKNOWN, with the reason, to one question. It has no truth value."""

from enum import StrEnum
from typing import NoReturn

from weighbridge.core.value import dataclass


class Outcome(StrEnum):
    """A check's answer. `if outcome:` raises, so that UNKNOWN can never be taken for a pass."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    UNKNOWN = "unknown"

    def __bool__(self) -> NoReturn:
        raise TypeError("an Outcome has three values: compare it with `is`")


WORST_FIRST = (Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS)


def worst(outcomes: "tuple[Outcome, ...] | list[Outcome]") -> Outcome:
    """FAIL before UNKNOWN before PASS; UNKNOWN when there is nothing, since absence is never a pass."""
    return next((outcome for outcome in WORST_FIRST if outcome in outcomes), Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The answer to one question that the policy asks."""

    question: str
    """`signed`, `safe`, `read`, `fresh`, …, or `rule:NAME` for a rule written in the policy."""
    outcome: Outcome
    why: str
    """One line for people."""
    by: str = ""
    """Who or what answers: a signer's identity, `weighbridge scan`, a rule."""
    code: str = ""
    """Stable kebab-case reason where there is one (`no-signature`, `limit-bytes`, …); `explain` knows it."""
    details: tuple[str, ...] = ()
    """Further lines: what differs, which certificate, which limit."""

    def __bool__(self) -> NoReturn:
        raise TypeError("Evidence has three values: look at .outcome")
