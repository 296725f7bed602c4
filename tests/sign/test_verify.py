"""The verification algorithm: who, when, over what; every release's bundles; what people are told."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.pki import DAY, NOW, authority, leaf
from tests.sign.helpers import (
    CURVES,
    FILES,
    VECTORS,
    anchor,
    judge,
    measured,
    private_key,
    public_key,
    resigned,
    sign_value,
    signed,
    signed_model,
    weights,
    with_root,
    write_model,
)
from tests.sign.test_timestamps import Service, make_service

from weighbridge.core.artifact import Obstacle
from weighbridge.core.manifest import Difference, Entry, Manifest
from weighbridge.sign import bundle, dsse, keys, legacy, oms
from weighbridge.sign.anchor import CertificateAnchor, KeyAnchor, SigstoreAnchor
from weighbridge.sign.signer import PemSigner, sign_all, sign_statement
from weighbridge.sign.verify import Wanted, check_signer, summary, verify, wanted_plan

MIB = 1024**2


def outcome(result: Any) -> tuple[str, str]:
    return (getattr(result.outcome, "value", result.outcome), result.code)


# ---------------------------------------------------------------------------------------------------------- it passes


def test_a_signed_model_passes_and_says_by_whom_how_and_over_what(tmp_path: Path) -> None:
    result = signed_model(tmp_path).judge()
    assert outcome(result) == ("pass", "")
    assert result.by == "release@acme.example"
    assert result.how == "OpenSSF model signing 1.0, key ECDSA P-256"
    assert result.covers == "8 of 8 files"
    assert result.key == keys.fingerprint(keys.load_public(public_key(private_key())))
    assert (result.when, result.bundle, result.difference) == ("", "model.sig", None)
    assert result.why == "signed by release@acme.example; 8 of 8 files as signed"


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
@pytest.mark.parametrize("hash_type", ["sha256", "blake3"])
def test_every_key_and_hash_passes(tmp_path: Path, algorithm: str, hash_type: str) -> None:
    manifest = measured(write_model(tmp_path))
    data = signed(manifest, PemSigner(private_key(algorithm)), hash_type=hash_type)
    assert outcome(judge(data, manifest, [anchor(private_key(algorithm))])) == ("pass", "")
    assert outcome(judge(data, manifest, [anchor(private_key(algorithm, 2))])) == ("fail", "signer-unknown")


def test_one_file_and_shards_pass(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(bytes(MIB + 7))
    manifest = measured(file, shards=[("sha256", MIB)])
    for how in ({}, {"shard_size": MIB}):
        assert outcome(judge(signed(manifest, single=True, name="model.gguf", **how), manifest)) == (
            "pass",
            "",
        )


def test_roles_follow_the_anchor(tmp_path: Path) -> None:
    model = signed_model(tmp_path)
    result = judge(model.signature, measured(tmp_path), [anchor(roles=("publisher", "scanner"))])
    assert result.roles == ("publisher", "scanner")


def test_a_hybrid_signature_passes_twice_and_by_two_keys(tmp_path: Path) -> None:
    manifest = measured(write_model(tmp_path))
    signers = [PemSigner(private_key("ml-dsa-65")), PemSigner(private_key())]
    both = sign_all(oms.statement(manifest, name="m"), signers)
    assert both.siblings is not None
    anchors = [anchor(name="ec"), anchor(private_key("ml-dsa-65"), name="pq")]
    found = bundle.distinct(
        [
            *bundle.read_bundles(both.primary, "model.sig"),
            *bundle.read_bundles(both.siblings, "model.sig.jsonl"),
        ]
    )
    results = [verify(one, anchors, (), NOW, manifest) for one in found]
    assert [(r.outcome, r.by, r.bundle) for r in results] == [
        ("pass", "ec", "model.sig"),
        ("pass", "pq", "model.sig.jsonl:2"),
    ]
    assert len({r.key for r in results}) == 2


def test_allowed_links_are_compared_by_content(tmp_path: Path) -> None:
    write_model(tmp_path, {"a": b"1", "real/x": b"2"})
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "folder").symlink_to("real")
    manifest = measured(tmp_path)
    assert {e.path for e in manifest.entries if e.link} == {"link", "folder/x"}
    data = signed(manifest, allow_symlinks=True)
    assert outcome(judge(data, manifest)) == ("pass", "")
    (tmp_path / "real" / "x").write_bytes(b"3")
    assert judge(data, measured(tmp_path)).difference == Difference(changed=("folder/x", "real/x"))


# --------------------------------------------------------------------------------------------------- other releases

SIGNME = {
    "\n": {"signme-1": b"signme-1\n", "signme-2": b"signme-2"},
    "": {"signme-1": b"signme-1", "signme-2": b"signme-2"},
}


def historical_key() -> bytes:
    """The public key of the fixtures: the old bundles carry it (and nobody should believe them for that)."""
    value = json.loads((VECTORS / "v1.0.0-elliptic-key.sig").read_bytes())
    return dsse.decode_base64(value["verificationMaterial"]["publicKey"]["rawBytes"], "rawBytes")


@pytest.mark.parametrize("name", ["v1.0.1-elliptic-key", "v1.1.0-elliptic-key", "spec-1.0-key"])
def test_key_bundles_of_other_releases_pass(tmp_path: Path, name: str) -> None:
    manifest = measured(write_model(tmp_path, SIGNME["\n"]))
    data = (VECTORS / f"{name}.sig").read_bytes()
    result = judge(data, manifest, [KeyAnchor(name="upstream", public_key_pem=historical_key())])
    assert outcome(result) == ("pass", "")
    assert result.how == "OpenSSF model signing 1.0, key ECDSA P-384"
    assert outcome(judge(data, manifest)) == ("fail", "signer-unknown")


@pytest.mark.parametrize("name", ["v0.3.1-elliptic-key", "v1.0.0-elliptic-key"])
def test_one_file_bundles_with_the_name_of_a_dot_pass(tmp_path: Path, name: str) -> None:
    write_model(tmp_path, {"signme-1": b"signme-1\n"})
    data = (VECTORS / f"{name}.sig").read_bytes()
    upstream = [KeyAnchor(name="upstream", public_key_pem=historical_key())]
    assert outcome(judge(data, measured(tmp_path / "signme-1"), upstream)) == ("pass", "")
    (tmp_path / "signme-1").write_bytes(b"signme-1")
    assert judge(data, measured(tmp_path / "signme-1"), upstream).difference == Difference(
        changed=("signme-1",)
    )


def issuer_of(name: str) -> bytes:
    """The intermediate certificate that a vector brings; its root is kept by upstream alone."""
    (one,) = bundle.read_bundles((VECTORS / f"{name}.sig").read_bytes(), f"{name}.sig")
    return x509.load_der_x509_certificate(one.chain[1]).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("name", "files", "version"),
    [
        ("v0.2.0-certificate", "", "0.1"),
        ("v1.1.0-certificate", "", "1.0"),
        ("spec-1.0-certificate", "\n", "1.0"),
    ],
)
def test_certificate_bundles_of_other_releases_pass(
    tmp_path: Path, name: str, files: str, version: str
) -> None:
    """0.2 signed other bytes, hashed with SHA-256 on P-384, and listed files as subjects."""
    manifest = measured(write_model(tmp_path, SIGNME[files]))
    data = (VECTORS / f"{name}.sig").read_bytes()
    upstream = [CertificateAnchor(name="upstream", roots_pem=issuer_of(name))]
    result = judge(data, manifest, upstream)
    how = f'OpenSSF model signing {version}, certificate ECDSA P-384 under "intermediate-ca"'
    assert (*outcome(result), result.how) == ("pass", "", how)
    assert result.key == keys.fingerprint(keys.load_public(historical_key()))
    assert outcome(judge(data, manifest, upstream, now=NOW + 4000 * DAY)) == ("fail", "certificate-expired")
    (tmp_path / "signme-2").write_bytes(b"changed")
    assert outcome(judge(data, measured(tmp_path), upstream)) == ("fail", "contents-differ")


def test_the_mistakes_of_0_2_count_for_0_2_alone(tmp_path: Path) -> None:
    """A 1.0 statement signed over 0.2's bytes is not signed, even where it mentions 0.2."""
    manifest = measured(write_model(tmp_path))
    payload = oms.statement(manifest, name=legacy.PREDICATE)
    key = keys.load_private(private_key())
    signature = keys.sign(key, legacy.pae(payload))
    assert legacy.verify(key.public_key(), payload, signature)
    data = bundle.write_bundle(
        dsse.Envelope(payload=payload, signature=signature), PemSigner(private_key()).material()
    )
    assert outcome(judge(data, manifest)) == ("fail", "signature-wrong")


