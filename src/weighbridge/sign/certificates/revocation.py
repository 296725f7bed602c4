"""Revocation lists that the caller gave: which cover a certificate, which can be used, and what they say."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from weighbridge.core.evidence import Outcome
from weighbridge.sign.anchor import CertificateAnchor, SignerCheck
from weighbridge.sign.certificates.path import Path, day, objection
from weighbridge.sign.certificates.reading import extension, load_crl, subject

if TYPE_CHECKING:
    from cryptography import x509


def refuse_revoked(path: Path, anchor: CertificateAnchor, at: datetime) -> SignerCheck | None:
    """Every certificate that a list covers; and once the caller gave lists, one of them must cover the leaf."""
    crls = [load_crl(data, anchor.name) for data in anchor.crls_pem]
    refusals = []
    for certificate, issuer in pairwise(path):
        covering = [crl for crl in crls if crl.issuer == issuer.subject]
        if covering:
            refusals.append(_revoked(certificate, issuer, covering, at))
        elif crls and certificate is path[0]:
            why = f"no revocation list of {subject(issuer)} was given, which issued the leaf"
            refusals.append(objection("crl-missing", why, unknown=True, key=path[0]))
    found = [one for one in refusals if one]
    return next((one for one in found if one.outcome is Outcome.FAIL), found[0] if found else None)


def _revoked(
    certificate: "x509.Certificate",
    issuer: "x509.Certificate",
    crls: "Sequence[x509.CertificateRevocationList]",
    at: datetime,
) -> SignerCheck | None:
    usable = [crl for crl in crls if _crl_usable(crl, issuer)]
    if not usable:
        why = f"the revocation list of {subject(issuer)} is not signed by it, or is only a part"
        return objection("crl-unusable", why, unknown=True, key=certificate)
    for crl in usable:
        since = _revoked_since(crl, certificate)
        if since is not None and at >= since:
            why = f"{subject(certificate)} was revoked on {day(since)} by {subject(issuer)}"
            return objection("certificate-revoked", why, key=certificate)
    until = max((crl.next_update_utc for crl in usable if crl.next_update_utc), default=None)
    if until is None or at > until:
        end = f"ended on {day(until)}" if until else "states no end"
        why = f"the revocation list of {subject(issuer)} {end}, judged at {day(at)}"
        return objection("crl-stale", why, unknown=True, key=certificate)
    return None


def _crl_usable(crl: "x509.CertificateRevocationList", issuer: "x509.Certificate") -> bool:
    """Signed by the issuer, whole, and without an extension that changes what it means (delta, partial, indirect)."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    usage = extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        return False
    if any(one.critical or isinstance(one.value, x509.IssuingDistributionPoint) for one in crl.extensions):
        return False
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _revoked_since(crl: "x509.CertificateRevocationList", certificate: "x509.Certificate") -> datetime | None:
    """When the certificate stopped being good: the earlier of its revocation and its stated invalidity."""
    from cryptography import x509

    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if entry is None:
        return None
    stated = [
        one.value.invalidity_date_utc
        for one in entry.extensions
        if isinstance(one.value, x509.InvalidityDate)
    ]
    return min([entry.revocation_date_utc, *stated])
