"""Making and taking over lists of recalls: what is added to one, and which one a machine remembers."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from weighbridge.attest.predicates import recall as predicate
from weighbridge.attest.predicates.recall import TYPE, Recall, RecallEntry, RecallKind
from weighbridge.core.durable import one_writer, write_file
from weighbridge.core.errors import InputError, TrustError, UsageError
from weighbridge.core.manifest import Digest
from weighbridge.core.moment import write_moment
from weighbridge.core.statement import Named, Statement, read_digest, write_statement
from weighbridge.core.text import visible
from weighbridge.evidence.mark import keep_lists, kept_lists
from weighbridge.evidence.recalls import RecallList, newest, read_lists
from weighbridge.sign.signer import AnySigner, sign_all
from weighbridge.store import read_beside
from weighbridge.trust.keyring import Keyring

MAX_LIST = 64 * 1024**2
WHO_MAY = "weighbridge trust add NAME --key PUBLIC.pem --role recall"
"""Hint: how somebody comes to count."""


def target_of(text: str, kind: RecallKind) -> Named | str:
    """What `recall add` names: a digest as `digest` prints it or as statements have it, a fingerprint, `name@version`.

    `sha256:…` may be the digest of a whole model or of one file of it, and means both. Raises `UsageError`
    (`bad-target`).
    """
    if kind in (RecallKind.SIGNER, RecallKind.TOOL):
        return text.lower().removeprefix("sha256:") if kind is RecallKind.SIGNER else text
    try:
        named = read_digest(text)
    except InputError:
        raise UsageError(
            "bad-target",
            f'"{visible(text, 80)}" is no digest, and nothing lies there',
            "weighbridge digest MODEL",
        ) from None
    for algorithm, value in named.others:
        digest = Digest(algorithm, bytes.fromhex(value))
        if algorithm == "sha256":
            return Named(files=digest, others=named.others)
        if algorithm == "blake3":
            return Named(files=digest, tensors=digest)
    return named


def add(
    path: Path,
    entries: Sequence[RecallEntry],
    signers: Sequence[AnySigner],
    keyring: Keyring,
    now: datetime,
    *,
    lift: Sequence[Named | str] = (),
    next_expected: str = "",
    log_size: int | None = None,
) -> Recall:
    """Write the next version of the list at `path`: what stands in it, without `lift`, and with these entries.

    Without both, it says anew that nothing else was recalled: that is what keeps a list fresh.

    Raises `TrustError` (`recalls-untrusted`) where the list that is there was signed by nobody of `keyring`: building on a
    forged list would sign what it says. Raises `UsageError` and `InputError` for entries that are none.
    """
    with one_writer(path.parent):
        old = _standing(path, keyring, now)
        kept = _without(old.entries if old else (), lift, path)
        new = {(entry.kind, str(entry.target)): entry for entry in (*kept, *entries)}
        recall = _checked(Recall(
            version=old.version + 1 if old else 1,
            issued=write_moment(now),
            entries=tuple(new.values()),
            next=next_expected,
            log_size=log_size,
        ))  # fmt: skip
        signed = sign_all(write_statement(statement_of(recall)), signers)
        lines = signed.siblings or signed.primary + b"\n"
        write_file(path, lines if lines.endswith(b"\n") else lines + b"\n")
    return recall


def _without(entries: Sequence[RecallEntry], lift: Sequence[Named | str], path: Path) -> list[RecallEntry]:
    """The entries that are not lifted. Raises `UsageError` (`not-recalled`) where one to lift is not among them."""
    kept = [entry for entry in entries if not any(_is(entry, what) for what in lift)]
    if len(kept) + len(lift) > len(entries):
        hint = f"weighbridge recall show {visible(str(path))}"
        raise UsageError("not-recalled", "what is to be lifted does not stand in the list", hint)
    return kept


def _checked(recall: Recall) -> Recall:
    """As everybody will read it. Raises `UsageError` (`bad-target`)."""
    try:
        return predicate.read(predicate.write(recall), "the list of recalls")
    except InputError as error:
        raise UsageError("bad-target", error.message) from None


def _is(entry: RecallEntry, what: Named | str) -> bool:
    if isinstance(what, str) or isinstance(entry.target, str):
        return entry.target == what
    return bool(set(entry.target.digests) & set(what.digests))


def statement_of(recall: Recall) -> Statement:
    """The list as a statement."""
    return Statement(
        subjects=predicate.subjects(recall), predicate_type=TYPE, predicate=predicate.write(recall)
    )


def _standing(path: Path, keyring: Keyring, now: datetime) -> Recall | None:
    data = read_beside(path, MAX_LIST)
    if data is None:
        return None
    lists, problems = read_list(path.name, data, keyring, now)
    if not lists:
        raise TrustError(
            "recalls-untrusted",
            f'the list "{visible(str(path))}" cannot be continued: {"; ".join(problems) or "it is empty"}',
            WHO_MAY,
        )
    return max((one.recall for one in lists), key=lambda recall: recall.version)


def read_list(
    name: str, data: bytes, keyring: Keyring, now: datetime
) -> tuple[tuple[RecallList, ...], tuple[str, ...]]:
    """The lists of a file that count, and why others do not."""
    return read_lists([(name, data)], keyring.anchors, keyring.authorities, now)


def update(name: str, data: bytes, keyring: Keyring, state: Path, now: datetime) -> tuple[RecallList, ...]:
    """Remember the lists of a file on this machine. Raises `TrustError` (`recalls-untrusted`, `recalls-older`, `recalls-forked`)."""
    given, problems = read_list(name, data, keyring, now)
    if not given:
        raise TrustError(
            "recalls-untrusted",
            f'"{visible(name)}" holds no list that counts: {"; ".join(problems)}',
            WHO_MAY,
        )
    known, _ = read_lists(kept_lists(state), keyring.anchors, keyring.authorities, now)
    _refuse_older(given, known)
    lists = newest((*known, *given))
    keep_lists(state, sorted({one.line for one in lists}), [one.line for one in (*known, *given)])
    if len({one.key for one in lists}) < len(lists):
        raise TrustError(
            "recalls-forked",
            "two different lists of one version, signed with one key, were seen here; both are remembered",
        )
    return given


def _refuse_older(given: Sequence[RecallList], known: Sequence[RecallList]) -> None:
    versions = {one.key: one.recall.version for one in newest(known)}
    for one in given:
        seen = versions.get(one.key, 0)
        if one.recall.version < seen:
            why = f"this is version {one.recall.version} of the list, and version {seen} was seen here"
            raise TrustError("recalls-older", why)
