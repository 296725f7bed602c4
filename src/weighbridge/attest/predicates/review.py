"""Review: a person with a role looked at something and approves it, rejects it, or only comments.

    {"decision": "approve", "role": "safety", "comment": "…", "timeReviewed": "2026-11-20T14:02:00Z"}

Who the person is says the signature, never the predicate: a statement that names its own author proves nothing.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from weighbridge.attest import fields
from weighbridge.core.value import dataclass

TYPE = "weighbridge.review/v1"
_KNOWN = ("decision", "role", "comment", "timeReviewed")


class Decision(StrEnum):
    """What the reviewer says."""

    APPROVE = "approve"
    REJECT = "reject"
    COMMENT = "comment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One review of the statement's subjects."""

    decision: Decision
    time: str
    role: str = ""
    """In which role; it counts only where the keyring gives the signer this role."""
    comment: str = ""


def read(predicate: Mapping[str, Any], what: str) -> Review:
    """Strict. Raises `InputError` (`bad-predicate`)."""
    fields.refuse_unknown(predicate, _KNOWN, what)
    return Review(
        decision=Decision(fields.word(predicate, "decision", tuple(Decision), what)),
        time=fields.time(predicate, "timeReviewed", what),
        role=fields.optional(predicate, "role", "", what),
        comment=fields.optional(predicate, "comment", "", what),
    )


def write(review: Review) -> dict[str, Any]:
    """`read(write(r)) == r`."""
    return {
        "decision": review.decision.value,
        "timeReviewed": review.time,
        **({"role": review.role} if review.role else {}),
        **({"comment": review.comment} if review.comment else {}),
    }


def say(review: Review) -> str:
    """In a few words."""
    role = f" as {review.role}" if review.role else ""
    return f"{review.decision}{role}" + (f": {review.comment}" if review.comment else "")
