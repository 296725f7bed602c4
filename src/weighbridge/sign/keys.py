"""Keys: reading PEM, naming, signing, verifying. EC P-256/384/521, Ed25519 and ML-DSA-65; nothing else.

ECDSA hashes by the size of the curve (SHA-256, 384, 512), as OMS implementations do; Ed25519 (RFC 8032) and ML-DSA-65
(FIPS 204, pure, empty context) hash by themselves. A weak or unknown kind of key is refused when it is read, not when it
verifies. Whose key it is, and since when, is no matter of this file.
"""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from weighbridge.core.errors import TrustError, UnavailableError

if TYPE_CHECKING:
    import types

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa

    PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | mldsa.MLDSA65PrivateKey
    PublicKey: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | mldsa.MLDSA65PublicKey

ALGORITHMS = ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "ml-dsa-65")
"""What `generate` makes; the first is the default, since every OMS tool verifies it."""

MAX_PEM = 64 * 1024
"""A key's PEM text is some 200 bytes, ML-DSA-65 some 5 KiB; more is not a key."""

_CURVES = {
    "secp256r1": ("P-256", "sha256"),
    "secp384r1": ("P-384", "sha384"),
    "secp521r1": ("P-521", "sha512"),
}

_SUPPORTED = "supported: EC P-256, P-384, P-521, Ed25519, ML-DSA-65"


def load_private(pem: bytes, password: bytes | str | None = None) -> "PrivateKey":
    """A private key from PKCS#8 or SEC 1 PEM, encrypted or not; a password that is not needed is not used.

    Raises `TrustError`: `key-unreadable`, `key-password-missing`, `key-password-wrong`, `key-unsupported`.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    _refuse_large(pem)
    secret = password.encode("utf-8") if isinstance(password, str) else password
    if b"PRIVATE KEY-----" not in pem:
        raise TrustError("key-unreadable", "no private key in this PEM text", _SUPPORTED)
    encrypted = b"ENCRYPTED" in pem
    if encrypted and not secret:
        raise TrustError("key-password-missing", "the private key is encrypted", "give its password")
    try:
        key = load_pem_private_key(pem, secret if encrypted else None)
    except Exception as error:
        # The library raises ValueError, TypeError and UnsupportedAlgorithm for bad PEM; a wrong password is a ValueError.
        if encrypted and "assword" in str(error):
            raise TrustError("key-password-wrong", "the password does not open the private key") from None
        raise TrustError(
            "key-unreadable", f"the private key cannot be read: {str(error)[:200]}", _SUPPORTED
        ) from None
    return _supported_private(key)


def load_public(pem: bytes) -> "PublicKey":
    """A public key from SubjectPublicKeyInfo PEM. Raises `TrustError` (`key-unreadable`, `key-unsupported`)."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    _refuse_large(pem)
    if b"PRIVATE KEY-----" in pem:
        raise TrustError(
            "key-unreadable", "this is a private key, not a public one", "weighbridge key show KEY.pem"
        )
    if b"-----BEGIN CERTIFICATE-----" in pem:
        raise TrustError("key-unreadable", "this is a certificate, not a public key")
    try:
        key = load_pem_public_key(pem)
    except Exception as error:
        raise TrustError(
            "key-unreadable", f"the public key cannot be read: {str(error)[:200]}", _SUPPORTED
        ) from None
    return supported_public(key)


def _refuse_large(pem: bytes) -> None:
    if len(pem) > MAX_PEM:
        raise TrustError("key-unreadable", f"{len(pem)} bytes are too many for a key, limit {MAX_PEM}")


def _supported_private(key: object) -> "PrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ec.EllipticCurvePrivateKey):
        supported_public(key.public_key())
        return key
    if isinstance(key, (ed25519.Ed25519PrivateKey, _mldsa().MLDSA65PrivateKey)):
        return key
    raise TrustError("key-unsupported", f"{_kind(key)} keys are not supported", _SUPPORTED)


