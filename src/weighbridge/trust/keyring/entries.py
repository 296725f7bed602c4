"""An anchor as an entry of `trust.toml`, and the files that the entry names."""

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from weighbridge.sign import keys
from weighbridge.sign.anchor import Anchor, CertificateAnchor, KeyAnchor, SigstoreAnchor

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


def append(document: "TOMLDocument", key: str, table: Mapping[str, Any]) -> None:
    """Add a table to a list of tables, which is made where it is not there."""
    import tomlkit

    entry = tomlkit.table()
    for name, value in table.items():
        entry[name] = inline(value) if isinstance(value, dict) else value
    if key not in document:
        document[key] = tomlkit.aot()
    document[key].append(entry)


def inline(values: Mapping[str, Any]) -> Any:
    """A table that stands on one line."""
    import tomlkit

    table = tomlkit.inline_table()
    table.update(values)
    return table


def entry_of(anchor: Anchor) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The `[[identity]]` of an anchor, and the files that it names."""
    table: dict[str, Any] = {"name": anchor.name}
    files: dict[str, bytes] = {}

    def beside(suffix: str, data: bytes) -> str:
        name = file_name(anchor.name, suffix, data)
        files[name] = data
        return name

    match anchor:
        case KeyAnchor():
            table |= {"kind": "key", "file": beside("pub", anchor.public_key_pem)}
        case CertificateAnchor():
            table |= {"kind": "certificate", "roots": beside("roots.pem", anchor.roots_pem)}
            table |= {"names": list(anchor.names)} if anchor.names else {}
            table |= {"crls": [beside("crl", crl) for crl in anchor.crls_pem]} if anchor.crls_pem else {}
        case SigstoreAnchor():
            table |= {"kind": "sigstore", "identity": anchor.identity, "issuer": anchor.issuer}
            table |= {"trusted-root": beside("trusted-root.json", anchor.trusted_root_json)}
        case _:
            raise AssertionError(anchor)
    return table | _dates(anchor), files


def _dates(anchor: Anchor) -> dict[str, Any]:
    revoked = {"at": anchor.revoked_at, "reason": anchor.revocation_reason} if anchor.revoked_at else None
    said = {
        "roles": list(anchor.roles),
        "valid-from": anchor.not_before,
        "valid-until": anchor.not_after,
        "revoked": revoked,
    }
    return {key: value for key, value in said.items() if value}


def file_name(name: str, suffix: str, data: bytes) -> str:
    """A readable name that depends on the contents, so that two files never fight over one name."""
    plain = re.sub(r"[^A-Za-z0-9@._-]+", "-", name).strip(".-")[:60] or "identity"
    return f"{plain}-{hashlib.sha256(data).hexdigest()[:12]}.{suffix}"


def same(one: Anchor, other: Anchor) -> bool:
    """The same name with the same material: a second entry could only contradict the first."""
    return one.name == other.name and _identity(one) == _identity(other)


def _identity(anchor: Anchor) -> tuple[object, ...]:
    match anchor:
        case KeyAnchor():
            return ("key", keys.fingerprint(keys.load_public(anchor.public_key_pem)))
        case CertificateAnchor():
            return ("certificate", anchor.roots_pem, frozenset(anchor.names))
        case SigstoreAnchor():
            return ("sigstore", anchor.identity, anchor.issuer, anchor.trusted_root_json)
        case _:
            raise AssertionError(anchor)
