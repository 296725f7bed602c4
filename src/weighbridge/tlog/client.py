"""Client: reads a log from wherever its files lie, and believes only what signatures, quorum and hashes prove.

It remembers the newest head that it saw (`memory`, a small file of its own), so that a log which shrinks, forks or stands
still is refused: `log-rollback`, `log-fork`, `log-stale`. Time is judged against what it remembers too, so that a clock
that was set back makes nothing fresh. Entries are looked at by `audit`.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from weighbridge.core.durable import one_writer, write_file
from weighbridge.core.errors import InputError, UnavailableError, UsageError, WeighbridgeError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass, replace
from weighbridge.core.wire import read_json, write_json
from weighbridge.tlog.checkpoint import Checkpoint, read_decimal, read_hash, write_hash
from weighbridge.tlog.entry import read_entry
from weighbridge.tlog.merkle import (
    WIDTH,
    Tile,
    Tree,
    bundle_path,
    leaf_hash,
    read_bundle,
    verify_consistency,
    verify_inclusion,
)
from weighbridge.tlog.note import MAX_NOTE
from weighbridge.tlog.policy import LogPolicy, Trusted, trust_checkpoint
from weighbridge.tlog.proof import LogProof, make_proof
from weighbridge.tlog.targets import CHECKPOINT

MAX_FILE = WIDTH * (2 + 65_535)
"""The largest file of a log: a bundle of the longest entries."""

Fetch = Callable[[str], bytes]
"""The bytes of a log's file by its path. Raises `UnavailableError` (`log-missing`) where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HighWater:
    """The newest head of a log that was ever seen here."""

    origin: str
    size: int
    root: bytes
    time: int
    """The latest moment that is known to have been: our clock, or a quorum's time."""


