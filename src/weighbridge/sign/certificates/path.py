"""Paths from a leaf to a trusted root: found here, and judged by nobody yet; and how a refusal of one is said."""

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from weighbridge.core.evidence import Outcome
from weighbridge.sign.anchor import SignerCheck
from weighbridge.sign.certificates.reading import subject

if TYPE_CHECKING:
    from cryptography import x509

MAX_DEPTH = 8
"""Certificates in one path, root included."""
MAX_STEPS = 64
"""Path extensions tried for one anchor; certificates that all sign each other end here."""

Path = tuple["x509.Certificate", ...]
"""Leaf first, trusted root last."""


def paths(chain: "Sequence[x509.Certificate]", roots: "Sequence[x509.Certificate]") -> Iterator[Path]:
    """Paths from the leaf to a root in which each certificate signed the one before; shortest first, bounded."""
    queue: deque[Path] = deque([(chain[0],)])
    for _ in range(MAX_STEPS):
        if not queue:
            return
        path = queue.popleft()
        yield from ((*path, root) for root in roots if root not in path and _issued(path[-1], root))
        if len(path) < MAX_DEPTH - 1:
            queue.extend((*path, one) for one in chain[1:] if one not in path and _issued(path[-1], one))


def _issued(certificate: "x509.Certificate", issuer: "x509.Certificate") -> bool:
    """True when the names meet and the issuer's key made the signature."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def objection(
    code: str, why: str, *, unknown: bool = False, key: "x509.Certificate | None" = None
) -> SignerCheck:
    """The refusal of one step; `unknown` where nobody can say, `key` the leaf it is about."""
    how = f"certificate {subject(key)}" if key is not None else ""
    return SignerCheck(outcome=Outcome.UNKNOWN if unknown else Outcome.FAIL, why=why, code=code, how=how)


def day(at: datetime) -> str:
    """A time in sentences about validity, to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
