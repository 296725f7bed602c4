"""What a certificate was made for, and with which keys and digests: steps of judging a path (RFC 5280 section 6)."""

from datetime import datetime
from typing import TYPE_CHECKING

from weighbridge.core.errors import TrustError
from weighbridge.core.text import visible
from weighbridge.sign.anchor import CertificateAnchor, SignerCheck
from weighbridge.sign.certificates.path import Path, objection
from weighbridge.sign.certificates.reading import extension, leaf_names, subject
from weighbridge.sign.keys import supported_public

if TYPE_CHECKING:
    from cryptography import x509


def refuse_name(path: Path, anchor: CertificateAnchor, _at: datetime) -> SignerCheck | None:
    """Names are compared exactly. Under name constraints, which do not bind it, a common name does not count."""
    from cryptography import x509

    if not anchor.names:
        return None
    constrained = any(extension(one, x509.NameConstraints) is not None for one in path)
    names = leaf_names(path[0], with_common_name=not constrained)
    if set(names) & set(anchor.names):
        return None
    said = ", ".join(f'"{visible(name, 100)}"' for name in names[:3]) or "nobody"
    return objection(
        "certificate-name", f'the certificate names {said}, not "{anchor.names[0]}"', key=path[0]
    )


def refuse_usage(path: Path, _anchor: CertificateAnchor, _at: datetime) -> SignerCheck | None:
    """The leaf must be made for signing code, and every authority for issuing such certificates."""
    why = _leaf_misuse(path[0]) or next(
        (why for below, one in enumerate(path[1:]) if (why := _authority_misuse(one, below))), None
    )
    return objection("certificate-wrong-usage", why, key=path[0]) if why else None


def _leaf_misuse(leaf: "x509.Certificate") -> str | None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    constraints = extension(leaf, x509.BasicConstraints)
    usage = extension(leaf, x509.KeyUsage)
    purposes = extension(leaf, x509.ExtendedKeyUsage)
    # Certificates that say CA and may sign no certificate are in use (model-signing's own fixtures): they are only leaves.
    if constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign):
        return "the leaf is a certificate authority, not a signing certificate"
    if usage is None and purposes is None:
        return "the leaf states neither key usage digitalSignature nor extended key usage codeSigning"
    if usage is not None and not usage.digital_signature:
        return "the leaf's key usage lacks digitalSignature"
    if purposes is not None and ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        return "the leaf's extended key usage lacks codeSigning"
    return None


def _authority_misuse(certificate: "x509.Certificate", below: int) -> str | None:
    """`below` counts the authorities between this certificate and the leaf."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    constraints = extension(certificate, x509.BasicConstraints)
    usage = extension(certificate, x509.KeyUsage)
    purposes = extension(certificate, x509.ExtendedKeyUsage)
    who = subject(certificate)
    if constraints is None or not constraints.ca:
        return f"{who} issued a certificate but is no certificate authority"
    if constraints.path_length is not None and below > constraints.path_length:
        return f"{who} allows {constraints.path_length} authorities below it, the chain has {below}"
    if usage is not None and not usage.key_cert_sign:
        return f"the key usage of {who} lacks keyCertSign"
    allowed = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if purposes is not None and not allowed & set(purposes):
        return f"{who} may not issue code signing certificates"
    return None


def refuse_algorithm(path: Path, _anchor: CertificateAnchor, _at: datetime) -> SignerCheck | None:
    """Authorities may also use RSA and all of ML-DSA; the leaf's key has to be one that signs models."""
    why = next((why for one in path if (why := _weak_key(one))), None)
    why = why or next((why for one in path[:-1] if (why := _weak_digest(one))), None)
    try:
        supported_public(path[0].public_key())
    except TrustError as error:
        why = why or f"the key of {subject(path[0])}: {error.message}"
    return objection("certificate-algorithm", why, key=path[0]) if why else None


def _weak_key(certificate: "x509.Certificate") -> str | None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

    strong = (
        ed25519.Ed25519PublicKey,
        mldsa.MLDSA44PublicKey,
        mldsa.MLDSA65PublicKey,
        mldsa.MLDSA87PublicKey,
    )
    match certificate.public_key():
        case rsa.RSAPublicKey() as key if key.key_size < 2048:
            return f"{subject(certificate)} has an RSA key of {key.key_size} bits, fewer than 2048"
        case ec.EllipticCurvePublicKey() as key if key.curve.name not in (
            "secp256r1",
            "secp384r1",
            "secp521r1",
        ):
            return f"{subject(certificate)} has a key on the curve {key.curve.name}"
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey():
            return None
        case key:
            return None if isinstance(key, strong) else f"{subject(certificate)} has a key of an unknown kind"


def _weak_digest(certificate: "x509.Certificate") -> str | None:
    """Ed25519 and ML-DSA name no digest. A root's own signature proves nothing and is not looked at."""
    digest = certificate.signature_hash_algorithm
    if digest is None or digest.name in ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"):
        return None
    return f"{subject(certificate)} was signed with {digest.name}"
