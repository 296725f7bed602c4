"""init, append, publish: what the operator of a log does."""

import argparse
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from weighbridge.cli.log.folder import (
    CONFIG,
    KEYS,
    POLICY,
    LogFolder,
    chosen_policy,
    read_folder,
    write_folder,
    write_key,
)
from weighbridge.cli.log.say import head_lines, head_of, say
from weighbridge.core.durable import make_folder, write_file
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.text import counted, visible
from weighbridge.tlog.policy import LogPolicy, trust_checkpoint

if TYPE_CHECKING:
    from weighbridge.sign.bundle import Bundle
    from weighbridge.store.statements import StatementStore
    from weighbridge.tlog.cosign import Cosigner
    from weighbridge.tlog.publish import Published
    from weighbridge.tlog.sequencer import Sequencer
    from weighbridge.trust.keyring import Keyring

_Given = TypeVar("_Given")
BATCH = 10_000
"""Statements that become durable together."""
PAUSE = 2.0
"""Seconds before the witnesses are asked again."""


def init(options: argparse.Namespace) -> int:
    """Keys, `log.toml`, `log-policy`, and the database."""
    from weighbridge.tlog.note import Kind, generate_signer

    made = LogFolder(
        folder=Path(options.log),
        origin=options.origin,
        database=options.database or "log.db",
        publish_to=options.publish_to or "public",
    )
    made = _absolute(made)
    signers = [generate_signer(made.origin, Kind.ED25519)]
    if options.post_quantum:
        signers.append(generate_signer(made.origin, Kind.MLDSA44))
    _refuse_taken(made.folder)
    for name, signer in zip(KEYS, signers, strict=False):
        write_key(made.folder / name, signer)
    write_file(made.folder / POLICY, _policy_text([str(signer.vkey) for signer in signers]), overwrite=False)
    made.open().close()
    write_folder(made)  # last: what it names is there
    lines = [f"key     {signers[0].vkey}", *("key     ML-DSA-44, see the policy" for _ in signers[1:])]
    lines += [f"policy  {made.folder / POLICY}: name witnesses there, and give it to whoever reads the log"]
    keys = [str(signer.vkey) for signer in signers]
    return say(
        options, f"BEGUN  {made.origin}", lines, origin=made.origin, folder=str(made.folder), keys=keys
    )


def _absolute(made: LogFolder) -> LogFolder:
    """Places that were named on the command line are seen from here, not from the folder."""
    from weighbridge.core.value import replace

    def settle(place: str, usual: str) -> str:
        return place if place == usual or "://" in place else str(Path(place).absolute())

    return replace(
        made, database=settle(made.database, "log.db"), publish_to=settle(made.publish_to, "public")
    )


def _refuse_taken(folder: Path) -> None:
    make_folder(folder)
    for name in (CONFIG, POLICY, *KEYS):
        if (folder / name).exists():
            raise UsageError("file-exists", f'there already is a log in "{visible(str(folder))}"')


def _policy_text(keys: Sequence[str]) -> bytes:
    """A policy that asks for no witness yet, and says how one is asked for."""
    first, *more = keys
    lines = [f"log {first}"]
    lines += [
        f"# in the place of the line above, where nobody may forge Ed25519:\n# log {key}" for key in more
    ]
    lines += ["# witness north KEY https://north.example.org", "# group enough 2 north south east"]
    return "\n".join([*lines, "quorum none", ""]).encode()


