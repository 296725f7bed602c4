"""Tokens: the URI without one, and signing with the real SoftHSM2, whose token lives in a folder of the test."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pki import DAY, NOW, authority, leaf, make_key, private_pem, public_pem
from tests.sign.helpers import judge, measured, write_model

from weighbridge.core.errors import TrustError, UnavailableError, UsageError, WeighbridgeError
from weighbridge.sign import dsse, keys, oms
from weighbridge.sign.anchor import CertificateAnchor, KeyAnchor
from weighbridge.sign.pkcs11 import Pkcs11Signer, Pkcs11Uri
from weighbridge.sign.signer import sign_statement

MODULE = next(
    (
        path
        for path in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so")
        if Path(path).exists()
    ),
    "",
)
PIN = "9182-secret"
PAE = dsse.pae(b'{"a": "statement"}')

# -- the URI --------------------------------------------------------------------------------------------------------


def test_every_part_of_a_uri() -> None:
    uri = Pkcs11Uri.parse(
        "pkcs11:token=my%20token;object=k%3b1;id=%01%ff;serial=00ab;type=private?module-path=/m.so&pin-value=a%26b"
    )
    assert uri == Pkcs11Uri(
        module_path="/m.so", token="my token", object="k;1", id=b"\x01\xff", serial="00ab", pin="a&b"
    )


def test_a_pin_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("1234\n")
    for source in (f"file:{tmp_path}/pin", f"file://{tmp_path}/pin", f"{tmp_path}/pin"):
        assert Pkcs11Uri.parse(f"pkcs11:object=k?module-path=/m.so&pin-source={quote(source)}").pin == "1234"
    with pytest.raises(UsageError, match="pin-source"):
        Pkcs11Uri.parse("pkcs11:object=k?module-path=/m.so&pin-source=/no/such/file")


@pytest.mark.parametrize(
    "uri",
    [
        "pkcs11:",
        "pkcs12:object=k?module-path=/m.so",
        "pkcs11:object=k",
        "pkcs11:object=k?module-path=m.so",
        "pkcs11:object=k?module-path=../m.so",
        "pkcs11:token=t?module-path=/m.so",
        "pkcs11:object=k;object=l?module-path=/m.so",
        "pkcs11:object?module-path=/m.so",
        "pkcs11:object=k;type=public?module-path=/m.so",
        "pkcs11:object=k;slot-id=0?module-path=/m.so",
        "pkcs11:object=k?module-path=/m.so&pin-value=1&pin-source=/x",
        "pkcs11:object=k?module-path=/m.so&module-name=m",
    ],
)
def test_uris_that_name_no_key(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        Pkcs11Uri.parse(uri)
    assert caught.value.code == "pkcs11-uri"


def test_a_typing_mistake_gets_a_suggestion() -> None:
    with pytest.raises(UsageError) as caught:
        Pkcs11Uri.parse("pkcs11:tokn=a;object=k?module-path=/m.so")
    assert caught.value.hints == ("token=…",)


def test_the_pin_is_never_shown() -> None:
    uri = f"pkcs11:object=k?module-path=/m.so&pin-value={PIN}"
    assert PIN not in repr(Pkcs11Uri.parse(uri))
    for broken in (uri + "&pin-value=x", uri + "&nonsense=1", uri.replace("object", "objct")):
        with pytest.raises(UsageError) as caught:
            Pkcs11Uri.parse(broken)
        assert PIN not in str(caught.value) + str(caught.value.hints)


def test_no_such_module() -> None:
    with pytest.raises(UnavailableError, match="token-unavailable"):
        Pkcs11Signer("pkcs11:object=k?module-path=/no/such/module.so")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_a_uri_or_a_usage_error(text: str) -> None:
    try:
        Pkcs11Uri.parse("pkcs11:" + text)
    except UsageError as error:
        assert error.code in ("pkcs11-uri", "pin-source")  # noqa: PT017 - either outcome is right


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=30), st.text(max_size=30), st.binary(max_size=8))
def test_percent_encoding_round_trip(name: str, token: str, identifier: bytes) -> None:
    """Law: whatever stands in a label comes back out of the URI."""
    try:
        quoted = [quote(one, safe="") for one in (name, token)]
    except UnicodeEncodeError:
        return
    uri = f"pkcs11:object={quoted[0]};token={quoted[1]};id={quote(identifier, safe='')}?module-path=/m.so"
    parsed = Pkcs11Uri.parse(uri)
    assert (parsed.object, parsed.token, parsed.id) == (name, token, identifier)


# -- SoftHSM2 -------------------------------------------------------------------------------------------------------

needs_softhsm = pytest.mark.skipif(
    not MODULE and os.environ.get("WEIGHBRIDGE_REAL") != "1", reason="SoftHSM2 is not installed"
)


@dataclass(frozen=True)
class Token:
    """A token with the keys `p256`, `p384`, `p521` (imported), `rsa`, and two keys called `twin`."""

    folder: Path
    keys: dict[str, object]

    def uri(self, name: str, token: str = "release", pin: str | None = PIN) -> str:
        secret = f"&pin-value={pin}" if pin else ""
        return f"pkcs11:token={token};object={name}?module-path={MODULE}{secret}"

    def run(self, *arguments: str) -> None:
        subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    made = {
        "p256": make_key(),
        "p384": make_key("ec-p384"),
        "p521": make_key("ec-p521"),
        "rsa": make_key("rsa-2048"),
    }
    one = Token(folder, made)
    try:
        for label in ("release", "other"):
            one.run("--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "0000-officer")
        named = [*made.items(), ("twin", made["p256"]), ("twin", made["p384"])]
        for number, (name, key) in enumerate(named):
            (folder / "key.pem").write_bytes(private_pem(key))
            imported = ["--import", str(folder / "key.pem"), "--label", name, "--id", f"{number + 1:02x}"]
            one.run(*imported, "--token", "release", "--pin", PIN)
        yield one
    finally:
        _unload()
        os.environ.pop("SOFTHSM2_CONF") if before is None else os.environ.__setitem__("SOFTHSM2_CONF", before)


def _unload() -> None:
    """SoftHSM2 reads its configuration once; the next test module may have another."""
    import pkcs11

    pkcs11.unload(MODULE)


@needs_softhsm
@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "algorithm"), [("p256", "ECDSA P-256"), ("p384", "ECDSA P-384"), ("p521", "ECDSA P-521")]
)
def test_a_token_signs_what_everybody_verifies(token: Token, name: str, algorithm: str) -> None:
    signer = Pkcs11Signer(token.uri(name))
    public = token.keys[name].public_key()  # type: ignore[attr-defined]
    assert keys.verify(public, PAE, signer.sign(PAE))
    assert not keys.verify(public, PAE + b" ", signer.sign(PAE))
    assert signer.describe == f'key {algorithm} on token "release", key "{name}"'
    assert signer.fingerprint == keys.fingerprint(public)
    assert signer.material() == {"publicKey": {"hint": keys.hint(public)}, "tlogEntries": []}


@needs_softhsm
@pytest.mark.real
def test_the_pin_may_come_from_outside_the_uri_and_by_id(token: Token) -> None:
    uri = f"pkcs11:token=release;id=%02?module-path={MODULE}"
    signer = Pkcs11Signer(uri, pin=PIN)
    assert keys.verify(token.keys["p384"].public_key(), PAE, signer.sign(PAE))  # type: ignore[attr-defined]


@needs_softhsm
@pytest.mark.real
def test_a_certificate_for_the_tokens_key(token: Token) -> None:
    root = authority()
    good = leaf(root, key=token.keys["p256"])
    signer = Pkcs11Signer(token.uri("p256"), chain_pem=good.pem + root.pem)
    assert signer.describe.startswith("certificate ECDSA P-256 on token")
    assert len(signer.material()["x509CertificateChain"]["certificates"]) == 2
    with pytest.raises(TrustError, match="certificate-of-other-key"):
        Pkcs11Signer(token.uri("p256"), chain_pem=leaf(root).pem)


@needs_softhsm
@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "where", "pin", "code"),
    [
        ("p256", "release", "wrong-pin", "pin-wrong"),
        ("p256", "release", None, "pin-missing"),
        ("missing", "release", PIN, "token-key"),
        ("twin", "release", PIN, "token-key"),
        ("p256", "other", PIN, "token-key"),
        ("p256", "nowhere", PIN, "token-unavailable"),
        ("rsa", "release", PIN, "key-unsupported"),
    ],
)
def test_what_cannot_sign_says_why_and_hides_the_pin(
    token: Token, name: str, where: str, pin: str | None, code: str
) -> None:
    with pytest.raises(WeighbridgeError) as caught:
        Pkcs11Signer(token.uri(name, where, pin))
    assert caught.value.code == code
    assert (pin or PIN) not in str(caught.value) + repr(caught.value.hints)


@needs_softhsm
@pytest.mark.real
def test_softhsm_is_there_where_it_has_to_be() -> None:
    assert MODULE
    assert shutil.which("softhsm2-util")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(UnavailableError) as caught:
        Pkcs11Signer("pkcs11:object=k?module-path=/m.so")
    assert caught.value.code == "extra-missing"
    assert caught.value.hints == ('pip install "weighbridge[hsm]"',)


# -- with the other tool --------------------------------------------------------------------------------------------

PROGRAM = Path(
    os.environ.get("WEIGHBRIDGE_MODEL_SIGNING")
    or Path(__file__).parents[2] / ".venv-interop" / "bin" / "model_signing"
)
SPEAKS_PKCS11 = any(PROGRAM.parent.parent.glob("lib/*/site-packages/PyKCS11"))
needs_program = pytest.mark.skipif(
    not SPEAKS_PKCS11 and os.environ.get("WEIGHBRIDGE_REAL") != "1",
    reason="model_signing is not installed with its extra pkcs11",
)


def run(*words: object) -> None:
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_softhsm
@needs_program
@pytest.mark.real
@pytest.mark.parametrize("name", ["p256", "p384", "p521"])
def test_signatures_by_their_token_pass_here_and_ours_there(token: Token, tmp_path: Path, name: str) -> None:
    model = write_model(tmp_path / "model")
    signature = model / "model.sig"
    public = tmp_path / "public.pem"
    public.write_bytes(public_pem(token.keys[name]))
    anchors = [KeyAnchor(name="hsm", public_key_pem=public.read_bytes())]

    run("sign", "pkcs11-key", "--pkcs11_uri", token.uri(name), "--signature", signature, model)
    result = judge(signature.read_bytes(), measured(model), anchors)
    assert (result.outcome, result.by) == ("pass", "hsm")

    payload = oms.statement(measured(model), name="model")
    signature.write_bytes(sign_statement(payload, Pkcs11Signer(token.uri(name))))
    assert judge(signature.read_bytes(), measured(model), anchors).outcome == "pass"
    run("verify", "key", "--public_key", public, "--signature", signature, model)


@needs_softhsm
@needs_program
@pytest.mark.real
def test_our_token_certificates_pass_there(token: Token, tmp_path: Path) -> None:
    """The other way round there is nothing to read: 1.1.1 cannot write a certificate bundle from a token."""
    model = write_model(tmp_path / "model")
    signature = model / "model.sig"
    shift = datetime.now(UTC) - NOW  # the other tool judges by the machine's clock
    root = authority(start=shift - DAY, end=shift + DAY)
    signer = leaf(root, key=token.keys["p256"], start=shift - DAY, end=shift + DAY)
    (tmp_path / "leaf.pem").write_bytes(signer.pem)
    (tmp_path / "root.pem").write_bytes(root.pem)

    payload = oms.statement(measured(model), name="model")
    signature.write_bytes(sign_statement(payload, Pkcs11Signer(token.uri("p256"), chain_pem=signer.pem)))
    anchors = [CertificateAnchor(name="hsm", roots_pem=root.pem)]
    result = judge(signature.read_bytes(), measured(model), anchors, now=NOW + shift)
    assert (result.outcome, result.by) == ("pass", "hsm")
    run(
        "verify", "certificate", "--certificate_chain", tmp_path / "root.pem", "--signature", signature, model
    )
