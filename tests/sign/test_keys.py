"""Keys: five algorithms, passwords, names, and what is refused."""

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sign.helpers import private_key, public_key

from weighbridge.core.errors import TrustError, WeighbridgeError
from weighbridge.sign import keys

NAMES = {
    "ecdsa-p256": "ECDSA P-256",
    "ecdsa-p384": "ECDSA P-384",
    "ecdsa-p521": "ECDSA P-521",
    "ed25519": "Ed25519",
    "ml-dsa-65": "ML-DSA-65",
}


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_every_algorithm_signs_and_verifies(algorithm: str) -> None:
    private = keys.load_private(private_key(algorithm))
    public = keys.load_public(keys.public_pem(private.public_key()))
    signature = keys.sign(private, b"a model")
    assert keys.describe(public) == NAMES[algorithm]
    assert keys.verify(public, b"a model", signature)
    assert not keys.verify(public, b"another", signature)
    assert not keys.verify(public, b"a model", signature[:-1])
    assert not keys.verify(public, b"a model", b"")
    assert not keys.verify(keys.load_public(public_key(private_key(algorithm, 2))), b"a model", signature)


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [("ecdsa-p256", hashes.SHA256()), ("ecdsa-p384", hashes.SHA384()), ("ecdsa-p521", hashes.SHA512())],
)
def test_the_curve_decides_the_hash(algorithm: str, digest: hashes.HashAlgorithm) -> None:
    private = keys.load_private(private_key(algorithm))
    public = private.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(keys.sign(private, b"a model"), b"a model", ec.ECDSA(digest))


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
@pytest.mark.parametrize("password", ["hunter2", b"hunter2"])
def test_encrypted_keys_need_their_password(algorithm: str, password: str | bytes) -> None:
    key = keys.load_private(private_key(algorithm))
    pem = keys.private_pem(key, "hunter2")
    assert b"ENCRYPTED" in pem
    assert keys.fingerprint(keys.load_private(pem, password).public_key()) == keys.fingerprint(
        key.public_key()
    )


@pytest.mark.parametrize(
    ("password", "code"), [(None, "missing"), ("", "missing"), ("wrong", "wrong"), (b"\xff", "wrong")]
)
def test_a_wrong_password_says_so(password: str | bytes | None, code: str) -> None:
    pem = keys.private_pem(keys.load_private(private_key()), "right")
    with pytest.raises(TrustError) as caught:
        keys.load_private(pem, password)
    assert caught.value.code == f"key-password-{code}"


def test_old_encrypted_pem_is_read() -> None:
    key = keys.load_private(private_key())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"right"))
    assert b"Proc-Type: 4,ENCRYPTED" in pem
    assert keys.load_private(pem, "right").public_key() == key.public_key()
    with pytest.raises(TrustError) as caught:
        keys.load_private(pem, "wrong")
    assert caught.value.code in ("key-password-wrong", "key-unreadable")


def test_a_password_that_is_not_needed_is_not_used() -> None:
    assert keys.load_private(private_key(), "unused")


def _pem(private: object) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "private",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256K1()),
        ed448.Ed448PrivateKey.generate(),
        mldsa.MLDSA44PrivateKey.generate(),
    ],
    ids=["rsa", "secp256k1", "ed448", "ml-dsa-44"],
)
def test_other_kinds_of_key_are_refused(private: object) -> None:
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    for load, pem in ((keys.load_private, _pem(private)), (keys.load_public, public)):
        with pytest.raises(TrustError) as caught:
            load(pem)
        assert caught.value.code == "key-unsupported"
        assert "P-256" in caught.value.hints[0]


def test_the_wrong_half_or_a_certificate_is_refused() -> None:
    with pytest.raises(TrustError, match="this is a private key"):
        keys.load_public(private_key())
    with pytest.raises(TrustError, match="no private key"):
        keys.load_private(public_key(private_key()))
    with pytest.raises(TrustError, match="this is a certificate"):
        keys.load_public(b"-----BEGIN CERTIFICATE-----\n")


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
def test_junk_is_refused_and_never_crashes(data: bytes, cut: int) -> None:
    for pem in (data, private_key()[:cut] + data, public_key(private_key())[:cut] + data):
        assert {_code(keys.load_private, pem), _code(keys.load_public, pem)} <= {
            "",
            "key-unreadable",
            "key-unsupported",
            "key-password-missing",
        }


def _code(load: Callable[[bytes], object], pem: bytes) -> str:
    try:
        load(pem)
    except WeighbridgeError as error:
        return error.code
    return ""


def test_a_huge_file_is_no_key() -> None:
    with pytest.raises(TrustError) as caught:
        keys.load_public(b"-" * (keys.MAX_PEM + 1))
    assert caught.value.code == "key-unreadable"


def test_names_of_a_key() -> None:
    pem = public_key(private_key())
    public = keys.load_public(pem)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert keys.fingerprint(public) == hashlib.sha256(der).hexdigest()
    assert keys.hint(public) == hashlib.sha256(pem).hexdigest()


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(TrustError) as caught:
        keys.generate("rsa")
    assert caught.value.code == "key-unsupported"