def append(options: argparse.Namespace) -> int:
    """Bodies first, then their entries: no entry is acknowledged whose statement could be lost."""
    from weighbridge.cli.log.stated import bundles_at, digest_of, entry_for, is_claimed

    folder = read_folder(Path(options.log))
    keyring, now = _keyring(options), datetime.now(UTC)
    only = bool(options.key) or options.known_only
    bundles = {digest_of(bundle): bundle for name in options.what for bundle in bundles_at(name)}
    pairs = [
        (bundle, entry_for(bundle, options.kind, keyring, now, only=only)) for bundle in bundles.values()
    ]
    store = _store(options, folder)
    places: list[int] = []
    log = folder.open()
    try:
        before = log.head().size
        for part in _parts(pairs, 1 if options.one_by_one else BATCH):
            _keep(store, [bundle for bundle, _ in part])
            places += log.append([entry for _, entry in part])
        size = log.head().size
    finally:
        log.close()
    rows = [
        {
            "index": at, "statement": f"sha256:{entry.statement.hex()}", "new": at >= before,
            "issuer": entry.issuer, "claimed": is_claimed(entry.issuer),
        }
        for at, (_, entry) in zip(places, pairs, strict=True)
    ]  # fmt: skip
    lines = [_appended(row) for row in rows]
    title = f"APPENDED  {counted(sum(at >= before for at in places), 'statement')}, the log has {size}"
    return say(options, title, lines, size=size, entries=rows)


def _keyring(options: argparse.Namespace) -> "Keyring":
    """The keys of `--key` alone, else the keyring's folder."""
    from weighbridge.cli.request import chosen_keyring
    from weighbridge.cli.request import chosen_policy as policy_file

    return chosen_keyring(options, policy_file(None, ()), None)


def _appended(row: dict[str, Any]) -> str:
    if not row["new"]:
        return f"{row['index']}  {row['statement']}  (was there)"
    return f"{row['index']}  {row['statement']}{'  signer claimed' if row['claimed'] else ''}"


def _store(options: argparse.Namespace, folder: LogFolder) -> "StatementStore | None":
    from weighbridge.store.statements import StatementStore

    if options.no_bodies:
        return None
    return StatementStore(Path(options.bodies) if options.bodies else folder.folder / "bodies")


def _keep(store: "StatementStore | None", bundles: "Sequence[Bundle]") -> None:
    from weighbridge.cli.log.stated import body_of

    if store is not None:
        for bundle in bundles:
            store.put(body_of(bundle))


def _parts(given: Sequence[_Given], size: int) -> Iterator[Sequence[_Given]]:
    for at in range(0, len(given), size):
        yield given[at : at + size]


def publish(options: argparse.Namespace) -> int:
    """Show what was appended, once enough witnesses have cosigned it."""
    from weighbridge.tlog.places import open_target
    from weighbridge.tlog.publish import repair

    folder, policy = read_folder(Path(options.log)), chosen_policy(options)
    target = open_target(folder.located(folder.publish_to))
    log = folder.open()
    try:
        mended = repair(log, target) if options.repair else 0
        done = _published(options, folder, policy, log)
    finally:
        log.close()
    trusted = trust_checkpoint(policy, done.note)
    lines = [
        *head_lines(trusted),
        f"files {done.files} written" + (f", {mended} repaired" if options.repair else ""),
    ]
    lines += [f"not cosigned: {why}" for why in done.refused]
    body = {**head_of(trusted), "files": done.files, "repaired": mended, "refused": list(done.refused)}
    return say(
        options,
        f"PUBLISHED  {done.checkpoint.origin}, {counted(done.checkpoint.size, 'entry')}",
        lines,
        **body,
    )


def _published(
    options: argparse.Namespace, folder: LogFolder, policy: LogPolicy, log: "Sequencer"
) -> "Published":
    from weighbridge.tlog.places import open_target
    from weighbridge.tlog.publish import publish as put

    target, signers = open_target(folder.located(folder.publish_to)), folder.signers()
    cosigners, end = _cosigners(policy), time.monotonic() + (options.wait or 0)
    while True:
        try:
            return put(log, target, signers, now=int(time.time()), cosigners=cosigners, policy=policy)
        except InputError as error:
            if error.code != "log-quorum" or time.monotonic() + PAUSE > end:
                raise
        time.sleep(PAUSE)


def _cosigners(policy: LogPolicy) -> "list[Cosigner]":
    from weighbridge.tlog.cosign import Cosigner, over_http

    return [Cosigner(key=one.key, ask=over_http(one.url)) for one in policy.witnesses if one.url]
