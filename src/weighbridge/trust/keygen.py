"""Key pairs: made, shown, and followed by others. A private key is written once, for its owner alone, and never over
another file.

Rotation makes a new key and says in the keyring until when the old one was good, so that old signatures with a trusted
time stay good and the old key signs nothing new. Not here: keys on tokens (make those with the token's own tools) and
certificates (ask their authority).
"""

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeGuard

from weighbridge.core.durable import write_file
from weighbridge.core.errors import TrustError, UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.sign import keys
from weighbridge.sign.anchor import Anchor, KeyAnchor
from weighbridge.sign.clock import implausible
from weighbridge.trust.keyring import load_keyring
from weighbridge.trust.keyring.editing import change_identities

ALIASES = {"ec-p256": "ecdsa-p256", "ec-p384": "ecdsa-p384", "ec-p521": "ecdsa-p521"}
"""Other common spellings of `keys.ALGORITHMS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """What can be told of a key to anybody."""

    algorithm: str
    """`ECDSA P-256`, …"""
    fingerprint: str
    """SHA-256 hex of the DER SubjectPublicKeyInfo: the key's name in keyrings and reports."""
    hint: str
    """SHA-256 hex of the PEM text: the key's name in bundles."""
    private: bool
    """Whether the private half was looked at."""
    public_pem: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A new pair on disk."""

    private_path: Path
    public_path: Path
    facts: KeyFacts
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a rotation did."""

    pair: KeyPair
    ended: tuple[str, ...]
    """Fingerprints of the keys whose time now ends."""


def new_key(
    private_path: str | os.PathLike[str],
    algorithm: str = keys.ALGORITHMS[0],
    password: bytes | str | None = None,
) -> KeyPair:
    """Make a key pair: the private PEM (0600) at `private_path`, the public one beside it with the suffix `.pub`.

    Raises `UsageError` (`key-exists`, `no-such-path`) and `TrustError` (`key-unsupported`, `password-empty`).
    """
    private, public = _paths(Path(private_path))
    if password is not None and not password:
        raise TrustError(
            "password-empty",
            "an empty password protects nothing",
            "leave it out to store the key in the clear",
        )
    key = keys.generate(ALIASES.get(algorithm, algorithm))
    _write_new(private, keys.private_pem(key, password), 0o600)
    try:
        _write_new(public, keys.public_pem(key.public_key()), 0o644)
    except BaseException:
        private.unlink(missing_ok=True)  # half a pair is of no use to anybody
        raise
    facts = replace(_facts(key.public_key()), private=True)
    return KeyPair(private_path=private, public_path=public, facts=facts, encrypted=password is not None)


def _paths(private: Path) -> tuple[Path, Path]:
    public = private.with_suffix(".pub")
    if public == private:
        raise UsageError(
            "key-exists", f'"{visible(str(private), 200)}" is the name of the public key', "use .pem or .key"
        )
    if not private.parent.is_dir():
        raise UsageError("no-such-path", f'there is no folder "{visible(str(private.parent), 200)}"')
    for path in (private, public):
        if path.exists() or path.is_symlink():
            raise _exists(path)
    return private, public


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        write_file(path, data, mode=mode, overwrite=False)
    except UsageError:
        raise _exists(path) from None


def _exists(path: Path) -> UsageError:
    return UsageError(
        "key-exists",
        f'"{visible(str(path), 200)}" exists, and keys are never overwritten',
        "choose another name",
    )


def show_key(pem: bytes, password: bytes | str | None = None) -> KeyFacts:
    """What a private or public key is. Raises `TrustError` like `keys.load_private` and `keys.load_public`."""
    if b"PRIVATE KEY-----" in pem:
        return replace(_facts(keys.load_private(pem, password).public_key()), private=True)
    return _facts(keys.load_public(pem))


def _facts(public: "keys.PublicKey") -> KeyFacts:
    return KeyFacts(
        algorithm=keys.describe(public),
        fingerprint=keys.fingerprint(public),
        hint=keys.hint(public),
        private=False,
        public_pem=keys.public_pem(public),
    )


def rotate_key(
    folder: str | os.PathLike[str],
    name: str,
    private_path: str | os.PathLike[str],
    *,
    now: datetime,
    until: datetime | None = None,
    algorithm: str = keys.ALGORITHMS[0],
    password: bytes | str | None = None,
) -> Rotation:
    """Make a new key for an identity of the keyring; its old keys are good until `until` (now, unless said).

    The new key has the old one's roles and is good from `now` on. The key files come first, the keyring changes in one
    write. Raises like `new_key`, and `UsageError` (`identity-unknown`, `nothing-to-rotate`), `TrustError`
    (`clock-implausible`).
    """
    if implausible(now):
        raise TrustError("clock-implausible", f"the clock says {now:%Y}: no date for a key can be written")
    # Whole seconds: timestamps have no finer ones, and must not fall before a key's first moment.
    now = now.replace(microsecond=0)
    end = (until or now).replace(microsecond=0)
    old = [anchor for anchor in load_keyring(folder).anchors if anchor.name == name and _active(anchor, end)]
    if not old:
        change_identities(
            folder, name, lambda _: None, which=lambda _: False
        )  # raises when nobody has that name
        raise UsageError("nothing-to-rotate", f'"{visible(name, 100)}" has no key that is still good')
    pair = new_key(private_path, algorithm, password)
    roles = tuple(dict.fromkeys(role for anchor in old for role in anchor.roles))
    fresh = KeyAnchor(name=name, roles=roles, not_before=now, public_key_pem=pair.facts.public_pem)

    def close(table: Any) -> None:
        table["valid-until"] = end

    change_identities(folder, name, close, which=lambda anchor: _active(anchor, end), then_add=fresh)
    return Rotation(pair=pair, ended=tuple(show_key(anchor.public_key_pem).fingerprint for anchor in old))


def _active(anchor: Anchor, end: datetime) -> TypeGuard[KeyAnchor]:
    """A bare key that is good before `end` and would still be good after it."""
    if (
        not isinstance(anchor, KeyAnchor)
        or anchor.revoked_at
        or (anchor.not_before and anchor.not_before >= end)
    ):
        return False
    return anchor.not_after is None or anchor.not_after > end
