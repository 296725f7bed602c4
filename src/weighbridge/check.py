"""THE WEIGHING. Read this file first: it is the whole product on one page.

    path → Artifact → Manifest + examinations → Evidence → Verdict → Report

`check`, `verify` and `scan` are the same weighing with other questions; every door calls `weigh`. Nothing here knows
a format, a curve or a screen, and nothing raises for what a model contains: a bad model is evidence.
"""

from dataclasses import dataclass
from enum import StrEnum

from weighbridge.core.budget import Limits
from weighbridge.policy import Policy
from weighbridge.store import Links
from weighbridge.trust.keyring import Keyring


class Ask(StrEnum):
    """What a weighing looks into."""

    SIGNATURES = "signatures"
    CONTENT = "content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One weighing: what, against whom, by which policy."""

    path: str
    command: str
    """The word in the report: check, verify or scan."""
    ask: frozenset[Ask]
    policy: Policy
    keyring: Keyring
    signatures: tuple[str, ...] = ()
    """Signature files that do not lie beside the model."""
    ignore_unsigned: bool = False
    links: Links = Links.INSIDE
    limits: Limits = Limits()  # noqa: RUF009 - a frozen value
    jobs: int | None = None
