"""Editing a keyring: one writer at a time, comments kept, written whole and only when it can be read again."""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.core.errors import UsageError
from weighbridge.core.text import visible
from weighbridge.sign.anchor import Anchor, TimestampAuthority
from weighbridge.trust.keyring.entries import append, entry_of, file_name, inline, same
from weighbridge.trust.keyring.fields import invalid, parse
from weighbridge.trust.keyring.folder import FILE, read_file, refuse_writable_folder
from weighbridge.trust.keyring.reading import MAX_TOML, keyring_of, load_keyring
from weighbridge.trust.keyring.standing import what_is

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

TEMPLATE = """\
# Whom this machine trusts. `weighbridge trust add` and `trust revoke` write here, and keep your comments.
# The format: docs/formats/keyring.md

version = 1
"""


def init_keyring(folder: str | os.PathLike[str]) -> None:
    """Make an empty keyring. Raises `UsageError` (`keyring-exists`) and `TrustError` (`keyring-writable`)."""
    from weighbridge.core.durable import write_file

    root = Path(folder)
    if (root / FILE).exists():
        raise UsageError("keyring-exists", f'there already is a keyring at "{visible(str(root), 200)}"')
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_writable_folder(root)
    write_file(root / FILE, TEMPLATE.encode(), overwrite=False)


def add_identity(folder: str | os.PathLike[str], anchor: Anchor) -> tuple[str, ...]:
    """Trust somebody from now on; the names of the files that were written beside `trust.toml`.

    A name may have several keys, so that one can follow another. Raises `UsageError` (`identity-exists`) and what
    `load_keyring` raises, also for what the new entry would say: a keyring that cannot be read is never written.
    """
    root = Path(folder)
    with _edit(root) as document:
        if any(same(anchor, known) for known in load_keyring(root).anchors):
            raise UsageError(
                "identity-exists",
                f'"{visible(anchor.name, 100)}" already stands in the keyring with this key',
            )
        table, files = entry_of(anchor)
        append(document, "identity", table)
        return _place(root, files)


def add_authority(folder: str | os.PathLike[str], authority: TimestampAuthority) -> tuple[str, ...]:
    """Trust a time-stamping authority from now on. Raises like `add_identity`."""
    root = Path(folder)
    with _edit(root) as document:
        if any(authority.roots_pem == known.roots_pem for known in load_keyring(root).authorities):
            raise UsageError(
                "identity-exists", f'"{visible(authority.name, 100)}" already stands in the keyring'
            )
        name = file_name(authority.name, "tsa.pem", authority.roots_pem)
        append(document, "timestamp-authority", {"name": authority.name, "roots": name})
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
        table["revoked"] = inline(details)

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
    root = Path(folder)
    with _edit(root) as document:
        anchors = load_keyring(root).anchors
        named = _named(anchors, name, key)
        chosen = [place for place in named if which(anchors[place])]
        for place in chosen:
            change(document["identity"][place])
        if then_add is not None:
            table, files = entry_of(then_add)
            append(document, "identity", table)
            _place(root, files)
    return len(chosen)


def _named(anchors: Sequence[Anchor], name: str, key: str) -> list[int]:
    """The places of the entries of one name, and of one key where that is asked for."""
    named = [place for place, anchor in enumerate(anchors) if anchor.name == name and _has_key(anchor, key)]
    if named:
        return named
    from difflib import get_close_matches

    known = get_close_matches(name, [anchor.name for anchor in anchors], 1)
    with_key = f' with the key "{visible(key, 64)}"' if key else ""
    hints = [f'did you mean "{visible(one, 100)}"' for one in known if one != name]
    raise UsageError(
        "identity-unknown", f'nobody called "{visible(name, 100)}"{with_key} in the keyring', *hints
    )


def _has_key(anchor: Anchor, key: str) -> bool:
    return not key or what_is(anchor)[2].startswith(key.lower())


@contextmanager
def _edit(root: Path) -> Iterator["TOMLDocument"]:
    """`trust.toml` to change, comments kept. One writer at a time; written whole, and only when it can be read again."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    from weighbridge.core.durable import write_file

    refuse_writable_folder(root)
    lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = read_file(root, FILE, MAX_TOML)
        parse(before, root)
        try:
            document = tomlkit.parse(before)
        except TOMLKitError as error:
            raise invalid(f'"{visible(str(root / FILE), 200)}": {visible(str(error), 200)}') from None
        yield document
        after = tomlkit.dumps(document).encode("utf-8")
        keyring_of(after, root)
        write_file(root / FILE, after)
    finally:
        os.close(lock)


def _place(root: Path, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Write the files before `trust.toml` names them; what an interruption leaves behind is named by nobody."""
    from weighbridge.core.durable import write_file

    for name, data in files.items():
        write_file(root / name, data)
    return tuple(files)
