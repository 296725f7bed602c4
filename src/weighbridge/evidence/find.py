"""Where statements lie: beside the model, inside its folder, in files and stores that somebody names.

    MODEL.attestations.jsonl   MODEL.receipt.jsonl   MODEL/attestations.jsonl   --statements FILE|STORE

A file of statements inside a model's folder is no part of the model only where every line of it is a bundle: a name is
no place to hide. Proofs of the log lie at MODEL.tlog-proof.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.core.errors import UsageError
from weighbridge.core.text import visible
from weighbridge.store import read_beside

if TYPE_CHECKING:
    from weighbridge.evidence import Question
    from weighbridge.policy.policy import Places
    from weighbridge.sign.bundle import Bundle
    from weighbridge.store.statements import StatementStore

    Line = tuple[str, bytes | Bundle]
    """Where it lies, and a line of a file of statements; what is over a limit as a bundle with its code."""

STATEMENTS_NAME = "attestations.jsonl"
RECEIPT_NAME = "receipt.jsonl"
PROOF_NAME = "tlog-proof"
MOST_FETCHED = 10_000
"""Statements that are taken out of stores for one model."""


def beside(model: Path, name: str) -> Path:
    """`MODEL.name`, beside the model's folder or file."""
    root = model.resolve() if model.name in ("", ".", "..") else model
    return root.with_name(f"{root.name}.{name}")


def statements_path(model: Path) -> Path:
    """Where `attest` leaves statements: beside the model, outside of what is signed."""
    return beside(model, STATEMENTS_NAME)


def is_silent(question: "Question") -> bool:
    """Whether there is nothing to look at: no usual place has anything, and nobody named another."""
    places = question.policy.settings.evidence
    if question.named or any(
        (places.statements, places.recalls, places.log_policy, places.lineage, places.layout)
    ):
        return False
    if knows_recalls(question.state):
        return False
    if question.path is None or question.command == "verify":
        return True
    model = question.path
    usual = [beside(model, name) for name in (STATEMENTS_NAME, RECEIPT_NAME, PROOF_NAME)]
    return not any(os.path.lexists(path) for path in (*usual, model / STATEMENTS_NAME))


LISTS = "recalls.jsonl"
"""The recall lists that this machine has seen (`evidence.mark`)."""


def knows_recalls(state: Path | None) -> bool:
    """Whether this machine remembers a list of recalls."""
    return state is not None and os.path.lexists(state / LISTS)


def statement_file_inside(model: Path) -> frozenset[str]:
    """The file of statements in the model's folder, where it holds nothing else; then it is no part of the model.

    A link is part of it, as is what cannot be read, and a bundle with fields that no bundle has: somebody else would read these.
    """
    path = model / STATEMENTS_NAME
    if not path.is_file() or path.is_symlink():
        return frozenset()
    try:
        found = _lines(path)
    except UsageError:
        return frozenset()
    return frozenset({STATEMENTS_NAME} if found and all(map(_is_statement, bundles_in(found))) else ())


_FIELDS = frozenset((
    "mediaType", "verificationMaterial", "dsseEnvelope", "payload", "payloadType", "signatures", "sig", "keyid",
    "publicKey", "hint", "rawBytes", "x509CertificateChain", "certificates", "certificate",
    "timestampVerificationData", "rfc3161Timestamps", "signedTimestamp", "tlogEntries", "logIndex", "logId",
    "keyId", "kindVersion", "kind", "version", "integratedTime", "inclusionPromise", "signedEntryTimestamp",
    "inclusionProof", "rootHash", "treeSize", "hashes", "checkpoint", "envelope", "canonicalizedBody",
))  # fmt: skip
"""Every field of a Sigstore bundle v0.3."""


def _is_statement(bundle: "Bundle") -> bool:
    """Whether it is a bundle of a statement and carries nothing besides."""
    from weighbridge.core.errors import InputError, LimitError
    from weighbridge.core.statement import read_statement

    if bundle.code or not _only_known(bundle.document):
        return False
    try:
        read_statement(bundle.envelope.payload)
    except (InputError, LimitError):
        return False
    return True


def _only_known(document: object) -> bool:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if not value.keys() <= _FIELDS:
                return False
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return True


