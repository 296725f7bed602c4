"""What the tests of logs share: entries, keys, and logs that are made from nothing else."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from weighbridge.tlog.cosign import Cosigner
from weighbridge.tlog.entry import EntryKind, LogEntry
from weighbridge.tlog.merkle import EMPTY, leaf_hash, node_hash
from weighbridge.tlog.note import Kind, NoteSigner
from weighbridge.tlog.policy import Group, KnownLog, KnownWitness, LogPolicy
from weighbridge.tlog.witness import Witness

ORIGIN = "log.example.com/models"
NOW = 1_790_000_000


def entry(number: int, kind: EntryKind = EntryKind.ATTEST, salt: str = "") -> LogEntry:
    digest = hashlib.sha256(f"{salt}{number}".encode())
    return LogEntry(
        kind=kind,
        statement=digest.digest(),
        predicate_type="https://slsa.dev/provenance/v1",
        issuer="example.com/people/ann",
        time=NOW + number,
        subjects=(f"sha256:{hashlib.sha256(digest.digest()).hexdigest()}",),
    )


def entries(start: int, stop: int, salt: str = "") -> list[LogEntry]:
    return [entry(number, salt=salt) for number in range(start, stop)]


def signer(name: str = ORIGIN, kind: Kind = Kind.ED25519) -> NoteSigner:
    return NoteSigner(name, kind, hashlib.sha256(f"{name}{kind}".encode()).digest())


LOG = signer()
NORTH = signer("north.example.org/w", Kind.COSIGNATURE)
SOUTH = signer("south.example.net/w", Kind.MLDSA44)
EAST = signer("east.example.net/w", Kind.COSIGNATURE)


def policy(needed: int = 2) -> LogPolicy:
    """The log, three witnesses, and how many of them are enough."""
    witnesses = tuple(
        KnownWitness(name=name, key=key.vkey)
        for name, key in (("north", NORTH), ("south", SOUTH), ("east", EAST))
    )
    log = (KnownLog(key=LOG.vkey),)
    if not needed:
        return LogPolicy(logs=log)
    group = Group(name="enough", needed=needed, members=("north", "south", "east"))
    return LogPolicy(logs=log, witnesses=witnesses, groups=(group,), quorum="enough")


def cosigners(
    folder: Path, keys: Sequence[NoteSigner] = (NORTH, SOUTH), now: int = NOW
) -> tuple[Cosigner, ...]:
    """Witnesses that remember in folders of their own."""
    return tuple(cosigner(folder, key, now) for key in keys)


def cosigner(folder: Path, key: NoteSigner, now: int = NOW) -> Cosigner:
    witness = Witness(folder / key.vkey.name.replace("/", "-"), [key], [LOG.vkey])
    return Cosigner(key=key.vkey, ask=lambda body: witness.add_checkpoint(body, now))


def rfc_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it is written there."""
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(rfc_root(leaves[:split]), rfc_root(leaves[split:]))


def rfc_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*rfc_path(index, leaves[:split]), rfc_root(leaves[split:])]
    return [*rfc_path(index - split, leaves[split:]), rfc_root(leaves[:split])]


def rfc_proof(old: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if old == len(leaves):
        return [] if whole else [rfc_root(leaves)]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if old <= split:
        return [*rfc_proof(old, leaves[:split], whole), rfc_root(leaves[split:])]
    return [*rfc_proof(old - split, leaves[split:], whole=False), rfc_root(leaves[:split])]
