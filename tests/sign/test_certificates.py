"""Certificate chains, with real certificates: what is accepted, and the exact reason for each refusal."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pki import DAY, NOW, Issued, authority, leaf, make_key, revocation_list, usages

from weighbridge.core.errors import InputError, TrustError
from weighbridge.core.evidence import Outcome
from weighbridge.sign.anchor import CertificateAnchor
from weighbridge.sign.certificates import MAX_CERTIFICATES, check_chain, leaf_public_key
from weighbridge.sign.keys import fingerprint

ROOT = authority("Acme Root")
MIDDLE = authority("Acme Release", under=ROOT, path_length=0)
LEAF = leaf(MIDDLE, "Release", emails=["release@acme.example"])
ANCHOR = CertificateAnchor(
    name="release@acme.example", roles=("publisher",), roots_pem=ROOT.pem, names=("release@acme.example",)
)


def judge(*chain: Issued, anchor: CertificateAnchor = ANCHOR, at: datetime = NOW) -> tuple[str, str]:
    """(outcome, code) of a chain; the anchor comes back exactly when it passes."""
    found, check = check_chain([one.der for one in chain], [anchor], at)
    assert (found is anchor) == (check.outcome is Outcome.PASS)
    assert check.why
    return check.outcome.value, check.code


def anyone(root: Issued, **more: object) -> CertificateAnchor:
    return CertificateAnchor(name="anyone", roots_pem=root.pem, **more)  # type: ignore[arg-type]


def test_a_good_chain_says_who_how_and_with_which_key() -> None:
    found, check = check_chain([LEAF.der, MIDDLE.der], [ANCHOR], NOW)
    assert found is ANCHOR
    assert check.outcome is Outcome.PASS
    assert (check.by, check.roles, check.code) == ("release@acme.example", ("publisher",), "")
    assert check.how == 'certificate ECDSA P-256 under "Acme Root"'
    assert check.key == fingerprint(LEAF.key.public_key())
    assert len(check.key) == 64


def test_the_root_may_come_along_and_the_order_of_intermediates_does_not_matter() -> None:
    low = authority("Low", under=MIDDLE2, path_length=0)
    signer = leaf(low)
    for rest in itertools.permutations([low, MIDDLE2, ROOT]):
        assert judge(signer, *rest, anchor=anyone(ROOT)) == ("pass", "")


MIDDLE2 = authority("Middle Two", under=ROOT, path_length=1)


@pytest.mark.parametrize("kind", ["ec-p256", "ec-p384", "ec-p521", "rsa-2048", "ed25519", "ml-dsa-65"])
def test_authorities_of_every_accepted_kind(kind: str) -> None:
    root = authority(kind=kind)
    middle = authority("Middle", under=root, kind=kind)
    assert judge(leaf(middle), middle, anchor=anyone(root)) == ("pass", "")


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("ec-p384", "ECDSA P-384"),
        ("ec-p521", "ECDSA P-521"),
        ("ed25519", "Ed25519"),
        ("ml-dsa-65", "ML-DSA-65"),
    ],
)
def test_leaves_of_every_accepted_kind(kind: str, algorithm: str) -> None:
    signer = leaf(ROOT, kind=kind)
    _, check = check_chain([signer.der], [anyone(ROOT)], NOW)
    assert check.how == f'certificate {algorithm} under "Acme Root"'


def test_an_intermediate_given_as_root_is_trusted_without_what_stands_above() -> None:
    assert judge(LEAF, anchor=replace(ANCHOR, roots_pem=MIDDLE.pem)) == ("pass", "")


# -- trust ----------------------------------------------------------------------------------------------------------


def test_a_root_that_comes_in_the_bundle_is_not_trusted() -> None:
    evil = authority("Acme Root")  # same name, other key
    assert judge(leaf(evil, emails=["release@acme.example"]), evil) == ("fail", "certificate-untrusted")


def test_a_missing_intermediate_leads_nowhere() -> None:
    assert judge(LEAF) == ("fail", "certificate-untrusted")


def test_nobody_is_trusted_by_default() -> None:
    found, check = check_chain([LEAF.der, MIDDLE.der], [], NOW)
    assert found is None
    assert check.code == "certificate-untrusted"
    assert '"Release"' in check.why


def test_a_self_signed_leaf_is_refused_even_as_its_own_root() -> None:
    selfish = leaf(authority(), "x")
    alone = authority(
        "Selfish", ca=False, key_usage=usages("digital_signature"), purposes=[Purpose.CODE_SIGNING]
    )
    assert judge(alone, anchor=anyone(alone)) == ("fail", "certificate-untrusted")
    assert judge(selfish, anchor=anyone(selfish)) == ("fail", "certificate-untrusted")


def test_a_leaf_cannot_issue() -> None:
    """The classic: a signing certificate used as an authority (CVE-2002-0862 and its many children)."""
    forged = leaf(LEAF, emails=["release@acme.example"])
    assert judge(forged, LEAF, MIDDLE) == ("fail", "certificate-wrong-usage")


def test_a_signature_by_another_key_under_the_same_name_is_refused() -> None:
    impostor = Issued(MIDDLE.certificate, make_key("ec-p384"))
    assert judge(leaf(impostor, emails=["release@acme.example"]), MIDDLE) == ("fail", "certificate-untrusted")


def test_path_length_is_kept() -> None:
    deeper = authority("Deeper", under=MIDDLE)  # MIDDLE allows none below it
    assert judge(leaf(deeper, emails=["release@acme.example"]), deeper, MIDDLE) == (
        "fail",
        "certificate-wrong-usage",
    )


def test_certificates_that_all_sign_each_other_end_soon() -> None:
    key = make_key()
    crowd = [authority("Loop", key=key) for _ in range(MAX_CERTIFICATES - 1)]
    assert judge(leaf(crowd[0]), *crowd) == ("fail", "certificate-untrusted")


def test_any_of_several_roots_will_do_and_a_renewed_root_replaces_an_expired_one() -> None:
    key = make_key("ec-p384")
    old, new = authority("R", key=key, end=-DAY), authority("R", key=key)
    signer = leaf(old)
    assert judge(signer, anchor=anyone(old)) == ("fail", "certificate-expired")
    both = CertificateAnchor(name="both", roots_pem=ROOT.pem + old.pem + new.pem)
    assert judge(signer, anchor=both) == ("pass", "")


# -- time -----------------------------------------------------------------------------------------------------------


def test_an_expired_leaf_is_refused_now_and_accepted_at_a_time_it_was_good() -> None:
    signer = leaf(ROOT, start=-500 * DAY, end=-400 * DAY)
    assert judge(signer, anchor=anyone(ROOT)) == ("fail", "certificate-expired")
    assert judge(signer, anchor=anyone(ROOT), at=NOW - 450 * DAY) == ("pass", "")
    assert judge(signer, anchor=anyone(ROOT), at=NOW - 501 * DAY) == ("fail", "certificate-not-yet-valid")


def test_validity_includes_its_first_and_last_second() -> None:
    signer = leaf(ROOT)
    second = timedelta(seconds=1)
    for at, expected in (
        (NOW - 100 * DAY, ("pass", "")),
        (NOW - 100 * DAY - second, ("fail", "certificate-not-yet-valid")),
        (NOW + 100 * DAY, ("pass", "")),
        (NOW + 100 * DAY + second, ("fail", "certificate-expired")),
    ):
        assert judge(signer, anchor=anyone(ROOT), at=at) == expected


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [(-9 * DAY, -DAY, "certificate-expired"), (DAY, 9 * DAY, "certificate-not-yet-valid")],
)
def test_every_certificate_of_the_chain_has_to_be_valid(start: timedelta, end: timedelta, code: str) -> None:
    middle = authority("Middle", under=ROOT, start=start, end=end)
    assert judge(leaf(middle), middle, anchor=anyone(ROOT)) == ("fail", code)
    root = authority("Root", start=start, end=end)
    assert judge(leaf(root), anchor=anyone(root)) == ("fail", code)


@pytest.mark.parametrize("year", [1970, 1989, 2100, 9999])
def test_a_broken_clock_decides_nothing(year: int) -> None:
    assert judge(LEAF, MIDDLE, at=datetime(year, 1, 1, tzinfo=UTC)) == ("unknown", "clock-implausible")


# -- usage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key_usage", "purposes", "accepted"),
    [
        (usages("digital_signature"), [Purpose.CODE_SIGNING], True),
        (usages("digital_signature"), [], True),
        (None, [Purpose.CODE_SIGNING], True),
        (usages("digital_signature"), [Purpose.CODE_SIGNING, Purpose.CLIENT_AUTH], True),
        (usages("digital_signature"), [Purpose.SERVER_AUTH], False),  # a TLS certificate
        (None, [Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH], False),
        (usages("digital_signature"), [Purpose.ANY_EXTENDED_KEY_USAGE], False),
        (usages("digital_signature"), [Purpose.TIME_STAMPING], False),
        (usages("content_commitment"), [Purpose.CODE_SIGNING], False),
        (usages("key_cert_sign"), [], False),
        (None, [], False),
    ],
)
def test_what_the_leaf_may_be_used_for(
    key_usage: x509.KeyUsage | None, purposes: list[x509.ObjectIdentifier], accepted: bool
) -> None:
    signer = leaf(ROOT, key_usage=key_usage, purposes=purposes)
    expected = ("pass", "") if accepted else ("fail", "certificate-wrong-usage")
    assert judge(signer, anchor=anyone(ROOT)) == expected


def test_a_leaf_that_is_an_authority_is_refused() -> None:
    both = authority("Both", under=ROOT, key_usage=usages("digital_signature", "key_cert_sign"))
    assert judge(both, anchor=anyone(ROOT)) == ("fail", "certificate-wrong-usage")


@pytest.mark.parametrize(
    "wrong",
    [
        {"key_usage": usages("digital_signature", "crl_sign")},
        {"ca": False},
        {"purposes": [Purpose.SERVER_AUTH]},
    ],
)
def test_what_an_authority_may_be_used_for(wrong: dict[str, object]) -> None:
    middle = authority("Middle", under=ROOT, **wrong)  # type: ignore[arg-type]
    assert judge(leaf(middle), middle, anchor=anyone(ROOT)) == ("fail", "certificate-wrong-usage")


@pytest.mark.parametrize("purpose", [Purpose.CODE_SIGNING, Purpose.ANY_EXTENDED_KEY_USAGE])
def test_an_authority_limited_to_code_signing_may_issue_leaves(purpose: x509.ObjectIdentifier) -> None:
    middle = authority("Middle", under=ROOT, purposes=[purpose])
    assert judge(leaf(middle), middle, anchor=anyone(ROOT)) == ("pass", "")


# -- algorithms -----------------------------------------------------------------------------------------------------


def test_weak_and_foreign_algorithms_are_refused() -> None:
    refused = ("fail", "certificate-algorithm")
    short = authority(kind="rsa-1024")
    assert judge(leaf(short), anchor=anyone(short)) == refused
    assert judge(leaf(ROOT, kind="rsa-2048"), anchor=anyone(ROOT)) == refused
    assert judge(leaf(ROOT, kind="secp256k1"), anchor=anyone(ROOT)) == refused
    koblitz = authority(kind="secp256k1")
    assert judge(leaf(koblitz), anchor=anyone(koblitz)) == refused
    assert judge(leaf(ROOT, digest=hashes.SHA224()), anchor=anyone(ROOT)) == refused


# -- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"),
    [("emails", "a@acme.example"), ("uris", "https://ci.acme.example/run"), ("dns", "sign.acme.example")],
)
def test_each_kind_of_name_can_be_pinned(kind: str, value: str) -> None:
    signer = leaf(
        ROOT, "Common", **{kind: ["other@x.example" if kind == "emails" else "other.example", value]}
    )
    for pinned, expected in (
        (value, ("pass", "")),
        ("Common", ("pass", "")),
        (value.upper(), ("fail", "certificate-name")),
        (value[1:], ("fail", "certificate-name")),
        ("", ("fail", "certificate-name")),
    ):
        assert judge(signer, anchor=anyone(ROOT, names=(pinned,))) == expected


def test_a_wildcard_matches_only_itself() -> None:
    signer = leaf(ROOT, dns=["*.acme.example"])
    assert judge(signer, anchor=anyone(ROOT, names=("sign.acme.example",))) == ("fail", "certificate-name")


def test_a_name_with_a_hidden_character_is_another_name_and_shown_as_such() -> None:
    signer = leaf(ROOT, "release@acme.example\u202e")
    _, check = check_chain([signer.der], [anyone(ROOT, names=("release@acme.example",))], NOW)
    assert check.code == "certificate-name"
    assert "\\u202e" in check.why


def test_two_identities_under_one_root_are_told_apart_and_the_closest_explains() -> None:
    alice = anyone(ROOT, names=("alice@acme.example",))
    bob = replace(anyone(ROOT, names=("bob@acme.example",)), name="bob")
    good, old = leaf(ROOT, emails=["bob@acme.example"]), leaf(ROOT, emails=["bob@acme.example"], end=-DAY)
    assert check_chain([good.der], [alice, bob], NOW)[0] is bob
    assert check_chain([old.der], [alice, bob], NOW)[1].code == "certificate-expired"
    assert check_chain([old.der], [bob, alice], NOW)[1].code == "certificate-expired"


def test_name_constraints_bind_and_silence_the_common_name() -> None:
    limits = x509.NameConstraints([x509.RFC822Name("acme.example")], None)
    middle = authority("Middle", under=ROOT, extra=[(limits, True)])
    inside, outside = leaf(middle, emails=["a@acme.example"]), leaf(middle, emails=["a@evil.example"])
    assert judge(inside, middle, anchor=anyone(ROOT)) == ("pass", "")
    assert judge(outside, middle, anchor=anyone(ROOT)) == ("fail", "certificate-untrusted")
    sly = leaf(middle, "boss@other.example", emails=["a@acme.example"])
    assert judge(sly, middle, anchor=anyone(ROOT, names=("boss@other.example",))) == (
        "fail",
        "certificate-name",
    )


def test_what_only_the_library_can_judge_is_refused_with_ed25519() -> None:
    limits = x509.NameConstraints([x509.RFC822Name("acme.example")], None)
    root = authority(kind="ed25519", extra=[(limits, True)])
    assert judge(leaf(root, emails=["a@acme.example"]), anchor=anyone(root)) == (
        "fail",
        "certificate-untrusted",
    )


@pytest.mark.parametrize("kind", ["ec-p384", "ed25519"])
def test_an_unknown_critical_extension_is_refused(kind: str) -> None:
    root = authority(kind=kind)
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert judge(leaf(root, extra=[(odd, True)]), anchor=anyone(root)) == ("fail", "certificate-untrusted")
    assert judge(leaf(root, extra=[(odd, False)]), anchor=anyone(root)) == ("pass", "")


# -- revocation -----------------------------------------------------------------------------------------------------


def with_crls(*crls: bytes, names: tuple[str, ...] = ()) -> CertificateAnchor:
    return CertificateAnchor(name="acme", roots_pem=ROOT.pem, names=names, crls_pem=crls)


def test_a_fresh_list_without_the_leaf_passes_in_pem_and_der() -> None:
    pem = revocation_list(MIDDLE)
    der = x509.load_pem_x509_crl(pem).public_bytes(Encoding.DER)
    assert judge(LEAF, MIDDLE, anchor=with_crls(pem)) == ("pass", "")
    assert judge(LEAF, MIDDLE, anchor=with_crls(der)) == ("pass", "")


def test_revoked_now_but_not_before_the_revocation() -> None:
    anchor = with_crls(revocation_list(MIDDLE, [(LEAF, NOW - 10 * DAY)]))
    assert judge(LEAF, MIDDLE, anchor=anchor) == ("fail", "certificate-revoked")
    assert judge(LEAF, MIDDLE, anchor=anchor, at=NOW - 10 * DAY) == ("fail", "certificate-revoked")
    assert judge(LEAF, MIDDLE, anchor=anchor, at=NOW - 11 * DAY) == ("pass", "")


def test_the_stated_invalidity_date_reaches_further_back() -> None:
    anchor = with_crls(revocation_list(MIDDLE, [(LEAF, NOW - 10 * DAY)], invalid_since=NOW - 20 * DAY))
    assert judge(LEAF, MIDDLE, anchor=anchor, at=NOW - 11 * DAY) == ("fail", "certificate-revoked")
    assert judge(LEAF, MIDDLE, anchor=anchor, at=NOW - 21 * DAY) == ("pass", "")


def test_a_revoked_intermediate_revokes_what_it_issued() -> None:
    lists = (revocation_list(MIDDLE), revocation_list(ROOT, [(MIDDLE, NOW - DAY)]))
    assert judge(LEAF, MIDDLE, anchor=with_crls(*lists)) == ("fail", "certificate-revoked")


def test_a_stale_list_decides_nothing_but_still_revokes() -> None:
    assert judge(LEAF, MIDDLE, anchor=with_crls(revocation_list(MIDDLE, issued=-9 * DAY, until=-DAY))) == (
        "unknown",
        "crl-stale",
    )
    stale = revocation_list(MIDDLE, [(LEAF, NOW - 5 * DAY)], issued=-9 * DAY, until=-DAY)
    assert judge(LEAF, MIDDLE, anchor=with_crls(stale)) == ("fail", "certificate-revoked")


def test_the_newest_of_several_lists_gives_freshness_and_any_of_them_revokes() -> None:
    old, new = revocation_list(MIDDLE, issued=-9 * DAY, until=-DAY), revocation_list(MIDDLE)
    assert judge(LEAF, MIDDLE, anchor=with_crls(old, new)) == ("pass", "")
    bad = revocation_list(MIDDLE, [(LEAF, NOW - DAY)])
    assert judge(LEAF, MIDDLE, anchor=with_crls(new, bad)) == ("fail", "certificate-revoked")


def test_a_list_signed_by_somebody_else_decides_nothing() -> None:
    forged = revocation_list(MIDDLE, key=make_key("ec-p384"))
    assert judge(LEAF, MIDDLE, anchor=with_crls(forged)) == ("unknown", "crl-unusable")


def test_a_partial_list_decides_nothing() -> None:
    delta = revocation_list(MIDDLE, extra=[(x509.DeltaCRLIndicator(1), True)])
    part = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
    for one in (
        delta,
        revocation_list(MIDDLE, extra=[(part, True)]),
        revocation_list(MIDDLE, extra=[(part, False)]),
    ):
        assert judge(LEAF, MIDDLE, anchor=with_crls(one)) == ("unknown", "crl-unusable")


def test_an_authority_that_may_not_sign_lists_decides_nothing() -> None:
    middle = authority("Middle", under=ROOT, key_usage=usages("key_cert_sign"))
    assert judge(leaf(middle), middle, anchor=with_crls(revocation_list(middle))) == (
        "unknown",
        "crl-unusable",
    )


def test_once_lists_are_given_one_has_to_cover_the_leaf() -> None:
    assert judge(LEAF, MIDDLE, anchor=with_crls(revocation_list(ROOT))) == ("unknown", "crl-missing")


@pytest.mark.parametrize("kind", ["ed25519", "ml-dsa-65", "rsa-2048"])
def test_lists_signed_with_every_kind_of_key(kind: str) -> None:
    root = authority(kind=kind)
    signer = leaf(root)
    anchor = anyone(root, crls_pem=(revocation_list(root, [(signer, NOW - DAY)]),))
    assert judge(signer, anchor=anchor) == ("fail", "certificate-revoked")
    assert judge(leaf(root), anchor=anchor) == ("pass", "")


# -- bytes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chain", [[], [b""], [b"\x30\x80"], [LEAF.der, b"junk"], [LEAF.der + b"\x00"], [LEAF.der] * 17]
)
def test_malformed_chains(chain: list[bytes]) -> None:
    found, check = check_chain(chain, [ANCHOR], NOW)
    assert found is None
    assert (check.outcome, check.code) == (Outcome.FAIL, "certificate-malformed")


def test_a_huge_certificate_is_not_parsed() -> None:
    _, check = check_chain([b"\x30" * 100_000], [ANCHOR], NOW)
    assert check.code == "certificate-malformed"


def test_unreadable_files_of_our_own_are_errors() -> None:
    with pytest.raises(TrustError, match="certificate-unreadable"):
        check_chain([LEAF.der], [CertificateAnchor(name="a", roots_pem=b"nothing")], NOW)
    with pytest.raises(TrustError, match="crl-unreadable"):
        check_chain([LEAF.der, MIDDLE.der], [with_crls(b"nothing")], NOW)


def test_the_leafs_public_key() -> None:
    assert leaf_public_key([LEAF.der, b"ignored"]) == LEAF.key.public_key()
    with pytest.raises(InputError, match="certificate-malformed"):
        leaf_public_key([])


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(LEAF.der) - 1), st.integers(1, 255), st.sampled_from([0, 1]))
def test_no_changed_byte_passes_and_none_raises(offset: int, flip: int, which: int) -> None:
    """Law: a chain with one byte changed anywhere never passes, and always has a code."""
    chain = [bytearray(LEAF.der), bytearray(MIDDLE.der)]
    chain[which][offset % len(chain[which])] ^= flip
    found, check = check_chain([bytes(one) for one in chain], [ANCHOR], NOW)
    assert found is None
    assert check.outcome is not Outcome.PASS
    assert check.code