@pytest.mark.parametrize(
    ("name", "when"), [("v0.3.1", "2025-05-03T01:10:02Z"), ("v1.1.0", "2025-10-10T02:12:20Z")]
)
def test_sigstore_bundles_of_other_releases_pass_offline(tmp_path: Path, name: str, when: str) -> None:
    pytest.importorskip("sigstore")
    from tests.sign.test_sigstore import ANCHOR, BUNDLES

    manifest = measured(write_model(tmp_path, SIGNME[""]))
    result = judge(BUNDLES[name], manifest, [ANCHOR])
    assert (*outcome(result), result.by, result.when) == ("pass", "", "stefan", when)
    assert outcome(judge(BUNDLES[name], manifest)) == ("fail", "signer-unknown")
    gone = replace(ANCHOR, name="gone", revoked_at=datetime(2025, 1, 1, tzinfo=UTC))
    assert outcome(judge(BUNDLES[name], manifest, [gone])) == ("fail", "anchor-revoked")
    assert judge(BUNDLES[name], manifest, [gone, ANCHOR]).by == "stefan"
    early = judge(BUNDLES[name], manifest, [ANCHOR], now=datetime(2025, 1, 1, tzinfo=UTC))
    assert outcome(early) == ("unknown", "clock-wrong")
    (tmp_path / "signme-1").write_bytes(b"changed")
    assert judge(BUNDLES[name], measured(tmp_path), [ANCHOR]).difference == Difference(changed=("signme-1",))


