"""Reading certificates, chains, roots and revocation lists, and what a certificate says of itself. Nothing is judged."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import InputError, TrustError
from weighbridge.core.text import visible
from weighbridge.sign.keys import supported_public

if TYPE_CHECKING:
    from cryptography import x509

    from weighbridge.sign.keys import PublicKey

MAX_CERTIFICATES = 16
"""Certificates that one bundle may bring."""
MAX_CERTIFICATE_BYTES = 64 * 1024


def load_chain(chain_der: Sequence[bytes]) -> "list[x509.Certificate]":
    """The certificates of a bundle. Raises `InputError` (`certificate-malformed`)."""
    if not 1 <= len(chain_der) <= MAX_CERTIFICATES:
        raise InputError(
            "certificate-malformed", f"{len(chain_der)} certificates, expected 1 to {MAX_CERTIFICATES}"
        )
    return [_load(der) for der in chain_der]


def _load(der: bytes) -> "x509.Certificate":
    from cryptography import x509

    if len(der) > MAX_CERTIFICATE_BYTES:
        raise InputError(
            "certificate-malformed", f"a certificate of {len(der)} bytes, limit {MAX_CERTIFICATE_BYTES}"
        )
    try:
        certificate = x509.load_der_x509_certificate(der)
        # The library parses these when they are first asked for: ask here, so that later steps meet no surprise.
        _ = (
            certificate.subject,
            certificate.issuer,
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )
        _ = certificate.extensions, certificate.serial_number
    except (
        ValueError,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise InputError("certificate-malformed", f"not a certificate we can read: {short(error)}") from None
    if not der.endswith(b"\0" + certificate.signature):
        # The last field is a BIT STRING; the library overlooks a count of unused bits, and DER has one form for each.
        raise InputError("certificate-malformed", "the certificate's signature is no whole number of bytes")
    return certificate


def leaf_public_key(chain_der: Sequence[bytes]) -> "PublicKey":
    """The public key of the first certificate. Raises `InputError` (`certificate-malformed`, `certificate-algorithm`)."""
    from cryptography.exceptions import UnsupportedAlgorithm

    leaf = load_chain(chain_der[:1])[0]
    try:
        return supported_public(leaf.public_key())
    except (ValueError, UnsupportedAlgorithm, TrustError) as error:
        raise InputError("certificate-algorithm", f"the key of {subject(leaf)}: {short(error)}") from None


def load_roots(pem: bytes, name: str) -> "list[x509.Certificate]":
    """The root certificates of an anchor. Raises `TrustError` (`certificate-unreadable`)."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise TrustError("certificate-unreadable", f'root certificates of "{name}": {short(error)}') from None


def load_crl(data: bytes, name: str) -> "x509.CertificateRevocationList":
    """A certificate revocation list in PEM or DER. Raises `TrustError` (`crl-unreadable`)."""
    from cryptography import x509

    try:
        crl = x509.load_pem_x509_crl(data) if b"-----BEGIN" in data else x509.load_der_x509_crl(data)
        _ = crl.issuer, crl.next_update_utc, crl.extensions  # parsed when first asked for: see `_load`
        return crl  # noqa: TRY300 - one statement reads better than an else branch
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise TrustError("crl-unreadable", f'revocation list of "{name}": {short(error)}') from None


def leaf_names(leaf: "x509.Certificate", *, with_common_name: bool = True) -> tuple[str, ...]:
    """Every name a leaf claims: SAN e-mail, URI and DNS, then the subject's common name."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    kinds = (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName)
    san = extension(leaf, x509.SubjectAlternativeName)
    names = [str(one.value) for one in san if isinstance(one, kinds)] if san is not None else []
    common = [str(one.value) for one in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(names + common) if with_common_name else tuple(names)


def extension(certificate: "x509.Certificate", kind: Any) -> Any:
    """The extension's value, or None."""
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def subject(certificate: "x509.Certificate") -> str:
    """The subject as one harmless word in quotes: its common name where it has one."""
    return quoted(certificate.subject)


def quoted(name: "x509.Name") -> str:
    """A name as one harmless word: its common name where it has one."""
    from cryptography.x509.oid import NameOID

    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return f'"{visible(str(common[0].value) if common else name.rfc4514_string(), 100)}"'


def short(error: Exception) -> str:
    """What a library says, cut to the length of a sentence."""
    return visible(str(error), 150)
