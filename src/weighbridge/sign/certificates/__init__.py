"""Certificate chains: does this leaf, at this time, speak for somebody the caller trusts?

Path validation after RFC 5280 section 6, in named steps, so that a refusal can say which one failed. Trust starts at the
root certificates of the caller's anchors alone: never at the web's roots, never at a certificate that came in a bundle.
`cryptography`'s own verifier then has to agree (it also evaluates name constraints), wherever it knows the algorithms.

Usage: a leaf needs key usage digitalSignature where it has that extension, extended key usage codeSigning where it has
that one, and at least one of the two: a certificate made for TLS alone is refused. `anyExtendedKeyUsage` does not count.

Deliberately not here: fetching (OCSP, CRL distribution points, missing intermediates), certificate policies, and
self-signed leaves: pin their public key instead.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from weighbridge.core.errors import InputError
from weighbridge.core.evidence import Outcome
from weighbridge.sign.anchor import CertificateAnchor, SignerCheck
from weighbridge.sign.certificates.path import MAX_DEPTH, Path, day, objection, paths
from weighbridge.sign.certificates.reading import (
    MAX_CERTIFICATES,
    leaf_names,
    leaf_public_key,
    load_chain,
    load_crl,
    load_roots,
    quoted,
    short,
    subject,
)
from weighbridge.sign.certificates.revocation import refuse_revoked
from weighbridge.sign.certificates.usage import refuse_algorithm, refuse_name, refuse_usage
from weighbridge.sign.clock import implausible
from weighbridge.sign.keys import describe, fingerprint, supported_public

if TYPE_CHECKING:
    from cryptography import x509

__all__ = [
    "MAX_CERTIFICATES",
    "check_chain",
    "leaf_names",
    "leaf_public_key",
    "load_chain",
    "load_crl",
    "load_roots",
    "subject",
]

Refusal = tuple[int, SignerCheck]
"""How many steps were passed before, and the refusal: the one that came furthest explains most."""


def check_chain(
    chain_der: Sequence[bytes], anchors: Sequence[CertificateAnchor], at: datetime
) -> tuple[CertificateAnchor | None, SignerCheck]:
    """The anchor that the chain's leaf speaks for at the time `at`; None unless the check passes.

    `at` is a trusted signing time where there is one, else now. `chain_der` has the leaf first; roots in it are no
    more than hints. Raises `TrustError` where an anchor's own files cannot be read.
    """
    if implausible(at):
        return None, objection(
            "clock-implausible", f"the clock says {at:%Y}: validity cannot be judged", unknown=True
        )
    try:
        chain = load_chain(chain_der)
        return _best(chain, anchors, at)
    except InputError as error:
        return None, objection(error.code, error.message)


def _best(
    chain: "Sequence[x509.Certificate]", anchors: Sequence[CertificateAnchor], at: datetime
) -> tuple[CertificateAnchor | None, SignerCheck]:
    """The first anchor and path that pass, else the refusal that came furthest."""
    best: Refusal = (-1, objection("certificate-untrusted", _untrusted(chain[0])))
    for anchor in anchors:
        for path in paths(chain, load_roots(anchor.roots_pem, anchor.name)):
            refusal = _judge(path, anchor, at)
            if refusal is None:
                return anchor, _accept(path, anchor)
            best = max(best, refusal, key=lambda one: one[0])
    return None, best[1]


def _judge(path: Path, anchor: CertificateAnchor, at: datetime) -> Refusal | None:
    """The first step that the path fails, with its place in the order; None when it passes them all."""
    from cryptography.exceptions import UnsupportedAlgorithm

    steps = (refuse_name, refuse_usage, refuse_algorithm, _refuse_time, refuse_revoked, _refuse_invalid)
    try:
        return next(((place, no) for place, step in enumerate(steps) if (no := step(path, anchor, at))), None)
    except (ValueError, UnsupportedAlgorithm) as error:
        return 0, objection("certificate-malformed", f"a certificate cannot be read: {short(error)}")


def _refuse_time(path: Path, _anchor: CertificateAnchor, at: datetime) -> SignerCheck | None:
    for one in path:
        if at < one.not_valid_before_utc:
            why = f"{subject(one)} is valid only from {day(one.not_valid_before_utc)}, judged at {day(at)}"
            return objection("certificate-not-yet-valid", why, key=path[0])
        if at > one.not_valid_after_utc:
            why = f"{subject(one)} expired on {day(one.not_valid_after_utc)}, judged at {day(at)}"
            return objection("certificate-expired", why, key=path[0])
    return None


def _refuse_invalid(path: Path, _anchor: CertificateAnchor, at: datetime) -> SignerCheck | None:
    """`cryptography`'s verifier over the same path; it knows no Ed25519, and there we refuse what only it can judge."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from cryptography.x509 import verification

    if any(isinstance(one.public_key(), ed25519.Ed25519PublicKey) for one in path):
        why = next((why for one in path if (why := _beyond_us(one))), None)
        return objection("certificate-untrusted", why, key=path[0]) if why else None
    anything = verification.ExtensionPolicy.permit_all()
    authorities = anything.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store([path[-1]]))
        .time(at)
        .max_chain_depth(MAX_DEPTH)
        .extension_policies(ca_policy=authorities, ee_policy=anything)
        .build_client_verifier()
    )
    try:
        verifier.verify(path[0], list(path[1:-1]))
    except (verification.VerificationError, x509.UnsupportedGeneralNameType) as error:
        return objection("certificate-untrusted", f"the chain is not valid: {short(error)}", key=path[0])
    return None


def _beyond_us(certificate: "x509.Certificate") -> str | None:
    from cryptography import x509

    known = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
    for extension in certificate.extensions:
        limits = isinstance(extension.value, x509.NameConstraints)
        if limits or (extension.critical and not isinstance(extension.value, known)):
            return f"{subject(certificate)} has the extension {extension.oid.dotted_string}, not judged with Ed25519"
    return None


def _accept(path: Path, anchor: CertificateAnchor) -> SignerCheck:
    key = supported_public(path[0].public_key())
    how = f"certificate {describe(key)} under {subject(path[-1])}"
    return SignerCheck(
        outcome=Outcome.PASS,
        why=f"{subject(path[0])} speaks for {anchor.name}",
        by=anchor.name,
        roles=anchor.roles,
        how=how,
        key=fingerprint(key),
    )


def _untrusted(leaf: "x509.Certificate") -> str:
    return f"no trusted root stands above {subject(leaf)}, issued by {quoted(leaf.issuer)}"