# ------------------------------------------------------------------------------------------------------------- who


def test_without_anybody_trusted_nothing_is_decided(tmp_path: Path) -> None:
    model = signed_model(tmp_path)
    assert outcome(judge(model.signature, measured(tmp_path), [])) == ("unknown", "no-anchors")


def test_the_kind_of_signer_must_be_the_kind_that_is_trusted(tmp_path: Path) -> None:
    """A certificate is not judged by a bare key, nor the other way round (OMS section 4.1)."""
    manifest = measured(write_model(tmp_path))
    root = authority()
    one = leaf(root)
    bare, certified = (
        signed(manifest, PemSigner(one.key_pem)),
        signed(manifest, PemSigner(one.key_pem, None, one.pem)),
    )
    key, ca = anchor(one.key_pem), CertificateAnchor(name="acme", roots_pem=root.pem)
    assert outcome(judge(bare, manifest, [key])) == outcome(judge(certified, manifest, [ca])) == ("pass", "")
    assert (
        outcome(judge(bare, manifest, [ca]))
        == outcome(judge(certified, manifest, [key]))
        == ("fail", "signer-unknown")
    )
    web = SigstoreAnchor(name="a", identity="a", issuer="b", trusted_root_json=b"{}")
    assert outcome(judge(bare, manifest, [web])) == ("fail", "signer-unknown")


def test_a_key_in_the_bundle_trusts_nobody(tmp_path: Path) -> None:
    manifest = measured(write_model(tmp_path))
    value = json.loads(signed(manifest, PemSigner(private_key("ecdsa-p256", 2))))
    value["verificationMaterial"]["publicKey"] = {
        "rawBytes": dsse.encode_base64(public_key(private_key("ecdsa-p256", 2)))
    }
    result = judge(json.dumps(value).encode(), manifest)
    assert outcome(result) == ("fail", "signer-unknown")
    assert (result.by, result.key) == ("", "")


