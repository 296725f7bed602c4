"""Sigstore: real bundles from the public log, verified offline, tampered with in every part; and signing without a net."""

import base64
import copy
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weighbridge.core.errors import TrustError, UnavailableError, UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.sign.anchor import SigstoreAnchor
from weighbridge.sign.sigstore import SigstoreSigner, check_bundle, load_trusted_root, match_bundle

sigstore = pytest.importorskip("sigstore")

VECTORS = Path(__file__).parent.parent / "vectors" / "sigstore"
STORE = Path(sigstore.__file__).parent / "_store"
PUBLIC = next(STORE.glob("*.sigstore.dev"))
STAGING = next(STORE.glob("*.sigstage.dev"))
ANCHOR = SigstoreAnchor(
    name="stefan",
    roles=("publisher",),
    identity="stefanb@us.ibm.com",
    issuer="https://sigstore.verify.ibm.com/oauth2",
    trusted_root_json=(PUBLIC / "trusted_root.json").read_bytes(),
)
BUNDLES = {name: (VECTORS / f"{name}.sig").read_bytes() for name in ("v0.3.1", "v1.1.0")}


def bent(change: Callable[[dict[str, Any]], object], name: str = "v1.1.0") -> bytes:
    document = copy.deepcopy(json.loads(BUNDLES[name]))
    change(document)
    return json.dumps(document).encode()


def entry(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["verificationMaterial"]["tlogEntries"][0]
    return found


def flipped(text: str, at: int = -10) -> str:
    """Base64 text with one bit of its bytes changed."""
    raw = bytearray(base64.b64decode(text))
    raw[at] ^= 1
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("name", "signed"),
    [
        ("v0.3.1", datetime(2025, 5, 3, 1, 10, 2, tzinfo=UTC)),
        ("v1.1.0", datetime(2025, 10, 10, 2, 12, 20, tzinfo=UTC)),
    ],
)
def test_real_bundles_verify_offline(name: str, signed: datetime) -> None:
    check = check_bundle(BUNDLES[name], [ANCHOR])
    assert (check.outcome, check.code) == (Outcome.PASS, "")
    assert (check.by, check.roles, check.time) == ("stefan", ("publisher",), signed)
    assert check.how == "sigstore, stefanb@us.ibm.com according to https://sigstore.verify.ibm.com/oauth2"
    assert len(check.key) == 64


def test_the_timestamp_gives_the_time_where_the_log_gives_none() -> None:
    """A bundle without inclusion promise, as Rekor v2 makes them: its time is that of the RFC 3161 timestamp."""

    def change(document: dict[str, Any]) -> None:
        del entry(document)["inclusionPromise"]

    check = check_bundle(bent(change), [ANCHOR])
    assert check.outcome is Outcome.PASS
    assert check.time == datetime(2025, 10, 10, 2, 12, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        {"identity": "stefanb@us.ibm.com.example"},
        {"identity": "Stefanb@us.ibm.com"},
        {"issuer": "https://accounts.google.com"},
        {"issuer": "https://sigstore.verify.ibm.com/oauth2/"},
    ],
)
def test_identity_and_issuer_are_compared_exactly(wrong: dict[str, str]) -> None:
    check = check_bundle(BUNDLES["v1.1.0"], [replace(ANCHOR, **wrong)])
    assert (check.outcome, check.code) == (Outcome.FAIL, "signer-unknown")
    assert "stefanb@us.ibm.com, issuer https://sigstore.verify.ibm.com/oauth2" in check.why


@pytest.mark.parametrize("lacking", [{"issuer": ""}, {"identity": ""}])
def test_an_anchor_without_issuer_would_trust_anybodys_word(lacking: dict[str, str]) -> None:
    with pytest.raises(TrustError, match="anchor-incomplete"):
        check_bundle(BUNDLES["v1.1.0"], [replace(ANCHOR, **lacking)])


def test_another_trusted_root_does_not_vouch() -> None:
    staging = replace(ANCHOR, trusted_root_json=(STAGING / "trusted_root.json").read_bytes())
    check = check_bundle(BUNDLES["v0.3.1"], [staging])
    assert (check.outcome, check.code) == (Outcome.FAIL, "certificate-untrusted")
    assert check_bundle(BUNDLES["v0.3.1"], [staging, ANCHOR]).outcome is Outcome.PASS


