"""Bundles: strict reading, every release's spelling, and one result for every line of a file."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sign.helpers import VECTORS, private_key

from weighbridge.sign import bundle, dsse, keys
from weighbridge.sign.bundle import Method
from weighbridge.sign.signer import PemSigner, sign_all, sign_statement

GOOD = json.loads(sign_statement(b"{}", PemSigner(private_key())))
CHAIN = {"certificates": [{"rawBytes": base64.b64encode(b"leaf").decode()}]}


def read(value: Any, name: str = "model.sig") -> bundle.Bundle:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    (one,) = bundle.read_bundles(data, name)
    return one


def material(**changes: Any) -> dict[str, Any]:
    return GOOD | {"verificationMaterial": GOOD["verificationMaterial"] | changes}


def test_what_we_write_is_what_the_specification_shows() -> None:
    assert list(GOOD) == ["mediaType", "verificationMaterial", "dsseEnvelope"]
    assert GOOD["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    hint = keys.hint(keys.load_private(private_key()).public_key())
    assert GOOD["verificationMaterial"] == {"publicKey": {"hint": hint}, "tlogEntries": []}
    assert GOOD["dsseEnvelope"]["signatures"][0]["keyid"] == ""


def test_it_is_read_again() -> None:
    one = read(GOOD)
    assert (one.code, one.method, one.envelope.payload) == ("", Method.KEY, b"{}")
    assert one.hint == GOOD["verificationMaterial"]["publicKey"]["hint"]
    assert one.document == GOOD


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "application/vnd.dev.sigstore.bundle+json;version=0.2",
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
        "application/vnd.dev.sigstore.bundle+json; version=0.3",
    ],
)
def test_every_spelling_of_the_media_type_is_read(media_type: str) -> None:
    assert read(GOOD | {"mediaType": media_type}).code == ""


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("v0.2.0-certificate", Method.CERTIFICATE),
        ("v0.3.1-elliptic-key", Method.KEY),
        ("v1.0.0-elliptic-key", Method.KEY),
        ("v1.0.1-elliptic-key", Method.KEY),
        ("v1.1.0-elliptic-key", Method.KEY),
        ("v1.1.0-certificate", Method.CERTIFICATE),
        ("spec-1.0-key", Method.KEY),
        ("spec-1.0-certificate", Method.CERTIFICATE),
    ],
)
def test_bundles_of_every_release_are_read(name: str, method: Method) -> None:
    one = read((VECTORS / f"{name}.sig").read_bytes())
    assert (one.code, one.method) == ("", method)
    if method is Method.KEY:  # `rawBytes` and `hint` name the same key
        assert one.hint == "e8450dec4eb99dae995da9af1bc2cc9f76ed669ee2e744f57abba763df3e3f8e"
    else:
        assert len(one.chain) == 2


def test_unknown_fields_are_kept() -> None:
    value = material(future={"a": 1}) | {"alsoNew": [1]}
    assert read(value).code == ""
    assert read(value).document == value


def test_nulls_count_as_absent() -> None:
    value = material(x509CertificateChain=None, tlogEntries=None, timestampVerificationData=None)
    assert (read(value).code, read(value).method) == ("", Method.KEY)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "bad-json"),
        (b"{", "bad-json"),
        (b"\xef\xbb\xbf{}", "bad-json"),
        (b'{"a": NaN}', "bad-json"),
        (b"[" * 15_000, "bad-json"),
        (b"{}", "bad-bundle"),
        (b"[]", "bad-bundle"),
        (b'"text"', "bad-bundle"),
        (b'{"mediaType": 1}', "bad-bundle"),
        (json.dumps(GOOD)[:-1].encode() + b', "mediaType": "x"}', "duplicate-key"),
        (json.dumps(GOOD).replace('"sig":', '"sig": "AAAA", "sig":').encode(), "duplicate-key"),
        (b'{"a":[' + b"0," * 30_000 + b"0]}", "limit-json"),
        (GOOD | {"mediaType": "application/json"}, "media-type"),
        (GOOD | {"mediaType": "application/vnd.dev.sigstore.bundle.v0.4+json"}, "bundle-version"),
        (GOOD | {"mediaType": "application/vnd.dev.sigstore.bundle.v1+json"}, "bundle-version"),
        ({k: v for k, v in GOOD.items() if k != "dsseEnvelope"}, "no-envelope"),
        ({k: v for k, v in GOOD.items() if k != "verificationMaterial"}, "bad-bundle"),
        (GOOD | {"messageSignature": {}}, "bundle-ambiguous"),
        (GOOD | {"dsseEnvelope": None}, "bad-envelope"),
        (GOOD | {"verificationMaterial": {}}, "material-unknown"),
        (GOOD | {"verificationMaterial": {"pgpKey": {}}}, "material-unknown"),
        (material(x509CertificateChain=CHAIN), "material-ambiguous"),
        (material(certificate={"rawBytes": "AAAA"}), "material-ambiguous"),
        (material(publicKey="hint"), "bad-bundle"),
        (material(publicKey={"hint": 1}), "bad-bundle"),
        (material(publicKey={"rawBytes": "%"}), "bad-base64"),
        (material(tlogEntries={}), "bad-bundle"),
        (material(publicKey=None, certificate={"rawBytes": "AAAA"}), "no-log-entry"),
        (material(publicKey=None, certificate={}, tlogEntries=[{}]), "bad-bundle"),
        (material(publicKey=None, x509CertificateChain={"certificates": []}), "bad-bundle"),
        (
            material(publicKey=None, x509CertificateChain={"certificates": CHAIN["certificates"] * 17}),
            "bad-bundle",
        ),
        (material(publicKey=None, x509CertificateChain={"certificates": [{"rawBytes": "-"}]}), "bad-base64"),
        (material(timestampVerificationData={"rfc3161Timestamps": [{}]}), "bad-bundle"),
        (
            material(timestampVerificationData={"rfc3161Timestamps": [{"signedTimestamp": "AAAA"}] * 17}),
            "bad-bundle",
        ),
    ],
)
def test_a_wrong_bundle_is_returned_with_its_code(value: Any, code: str) -> None:
    one = read(value)
    assert one.code == code
    assert one.why
    assert one.method is Method.NONE


def test_a_hundred_megabytes_are_not_even_decoded() -> None:
    one = read(b'{"a":"' + b"x" * (100 * 1024**2) + b'"}')
    assert one.code == "limit-json"


def test_siblings_stand_one_a_line_and_none_is_lost() -> None:
    good = json.dumps(GOOD).encode()
    data = good + b"\n\n{broken\n" + good + b"\n"
    codes = [(one.source, one.code) for one in bundle.read_bundles(data, "model.sig.jsonl")]
    assert codes == [("model.sig.jsonl:1", ""), ("model.sig.jsonl:2", "bad-json"), ("model.sig.jsonl:3", "")]


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "bad-bundle"), (b"\n \n", "bad-bundle"), (b"{}\n" * 101, "limit-bundles")]
)
def test_odd_sibling_files_give_one_refusal(data: bytes, code: str) -> None:
    assert [one.code for one in bundle.read_bundles(data, "model.sig.jsonl")] == [code]


def test_several_signers_write_siblings_the_widely_known_first() -> None:
    signers = [PemSigner(private_key(kind)) for kind in ("ml-dsa-65", "ed25519", "ecdsa-p256")]
    both = sign_all(b"{}", signers)
    assert both.siblings is not None
    siblings = bundle.read_bundles(both.siblings, "model.sig.jsonl")
    hints = [
        keys.hint(keys.load_private(private_key(kind)).public_key())
        for kind in ("ecdsa-p256", "ml-dsa-65", "ed25519")
    ]
    assert [one.hint for one in siblings] == hints
    (primary,) = bundle.read_bundles(both.primary, "model.sig")
    assert bundle.distinct([primary, *siblings]) == (primary, *siblings[1:])


def test_one_signer_writes_one_file() -> None:
    assert sign_all(b"{}", [PemSigner(private_key())]).siblings is None


def test_timestamps_are_written_and_read() -> None:
    data = sign_statement(
        b"{}", PemSigner(private_key()), timestamp=lambda signature: b"token" + signature[:1]
    )
    one = read(data)
    assert one.timestamps == (b"token" + one.envelope.signature[:1],)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400), name=st.sampled_from(["model.sig", "model.sig.jsonl"]))
def test_no_bytes_make_reading_raise(data: bytes, name: str) -> None:
    """`read_bundles` never raises, and an unusable bundle always says why."""
    for one in bundle.read_bundles(data, name):
        assert one.code
        assert one.why


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
PATHS = [
    ("mediaType",),
    ("verificationMaterial",),
    ("verificationMaterial", "publicKey"),
    ("verificationMaterial", "publicKey", "hint"),
    ("verificationMaterial", "tlogEntries"),
    ("verificationMaterial", "x509CertificateChain"),
    ("verificationMaterial", "timestampVerificationData"),
    ("dsseEnvelope",),
    ("dsseEnvelope", "payload"),
    ("dsseEnvelope", "signatures"),
    ("dsseEnvelope", "signatures", 0),
]


@settings(max_examples=200, deadline=None)
@given(path=st.sampled_from(PATHS), put=JSON)
def test_any_value_anywhere_is_read_or_refused(path: tuple[Any, ...], put: Any) -> None:
    value = json.loads(json.dumps(GOOD))
    place = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = put
    one = read(value)
    assert one.code or one.envelope == dsse.read_envelope(value["dsseEnvelope"])