def supported_public(key: object) -> "PublicKey":
    """The key itself when it is of a supported kind. Raises `TrustError` (`key-unsupported`)."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            raise TrustError("key-unsupported", f'curve "{key.curve.name}" is not supported', _SUPPORTED)
        return key
    if isinstance(key, (ed25519.Ed25519PublicKey, _mldsa().MLDSA65PublicKey)):
        return key
    raise TrustError("key-unsupported", f"{_kind(key)} keys are not supported", _SUPPORTED)


def _kind(key: object) -> str:
    return type(key).__name__.replace("PrivateKey", "").replace("PublicKey", "").lstrip("_") or "unknown"


def describe(key: "PublicKey") -> str:
    """`ECDSA P-256`, `Ed25519`, `ML-DSA-65`."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {_CURVES[key.curve.name][0]}"
    return "Ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "ML-DSA-65"


def public_pem(key: "PublicKey") -> bytes:
    """SubjectPublicKeyInfo PEM, with `\\n` line ends."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: "PublicKey") -> str:
    """SHA-256 hex of the DER SubjectPublicKeyInfo: the key's name on our screens and in keyrings."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def hint(key: "PublicKey") -> str:
    """SHA-256 hex of the PEM *text*: the `hint` that OMS bundles of model-signing 1.1 and later carry."""
    return hashlib.sha256(public_pem(key)).hexdigest()


def sign(key: "PrivateKey", data: bytes) -> bytes:
    """A signature over `data`; ECDSA in DER."""
    from cryptography.hazmat.primitives.asymmetric import ec

    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(_hash(_CURVES[key.curve.name][1])))
    return key.sign(data)


def verify(key: "PublicKey", data: bytes, signature: bytes, *, hash_name: str | None = None) -> bool:
    """Whether `signature` is `key`'s over `data`. `hash_name` replaces the curve's hash (only `sign.legacy` does)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(_hash(hash_name or _CURVES[key.curve.name][1])))
        else:
            key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def hash_of(key: "ec.EllipticCurvePublicKey") -> "hashes.HashAlgorithm":
    """The hash that goes with the key's curve."""
    return _hash(_CURVES[key.curve.name][1])


def generate(algorithm: str = ALGORITHMS[0]) -> "PrivateKey":
    """A new key of one of `ALGORITHMS`. Raises `TrustError` (`key-unsupported`)."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "ml-dsa-65":
        fresh: PrivateKey = _mldsa().MLDSA65PrivateKey.generate()
        return fresh
    curves: dict[str, Callable[[], ec.EllipticCurve]] = {
        "ecdsa-p256": ec.SECP256R1,
        "ecdsa-p384": ec.SECP384R1,
        "ecdsa-p521": ec.SECP521R1,
    }
    if algorithm not in curves:
        raise TrustError("key-unsupported", f'no algorithm "{algorithm}"', f"one of: {', '.join(ALGORITHMS)}")
    return ec.generate_private_key(curves[algorithm]())


def private_pem(key: "PrivateKey", password: bytes | str | None = None) -> bytes:
    """PKCS#8 PEM, encrypted when there is a password."""
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        KeySerializationEncryption,
        NoEncryption,
        PrivateFormat,
    )

    secret = password.encode("utf-8") if isinstance(password, str) else password
    how: KeySerializationEncryption = BestAvailableEncryption(secret) if secret else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def _hash(name: str) -> "hashes.HashAlgorithm":
    from cryptography.hazmat.primitives import hashes

    known: dict[str, Callable[[], hashes.HashAlgorithm]] = {
        "sha256": hashes.SHA256,
        "sha384": hashes.SHA384,
        "sha512": hashes.SHA512,
    }
    return known[name]()


def _mldsa() -> "types.ModuleType":
    try:
        from cryptography.hazmat.primitives.asymmetric import mldsa
    except ImportError:
        raise UnavailableError(
            "no-ml-dsa", "this cryptography library has no ML-DSA", "pip install -U cryptography"
        ) from None
    return mldsa
