"""Auditor: replays a whole log from its entries and compares everything that is published with what follows from them.

Reads each bundle and tile once, in order, and keeps no more than the right edge and 32 bytes a statement. What is wrong
with the log is a value, `Discrepancy`; only what cannot be asked at all is an exception. Whether entries are true is nobody's
to see here; statements' bodies are compared by digest where they are given.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable

from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.value import dataclass
from weighbridge.tlog.checkpoint import Checkpoint
from weighbridge.tlog.client import Fetch, fetch_bundle, fetch_tile
from weighbridge.tlog.entry import read_entry
from weighbridge.tlog.merkle import WIDTH, Edge, Tile, bundle_path, leaf_hash
from weighbridge.tlog.policy import LogPolicy, Trusted, trust_checkpoint
from weighbridge.tlog.targets import CHECKPOINT

MAX_DISCREPANCIES = 1000

Body = Callable[[bytes], bytes | None]
"""A statement's bytes by their SHA-256; None where they are not at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """One thing that is not as it must be."""

    code: str
    where: str
    """A path in the log, or `entry 17`."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit saw."""

    trusted: Trusted
    root: bytes
    """The root that follows from the entries."""
    kinds: tuple[tuple[str, int], ...]
    """(kind, how many entries), sorted."""
    bodies: int
    """Statements whose bytes were at hand and have the digest."""
    problems: tuple[Discrepancy, ...]
    """At most 1000; empty where all is well."""


def audit(
    fetch: Fetch,
    policy: LogPolicy,
    now: int | None = None,
    body: Body | None = None,
    seen: Iterable[Checkpoint] = (),
) -> Audit:
    """Replay the log. `seen`: heads that were trusted before, of which each must be a beginning of this one.

    Raises what `trust_checkpoint` raises, and what `fetch` raises for the checkpoint itself.
    """
    trusted = trust_checkpoint(policy, fetch(CHECKPOINT), now)
    replay = _Replay(fetch, trusted, body, {one.size: one.root for one in seen})
    replay.run()
    return Audit(
        trusted=trusted,
        root=replay.edge.root(),
        kinds=tuple(sorted(replay.kinds.items())),
        bodies=replay.bodies,
        problems=tuple(replay.problems[:MAX_DISCREPANCIES]),
    )


class _Replay:
    def __init__(self, fetch: Fetch, trusted: Trusted, body: Body | None, seen: dict[int, bytes]) -> None:
        self.fetch, self.trusted, self.body, self.seen = fetch, trusted, body, seen
        self.edge = Edge()
        self.kinds: Counter[str] = Counter()
        self.bodies = 0
        self.problems: list[Discrepancy] = []
        self.statements: set[bytes] = set()

    def run(self) -> None:
        head = self.trusted.checkpoint
        for number in range(-(-head.size // WIDTH)):
            entries = self._bundle(number, min(WIDTH, head.size - number * WIDTH))
            if entries is None:
                return
            for entry in entries:
                self._entry(entry)
        for tile, hashes in self.edge.partial():
            self._tile(tile, hashes)
        if self.edge.root() != head.root:
            self._problem("log-damaged", CHECKPOINT, "the entries do not give the root that was signed")
        for size in sorted(size for size in self.seen if size > head.size):
            self._problem("log-rollback", CHECKPOINT, f"a log of {size} entries was seen before")

    def _bundle(self, number: int, width: int) -> tuple[bytes, ...] | None:
        try:
            return fetch_bundle(self.fetch, number, width)
        except WeighbridgeError as error:
            # Nothing behind it can be placed in the tree.
            self._problem(error.code, bundle_path(number, width), error.message)
            return None

    def _entry(self, text: bytes) -> None:
        index = self.edge.size
        for tile, hashes in self.edge.add(leaf_hash(text)):
            self._tile(tile, hashes)
        before = self.seen.get(index + 1)
        if before is not None and before != self.edge.root():
            self._problem("log-fork", f"entry {index}", f"another log of {index + 1} entries was seen before")
        try:
            entry = read_entry(text, f"entry {index}")
        except WeighbridgeError as error:
            self._problem(error.code, f"entry {index}", error.message)
            return
        self.kinds[entry.kind] += 1
        if entry.statement in self.statements:
            self._problem("log-twice", f"entry {index}", "its statement is in the log already")
        self.statements.add(entry.statement)
        self._body(index, entry.statement)

    def _body(self, index: int, statement: bytes) -> None:
        found = self.body(statement) if self.body else None
        if found is None:
            return
        if hashlib.sha256(found).digest() == statement:
            self.bodies += 1
        else:
            self._problem("log-body", f"entry {index}", "the statement that is kept for it is another one")

    def _tile(self, tile: Tile, hashes: bytes) -> None:
        try:
            same = fetch_tile(self.fetch, tile) == hashes
        except WeighbridgeError as error:
            self._problem(error.code, tile.path, error.message)
            return
        if not same:
            self._problem("log-damaged", tile.path, "the tile is not what the entries give")

    def _problem(self, code: str, where: str, message: str) -> None:
        self.problems.append(Discrepancy(code=code, where=where, message=message))
