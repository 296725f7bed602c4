"""Whether a clock can be right at all: every judgement about validity rests on one."""

from datetime import datetime

FIRST_PLAUSIBLE_YEAR, LAST_PLAUSIBLE_YEAR = 1990, 2100
"""A clock outside these years is broken, and so is every judgement about validity made by it."""


def implausible(at: datetime) -> bool:
    """True when a clock that says `at` cannot be right."""
    return not FIRST_PLAUSIBLE_YEAR <= at.year < LAST_PLAUSIBLE_YEAR