@pytest.mark.parametrize("hint", ["", None, "00" * 32, "ML_DSA_65:9a22", "\u202e" * 300])
def test_the_hint_decides_nothing(tmp_path: Path, hint: str | None) -> None:
    """It is not signed: a wrong one neither helps nor harms the right key."""
    manifest = measured(write_model(tmp_path))
    value = json.loads(signed(manifest))
    value["verificationMaterial"]["publicKey"]["hint"] = hint
    data = json.dumps(value).encode()
    assert outcome(judge(data, manifest)) == ("pass", "")
    other = judge(data, manifest, [anchor(private_key("ecdsa-p256", 2))])
    assert outcome(other) == ("fail", "signer-unknown" if hint else "signature-wrong")
    assert "\u202e" not in other.why


def test_the_right_one_of_many_anchors_is_found(tmp_path: Path) -> None:
    model = signed_model(tmp_path)
    others = [anchor(private_key(kind, 2), name=f"other-{kind}") for kind in keys.ALGORITHMS]
    assert judge(model.signature, measured(tmp_path), [*others, anchor()]).by == "release@acme.example"


def test_an_anchor_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    model = signed_model(tmp_path)
    broken = KeyAnchor(name="broken", public_key_pem=b"junk")
    assert outcome(judge(model.signature, measured(tmp_path), [broken, anchor()])) == ("pass", "")
    result = judge(model.signature, measured(tmp_path), [broken])
    assert outcome(result) == ("unknown", "key-unreadable")
    assert '"broken"' in result.why


def test_check_signer_alone_tells_who(tmp_path: Path) -> None:
    (one,) = bundle.read_bundles(signed_model(tmp_path).signature, "model.sig")
    check = check_signer(one, [anchor()], (), NOW)
    assert (*outcome(check), check.by, check.how) == ("pass", "", "release@acme.example", "key ECDSA P-256")


# ------------------------------------------------------------------------------------------------------------- when


@pytest.mark.parametrize(
    ("window", "code"),
    [
        ({}, ""),
        ({"not_before": NOW - DAY, "not_after": NOW + DAY, "revoked_at": NOW + DAY}, ""),
        ({"not_before": NOW}, ""),
        ({"not_after": NOW}, ""),
        ({"not_before": NOW + DAY}, "anchor-not-yet-valid"),
        ({"not_after": NOW - DAY}, "anchor-expired"),
        ({"revoked_at": NOW - DAY}, "anchor-revoked"),
        ({"revoked_at": NOW}, "anchor-revoked"),
    ],
)
def test_the_anchor_s_window_holds_for_keys_and_certificates(
    tmp_path: Path, window: dict[str, Any], code: str
) -> None:
    manifest = measured(write_model(tmp_path))
    root = authority()
    one = leaf(root)
    certified = signed(manifest, PemSigner(one.key_pem, None, one.pem))
    for data, trusted in (
        (signed(manifest), anchor(**window)),
        (certified, CertificateAnchor(name="acme", roots_pem=root.pem, **window)),
    ):
        assert outcome(judge(data, manifest, [trusted])) == ("fail" if code else "pass", code)


def test_the_reason_of_a_revocation_is_told(tmp_path: Path) -> None:
    result = judge(
        signed_model(tmp_path).signature,
        measured(tmp_path),
        [anchor(revoked_at=NOW - DAY, revocation_reason="laptop stolen")],
    )
    assert (
        "revoked 2026-05-31T12:00:00Z (laptop stolen); no trusted time says when it was signed" in result.why
    )


def test_a_second_name_of_the_same_key_or_root_may_still_be_good(tmp_path: Path) -> None:
    manifest = measured(write_model(tmp_path))
    gone = {"not_after": NOW - DAY}
    assert judge(signed(manifest), manifest, [anchor(name="old", **gone), anchor(name="new")]).by == "new"
    root = authority()
    one = leaf(root)
    data = signed(manifest, PemSigner(one.key_pem, None, one.pem))
    old = CertificateAnchor(name="old", roots_pem=root.pem, **gone)
    assert judge(data, manifest, [old, CertificateAnchor(name="new", roots_pem=root.pem)]).by == "new"
    assert outcome(judge(data, manifest, [old])) == ("fail", "anchor-expired")


