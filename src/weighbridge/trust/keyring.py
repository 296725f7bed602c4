"""The keyring: a folder that names the identities whom this machine trusts, written by people and read strictly.

`trust.toml` says who; the files beside it are their public keys, roots, revocation lists and trusted roots. The format is
docs/formats/keyring.md. Everything is read and checked when the keyring is loaded, so that a mistake in it is an error
here and not a surprise in a verdict.

Anybody who can write the folder decides whom you trust: a folder or file that everybody may write is refused. Who owns it
is not looked at, since containers and build machines mount keyrings that somebody else owns. Deliberately not here:
trust on first use, a keyring that came with a model, and private keys.
"""

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import TrustError, UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.sign import keys
from weighbridge.sign.anchor import Anchor, CertificateAnchor, KeyAnchor, SigstoreAnchor, TimestampAuthority

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

FILE = "trust.toml"
MAX_TOML = 4 * 1024**2
MAX_MATERIAL = 32 * 1024**2
"""Bytes of one file beside it; the largest are revocation lists."""

TEMPLATE = """\
# Whom this machine trusts. `weighbridge trust add` and `trust revoke` write here, and keep your comments.
# The format: docs/formats/keyring.md

version = 1
"""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One identity as `trust show` tells it."""

    name: str
    kind: str
    """`key`, `certificate` or `sigstore`."""
    what: str
    """`ECDSA P-256`, `under "Acme Root" as release@acme.example`, `me@x.example according to https://…`."""
    key: str
    """Fingerprint of a bare key; empty for the other kinds."""
    roles: tuple[str, ...]
    state: str
    """`good`, `not yet valid`, `expired` or `revoked` at the time that was asked for."""
    not_before: datetime | None = None
    not_after: datetime | None = None
    revoked_at: datetime | None = None
    reason: str = ""


# ------------------------------------------------------------------------------------------------------------ reading


def keyring_dir(named: str | os.PathLike[str] | None, environment: Mapping[str, str], home: Path) -> Path:
    """The keyring that was named, else WEIGHBRIDGE_TRUST, else the one in the person's configuration folder (XDG)."""
    chosen = named or environment.get("WEIGHBRIDGE_TRUST")
    if chosen:
        return Path(chosen)
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "weighbridge" / "trust"


def load_keyring(folder: str | os.PathLike[str], *, model: str | os.PathLike[str] | None = None) -> Keyring:
    """Read a keyring. With `model`, a folder that lies inside the model is refused: the weighed may not set the scale.

    Raises `TrustError`: `keyring-missing`, `keyring-in-model`, `keyring-writable`, `keyring-invalid`, `keyring-file`, and
    the codes of unreadable keys, certificates and lists.
    """
    root = Path(folder)
    if model is not None:
        _refuse_inside(root, Path(model))
    return _keyring(_read(root, FILE, MAX_TOML), root)


def _keyring(data: bytes, root: Path) -> Keyring:
    document = _parse(data, root)
    where = f'"{visible(str(root / FILE), 200)}"'
    _refuse_unknown(document, ("version", "identity", "timestamp-authority"), where)
    if document.get("version") != 1:
        raise _invalid(f"{where} is not version 1", "version = 1")
    identities = _tables(document, "identity", where)
    authorities = _tables(document, "timestamp-authority", where)
    return Keyring(
        anchors=tuple(_anchor(root, table, number) for number, table in enumerate(identities, 1)),
        authorities=tuple(_authority(root, table, number) for number, table in enumerate(authorities, 1)),
        location=str(root),
    )


def from_public_key(pem: bytes, name: str = "") -> KeyAnchor:
    """An anchor for a key given by hand (`--key`). Raises `TrustError` (`key-unreadable`, `key-unsupported`)."""
    fingerprint = keys.fingerprint(keys.load_public(pem))
    return KeyAnchor(name=name or f"key {fingerprint[:16]}", public_key_pem=pem)


def _refuse_inside(root: Path, model: Path) -> None:
    """By link or by name: neither may lead into the model."""
    if not model.is_dir():
        return
    places = (root.resolve(), Path(os.path.abspath(root)))  # noqa: PTH100 - resolve() would follow the links
    models = (model.resolve(), Path(os.path.abspath(model)))  # noqa: PTH100
    if any(place.is_relative_to(one) for place in places for one in models):
        raise TrustError(
            "keyring-in-model",
            f'the keyring "{visible(str(root), 200)}" lies inside the model that it should judge',
        )


