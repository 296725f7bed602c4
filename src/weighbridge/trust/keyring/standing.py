"""Who stands in a keyring, and whether they may sign at a time: what `trust show` tells."""

from datetime import datetime

from weighbridge.core.value import dataclass
from weighbridge.sign import keys
from weighbridge.sign.anchor import Anchor, CertificateAnchor, KeyAnchor, SigstoreAnchor
from weighbridge.trust.keyring.reading import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One identity as `trust show` tells it."""

    name: str
    kind: str
    """`key`, `certificate` or `sigstore`."""
    what: str
    """`ECDSA P-256`, `under "Acme Root" as release@acme.example`, `me@x.example according to https://…`."""
    key: str
    """Fingerprint of a bare key; empty for the other kinds."""
    roles: tuple[str, ...]
    state: str
    """`good`, `not yet valid`, `expired` or `revoked` at the time that was asked for."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    revoked_at: datetime | None = None
    reason: str = ""


def standings(keyring: Keyring, now: datetime) -> tuple[Standing, ...]:
    """Every identity and whether it may sign at `now`, in the keyring's order."""
    return tuple(_standing(anchor, now) for anchor in keyring.anchors)


def _standing(anchor: Anchor, now: datetime) -> Standing:
    kind, what, key = what_is(anchor)
    return Standing(
        name=anchor.name,
        kind=kind,
        what=what,
        key=key,
        roles=anchor.roles,
        state=_state(anchor, now),
        not_before=anchor.not_before,
        not_after=anchor.not_after,
        revoked_at=anchor.revoked_at,
        reason=anchor.revocation_reason,
    )


def _state(anchor: Anchor, now: datetime) -> str:
    if anchor.revoked_at and now >= anchor.revoked_at:
        return "revoked"
    if anchor.not_before and now < anchor.not_before:
        return "not yet valid"
    return "expired" if anchor.not_after and now > anchor.not_after else "good"


def what_is(anchor: Anchor) -> tuple[str, str, str]:
    """Kind, description and fingerprint as `Standing` has them."""
    match anchor:
        case KeyAnchor():
            key = keys.load_public(anchor.public_key_pem)
            return "key", keys.describe(key), keys.fingerprint(key)
        case CertificateAnchor():
            from weighbridge.sign.certificates import load_roots, subject

            roots = ", ".join(subject(one) for one in load_roots(anchor.roots_pem, anchor.name))
            return "certificate", f"under {roots} as {', '.join(anchor.names) or 'anybody'}", ""
        case SigstoreAnchor():
            return "sigstore", f"{anchor.identity} according to {anchor.issuer}", ""
        case _:
            raise AssertionError(anchor)