def find_statements(model: Path) -> tuple["Bundle", ...]:
    """Every bundle beside and inside the model. Raises `UsageError` (`not-a-file`, `unreadable`)."""
    return tuple(bundles_in(find_lines(model)))


def find_lines(model: Path) -> tuple["Line", ...]:
    """The same, as lines that nobody has read yet."""
    places = [beside(model, STATEMENTS_NAME), beside(model, RECEIPT_NAME)]
    places += [model / STATEMENTS_NAME] if statement_file_inside(model) else []
    return tuple(line for place in places for line in _lines(place) or ())


def bundles_in(lines: Iterable["Line"]) -> Iterator["Bundle"]:
    """Each line read; what cannot be read keeps its place with its code."""
    from weighbridge.sign.bundle import Bundle, read_line

    for source, line in lines:
        yield line if isinstance(line, Bundle) else read_line(line, source)


def open_places(names: Sequence[str]) -> tuple[tuple["Bundle", ...], tuple["StatementStore", ...]]:
    """Files and stores that somebody named. Raises `UsageError` (`no-such-path`, `not-a-file`, `unreadable`)."""
    lines, stores = open_lines(names)
    return tuple(bundles_in(lines)), stores


def open_lines(names: Sequence[str]) -> tuple[tuple["Line", ...], tuple["StatementStore", ...]]:
    """The same, as lines that nobody has read yet."""
    lines: list[Line] = []
    stores: list[StatementStore] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            from weighbridge.store import statements

            stores.append(statements.StatementStore(path))
            continue
        found = _lines(path)
        if found is None:
            raise UsageError("no-such-path", f'there are no statements at "{visible(name)}"')
        lines += found
    return tuple(lines), tuple(stores)


MAX_LIST = 64 * 1024**2


def read_named(names: Iterable[str]) -> tuple[tuple[str, bytes], ...]:
    """(name, contents) of files that somebody named. Raises `UsageError` (`no-such-path`, `unreadable`)."""
    return tuple((Path(name).name, _needed(Path(name), "list of recalls", MAX_LIST)) for name in names)


MAX_LAYOUT = 16 * 1024**2
MOST_LINKS = 10_000


def read_layout(places: "Places") -> tuple[bytes, tuple[bytes, ...], dict[str, bytes]]:
    """The layout, its owners' keys, and its links by file name. Raises `UsageError` (`no-such-path`, `unreadable`)."""
    layout = Path(places.layout or "")
    keys = tuple(_needed(Path(name), "layout key") for name in places.layout_keys)
    folder = Path(places.link_dir) if places.link_dir else layout.parent
    files = sorted(folder.glob("*.link"))[:MOST_LINKS] if folder.is_dir() else []
    links = {path.name: data for path in files if (data := read_beside(path, MAX_LAYOUT)) is not None}
    return _needed(layout, "layout"), keys, links


def _needed(path: Path, what: str, limit: int = MAX_LAYOUT) -> bytes:
    data = read_beside(path, limit)
    if data is None:
        raise UsageError("no-such-path", f'there is no {what} at "{visible(str(path))}"')
    if len(data) > limit:
        raise UsageError("limit-json", f'the {what} at "{visible(str(path))}" has more than {limit} bytes')
    return data


def fetch(stores: Iterable["StatementStore"], digests: Iterable[str], seen: set[bytes]) -> Iterator["Line"]:
    """Lines of the stores about any of the digests (`algorithm:hex`), those in `seen` left out and added to it.

    Raises `UsageError` (`limit-statements`): what would be left out might be a rejection.
    """
    from weighbridge.sign.bundle import split_lines

    for store, digest in product(stores, tuple(digests)):
        for data in store.about(digest):
            if data not in seen:
                _refuse_too_many(seen)
                seen.add(data)
                yield from split_lines(data, f"store {digest[:24]}")


def _refuse_too_many(seen: Collection[bytes]) -> None:
    if len(seen) >= MOST_FETCHED:
        why = f"the stores hold more than {MOST_FETCHED} statements about the model and its past"
        raise UsageError("limit-statements", why)


def _lines(path: Path) -> tuple["Line", ...] | None:
    from weighbridge.sign.bundle import MAX_STATEMENTS_FILE, split_lines

    data = read_beside(path, MAX_STATEMENTS_FILE)
    return None if data is None else tuple(split_lines(data, path.name))