@pytest.mark.parametrize("year", [1970, 1989, 2101])
def test_a_clock_that_cannot_be_right_decides_nothing_about_windows(tmp_path: Path, year: int) -> None:
    model, clock = signed_model(tmp_path), datetime(year, 1, 1, tzinfo=UTC)
    windows = [{"not_before": NOW}, {"not_after": NOW}, {"revoked_at": NOW}]
    for window in windows:
        result = judge(model.signature, measured(tmp_path), [anchor(**window)], now=clock)
        assert outcome(result) == ("unknown", "clock-implausible")
    assert outcome(judge(model.signature, measured(tmp_path), now=clock)) == ("pass", "")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return make_service(tmp_path_factory.mktemp("tsa"))


@pytest.fixture
def stamped(service: Service, tmp_path: Path) -> Callable[..., Any]:
    """Sign with a certificate and a real timestamp of now; judge it some days later."""
    start = datetime.now(UTC) - NOW
    manifest = measured(write_model(tmp_path))

    def run(
        later: timedelta, end: timedelta, *, trusted: bool = True, other: bool = False, **window: Any
    ) -> Any:
        root = authority(start=start - 9 * DAY, end=start + 4000 * DAY)
        one = leaf(root, start=start - DAY, end=start + end)
        payload = oms.statement(manifest, name="m")
        stamp = (lambda _: service.stamp(b"another signature")) if other else service.stamp
        data = sign_statement(payload, PemSigner(one.key_pem, None, one.pem), timestamp=stamp)
        anchors = [CertificateAnchor(name="acme", roots_pem=root.pem, **window)]
        authorities = [service.authority] if trusted else []
        return judge(data, manifest, anchors, authorities=authorities, now=NOW + start + later)

    return run


def test_a_timestamp_outlives_its_certificate(stamped: Callable[..., Any]) -> None:
    fresh, later = stamped(timedelta(minutes=5), DAY), stamped(300 * DAY, DAY)
    assert outcome(fresh) == outcome(later) == ("pass", "")
    assert later.when.startswith(datetime.now(UTC).strftime("%Y-"))
    assert outcome(stamped(300 * DAY, DAY, trusted=False)) == ("fail", "certificate-expired")


def test_a_timestamp_after_expiry_does_not_help(stamped: Callable[..., Any]) -> None:
    assert outcome(stamped(timedelta(minutes=5), timedelta(hours=-1))) == ("fail", "certificate-expired")


def test_a_timestamp_over_something_else_does_not_count_and_says_so(stamped: Callable[..., Any]) -> None:
    result = stamped(300 * DAY, DAY, other=True)
    assert outcome(result) == ("fail", "certificate-expired")
    assert "its timestamp does not count: the timestamp was made over something else" in result.why


def test_a_signature_from_before_a_revocation_stays_good(stamped: Callable[..., Any]) -> None:
    today = datetime.now(UTC)
    assert outcome(stamped(5 * DAY, 400 * DAY, revoked_at=today + DAY)) == ("pass", "")
    assert outcome(stamped(5 * DAY, 400 * DAY, revoked_at=today - DAY)) == ("fail", "anchor-revoked")
    assert outcome(stamped(5 * DAY, 400 * DAY, revoked_at=today + DAY, trusted=False)) == (
        "fail",
        "anchor-revoked",
    )


def test_timestamps_count_for_bare_keys_too(service: Service, tmp_path: Path) -> None:
    manifest, today = measured(write_model(tmp_path)), datetime.now(UTC)
    data = sign_statement(
        oms.statement(manifest, name="m"), PemSigner(private_key()), timestamp=service.stamp
    )
    window = {"not_after": today + DAY}
    late = {"now": today + 300 * DAY}
    assert outcome(judge(data, manifest, [anchor(**window)], authorities=[service.authority], **late)) == (
        "pass",
        "",
    )
    assert outcome(judge(data, manifest, [anchor(**window)], **late)) == ("fail", "anchor-expired")


# -------------------------------------------------------------------------------------------------------- over what


def test_what_was_not_measured_is_unknown(tmp_path: Path) -> None:
    model = signed_model(tmp_path)
    result = judge(model.signature, measured(tmp_path, hashes=["blake3"]))
    assert outcome(result) == ("unknown", "not-measured")
    assert result.why.startswith("not measured with sha256: README.md, config.json, d-x and 5 more")


