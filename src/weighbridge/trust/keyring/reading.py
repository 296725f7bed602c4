"""Reading a keyring: everything in `trust.toml` and the files that it names, checked when it is loaded."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from weighbridge.core.errors import TrustError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.sign import keys
from weighbridge.sign.anchor import Anchor, CertificateAnchor, KeyAnchor, SigstoreAnchor, TimestampAuthority
from weighbridge.trust.keyring.fields import invalid, parse, refuse_unknown, tables, text, texts, time_of
from weighbridge.trust.keyring.folder import FILE, read_file, refuse_inside

MAX_TOML = 4 * 1024**2
MAX_MATERIAL = 32 * 1024**2
"""Bytes of one file beside it; the largest are revocation lists."""

_COMMON = ("name", "kind", "roles", "valid-from", "valid-until", "revoked")
_FIELDS = {
    "key": (*_COMMON, "file"),
    "certificate": (*_COMMON, "roots", "names", "crls"),
    "sigstore": (*_COMMON, "identity", "issuer", "trusted-root"),
}
"""What an `[[identity]]` of each kind may say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Whom the caller trusts. Empty trusts nobody."""

    anchors: tuple[Anchor, ...] = ()
    """One name may stand here several times: an old key and its successor."""
    authorities: tuple[TimestampAuthority, ...] = ()
    location: str = ""
    """The folder it was read from; empty when it was made from options."""


def load_keyring(folder: str | os.PathLike[str], *, model: str | os.PathLike[str] | None = None) -> Keyring:
    """Read a keyring. With `model`, a folder that lies inside the model is refused: the weighed may not set the scale.

    Raises `TrustError`: `keyring-missing`, `keyring-in-model`, `keyring-writable`, `keyring-invalid`, `keyring-file`, and
    the codes of unreadable keys, certificates and lists.
    """
    root = Path(folder)
    if model is not None:
        refuse_inside(root, Path(model))
    return keyring_of(read_file(root, FILE, MAX_TOML), root)


def keyring_of(data: bytes, root: Path) -> Keyring:
    """The keyring that this text of `trust.toml` makes in this folder. Raises like `load_keyring`."""
    document = parse(data, root)
    where = f'"{visible(str(root / FILE), 200)}"'
    refuse_unknown(document, ("version", "identity", "timestamp-authority"), where)
    if document.get("version") != 1:
        raise invalid(f"{where} is not version 1", "version = 1")
    identities = tables(document, "identity", where)
    authorities = tables(document, "timestamp-authority", where)
    return Keyring(
        anchors=tuple(_anchor(root, table, number) for number, table in enumerate(identities, 1)),
        authorities=tuple(_authority(root, table, number) for number, table in enumerate(authorities, 1)),
        location=str(root),
    )


def from_public_key(pem: bytes, name: str = "") -> KeyAnchor:
    """An anchor for a key given by hand (`--key`). Raises `TrustError` (`key-unreadable`, `key-unsupported`)."""
    fingerprint = keys.fingerprint(keys.load_public(pem))
    return KeyAnchor(name=name or f"key {fingerprint[:16]}", public_key_pem=pem)


def _anchor(root: Path, table: Mapping[str, Any], number: int) -> Anchor:
    where = f"identity {number}"
    kind = text(table, "kind", where)
    if kind not in _FIELDS:
        raise invalid(f'{where} has the unknown kind "{visible(kind, 50)}"', f"one of: {', '.join(_FIELDS)}")
    refuse_unknown(table, _FIELDS[kind], where)
    common = _common(table, where)
    return {"key": _key, "certificate": _certificate, "sigstore": _sigstore}[kind](root, table, common)


def _common(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    name = text(table, "name", where)
    where = f'identity "{name}"'
    start, end = time_of(table, "valid-from", where), time_of(table, "valid-until", where)
    if start and end and start >= end:
        raise invalid(f"{where} is valid until before it is valid from")
    revoked = table.get("revoked", {})
    if not isinstance(revoked, dict):
        raise invalid(
            f'"revoked" of {where} is not a table', 'revoked = { at = 2026-01-31T12:00:00Z, reason = "…" }'
        )
    refuse_unknown(revoked, ("at", "reason"), f"revoked of {where}")
    at = time_of(revoked, "at", f"revoked of {where}")
    if "revoked" in table and at is None:
        raise invalid(f'revoked of {where} has no "at"', "at = 2026-01-31T12:00:00Z")
    return {
        "name": name,
        "roles": texts(table, "roles", where),
        "not_before": start,
        "not_after": end,
        "revoked_at": at,
        "revocation_reason": text(revoked, "reason", f"revoked of {where}", default=""),
    }


def _key(root: Path, table: Mapping[str, Any], common: dict[str, Any]) -> KeyAnchor:
    pem = _material(root, table, "file", f'identity "{common["name"]}"')
    with _naming(common["name"]):
        keys.load_public(pem)
    return KeyAnchor(public_key_pem=pem, **common)


def _certificate(root: Path, table: Mapping[str, Any], common: dict[str, Any]) -> CertificateAnchor:
    from weighbridge.sign.certificates import load_crl, load_roots

    where = f'identity "{common["name"]}"'
    roots = _material(root, table, "roots", where)
    load_roots(roots, common["name"])
    crls = tuple(_file(root, name, f'"crls" of {where}') for name in texts(table, "crls", where))
    for crl in crls:
        load_crl(crl, common["name"])
    names = texts(table, "names", where)
    if "names" in table and not names:
        # An empty list would accept everybody under the root; who means that leaves the line out.
        raise invalid(f'"names" of {where} is empty', "leave it out to accept any leaf under the root")
    return CertificateAnchor(roots_pem=roots, names=names, crls_pem=crls, **common)


def _sigstore(root: Path, table: Mapping[str, Any], common: dict[str, Any]) -> SigstoreAnchor:
    from weighbridge.sign.sigstore import load_trusted_root

    where = f'identity "{common["name"]}"'
    trusted_root = _material(root, table, "trusted-root", where)
    load_trusted_root(trusted_root, common["name"])
    identity, issuer = text(table, "identity", where), text(table, "issuer", where)
    return SigstoreAnchor(identity=identity, issuer=issuer, trusted_root_json=trusted_root, **common)


def _authority(root: Path, table: Mapping[str, Any], number: int) -> TimestampAuthority:
    from weighbridge.sign.certificates import load_roots

    where = f"timestamp-authority {number}"
    refuse_unknown(table, ("name", "roots"), where)
    name = text(table, "name", where)
    roots = _material(root, table, "roots", where)
    load_roots(roots, name)
    return TimestampAuthority(name=name, roots_pem=roots)


def _material(root: Path, table: Mapping[str, Any], key: str, where: str) -> bytes:
    return _file(root, text(table, key, where), f'"{key}" of {where}')


def _file(root: Path, name: str, what: str) -> bytes:
    """A file beside `trust.toml`: a plain name, so that a keyring is one folder that can be copied and looked through."""
    if "/" in name or "\\" in name or name.startswith("."):
        raise invalid(f'{what} is "{visible(name, 100)}", not the name of a file beside {FILE}')
    return read_file(root, name, MAX_MATERIAL)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """An error of a key file says whose it is."""
    try:
        yield
    except TrustError as error:
        raise TrustError(error.code, f'identity "{name}": {error.message}', *error.hints) from None