def _read(root: Path, name: str, limit: int) -> bytes:
    """A file of the keyring, opened once and judged through the open handle."""
    _refuse_writable_folder(root)
    path = root / name
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if name == FILE:
            raise _missing(root) from None
        raise TrustError(
            "keyring-file", f'the keyring names "{visible(name, 200)}", which is not there'
        ) from None
    except OSError as error:
        raise TrustError(
            "keyring-file", f'cannot read "{visible(str(path), 200)}": {error.strerror}'
        ) from None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            raise TrustError(
                "keyring-file", f'"{visible(str(path), 200)}" is no file of at most {limit} bytes'
            )
        if status.st_mode & stat.S_IWOTH:
            raise _writable(path)
        return file.read(limit + 1)


def _refuse_writable_folder(root: Path) -> None:
    try:
        mode = root.stat().st_mode
    except OSError:
        raise _missing(root) from None
    if not stat.S_ISDIR(mode):
        raise _missing(root)
    if mode & stat.S_IWOTH:
        raise _writable(root)


def _missing(root: Path) -> TrustError:
    return TrustError(
        "keyring-missing", f'there is no keyring at "{visible(str(root), 200)}"', "weighbridge trust init"
    )


def _writable(path: Path) -> TrustError:
    shown = visible(str(path), 200)
    return TrustError(
        "keyring-writable", f'everybody may write "{shown}", so it proves nothing', f"chmod o-w {shown}"
    )


def _parse(data: bytes, root: Path) -> dict[str, Any]:
    import tomllib  # only for those who have a keyring

    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _invalid(
            f'"{visible(str(root / FILE), 200)}" is not TOML: {visible(str(error), 200)}'
        ) from None