def test_contents_that_differ_are_told_by_file_and_tensor(tmp_path: Path) -> None:
    model = signed_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(weights(fill=2))
    (tmp_path / "adapter.bin").write_bytes(b"extra")
    (tmp_path / "config.json").unlink()
    result = model.judge()
    assert outcome(result) == ("fail", "contents-differ")
    assert result.by == "release@acme.example"
    assert (
        result.why
        == "3 files differ from what was signed: changed model.safetensors, extra adapter.bin, missing config.json"
    )
    assert result.difference is not None
    assert len(result.difference.tensors_changed) == 10


def test_links_that_nobody_signed_are_refused(tmp_path: Path) -> None:
    model = signed_model(tmp_path)
    (tmp_path / "config.json").rename(tmp_path.parent / "elsewhere")
    (tmp_path / "config.json").symlink_to(tmp_path.parent / "elsewhere")
    assert outcome(model.judge()) == ("fail", "link-not-signed")
    assert outcome(model.judge(accept_links=True)) == ("pass", "")
    (tmp_path.parent / "elsewhere").write_bytes(b"changed")
    assert outcome(model.judge(accept_links=True)) == ("fail", "contents-differ")


def test_what_could_not_be_measured_is_an_extra_file(tmp_path: Path) -> None:
    model = signed_model(tmp_path)
    pipe = Obstacle("pipe", "not-a-file", "a FIFO")
    result = model.judge(obstacles=[pipe])
    assert outcome(result) == ("fail", "contents-differ")
    assert result.difference == Difference(added=("pipe",))
    hidden = model.judge(obstacles=[pipe._replace(path=".git/socket")])
    assert outcome(hidden) == ("unknown", "uncovered-files")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (".gitattributes", ""),
        (".gitignore", ""),
        (".git/config", "uncovered-files"),
        (".git", "uncovered-files"),
        (".github/workflows/x.yml", "uncovered-files"),
        (".gitattributes/evil.bin", "uncovered-files"),
        ("cache/x", "uncovered-files"),
    ],
)
def test_what_the_signer_left_out_is_never_passed_in_silence(tmp_path: Path, path: str, code: str) -> None:
    model = signed_model(tmp_path, ignore_paths=["cache"])
    write_model(tmp_path, {path: b"planted"})
    result = model.judge()
    assert outcome(result) == ("unknown" if code else "pass", code)
    assert path in result.why
    assert result.covers.startswith("8 of 9 files")


def test_the_caller_may_allow_what_was_left_out(tmp_path: Path) -> None:
    model = signed_model(tmp_path)
    write_model(tmp_path, {".git/a/b": b"", ".github/x": b""})
    assert outcome(model.judge(allow_ignored=[".git"])) == ("unknown", "uncovered-files")
    result = model.judge(allow_ignored=[".git/", ".github"])
    assert outcome(result) == ("pass", "")
    assert result.why.endswith("; not covered: .git/a/b, .github/x")


def test_a_statement_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    def lie(value: dict[str, Any]) -> None:
        value["subject"][0]["annotations"][oms.DIGESTS]["files"] = "sha256:" + "00" * 32

    model = signed_model(tmp_path)
    assert outcome(judge(resigned(model.signature, lie), measured(tmp_path))) == ("fail", "annotation-wrong")


def test_an_annotation_of_a_later_release_does_no_harm(tmp_path: Path) -> None:
    """Which tensors a release can read, or what it calls a card, must not break old signatures."""

    def later(value: dict[str, Any]) -> None:
        value["subject"][0]["annotations"][oms.DIGESTS] |= {
            "tensors": "blake3:00",
            "card": "sha256:00",
            "new": "x:00",
        }

    assert outcome(judge(resigned(signed_model(tmp_path).signature, later), measured(tmp_path))) == (
        "pass",
        "",
    )


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ("https://model_signing/signature/v1.1", ("pass", "")),
        ("https://model_signing/signature/v2.0", ("unknown", "predicate-version")),
        ("https://slsa.dev/provenance/v1", ("unknown", "predicate-unknown")),
    ],
)
def test_predicates_of_other_versions(tmp_path: Path, predicate: str, expected: tuple[str, str]) -> None:
    data = resigned(signed_model(tmp_path).signature, lambda value: value.update(predicateType=predicate))
    assert outcome(judge(data, measured(tmp_path))) == expected