def test_all_anchors_that_match_are_told() -> None:
    twin, other = replace(ANCHOR, name="twin"), replace(ANCHOR, name="other", identity="x@y.example")
    found, check = match_bundle(BUNDLES["v1.1.0"], [other, ANCHOR, twin])
    assert [anchor.name for anchor in found] == ["stefan", "twin"]
    assert check.by == "stefan"
    assert match_bundle(BUNDLES["v1.1.0"], [])[1].code == "signer-unknown"


def swap(document: dict[str, Any], key: str) -> None:
    """Take one part from the other real bundle: everything is genuine, nothing belongs together."""
    other = json.loads(BUNDLES["v0.3.1"])
    document["verificationMaterial"][key] = other["verificationMaterial"][key]


TAMPERINGS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "payload": (
        lambda d: d["dsseEnvelope"].update(payload=base64.b64encode(b'{"_type": "another"}').decode()),
        "signature-wrong",
    ),
    "signature": (
        lambda d: d["dsseEnvelope"]["signatures"][0].update(
            sig=flipped(d["dsseEnvelope"]["signatures"][0]["sig"])
        ),
        "signature-wrong",
    ),
    "certificate bit": (
        lambda d: d["verificationMaterial"]["certificate"].update(
            rawBytes=flipped(d["verificationMaterial"]["certificate"]["rawBytes"])
        ),
        "certificate-untrusted",
    ),
    "certificate of another time": (lambda d: swap(d, "certificate"), "certificate-untrusted"),
    "log entry of another bundle": (lambda d: swap(d, "tlogEntries"), "certificate-untrusted"),
    "root hash": (
        lambda d: entry(d)["inclusionProof"].update(rootHash=flipped(entry(d)["inclusionProof"]["rootHash"])),
        "log-entry-wrong",
    ),
    "inclusion path": (lambda d: entry(d)["inclusionProof"]["hashes"].reverse(), "log-entry-wrong"),
    "inclusion path cut": (lambda d: entry(d)["inclusionProof"]["hashes"].pop(), "log-entry-wrong"),
    "checkpoint": (
        lambda d: entry(d)["inclusionProof"]["checkpoint"].update(
            envelope=entry(d)["inclusionProof"]["checkpoint"]["envelope"].replace("476246825", "476246826")
        ),
        "log-entry-wrong",
    ),
    "time moved inside the certificate's minutes": (
        lambda d: entry(d).update(integratedTime="1760062400"),
        "log-entry-wrong",
    ),
    "time moved out of them": (
        lambda d: entry(d).update(integratedTime="1860062340"),
        "certificate-untrusted",
    ),
    "log index": (lambda d: entry(d).update(logIndex="1"), "log-entry-wrong"),
    "entry body": (
        lambda d: entry(d).update(canonicalizedBody=flipped(entry(d)["canonicalizedBody"], 200)),
        "log-entry-wrong",
    ),
    "second signature": (
        lambda d: d["dsseEnvelope"]["signatures"].append(dict(d["dsseEnvelope"]["signatures"][0])),
        "several-signatures",
    ),
    "no log entry": (lambda d: d["verificationMaterial"].update(tlogEntries=[]), "log-entry-wrong"),
    "no envelope": (lambda d: d.pop("dsseEnvelope"), "no-envelope"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampered_bundles_never_pass_and_say_why(name: str) -> None:
    change, code = TAMPERINGS[name]
    check = check_bundle(bent(change), [ANCHOR])
    assert check.outcome is not Outcome.PASS
    assert check.code == code
    assert check.why


def test_neither_time_is_no_time() -> None:
    def change(document: dict[str, Any]) -> None:
        del entry(document)["inclusionPromise"]
        document["verificationMaterial"]["timestampVerificationData"] = {}

    check = check_bundle(bent(change), [ANCHOR])
    assert check.outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "junk", [b"", b"{}", b"[]", b"null", b'{"dsseEnvelope": 1}', b"\xff", b"[" * 100_000]
)
def test_junk_is_refused(junk: bytes) -> None:
    check = check_bundle(junk, [ANCHOR])
    assert check.outcome is Outcome.FAIL
    assert check.code


def test_duplicate_keys_are_refused_before_the_library_sees_them() -> None:
    text = BUNDLES["v1.1.0"].replace(b'{"mediaType"', b'{"dsseEnvelope":{},"mediaType"', 1)
    assert check_bundle(text, [ANCHOR]).code == "duplicate-key"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(BUNDLES["v1.1.0"]) - 1), st.integers(1, 255))