class LogReader:
    """One log, from one place."""

    def __init__(
        self, fetch: Fetch, policy: LogPolicy, memory: Path | None = None, max_age: int | None = None
    ) -> None:
        """`memory`: the file of the high-water mark; without one, every head is the first. `max_age`: in seconds."""
        self._fetch = fetch
        self._policy = policy
        self._memory = memory
        self._max_age = max_age
        self._trusted: Trusted | None = None
        self._tree: Tree | None = None

    def refresh(self, now: int) -> Trusted:
        """Fetch the head, judge it, compare it with what was seen, and remember it.

        Raises `InputError`: `log-rollback`, `log-fork`, `log-stale`, `log-damaged`, what `trust_checkpoint` raises;
        `UnavailableError` (`log-missing`, `network`); `UsageError` (`bad-high-water`).
        """
        data = self._fetch(CHECKPOINT)
        if len(data) > MAX_NOTE:
            raise InputError("bad-note", f"the checkpoint has {len(data)} bytes, limit {MAX_NOTE}")
        if self._memory is None:
            trusted, _ = self._judge(data, None, now)
        else:
            with one_writer(self._memory.parent):
                trusted, mark = self._judge(data, read_high_water(self._memory), now)
                write_file(self._memory, write_high_water(mark))
        self._trusted, self._tree = trusted, self._tree_of(trusted.checkpoint.size)
        return trusted

    def _judge(self, data: bytes, mark: HighWater | None, now: int) -> tuple[Trusted, HighWater]:
        moment = max(now, mark.time) if mark else now
        trusted = trust_checkpoint(self._policy, data, moment)
        head = trusted.checkpoint
        if mark is not None:
            self._refuse_contradiction(head, mark)
        self._refuse_stale(trusted, moment)
        return trusted, HighWater(
            origin=head.origin, size=head.size, root=head.root, time=max(moment, trusted.time or 0)
        )

    def _refuse_contradiction(self, head: Checkpoint, mark: HighWater) -> None:
        if head.origin != mark.origin:
            raise InputError(
                "log-fork", f'this is the log "{visible(head.origin)}", not "{visible(mark.origin)}"'
            )
        if head.size < mark.size:
            raise InputError("log-rollback", f"the log had {mark.size} entries and now shows {head.size}")
        if not proves_growth(self._tree_of(head.size), mark.size, mark.root, head.root):
            raise InputError("log-fork", f"the log's first {mark.size} entries are not those that were seen")

    def _refuse_stale(self, trusted: Trusted, now: int) -> None:
        if self._max_age is None:
            return
        if trusted.time is None:
            raise InputError("log-stale", "no witness says when this head of the log was its newest")
        if now - trusted.time > self._max_age:
            age = now - trusted.time
            raise InputError(
                "log-stale", f"the log's head was witnessed {age} seconds ago, limit {self._max_age}"
            )

    def _tree_of(self, size: int) -> Tree:
        return Tree(size, lambda tile: fetch_tile(self._fetch, tile))

    @property
    def trusted(self) -> Trusted:
        """The head of the last `refresh`. Raises `UsageError` (`log-not-read`) before the first."""
        if self._trusted is None:
            raise UsageError("log-not-read", "the log's head was not read yet")
        return self._trusted

    @property
    def tree(self) -> Tree:
        """The tree at that head; unproved until something is verified against the root."""
        _ = self.trusted
        assert self._tree is not None  # noqa: S101 - set together
        return self._tree

    def entry(self, index: int) -> bytes:
        """An entry's bytes, proved to stand at `index`. Raises `UsageError` (`log-no-entry`), `InputError`."""
        head = self.trusted.checkpoint
        proof = self.tree.inclusion(index)
        number, at = divmod(index, WIDTH)
        entry = fetch_bundle(self._fetch, number, min(WIDTH, head.size - number * WIDTH))[at]
        if not verify_inclusion(index, head.size, leaf_hash(entry), proof, head.root):
            raise InputError("log-damaged", f"entry {index} is not what the log's root says")
        return entry

    def prove(self, index: int) -> LogProof:
        """A proof to carry away, with the entry in it. Raises as `entry` does."""
        return make_proof(self.tree, index, self.trusted.note, self.entry(index))

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """(index, text) of entries, each bundle proved against the root. Raises `InputError` (`log-damaged`)."""
        head = self.trusted.checkpoint
        stop = head.size if stop is None else min(stop, head.size)
        for number in range(start // WIDTH, -(-stop // WIDTH)):
            width = min(WIDTH, head.size - number * WIDTH)
            bundle = fetch_bundle(self._fetch, number, width)
            self._refuse_unproved(number, bundle)
            for index, entry in enumerate(bundle, number * WIDTH):
                if start <= index < stop:
                    yield index, entry

    def _refuse_unproved(self, number: int, bundle: tuple[bytes, ...]) -> None:
        """The last leaf's path, and every leaf as its tile has it: the path covers the whole tile's hash."""
        head, tree = self.trusted.checkpoint, self.tree
        first = number * WIDTH
        leaves = [leaf_hash(entry) for entry in bundle]
        same = all(tree.leaf(first + at) == leaf for at, leaf in enumerate(leaves))
        proof = tree.inclusion(first)
        # The path is computed from the tile's own hashes, so a wrong one of them gives another root.
        if not same or not verify_inclusion(first, head.size, leaves[0], proof, head.root):
            raise InputError("log-damaged", f'"{bundle_path(number)}" is not what the log\'s root says')

    def find(self, statement: bytes) -> int | None:
        """The index of a statement's entry, by its SHA-256; reads the bundles up to it."""
        return self.find_all([statement]).get(statement)

    def find_all(self, statements: Collection[bytes]) -> dict[bytes, int]:
        """The index of each that has an entry; reads bundles until all are found. Entries that cannot be read are passed."""
        wanted, found = set(statements), dict[bytes, int]()
        for index, text in self.entries() if wanted else ():
            try:
                statement = read_entry(text).statement
            except WeighbridgeError:
                continue
            if statement in wanted:
                found.setdefault(statement, index)
                if len(found) == len(wanted):
                    break
        return found


def proves_growth(tree: Tree, old: int, old_root: bytes, root: bytes) -> bool:
    """Whether the log, read from `tree`, begins with `old` entries under `old_root`.

    Raises `InputError` (`log-damaged`) where the tiles do not even give the log's own root.
    """
    if tree.root() != root:
        raise InputError("log-damaged", "the log's tiles do not give its root")
    return verify_consistency(old, tree.size, old_root, root, tree.consistency(old))


def fetch_tile(fetch: Fetch, tile: Tile) -> bytes:
    """A tile's bytes; where a partial one is gone, of the full one that took its place."""
    return _fetch_part(fetch, tile.path, tile.full.path)[: tile.width * 32]


def fetch_bundle(fetch: Fetch, number: int, width: int) -> tuple[bytes, ...]:
    """The first `width` entries of a bundle. Raises `InputError` (`log-damaged`), `UnavailableError` (`log-missing`)."""
    path = bundle_path(number, width)
    try:
        return read_bundle(fetch(path), width, f'"{path}"')
    except UnavailableError as error:
        if width == WIDTH or error.code != "log-missing":
            raise
    return read_bundle(fetch(bundle_path(number)), WIDTH, f'"{bundle_path(number)}"')[:width]


def _fetch_part(fetch: Fetch, path: str, full: str) -> bytes:
    try:
        return fetch(path)
    except UnavailableError as error:
        if path == full or error.code != "log-missing":
            raise
    return fetch(full)


# ----------------------------------------------------------------------------------------------------- what is kept


def mark_path(folder: Path, origin: str) -> Path:
    """Where the mark of a log lies in a folder of marks."""
    return folder / f"{hashlib.sha256(origin.encode()).hexdigest()}.json"


def read_high_water(path: Path) -> HighWater | None:
    """The mark of a file; None where there is no file. Raises `UsageError` (`bad-high-water`), never begins anew."""
    try:
        value = read_json(path.read_bytes(), f'"{visible(str(path))}"')
        return HighWater(
            origin=str(value["origin"]),
            size=read_decimal(str(value["size"]), "bad-high-water"),
            root=read_hash(value["root"], "bad-high-water"),
            time=int(value["time"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, WeighbridgeError, KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(
            "bad-high-water", f'what was seen of the log cannot be read from "{visible(str(path))}"'
        ) from None


def keep_high_water(path: Path, heads: Iterable[Trusted], now: int) -> HighWater | None:
    """Move the mark forward by heads that came without their log, as proofs do; None where there are none.

    That a larger one continues a smaller one is what its witnesses vouch for; that two of one size are the same is seen here.
    Raises `InputError` (`log-fork`), `UsageError` (`bad-high-water`, `cannot-write`), `BrokenError`.
    """
    with one_writer(path.parent):
        mark = read_high_water(path)
        for trusted in heads:
            mark = _moved(mark, trusted, now)
        if mark is not None:
            write_file(path, write_high_water(mark))
    return mark


def _moved(mark: HighWater | None, trusted: Trusted, now: int) -> HighWater:
    head = trusted.checkpoint
    time = max(now, trusted.time or 0, mark.time if mark else 0)
    if mark is None or (head.origin == mark.origin and head.size > mark.size):
        return HighWater(origin=head.origin, size=head.size, root=head.root, time=time)
    if head.origin != mark.origin or (head.size == mark.size and head.root != mark.root):
        raise InputError(
            "log-fork", f'this head of "{visible(head.origin)}" contradicts the one that was seen before'
        )
    return replace(mark, time=time)


def write_high_water(mark: HighWater) -> bytes:
    """The file."""
    value = {"origin": mark.origin, "size": mark.size, "root": write_hash(mark.root), "time": mark.time}
    return write_json(value) + b"\n"


# --------------------------------------------------------------------------------------------------- where it is read


def from_directory(folder: Path) -> Fetch:
    """A log in a folder: a disk, a stick, a mount."""

    def fetch(path: str) -> bytes:
        try:
            with (folder / path).open("rb") as file:
                return file.read(MAX_FILE + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise UnavailableError("log-missing", f'the log has no "{visible(path)}"') from None
        except OSError as error:
            raise UnavailableError("log-missing", f'the log\'s "{visible(path)}": {error.strerror}') from None

    return fetch


def from_https(prefix: str, seconds: float = 30.0) -> Fetch:
    """A log on a web server, by its prefix. Raises `UsageError` (`plain-http`); when it fetches, `UnavailableError`."""
    import urllib3

    base = prefix.rstrip("/")
    host = urllib3.util.parse_url(base)
    if host.scheme != "https" and host.host not in ("127.0.0.1", "localhost", "::1", "[::1]"):
        raise UsageError("plain-http", f'"{visible(prefix)}" is not https')
    pool = urllib3.PoolManager()

    def fetch(path: str) -> bytes:
        try:
            answer = pool.request(
                "GET", f"{base}/{path}", timeout=seconds, redirect=False, preload_content=False
            )
            with answer:
                data = answer.read(MAX_FILE + 1, decode_content=True)
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(
                "network", f"the log does not answer: {visible(str(error), 200)}"
            ) from None
        if answer.status in (403, 404, 410):
            raise UnavailableError("log-missing", f'the log has no "{visible(path)}"')
        if answer.status != 200 or len(data) > MAX_FILE:
            raise UnavailableError("network", f'the log answers {answer.status} for "{visible(path)}"')
        return data

    return fetch