def _tables(document: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    found = document.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _invalid(f'"{key}" in {where} is not a list of tables', f"[[{key}]]")
    return found


def _anchor(root: Path, table: Mapping[str, Any], number: int) -> Anchor:
    where = f"identity {number}"
    kind = _text(table, "kind", where)
    if kind not in _FIELDS:
        raise _invalid(f'{where} has the unknown kind "{visible(kind, 50)}"', f"one of: {', '.join(_FIELDS)}")
    _refuse_unknown(table, _FIELDS[kind], where)
    common = _common(table, where)
    return {"key": _key, "certificate": _certificate, "sigstore": _sigstore}[kind](root, table, common)


def _common(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    name = _text(table, "name", where)
    where = f'identity "{name}"'
    start, end = _time(table, "valid-from", where), _time(table, "valid-until", where)
    if start and end and start >= end:
        raise _invalid(f"{where} is valid until before it is valid from")
    revoked = table.get("revoked", {})
    if not isinstance(revoked, dict):
        raise _invalid(
            f'"revoked" of {where} is not a table', 'revoked = { at = 2026-01-31T12:00:00Z, reason = "…" }'
        )
    _refuse_unknown(revoked, ("at", "reason"), f"revoked of {where}")
    at = _time(revoked, "at", f"revoked of {where}")
    if "revoked" in table and at is None:
        raise _invalid(f'revoked of {where} has no "at"', "at = 2026-01-31T12:00:00Z")
    return {
        "name": name,
        "roles": _texts(table, "roles", where),
        "not_before": start,
        "not_after": end,
        "revoked_at": at,
        "revocation_reason": _text(revoked, "reason", f"revoked of {where}", default=""),
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
    crls = tuple(_file(root, name, f'"crls" of {where}') for name in _texts(table, "crls", where))
    for crl in crls:
        load_crl(crl, common["name"])
    names = _texts(table, "names", where)
    if "names" in table and not names:
        # An empty list would accept everybody under the root; who means that leaves the line out.
        raise _invalid(f'"names" of {where} is empty', "leave it out to accept any leaf under the root")
    return CertificateAnchor(roots_pem=roots, names=names, crls_pem=crls, **common)


def _sigstore(root: Path, table: Mapping[str, Any], common: dict[str, Any]) -> SigstoreAnchor:
    from weighbridge.sign.sigstore import load_trusted_root

    where = f'identity "{common["name"]}"'
    trusted_root = _material(root, table, "trusted-root", where)
    load_trusted_root(trusted_root, common["name"])
    identity, issuer = _text(table, "identity", where), _text(table, "issuer", where)
    return SigstoreAnchor(identity=identity, issuer=issuer, trusted_root_json=trusted_root, **common)


def _authority(root: Path, table: Mapping[str, Any], number: int) -> TimestampAuthority:
    from weighbridge.sign.certificates import load_roots

    where = f"timestamp-authority {number}"
    _refuse_unknown(table, ("name", "roots"), where)
    name = _text(table, "name", where)
    roots = _material(root, table, "roots", where)
    load_roots(roots, name)
    return TimestampAuthority(name=name, roots_pem=roots)


def _material(root: Path, table: Mapping[str, Any], key: str, where: str) -> bytes:
    return _file(root, _text(table, key, where), f'"{key}" of {where}')


def _file(root: Path, name: str, what: str) -> bytes:
    """A file beside `trust.toml`: a plain name, so that a keyring is one folder that can be copied and looked through."""
    if "/" in name or "\\" in name or name.startswith("."):
        raise _invalid(f'{what} is "{visible(name, 100)}", not the name of a file beside {FILE}')
    return _read(root, name, MAX_MATERIAL)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """An error of a key file says whose it is."""
    try:
        yield
    except TrustError as error:
        raise TrustError(error.code, f'identity "{name}": {error.message}', *error.hints) from None


def _refuse_unknown(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    from difflib import get_close_matches

    for key in table:
        if key not in known:
            guess = get_close_matches(key, known, 1)
            hint = f'did you mean "{guess[0]}"' if guess else f"known: {', '.join(known)}"
            raise _invalid(f'unknown key "{visible(key, 50)}" in {where}', hint)


def _text(table: Mapping[str, Any], key: str, where: str, *, default: str | None = None) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise _invalid(
            f'{where} has no "{key}", or it is no text' if value is None else f'"{key}" of {where} is no text'
        )
    if (not value and default is None) or visible(value, 1000) != value:
        raise _invalid(f'"{key}" of {where} is empty or has hidden characters')
    return value


def _texts(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list):
        raise _invalid(f'"{key}" of {where} is no list', f'{key} = ["…"]')
    return tuple(_text({key: one}, key, where) for one in value)


def _time(table: Mapping[str, Any], key: str, where: str) -> datetime | None:
    value = table.get(key)
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _invalid(f'"{key}" of {where} is no time with an offset', f"{key} = 2026-01-31T12:00:00Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise _invalid(f'"{key}" of {where} is no time that exists in UTC') from None


def _invalid(message: str, *hints: str) -> TrustError:
    return TrustError("keyring-invalid", message, *hints)


# ------------------------------------------------------------------------------------------------------------ showing


def standings(keyring: Keyring, now: datetime) -> tuple[Standing, ...]:
    """Every identity and whether it may sign at `now`, in the keyring's order."""
    return tuple(_standing(anchor, now) for anchor in keyring.anchors)


def _standing(anchor: Anchor, now: datetime) -> Standing:
    kind, what, key = _what(anchor)
    return Standing(
        name=anchor.name,
        kind=kind,
        what=what,
        key=key,
        roles=anchor.roles,
        state=_state(anchor, now),
        not_before=anchor.not_before,
        not_after=anchor.not_after,
        revoked_at=anchor.revoked_at,
        reason=anchor.revocation_reason,
    )


def _state(anchor: Anchor, now: datetime) -> str:
    if anchor.revoked_at and now >= anchor.revoked_at:
        return "revoked"
    if anchor.not_before and now < anchor.not_before:
        return "not yet valid"
    return "expired" if anchor.not_after and now > anchor.not_after else "good"


def _what(anchor: Anchor) -> tuple[str, str, str]:
    match anchor:
        case KeyAnchor():
            key = keys.load_public(anchor.public_key_pem)
            return "key", keys.describe(key), keys.fingerprint(key)
        case CertificateAnchor():
            from weighbridge.sign.certificates import load_roots, subject

            roots = ", ".join(subject(one) for one in load_roots(anchor.roots_pem, anchor.name))
            return "certificate", f"under {roots} as {', '.join(anchor.names) or 'anybody'}", ""
        case SigstoreAnchor():
            return "sigstore", f"{anchor.identity} according to {anchor.issuer}", ""
        case _:
            raise AssertionError(anchor)


# ------------------------------------------------------------------------------------------------------------ writing


def init_keyring(folder: str | os.PathLike[str]) -> None:
    """Make an empty keyring. Raises `UsageError` (`keyring-exists`) and `TrustError` (`keyring-writable`)."""
    from weighbridge.core.durable import write_file

    root = Path(folder)
    if (root / FILE).exists():
        raise UsageError("keyring-exists", f'there already is a keyring at "{visible(str(root), 200)}"')
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_writable_folder(root)
    write_file(root / FILE, TEMPLATE.encode(), overwrite=False)


def add_identity(folder: str | os.PathLike[str], anchor: Anchor) -> tuple[str, ...]:
    """Trust somebody from now on; the names of the files that were written beside `trust.toml`.

    A name may have several keys, so that one can follow another. Raises `UsageError` (`identity-exists`) and what
    `load_keyring` raises, also for what the new entry would say: a keyring that cannot be read is never written.
    """
    root = Path(folder)
    with _edit(root) as document:
        if any(_same(anchor, known) for known in load_keyring(root).anchors):
            raise UsageError(
                "identity-exists",
                f'"{visible(anchor.name, 100)}" already stands in the keyring with this key',
            )
        table, files = _entry(anchor)
        _append(document, "identity", table)
        return _place(root, files)


def add_authority(folder: str | os.PathLike[str], authority: TimestampAuthority) -> tuple[str, ...]:
    """Trust a time-stamping authority from now on. Raises like `add_identity`."""
    root = Path(folder)
    with _edit(root) as document:
        if any(authority.roots_pem == known.roots_pem for known in load_keyring(root).authorities):
            raise UsageError(
                "identity-exists", f'"{visible(authority.name, 100)}" already stands in the keyring'
            )
        name = _file_name(authority.name, "tsa.pem", authority.roots_pem)
        _append(document, "timestamp-authority", {"name": authority.name, "roots": name})
        return _place(root, {name: authority.roots_pem})


def revoke_identity(
    folder: str | os.PathLike[str], name: str, *, at: datetime, reason: str = "", key: str = ""
) -> int:
    """Refuse what `name` signs from `at` on, and anything of unknown time; how many entries that were.

    `key` (the beginning of a fingerprint) revokes one of several keys. An earlier revocation stays. Raises `UsageError`
    (`identity-unknown`).
    """
    at = at.replace(microsecond=0)
    details = {"at": at, **({"reason": reason} if reason else {})}

    def revoke(table: Any) -> None:
        table["revoked"] = _inline(details)

    return change_identities(
        folder, name, revoke, key=key, which=lambda anchor: not _revoked_before(anchor, at)
    )


def _revoked_before(anchor: Anchor, at: datetime) -> bool:
    return anchor.revoked_at is not None and anchor.revoked_at <= at


def change_identities(
    folder: str | os.PathLike[str],
    name: str,
    change: Callable[[Any], None],
    *,
    key: str = "",
    which: Callable[[Anchor], bool] = lambda _: True,
    then_add: Anchor | None = None,
) -> int:
    """Edit the entries of one name, and maybe add one, in a single write; how many were changed.

    Raises `UsageError` (`identity-unknown`) where no entry has that name and key.
    """
    from difflib import get_close_matches

    root = Path(folder)
    with _edit(root) as document:
        anchors = load_keyring(root).anchors
        named = [
            place for place, anchor in enumerate(anchors) if anchor.name == name and _has_key(anchor, key)
        ]
        if not named:
            known = get_close_matches(name, [anchor.name for anchor in anchors], 1)
            with_key = f' with the key "{visible(key, 64)}"' if key else ""
            hints = [f'did you mean "{visible(one, 100)}"' for one in known if one != name]
            raise UsageError(
                "identity-unknown", f'nobody called "{visible(name, 100)}"{with_key} in the keyring', *hints
            )
        chosen = [place for place in named if which(anchors[place])]
        for place in chosen:
            change(document["identity"][place])
        if then_add is not None:
            table, files = _entry(then_add)
            _append(document, "identity", table)
            _place(root, files)
    return len(chosen)


def _has_key(anchor: Anchor, key: str) -> bool:
    return not key or _what(anchor)[2].startswith(key.lower())


@contextmanager
def _edit(root: Path) -> Iterator["TOMLDocument"]:
    """`trust.toml` to change, comments kept. One writer at a time; written whole, and only when it can be read again."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    from weighbridge.core.durable import write_file

    _refuse_writable_folder(root)
    lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = _read(root, FILE, MAX_TOML)
        _parse(before, root)
        try:
            document = tomlkit.parse(before)
        except TOMLKitError as error:
            raise _invalid(f'"{visible(str(root / FILE), 200)}": {visible(str(error), 200)}') from None
        yield document
        after = tomlkit.dumps(document).encode("utf-8")
        _keyring(after, root)
        write_file(root / FILE, after)
    finally:
        os.close(lock)


def _append(document: "TOMLDocument", key: str, table: Mapping[str, Any]) -> None:
    import tomlkit

    entry = tomlkit.table()
    for name, value in table.items():
        entry[name] = _inline(value) if isinstance(value, dict) else value
    if key not in document:
        document[key] = tomlkit.aot()
    document[key].append(entry)


def _inline(values: Mapping[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.inline_table()
    table.update(values)
    return table


def _entry(anchor: Anchor) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The `[[identity]]` of an anchor, and the files that it names."""
    table: dict[str, Any] = {"name": anchor.name}
    files: dict[str, bytes] = {}

    def beside(suffix: str, data: bytes) -> str:
        name = _file_name(anchor.name, suffix, data)
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


def _file_name(name: str, suffix: str, data: bytes) -> str:
    """A readable name that depends on the contents, so that two files never fight over one name."""
    plain = re.sub(r"[^A-Za-z0-9@._-]+", "-", name).strip(".-")[:60] or "identity"
    return f"{plain}-{hashlib.sha256(data).hexdigest()[:12]}.{suffix}"


def _place(root: Path, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Write the files before `trust.toml` names them; what an interruption leaves behind is named by nobody."""
    from weighbridge.core.durable import write_file

    for name, data in files.items():
        write_file(root / name, data)
    return tuple(files)


def _same(one: Anchor, other: Anchor) -> bool:
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
