"""Reason: why something is refused, with the code that `explain` knows."""

from collections.abc import Sequence

from weighbridge.core.errors import StepRefused
from weighbridge.core.value import dataclass

INSTALL = 'pip install "weighbridge[cedar]"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason."""

    code: str
    why: str
    """One line for people."""


def refuse(message: str, reasons: Sequence[Reason], *hints: str) -> None:
    """Raises `StepRefused` where there is a reason."""
    if reasons:
        missing = any(one.code == "extra-missing" for one in reasons)
        hints = (INSTALL, *hints) if missing else hints
        raise StepRefused(message, *hints, reasons=tuple((one.code, one.why) for one in reasons))
