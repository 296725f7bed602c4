"""Proof: one small text file that shows, offline, that an entry is in a log that witnesses watched (C2SP tlog-proof).

    c2sp.org/tlog-proof@v1
    index 73894
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=

    example.com/models
    …

Ours carry the entry itself in the line `extra`, so that nothing else is needed; whoever verifies believes it only where the
proof shows it. A file may hold several proofs, one behind the other.
"""

from collections.abc import Iterable

from weighbridge.core.errors import InputError
from weighbridge.core.value import dataclass
from weighbridge.tlog.checkpoint import (
    read_base64,
    read_checkpoint,
    read_decimal,
    read_hash,
    write_hash,
)
from weighbridge.tlog.merkle import MAX_PROOF, Tree, leaf_hash, verify_inclusion
from weighbridge.tlog.note import MAX_NOTE, read_note
from weighbridge.tlog.policy import LogPolicy, Trusted, trust_checkpoint

SUFFIX = ".tlog-proof"
MAX_FILE = MAX_NOTE + 64 * 1024
MAX_PROOFS = 100
"""In one file."""
_HEADER = "c2sp.org/tlog-proof@v1"
_BAD = "bad-log-proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """What the file says. Nothing of it is verified."""

    index: int
    hashes: tuple[bytes, ...]
    """From the leaf's sibling up to the root's child."""
    checkpoint: bytes
    """The signed note, as the log gave it."""
    extra: bytes | None = None
    """Something that nobody signed: of ours, the entry's bytes. Never to be believed before the proof shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Included:
    """An entry that is in a log, and whose word that is."""

    index: int
    trusted: Trusted


def make_proof(tree: Tree, index: int, checkpoint: bytes, entry: bytes | None = None) -> LogProof:
    """For an entry of the checkpoint's log, to be carried in the file where it is given. Raises `UsageError` (`log-no-entry`) and what reading tiles raises."""
    size = read_checkpoint(read_note(checkpoint).text).size
    return LogProof(index=index, hashes=tree.inclusion(index, size), checkpoint=checkpoint, extra=entry)


def write_proof(proof: LogProof) -> bytes:
    """The file; `read_proof(write_proof(p)) == p`."""
    lines = [_HEADER]
    if proof.extra is not None:
        lines.append(f"extra {write_hash(proof.extra)}")
    lines += [f"index {proof.index}", *(write_hash(one) for one in proof.hashes), ""]
    return "".join(f"{line}\n" for line in lines).encode() + proof.checkpoint


def write_proofs(proofs: Iterable[LogProof]) -> bytes:
    """A file of several; of one it is the standard's."""
    return b"".join(map(write_proof, proofs))


def read_proofs(data: bytes) -> tuple[LogProof, ...]:
    """Every proof of a file. Raises as `read_proof`."""
    if len(data) > MAX_PROOFS * MAX_FILE:
        raise InputError(_BAD, f"the file has {len(data)} bytes, limit {MAX_PROOFS * MAX_FILE}")
    mark = f"\n{_HEADER}\n".encode()
    first, *more = data.split(mark, MAX_PROOFS)
    if len(more) == MAX_PROOFS:
        raise InputError(_BAD, f"the file holds {MAX_PROOFS} proofs or more")
    # Each but the last has lost its last newline to the mark, each but the first its header.
    parts = [first, *(mark[1:] + part for part in more)]
    return tuple(read_proof(part + b"\n" * (at < len(more))) for at, part in enumerate(parts))


def read_proof(data: bytes) -> LogProof:
    """Strict. Raises `InputError`: `bad-log-proof`, `bad-note`, `bad-checkpoint`."""
    head, blank, checkpoint = data.partition(b"\n\n")
    if len(data) > MAX_FILE or not blank or not head.isascii():
        raise InputError(_BAD, "this is no proof of a log")
    lines = head.decode("ascii").split("\n")
    if lines.pop(0) != _HEADER or not lines:
        raise InputError(_BAD, f'a proof of a log begins with "{_HEADER}"')
    extra = None
    if lines[0].startswith("extra "):
        extra = read_base64(lines.pop(0).removeprefix("extra "))
        if extra is None:
            raise InputError(_BAD, "the extra data are not base64")
    if not lines or not lines[0].startswith("index ") or len(lines) > MAX_PROOF + 1:
        raise InputError(_BAD, "a proof names the entry's index, and at most 63 hashes")
    read_checkpoint(read_note(checkpoint, "the proof's checkpoint").text)
    return LogProof(
        index=read_decimal(lines[0].removeprefix("index "), _BAD),
        hashes=tuple(read_hash(line, _BAD) for line in lines[1:]),
        checkpoint=checkpoint,
        extra=extra,
    )


def verify_proof(proof: LogProof, entry: bytes, policy: LogPolicy, now: int | None = None) -> Included:
    """Whether this entry is in a log of the policy. Uses nothing but what it is given; no network, no clock of its own.

    Raises `InputError`: `log-not-included`, and what `trust_checkpoint` raises.
    """
    trusted = trust_checkpoint(policy, proof.checkpoint, now)
    head = trusted.checkpoint
    if not verify_inclusion(proof.index, head.size, leaf_hash(entry), proof.hashes, head.root):
        raise InputError("log-not-included", f"the proof does not show this entry at {proof.index}")
    return Included(index=proof.index, trusted=trusted)
