"""From models and files to statements, and from statements to entries."""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.core.artifact import MAX_BUNDLE
from weighbridge.core.errors import InputError, TrustError, UsageError
from weighbridge.core.evidence import Outcome
from weighbridge.core.statement import read_statement
from weighbridge.core.text import visible
from weighbridge.core.wire import write_json
from weighbridge.tlog.entry import EntryKind, LogEntry, make_entry

if TYPE_CHECKING:
    from weighbridge.sign.bundle import Bundle
    from weighbridge.trust.keyring import Keyring

_FILES = (".jsonl", ".json", ".sig")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]{16,128}")
_KINDS = {"weighbridge.recall/v1": EntryKind.REVOKE, "weighbridge.check/v1": EntryKind.ADMIT}
"""Every other statement is an attestation."""
_CLAIMED = ("hint:", "certificate:")
"""What issuers begin with that nobody verified."""


def is_digest(text: str) -> bool:
    """Whether it names a statement."""
    return _DIGEST.fullmatch(text) is not None


def bundles_at(name: str) -> tuple["Bundle", ...]:
    """Every bundle of a file of them, or beside and inside a model. Raises `UsageError`, and `InputError` for a broken one."""
    path = Path(name)
    if not path.exists():
        raise UsageError("no-such-path", f'there is nothing at "{visible(name)}"')
    found = tuple(_of_file(path) if path.is_file() and path.suffix in _FILES else _of_model(path))
    broken = next((bundle for bundle in found if bundle.code), None)
    if broken is not None:
        raise InputError(broken.code, f'"{visible(broken.source)}": {broken.why}')
    if not found:
        raise InputError(
            "no-signature",
            f'nobody states anything about "{visible(name)}"',
            f"weighbridge sign {visible(name)} --key KEY",
            f"weighbridge attest {visible(name)} --type KIND --key KEY",
        )
    return found


def _of_file(path: Path) -> Iterator["Bundle"]:
    from weighbridge.sign.bundle import MAX_STATEMENTS_FILE, read_bundles, read_lines
    from weighbridge.store import read_beside

    lines = path.suffix == ".jsonl"
    data = read_beside(path, MAX_STATEMENTS_FILE if lines else MAX_BUNDLE) or b""
    yield from read_lines(data, path.name) if lines else read_bundles(data, path.name)


def _of_model(path: Path) -> Iterator["Bundle"]:
    from weighbridge.evidence.find import find_statements

    yield from signatures_of(path)
    yield from find_statements(path)


def signatures_of(path: Path) -> tuple["Bundle", ...]:
    """The signatures of a model."""
    from weighbridge.check import bundles_of

    return bundles_of(path)[0]


def digest_of(bundle: "Bundle") -> bytes:
    """The statement's SHA-256."""
    return hashlib.sha256(bundle.envelope.payload).digest()


def body_of(bundle: "Bundle") -> bytes:
    """The bundle as one line."""
    return write_json(bundle.document)


def entry_for(
    bundle: "Bundle", kind: str | None, keyring: "Keyring", now: datetime, *, only: bool = False
) -> LogEntry:
    """The entry of a statement. With `only`, somebody of the keyring must have signed it.

    Raises `TrustError` (`not-signed-by-known`), `InputError` (`bad-statement`, …), `LimitError`.
    """
    statement = read_statement(bundle.envelope.payload, f'the statement of "{visible(bundle.source)}"')
    return make_entry(
        kind=EntryKind(kind) if kind else _KINDS.get(statement.predicate_type, EntryKind.ATTEST),
        statement=digest_of(bundle),
        predicate_type=statement.predicate_type,
        issuer=_issuer(bundle, keyring, now, only=only),
        time=int(now.astimezone(UTC).timestamp()),
        subjects=(digest for subject in statement.subjects for digest in subject.digests),
    )


def _issuer(bundle: "Bundle", keyring: "Keyring", now: datetime, *, only: bool) -> str:
    """The fingerprint of the key that verified; else what the bundle says of its key. Never a person's name: the log forgets
    nothing, and the keyring says whose key it is."""
    from weighbridge.sign.verify import check_signer

    check = check_signer(bundle, keyring.anchors, keyring.authorities, now) if keyring.anchors else None
    if check is not None and check.outcome is Outcome.PASS and check.key:
        return f"sha256:{check.key}"
    if only:
        why = check.why if check is not None else "the keyring names nobody"
        raise TrustError("not-signed-by-known", f'"{visible(bundle.source)}": {why}')
    certificate = hashlib.sha256(bundle.chain[0]).hexdigest() if bundle.chain else ""
    hint = bundle.hint if _HEX.fullmatch(bundle.hint) else "unknown"
    return f"{_CLAIMED[1]}{certificate}" if certificate else f"{_CLAIMED[0]}{hint}"


def is_claimed(issuer: str) -> bool:
    """Whether an entry's issuer is only what the bundle said of its key, when nobody known was found behind it."""
    return issuer.startswith(_CLAIMED)
