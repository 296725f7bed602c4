"""Keyrings: what a person may write, what is refused and why, and edits that keep the person's comments."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pki import DAY, NOW, authority, leaf, make_key, public_pem, revocation_list

from weighbridge.core.errors import TrustError, UsageError
from weighbridge.sign import keys
from weighbridge.sign.anchor import Anchor, CertificateAnchor, KeyAnchor, SigstoreAnchor, TimestampAuthority
from weighbridge.trust.keyring import FILE, Keyring, from_public_key, load_keyring
from weighbridge.trust.keyring.editing import add_authority, add_identity, init_keyring, revoke_identity
from weighbridge.trust.keyring.standing import standings

KEY = public_pem(make_key())
ROOT = authority()
CRL = revocation_list(ROOT)
TRUSTED_ROOT = b'{"mediaType": "x", "tlogs": [1], "certificateAuthorities": [1]}'
HEAD = "version = 1\n"
IDENTITY = '[[identity]]\nname = "release"\nkind = "key"\nfile = "release.pub"\n'

FULL = """\
# our keyring
version = 1

[[identity]]
name = "release@acme.example"   # the release team
kind = "key"
file = "release.pub"
roles = ["publisher", "approver"]
valid-from = 2026-01-01T00:00:00Z
valid-until = 2027-01-01T01:00:00+01:00
revoked = { at = 2026-05-01T00:00:00Z, reason = "laptop stolen" }

[[identity]]
name = "ci"
kind = "certificate"
roots = "root.pem"
names = ["ci@acme.example"]
crls = ["acme.crl"]

[[identity]]
name = "me"
kind = "sigstore"
identity = "me@acme.example"
issuer = "https://accounts.example"
trusted-root = "trusted_root.json"

