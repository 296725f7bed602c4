"""What a weighing is asked: which model, against whom, by which policy, within which limits."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.core.budget import Limits
from weighbridge.core.value import dataclass, field
from weighbridge.measure import Measurement
from weighbridge.policy import Policy
from weighbridge.store import Links

if TYPE_CHECKING:
    from weighbridge.sign.anchor import Anchor, TimestampAuthority
    from weighbridge.trust.keyring import Keyring


Measurer = Callable[..., Measurement]
"""Takes what `measure.measure` takes and answers as it does."""


class Ask(StrEnum):
    """What a weighing looks into."""

    SIGNATURES = "signatures"
    CONTENT = "content"
    STATEMENTS = "statements"
    """Where it came from, who approved it, whether it still stands."""


BELIEVES = frozenset({Ask.SIGNATURES, Ask.STATEMENTS})
"""What can only be answered by believing somebody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One weighing: what, against whom, by which policy."""

    paths: tuple[str, ...]
    """The model's folder or file; several only where no signature is asked for."""
    command: str
    """The word in the report: check, verify or scan."""
    ask: frozenset[Ask]
    policy: Policy
    keyring: "Keyring | None"
    """None where no signature is asked for."""
    now: datetime
    signatures: tuple[str, ...] = ()
    """Signature files that do not lie beside the model."""
    ignore_unsigned: bool = False
    """Let files pass that a signature does not name."""
    allow_ignored: tuple[str, ...] = ()
    """Paths that may be there although the signer left them out."""
    fail_fast: bool = False
    """Stop reading at the first file that differs from what a trusted signer signed; only where nothing is scanned."""
    links: Links = Links.INSIDE
    limits: Limits = field(default_factory=Limits)
    jobs: int | None = None
    others: tuple[str, ...] = ()
    """SARIF logs of other scanners."""
    statements: tuple[str, ...] = ()
    """Files and stores of statements that do not lie beside the model."""
    base: str | None = None
    """What the model, an adapter, shall be used with: a folder or file, which is measured too."""
    state: Path | None = None
    """Where this machine remembers what it has seen (recalls, times); None to remember nothing."""
    accept_links: bool = False
    """Count contents behind links as what was signed although plain files were: for bytes that are held, and never
    looked up again by their path."""
    only: tuple[str, ...] | None = None
    """Weigh these files of the model alone: nothing is said of the others, not even whether they are there."""
    recallers: "tuple[Anchor, ...]" = ()
    """Who may call back besides those with the role in the keyring; for nothing else are they believed."""

    @property
    def believed(self) -> "tuple[tuple[Anchor, ...], tuple[TimestampAuthority, ...]]":
        """Whom to believe about signatures, and about the time."""
        return (self.keyring.anchors, self.keyring.authorities) if self.keyring else ((), ())
