"""Key pairs on disk: modes, never overwriting, and rotation in a keyring."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.pki import DAY, NOW, authority, make_key, public_pem

from weighbridge.core.errors import TrustError, UsageError
from weighbridge.sign import keys
from weighbridge.sign.anchor import CertificateAnchor, KeyAnchor
from weighbridge.trust.keygen import ALIASES, new_key, rotate_key, show_key
from weighbridge.trust.keyring import FILE, load_keyring
from weighbridge.trust.keyring.editing import add_identity, init_keyring, revoke_identity
from weighbridge.trust.keyring.standing import standings


@pytest.mark.parametrize("algorithm", [*keys.ALGORITHMS, *ALIASES])
def test_a_new_pair_signs_and_verifies(tmp_path: Path, algorithm: str) -> None:
    pair = new_key(tmp_path / "release.key", algorithm)
    assert pair.public_path == tmp_path / "release.pub"
    assert not pair.encrypted
    private = keys.load_private(pair.private_path.read_bytes())
    public = keys.load_public(pair.public_path.read_bytes())
    assert keys.verify(public, b"data", keys.sign(private, b"data"))
    assert pair.facts.fingerprint == keys.fingerprint(public)
    assert pair.facts.hint == keys.hint(public)


def test_the_private_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    pair = new_key(tmp_path / "k.pem")
    assert pair.private_path.stat().st_mode & 0o777 == 0o600
    assert pair.public_path.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.pem", "k.pub"]


def test_a_password_encrypts_and_is_needed(tmp_path: Path) -> None:
    pair = new_key(tmp_path / "k.pem", password="öpen sesame")
    pem = pair.private_path.read_bytes()
    assert pair.encrypted
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in pem
    assert load_pem_private_key(pem, "öpen sesame".encode()) is not None
    assert show_key(pem, "öpen sesame") == pair.facts
    with pytest.raises(TrustError, match="key-password-wrong"):
        show_key(pem, "guess")
    with pytest.raises(TrustError, match="key-password-missing"):
        show_key(pem)
    with pytest.raises(TrustError, match="password-empty"):
        new_key(tmp_path / "other.pem", password="")
    assert not (tmp_path / "other.pem").exists()


@pytest.mark.parametrize("there", ["k.pem", "k.pub"])
def test_nothing_is_overwritten_and_no_half_pair_is_left(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")
    with pytest.raises(UsageError, match="key-exists"):
        new_key(tmp_path / "k.pem")
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "k.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="key-exists"):
        new_key(tmp_path / "k.pem")
    assert not (tmp_path / "elsewhere").exists()


def test_names_that_make_no_pair(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="key-exists"):
        new_key(tmp_path / "k.pub")
    with pytest.raises(UsageError, match="no-such-path"):
        new_key(tmp_path / "missing" / "k.pem")
    with pytest.raises(TrustError, match="key-unsupported"):
        new_key(tmp_path / "k.pem", "rsa-4096")
    assert list(tmp_path.iterdir()) == []


def test_showing_the_public_half_tells_the_same(tmp_path: Path) -> None:
    pair = new_key(tmp_path / "k.pem", "ed25519")
    shown = show_key(pair.public_path.read_bytes())
    assert (shown.algorithm, shown.private) == ("Ed25519", False)
    assert (shown.fingerprint, shown.hint, shown.public_pem) == (
        pair.facts.fingerprint,
        pair.facts.hint,
        pair.facts.public_pem,
    )
    with pytest.raises(TrustError, match="key-unreadable"):
        show_key(b"nothing")


# -- rotation -------------------------------------------------------------------------------------------------------

OLD = public_pem(make_key())


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    folder = tmp_path / "trust"
    init_keyring(folder)
    add_identity(folder, KeyAnchor(name="release", roles=("publisher",), public_key_pem=OLD))
    add_identity(folder, KeyAnchor(name="other", public_key_pem=OLD))
    return folder


def test_rotation_ends_the_old_key_and_begins_the_new_one(ring: Path, tmp_path: Path) -> None:
    done = rotate_key(ring, "release", tmp_path / "new.pem", now=NOW, algorithm="ed25519")
    old, other, new = load_keyring(ring).anchors
    assert isinstance(new, KeyAnchor)
    assert (old.not_after, other.not_after) == (NOW, None)
    assert (new.name, new.roles, new.not_before, new.not_after) == ("release", ("publisher",), NOW, None)
    assert new.public_key_pem == done.pair.public_path.read_bytes()
    assert done.ended == (keys.fingerprint(keys.load_public(OLD)),)
    states = [one.state for one in standings(load_keyring(ring), NOW + DAY)]
    assert states == ["expired", "good", "good"]


def test_rotation_may_overlap_and_can_be_repeated(ring: Path, tmp_path: Path) -> None:
    rotate_key(ring, "release", tmp_path / "one.pem", now=NOW, until=NOW + 30 * DAY)
    assert [one.state for one in standings(load_keyring(ring), NOW + DAY)] == ["good", "good", "good"]
    done = rotate_key(ring, "release", tmp_path / "two.pem", now=NOW + 40 * DAY)
    assert len(done.ended) == 1
    assert [anchor.not_after for anchor in load_keyring(ring).anchors] == [
        NOW + 30 * DAY,
        None,
        NOW + 40 * DAY,
        None,
    ]


def test_rotation_writes_whole_seconds(ring: Path, tmp_path: Path) -> None:
    """A timestamp of the very second of the rotation must not fall before the new key's first moment."""
    rotate_key(ring, "release", tmp_path / "new.pem", now=NOW.replace(microsecond=999_999))
    assert load_keyring(ring).anchors[2].not_before == NOW


def test_what_cannot_be_rotated_changes_nothing(ring: Path, tmp_path: Path) -> None:
    add_identity(ring, CertificateAnchor(name="ci", roots_pem=authority().pem))
    before = (ring / FILE).read_bytes()
    with pytest.raises(UsageError, match="identity-unknown"):
        rotate_key(ring, "nobody", tmp_path / "new.pem", now=NOW)
    with pytest.raises(UsageError, match="nothing-to-rotate"):
        rotate_key(ring, "ci", tmp_path / "new.pem", now=NOW)
    with pytest.raises(UsageError, match="key-exists"):
        rotate_key(ring, "release", ring / FILE, now=NOW)
    for year in (1970, 2100):
        with pytest.raises(TrustError, match="clock-implausible"):
            rotate_key(ring, "release", tmp_path / "new.pem", now=datetime(year, 1, 1, tzinfo=UTC))
    assert (ring / FILE).read_bytes() == before
    assert not (tmp_path / "new.pem").exists()


def test_a_revoked_key_is_not_rotated(ring: Path, tmp_path: Path) -> None:
    revoke_identity(ring, "release", at=NOW)
    with pytest.raises(UsageError, match="nothing-to-rotate"):
        rotate_key(ring, "release", tmp_path / "new.pem", now=NOW + DAY)