[[timestamp-authority]]
name = "Acme TSA"
roots = "root.pem"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A keyring folder with every kind of file, and nobody in it."""
    root = tmp_path / "trust"
    root.mkdir(mode=0o755)
    for name, data in {
        "release.pub": KEY,
        "root.pem": ROOT.pem,
        "acme.crl": CRL,
        "trusted_root.json": TRUSTED_ROOT,
        FILE: HEAD.encode(),
    }.items():
        (root / name).write_bytes(data)
        (root / name).chmod(0o644)
    return root


def refusal(folder: Path, text: str) -> TrustError:
    (folder / FILE).write_text(text)
    with pytest.raises(TrustError) as caught:
        load_keyring(folder)
    return caught.value


# -- reading --------------------------------------------------------------------------------------------------------


def test_every_kind_of_identity(folder: Path) -> None:
    (folder / FILE).write_text(FULL)
    ring = load_keyring(folder)
    assert ring.location == str(folder)
    assert ring.authorities == (TimestampAuthority(name="Acme TSA", roots_pem=ROOT.pem),)
    assert ring.anchors == (
        KeyAnchor(
            name="release@acme.example",
            roles=("publisher", "approver"),
            not_before=datetime(2026, 1, 1, tzinfo=UTC),
            not_after=datetime(2027, 1, 1, tzinfo=UTC),
            revoked_at=datetime(2026, 5, 1, tzinfo=UTC),
            revocation_reason="laptop stolen",
            public_key_pem=KEY,
        ),
        CertificateAnchor(name="ci", roots_pem=ROOT.pem, names=("ci@acme.example",), crls_pem=(CRL,)),
        SigstoreAnchor(
            name="me",
            identity="me@acme.example",
            issuer="https://accounts.example",
            trusted_root_json=TRUSTED_ROOT,
        ),
    )


def test_an_empty_keyring_trusts_nobody(folder: Path) -> None:
    assert load_keyring(folder) == Keyring(location=str(folder))
    assert Keyring().anchors == ()


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("", "is not version 1", "version = 1"),
        ("version = 2", "is not version 1", "version = 1"),
        ("version = ", "is not TOML", None),
        (HEAD + "identities = []", 'unknown key "identities"', 'did you mean "identity"'),
        (HEAD + "[identity]\n", '"identity"', "[[identity]]"),
        (HEAD + IDENTITY + 'role = ["a"]', 'unknown key "role" in identity 1', 'did you mean "roles"'),
        (HEAD + IDENTITY + "trusted = true", 'unknown key "trusted"', None),
        (HEAD + IDENTITY + 'names = ["a"]', 'unknown key "names"', None),
        (
            HEAD + '[[identity]]\nname = "a"\nkind = "pgp"',
            'unknown kind "pgp"',
            "one of: key, certificate, sigstore",
        ),
        (HEAD + '[[identity]]\nkind = "key"\nfile = "release.pub"', 'no "name"', None),
        (HEAD + IDENTITY.replace('"release"', '""'), "empty or has hidden characters", None),
        (HEAD + IDENTITY.replace('"release"', '"re\\u202elease"'), "empty or has hidden characters", None),
        (
            HEAD + IDENTITY + 'roles = "publisher"',
            '"roles" of identity "release" is no list',
            'roles = ["…"]',
        ),
        (HEAD + IDENTITY + "roles = [1]", "is no text", None),
        (
            HEAD + IDENTITY + "valid-from = 2026-01-01",
            "is no time with an offset",
            "valid-from = 2026-01-31T12:00:00Z",
        ),
        (HEAD + IDENTITY + "valid-from = 2026-01-01T00:00:00", "is no time with an offset", None),
        (HEAD + IDENTITY + "valid-until = 9999-12-31T23:59:59-23:00", "no time that exists in UTC", None),
        (
            HEAD + IDENTITY + "valid-from = 2026-01-02T00:00:00Z\nvalid-until = 2026-01-01T00:00:00Z",
            "valid until before it is valid from",
            None,
        ),
        (HEAD + IDENTITY + "revoked = true", "is not a table", None),
        (HEAD + IDENTITY + "revoked = {}", 'has no "at"', None),
        (HEAD + IDENTITY + 'revoked = { reason = "x" }', 'has no "at"', None),
        (HEAD + IDENTITY + "revoked = { since = 2026-01-01T00:00:00Z }", 'unknown key "since"', None),
        (HEAD + IDENTITY.replace("release.pub", "../release.pub"), "not the name of a file beside", None),
        (HEAD + IDENTITY.replace("release.pub", "/etc/passwd"), "not the name of a file beside", None),
        (HEAD + IDENTITY.replace("release.pub", ".hidden"), "not the name of a file beside", None),
        (
            HEAD + '[[identity]]\nname = "a"\nkind = "certificate"\nroots = "root.pem"\nnames = []',
            '"names"',
            None,
        ),
    ],
)
def test_what_a_person_writes_wrongly(folder: Path, text: str, said: str, hint: str | None) -> None:
    error = refusal(folder, text)
    assert error.code == "keyring-invalid"
    assert said in error.message
    if hint is not None:
        assert hint in error.hints


def test_files_that_are_missing_or_of_another_kind(folder: Path) -> None:
    for name, code in {
        "nothing.pub": "keyring-file",
        "root.pem": "key-unreadable",
        "trusted_root.json": "key-unreadable",
    }.items():
        error = refusal(folder, HEAD + IDENTITY.replace("release.pub", name))
        assert error.code == code
    (folder / "private.pub").write_bytes(ROOT.key_pem)
    error = refusal(folder, HEAD + IDENTITY.replace("release.pub", "private.pub"))
    assert error.code == "key-unreadable"
    assert 'identity "release": this is a private key' in error.message
    for old, new, code in (
        ("acme.crl", "root.pem", "crl-unreadable"),
        ('roots = "root.pem"\nnames', 'roots = "release.pub"\nnames', "certificate-unreadable"),
        ("trusted_root.json", "root.pem", "trusted-root-unreadable"),
    ):
        assert refusal(folder, FULL.replace(old, new)).code == code


def test_a_keyring_that_everybody_may_write_proves_nothing(folder: Path) -> None:
    (folder / FILE).write_text(HEAD + IDENTITY)
    for path in (folder, folder / FILE, folder / "release.pub"):
        before = path.stat().st_mode
        path.chmod(before | 0o002)
        with pytest.raises(TrustError) as caught:
            load_keyring(folder)
        assert caught.value.code == "keyring-writable"
        assert caught.value.hints == (f"chmod o-w {path}",)
        path.chmod(before)
    assert len(load_keyring(folder).anchors) == 1


def test_a_link_is_judged_by_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.pub"
    elsewhere.write_bytes(KEY)
    (folder / "release.pub").unlink()
    (folder / "release.pub").symlink_to(elsewhere)
    (folder / FILE).write_text(HEAD + IDENTITY)
    elsewhere.chmod(0o644)
    assert len(load_keyring(folder).anchors) == 1
    elsewhere.chmod(0o666)
    assert refusal(folder, HEAD + IDENTITY).code == "keyring-writable"


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    (folder / "release.pub").unlink()
    os.mkfifo(folder / "release.pub")
    assert refusal(folder, HEAD + IDENTITY).code == "keyring-file"


def test_no_keyring(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "nowhere", tmp_path, tmp_path / "file"):
        with pytest.raises(TrustError) as caught:
            load_keyring(path)
        assert caught.value.code == "keyring-missing"
        assert caught.value.hints == ("weighbridge trust init",)


def test_a_keyring_inside_the_model_is_never_read(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    folder.rename(model / "trust")
    (tmp_path / "link").symlink_to(model / "trust")
    for path in (model / "trust", tmp_path / "link", model / ".." / "model" / "trust"):
        with pytest.raises(TrustError, match="keyring-in-model"):
            load_keyring(path, model=model)
    outside = tmp_path / "outside"
    (model / "trust").rename(outside)
    (model / "trust").symlink_to(outside)
    with pytest.raises(TrustError, match="keyring-in-model"):
        load_keyring(model / "trust", model=model)
    assert load_keyring(outside, model=model).anchors == ()


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_keyring_or_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("ring")
    (folder / FILE).write_bytes(HEAD.encode() + data)
    (folder / FILE).chmod(0o644)
    try:
        load_keyring(folder)
    except TrustError as error:
        assert error.code in ("keyring-invalid", "keyring-file")  # noqa: PT017 - either outcome is right


# -- writing --------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=20)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)).map(
    lambda at: at.replace(microsecond=0)
)
COMMON = st.fixed_dictionaries(
    {"name": TEXT},
    optional={
        "roles": st.lists(TEXT, max_size=3).map(tuple),
        "not_before": TIMES.filter(lambda at: at.year < 2040),
        "not_after": TIMES.filter(lambda at: at.year > 2040),
        "revoked_at": TIMES,
    },
)
ANCHORS = st.one_of(
    COMMON.map(lambda common: KeyAnchor(public_key_pem=KEY, **common)),
    st.tuples(COMMON, st.lists(TEXT, max_size=3).map(tuple), st.sampled_from([(), (CRL,)])).map(
        lambda one: CertificateAnchor(roots_pem=ROOT.pem, names=one[1], crls_pem=one[2], **one[0])
    ),
    st.tuples(COMMON, TEXT, TEXT).map(
        lambda one: SigstoreAnchor(identity=one[1], issuer=one[2], trusted_root_json=TRUSTED_ROOT, **one[0])
    ),
)


@settings(max_examples=80, deadline=None)
@given(anchors=st.lists(ANCHORS, max_size=3, unique_by=lambda anchor: anchor.name))
def test_what_is_added_is_read_back(tmp_path_factory: pytest.TempPathFactory, anchors: list[Anchor]) -> None:
    """Law: a keyring made of anchors by `add_identity` reads as just these anchors, in their order."""
    folder = tmp_path_factory.mktemp("ring") / "trust"
    init_keyring(folder)
    for anchor in anchors:
        add_identity(folder, anchor)
    assert load_keyring(folder).anchors == tuple(anchors)


def test_init_makes_a_private_folder_once(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "trust"
    init_keyring(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert load_keyring(folder).anchors == ()
    with pytest.raises(UsageError, match="keyring-exists"):
        init_keyring(folder)


def test_init_does_not_start_in_a_folder_for_everybody(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(TrustError, match="keyring-writable"):
        init_keyring(folder)
    assert not (folder / FILE).exists()


def test_adding_keeps_comments_and_names_the_files(folder: Path) -> None:
    (folder / FILE).write_text(FULL)
    files = add_identity(
        folder, KeyAnchor(name="new one/../x", public_key_pem=public_pem(make_key("ed25519")))
    )
    assert len(files) == 1
    assert files[0].startswith("new-one-..-x-")
    assert "/" not in files[0]
    text = (folder / FILE).read_text()
    assert text.startswith(FULL.split("[[timestamp-authority]]")[0].split("# the release team")[0])
    assert "# our keyring" in text
    assert "# the release team" in text
    assert [anchor.name for anchor in load_keyring(folder).anchors][-1] == "new one/../x"


def test_the_same_key_is_added_once_and_a_second_key_is_welcome(folder: Path) -> None:
    add_identity(folder, KeyAnchor(name="a", public_key_pem=KEY))
    with pytest.raises(UsageError, match="identity-exists"):
        add_identity(folder, KeyAnchor(name="a", public_key_pem=KEY, roles=("approver",)))
    add_identity(folder, KeyAnchor(name="a", public_key_pem=public_pem(make_key())))
    add_identity(folder, KeyAnchor(name="b", public_key_pem=KEY))
    assert [anchor.name for anchor in load_keyring(folder).anchors] == ["a", "a", "b"]


def test_a_renewed_root_of_the_same_name_is_another_root(folder: Path) -> None:
    add_identity(folder, CertificateAnchor(name="ci", roots_pem=ROOT.pem))
    add_identity(folder, CertificateAnchor(name="ci", roots_pem=authority().pem))
    assert len(load_keyring(folder).anchors) == 2


def test_what_could_not_be_read_again_is_never_written(folder: Path) -> None:
    before = (folder / FILE).read_bytes()
    for anchor, code in (
        (KeyAnchor(name="a", public_key_pem=b"no key"), "key-unreadable"),
        (KeyAnchor(name="hid\x00den", public_key_pem=KEY), "keyring-invalid"),
        (CertificateAnchor(name="a", roots_pem=leaf(ROOT).key_pem), "certificate-unreadable"),
        (
            SigstoreAnchor(name="a", identity="i", issuer="", trusted_root_json=TRUSTED_ROOT),
            "keyring-invalid",
        ),
    ):
        with pytest.raises(TrustError) as caught:
            add_identity(folder, anchor)
        assert caught.value.code == code
        assert (folder / FILE).read_bytes() == before


def test_time_stamping_authorities_are_added_once(folder: Path) -> None:
    added = TimestampAuthority(name="TSA", roots_pem=ROOT.pem)
    add_authority(folder, added)
    assert load_keyring(folder).authorities == (added,)
    with pytest.raises(UsageError, match="identity-exists"):
        add_authority(folder, added)


def test_revoking_says_since_when_and_why(folder: Path) -> None:
    (folder / FILE).write_text(FULL)
    assert revoke_identity(folder, "ci", at=NOW, reason="left the company") == 1
    ring = load_keyring(folder)
    assert (ring.anchors[1].revoked_at, ring.anchors[1].revocation_reason) == (NOW, "left the company")
    assert ring.anchors[0].revocation_reason == "laptop stolen"
    assert "# the release team" in (folder / FILE).read_text()


def test_an_earlier_revocation_stays_and_a_later_one_is_replaced(folder: Path) -> None:
    add_identity(folder, KeyAnchor(name="a", public_key_pem=KEY))
    for at, changed, now in ((NOW, 1, NOW), (NOW + DAY, 0, NOW), (NOW - DAY, 1, NOW - DAY)):
        assert revoke_identity(folder, "a", at=at) == changed
        assert load_keyring(folder).anchors[0].revoked_at == now


def test_one_of_two_keys_can_be_revoked(folder: Path) -> None:
    first, second = (from_public_key(public_pem(make_key()), "a") for _ in range(2))
    for anchor in (first, second):
        add_identity(folder, anchor)
    fingerprint = keys.fingerprint(keys.load_public(second.public_key_pem))
    assert revoke_identity(folder, "a", at=NOW, key=fingerprint[:16].upper()) == 1
    assert [anchor.revoked_at for anchor in load_keyring(folder).anchors] == [None, NOW]
    assert revoke_identity(folder, "a", at=NOW) == 1
    assert [anchor.revoked_at for anchor in load_keyring(folder).anchors] == [NOW, NOW]


def test_revoking_nobody_suggests_somebody(folder: Path) -> None:
    add_identity(folder, KeyAnchor(name="release@acme.example", public_key_pem=KEY))
    with pytest.raises(UsageError) as caught:
        revoke_identity(folder, "relase@acme.example", at=NOW)
    assert caught.value.code == "identity-unknown"
    assert caught.value.hints == ('did you mean "release@acme.example"',)
    with pytest.raises(UsageError, match="identity-unknown"):
        revoke_identity(folder, "release@acme.example", at=NOW, key="ffff")


def test_two_writers_lose_nothing(folder: Path) -> None:
    anchors = [KeyAnchor(name=f"n{number}", public_key_pem=KEY) for number in range(8)]
    threads = [threading.Thread(target=add_identity, args=(folder, anchor)) for anchor in anchors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {anchor.name for anchor in load_keyring(folder).anchors} == {anchor.name for anchor in anchors}


def test_no_leftovers(folder: Path) -> None:
    add_identity(folder, KeyAnchor(name="a", public_key_pem=KEY))
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


# -- showing --------------------------------------------------------------------------------------------------------


def test_standings_tell_who_may_sign_now(folder: Path) -> None:
    (folder / FILE).write_text(FULL)
    release, ci, me = standings(load_keyring(folder), NOW)
    assert (release.kind, release.what, release.state) == ("key", "ECDSA P-256", "revoked")
    assert release.key == keys.fingerprint(keys.load_public(KEY))
    assert (ci.kind, ci.what, ci.state) == ("certificate", 'under "Acme Root" as ci@acme.example', "good")
    assert (me.kind, me.what) == ("sigstore", "me@acme.example according to https://accounts.example")


@pytest.mark.parametrize(
    ("since", "until", "state"),
    [
        (None, None, "good"),
        (1, None, "not yet valid"),
        (None, -1, "expired"),
        (-1, 1, "good"),
        (0, 0, "good"),
    ],
)
def test_states(since: int | None, until: int | None, state: str) -> None:
    def at(days: int | None) -> datetime | None:
        return None if days is None else NOW + timedelta(days=days)

    anchor = KeyAnchor(name="a", public_key_pem=KEY, not_before=at(since), not_after=at(until))
    assert standings(Keyring(anchors=(anchor,)), NOW)[0].state == state


def test_a_key_given_by_hand_is_called_by_its_fingerprint() -> None:
    fingerprint = keys.fingerprint(keys.load_public(KEY))
    assert from_public_key(KEY).name == f"key {fingerprint[:16]}"
    assert from_public_key(KEY, "me").name == "me"
    with pytest.raises(TrustError, match="key-unreadable"):
        from_public_key(b"")