def test_a_signed_statement_over_nothing_is_refused(tmp_path: Path) -> None:
    def empty(value: dict[str, Any]) -> None:
        value["predicate"]["resources"] = []
        with_root(value)

    data = resigned(signed_model(tmp_path).signature, empty)
    assert outcome(judge(data, Manifest(entries=()))) == ("fail", "no-resources")


def test_signed_bytes_that_are_no_statement_are_refused(tmp_path: Path) -> None:
    manifest = measured(write_model(tmp_path))
    assert outcome(judge(sign_value(b"not json"), manifest)) == ("fail", "bad-json")
    assert outcome(judge(sign_value(b"[" * 100_000), manifest)) == ("fail", "bad-json")
    assert outcome(judge(sign_value(b"[" + b"0," * 3_000_001 + b"0]"), manifest)) == ("unknown", "limit-json")


def test_a_crash_of_ours_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("bug")

    monkeypatch.setattr("weighbridge.sign.verify.signer.keys.verify", broken)
    assert outcome(signed_model(tmp_path).judge()) == ("unknown", "internal-error")


# ------------------------------------------------------------------------------------------------------------- plan


def test_the_plan_says_what_to_measure(tmp_path: Path) -> None:
    write_model(tmp_path, FILES | {"big.bin": bytes(MIB + 1)})
    manifest = measured(tmp_path, shards=[("sha256", MIB)])
    data = [
        signed(manifest, hash_type="blake3", ignore_paths=["cache"]),
        signed(manifest, shard_size=MIB),
        signed(manifest, allow_symlinks=True),
        b"junk",
        sign_value({"_type": "x"}),
    ]
    plan = wanted_plan([one for item in data for one in bundle.read_bundles(item, "model.sig")])
    assert plan == Wanted(
        hashes=frozenset({"sha256", "blake3"}),
        shards=(("sha256", MIB),),
        tensors=True,
        allow_symlinks=True,
        ignore_paths=(
            ".git",
            ".gitattributes",
            ".github",
            ".gitignore",
            "cache",
            "model.sig",
            "model.sig.jsonl",
        ),
    )
    assert wanted_plan([]) == Wanted()


def test_a_hostile_plan_stays_small(tmp_path: Path) -> None:
    """Shard sizes come from a statement nobody has verified yet; a size of one byte would list every byte."""
    data = b"\n".join(
        resigned(signed_model(tmp_path).signature, lambda value, size=size: _shard_all(value, size))
        for size in (1, *range(MIB, MIB + 10))
    )
    plan = wanted_plan(bundle.read_bundles(data, "model.sig.jsonl"))
    assert [size for _, size in plan.shards] == list(range(MIB, MIB + 4))


def _shard_all(value: dict[str, Any], size: int) -> None:
    value["predicate"]["serialization"] |= {"method": "shards", "shard_size": size}
    for one in value["predicate"]["resources"]:
        one["name"] += ":0:1"


# ------------------------------------------------------------------------------------------------------------ words


def test_the_one_line_counts_in_the_singular() -> None:
    assert summary(Difference(changed=("a",))) == "1 file differs from what was signed: changed a"


@pytest.mark.parametrize("algorithm", CURVES)
def test_bundles_hold_der_signatures(tmp_path: Path, algorithm: str) -> None:
    data = signed(measured(write_model(tmp_path)), PemSigner(private_key(algorithm)))
    assert bundle.read_bundles(data, "x")[0].envelope.signature[0] == 0x30


def test_an_entry_without_hash_never_passes() -> None:
    manifest = Manifest(entries=(Entry("a", 0, bytes(32), None),))
    data = signed(manifest)
    assert outcome(judge(data, Manifest(entries=(Entry("a", 0, None, None),)))) == ("unknown", "not-measured")
