"""Anchors: whom the caller trusts, as values. `weighbridge.trust` reads them from a keyring; here they are only used.

An anchor says one name (the identity that policies speak of), its roles, when it may have signed, and since when it
may not. What is inside a bundle can select an anchor, never add one.
"""

from datetime import datetime

from weighbridge.core.evidence import Outcome
from weighbridge.core.value import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What every kind of trusted identity has. Times are aware UTC datetimes."""

    name: str
    """The identity, as in `--by` and `[policy] signers`: `release@acme.example`."""
    roles: tuple[str, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None
    revoked_at: datetime | None = None
    """Signatures are refused when revoked, unless a trusted time proves that they were made before."""
    revocation_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnchor(Anchor):
    """A bare public key."""

    public_key_pem: bytes
    """SubjectPublicKeyInfo PEM: EC P-256/384/521, Ed25519 or ML-DSA-65."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAnchor(Anchor):
    """A private certificate authority and the leaf names it may speak for; never the web's roots by default."""

    roots_pem: bytes
    """One or more trusted root certificates."""
    names: tuple[str, ...] = ()
    """Leaf names accepted (SAN e-mail, URI or DNS, or the subject's common name); () accepts any leaf under the root."""
    crls_pem: tuple[bytes, ...] = ()
    """Certificate revocation lists, PEM or DER, checked for every certificate of the chain they cover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigstoreAnchor(Anchor):
    """A keyless identity: who (certificate SAN) according to whom (OIDC issuer), under a given trusted root."""

    identity: str
    issuer: str
    trusted_root_json: bytes
    """A Sigstore TrustedRoot document; verification uses the network for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampAuthority:
    """An RFC 3161 time-stamping authority that the caller trusts."""

    name: str
    roots_pem: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerCheck:
    """The answer to "who signed these bytes?": the result of one verifier for one signature."""

    outcome: Outcome
    why: str
    code: str = ""
    """Kebab-case cause when not PASS: `signature-wrong`, `signer-unknown`, `certificate-expired`, …"""
    by: str = ""
    roles: tuple[str, ...] = ()
    how: str = ""
    """`key ECDSA P-256`, `certificate ECDSA P-384 under "Acme Root"`, `sigstore, issuer …`."""
    key: str = ""
    """SHA-256 hex of the DER SubjectPublicKeyInfo that verified the signature."""
    time: datetime | None = None
    """Trusted signing time, when somebody vouches for one."""