def test_a_changed_byte_never_raises(offset: int, flip: int) -> None:
    """Law: a bundle with one byte changed gives an answer, and PASS only for the payload that was signed."""
    data = bytearray(BUNDLES["v1.1.0"])
    data[offset] ^= flip
    check = check_bundle(bytes(data), [ANCHOR])
    if check.outcome is Outcome.PASS:
        kept = [json.loads(one)["dsseEnvelope"] for one in (bytes(data), BUNDLES["v1.1.0"])]
        assert kept[0]["payload"] == kept[1]["payload"]
        assert check.time == datetime(2025, 10, 10, 2, 12, 20, tzinfo=UTC)


def test_without_the_extra_nothing_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sigstore.verify", None)
    check = check_bundle(BUNDLES["v1.1.0"], [ANCHOR])
    assert (check.outcome, check.code) == (Outcome.UNKNOWN, "extra-missing")
    monkeypatch.setitem(sys.modules, "sigstore.models", None)
    with pytest.raises(UnavailableError, match="extra-missing"):
        SigstoreSigner(b"{}")


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"mediaType": "x", "tlogs": [], "certificateAuthorities": [1]}']
)
def test_an_unreadable_trusted_root_is_our_error(data: bytes) -> None:
    with pytest.raises(TrustError, match="trusted-root-unreadable"):
        load_trusted_root(data, "acme")
    with pytest.raises(TrustError, match="trusted-root-unreadable"):
        check_bundle(BUNDLES["v1.1.0"], [replace(ANCHOR, trusted_root_json=data)])


def test_a_trusted_root_with_nonsense_inside_is_our_error() -> None:
    data = b'{"mediaType": "x", "tlogs": [1], "certificateAuthorities": [1]}'
    load_trusted_root(data, "acme")
    with pytest.raises(TrustError, match="trusted-root-unreadable"):
        check_bundle(BUNDLES["v1.1.0"], [replace(ANCHOR, trusted_root_json=data)])


# -- signing --------------------------------------------------------------------------------------------------------


def client_config(**change: Any) -> bytes:
    """A client trust configuration whose services are nowhere."""
    signing = json.loads((PUBLIC / "signing_config.v0.2.json").read_bytes())
    for services in signing.values():
        for service in services if isinstance(services, list) else ():
            service["url"] = "http://127.0.0.1:1"
    document = {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": json.loads(ANCHOR.trusted_root_json),
        "signingConfig": signing,
    }
    return json.dumps(document | change).encode()


def identity_token(**change: Any) -> str:
    """An OIDC token; nobody checks its signature before Fulcio does."""
    now = int(time.time())
    claims = {
        "iss": "https://issuer.example",
        "sub": "me",
        "aud": "sigstore",
        "iat": now,
        "exp": now + 600,
    } | change
    parts = [{"alg": "RS256", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2VjcmV0"])


STATEMENT = b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"m","digest":{"sha256":"00"}}],"predicateType":"p","predicate":{}}'


def test_signing_offline_says_that_the_services_are_missing_and_not_the_token() -> None:
    token = identity_token()
    signer = SigstoreSigner(client_config(), token)
    with pytest.raises(UnavailableError) as caught:
        signer.sign_statement(STATEMENT)
    assert caught.value.code == "sigstore-unavailable"
    assert token not in str(caught.value)
    assert token not in repr(signer.__dict__.keys())


def test_signing_needs_a_configuration_that_can_be_read() -> None:
    with pytest.raises(UsageError, match="trust-config-missing"):
        SigstoreSigner(b"")
    for data in (
        b"{}",
        b"nothing",
        b'{"a": 1, "a": 2}',
        client_config(trustedRoot=None),
        client_config(surprise=1),
    ):
        with pytest.raises(TrustError, match="trust-config-unreadable"):
            SigstoreSigner(data)


@pytest.mark.parametrize("wrong", ["not a token", identity_token(exp=1), identity_token(aud="somebody else")])
def test_signing_needs_a_token_that_can_be_used(wrong: str) -> None:
    with pytest.raises(TrustError) as caught:
        SigstoreSigner(client_config(), wrong).sign_statement(STATEMENT)
    assert caught.value.code == "identity-token-unusable"
    assert wrong not in str(caught.value)


def test_signing_without_a_token_outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "GOOGLE_SERVICE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sigstore.oidc.detect_credential", lambda: None)
    with pytest.raises(UnavailableError, match="identity-token-missing"):
        SigstoreSigner(client_config()).sign_statement(STATEMENT)
