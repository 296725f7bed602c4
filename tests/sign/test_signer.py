"""Signers by URI, and what a PEM signer refuses."""

from pathlib import Path

import pytest
from tests.pki import authority, leaf
from tests.sign.helpers import anchor, judge, measured, private_key, write_model

from weighbridge.core.errors import TrustError, UsageError
from weighbridge.sign import bundle, keys, oms
from weighbridge.sign.bundle import Method
from weighbridge.sign.signer import (
    SIGNER_FOR_SCHEME,
    BundleSigner,
    PemSigner,
    open_signer,
    sign_all,
    sign_statement,
)


def encrypted(password: str) -> bytes:
    return keys.private_pem(keys.load_private(private_key()), password)


@pytest.mark.parametrize("prefix", ["", "file:"])
def test_a_key_file_is_opened_and_signs(tmp_path: Path, prefix: str) -> None:
    (tmp_path / "release.pem").write_bytes(encrypted("hunter2"))
    signer = open_signer(f"{prefix}{tmp_path}/release.pem", password="hunter2")
    assert signer.describe == "key ECDSA P-256"
    manifest = measured(write_model(tmp_path / "model"))
    data = sign_statement(oms.statement(manifest, name="model"), signer)
    assert judge(data, manifest, [anchor()]).outcome == "pass"


def test_a_file_with_a_colon_in_its_name_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a:b.pem").write_bytes(private_key())
    assert open_signer(f"{tmp_path}/a:b.pem").describe == "key ECDSA P-256"


def test_with_a_chain_it_signs_as_a_certificate(tmp_path: Path) -> None:
    root = authority()
    one = leaf(root)
    (tmp_path / "key.pem").write_bytes(one.key_pem)
    signer = open_signer(str(tmp_path / "key.pem"), chain_pem=one.pem + root.pem)
    assert signer.describe == "certificate ECDSA P-256"
    (read,) = bundle.read_bundles(sign_statement(b"{}", signer), "x")
    assert (read.method, read.chain) == (Method.CERTIFICATE, (one.der, root.der))


@pytest.mark.parametrize(
    "chain", [b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_chain_that_cannot_be_read_is_refused(chain: bytes) -> None:
    with pytest.raises(TrustError) as caught:
        PemSigner(private_key(), chain_pem=chain)
    assert caught.value.code == "certificate-unreadable"


def test_the_first_certificate_must_be_of_the_key() -> None:
    root = authority()
    one = leaf(root)
    with pytest.raises(TrustError) as caught:
        PemSigner(one.key_pem, chain_pem=root.pem + one.pem)
    assert caught.value.code == "certificate-of-other-key"


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("nowhere.pem", "no-such-path"),
        ("file:nowhere.pem", "no-such-path"),
        ("/", "no-such-path"),
        ("gpg:ABCD", "signer-unknown"),
    ],
)
def test_what_cannot_be_opened_is_a_wrong_request(uri: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_signer(uri)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("password", "code"), [(None, "key-password-missing"), ("wrong", "key-password-wrong")]
)
def test_passwords_are_asked_for(tmp_path: Path, password: str | None, code: str) -> None:
    (tmp_path / "k.pem").write_bytes(encrypted("right"))
    with pytest.raises(TrustError) as caught:
        open_signer(str(tmp_path / "k.pem"), password=password)
    assert caught.value.code == code


def test_a_huge_key_file_is_not_read_whole(tmp_path: Path) -> None:
    (tmp_path / "k.pem").write_bytes(private_key() + b"\n" * 10_000_000)
    with pytest.raises(TrustError) as caught:
        open_signer(str(tmp_path / "k.pem"))
    assert caught.value.code == "key-unreadable"


def test_every_scheme_is_listed() -> None:
    assert set(SIGNER_FOR_SCHEME) == {"file", "pkcs11", "sigstore"}


def test_nobody_cannot_sign() -> None:
    with pytest.raises(UsageError) as caught:
        sign_all(b"{}", [])
    assert caught.value.code == "no-signer"


def test_a_pem_signer_is_no_bundle_signer() -> None:
    assert not isinstance(PemSigner(private_key()), BundleSigner)


def test_the_names_of_signature_files() -> None:
    assert bundle.signature_names() == ("model.sig", "model.sig.jsonl")
    assert bundle.signature_names("a.gguf") == ("a.gguf.sig", "a.gguf.sig.jsonl")
