"""Sequencer: gives each statement its place in the log, once, and keeps it; the one truth from which all files follow.

Rows in SQL (`database`): the entries, the tiles above the leaves, and the last head that was signed. An append is one
transaction: what it returned survives kill -9 and power cuts, what it did not return may or may not be there. Two
writers at once take turns. Nothing is signed or published here.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.tlog.database import Database, Transaction, open_database
from weighbridge.tlog.entry import LogEntry, write_entry
from weighbridge.tlog.merkle import (
    EMPTY,
    HEIGHT,
    WIDTH,
    Edge,
    Tile,
    Tree,
    cut,
    edge_tiles,
    leaf_hash,
    write_bundle,
)

SCHEMA = 1
_IN_ONE_QUESTION = 500

_TABLES = """
CREATE TABLE IF NOT EXISTS log (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL,
    origin TEXT NOT NULL, size BIGINT NOT NULL, root {blob} NOT NULL, checkpoint {blob});
CREATE TABLE IF NOT EXISTS entries (place {key} PRIMARY KEY, statement {blob} NOT NULL UNIQUE, entry {blob} NOT NULL);
CREATE TABLE IF NOT EXISTS tiles (level INTEGER NOT NULL, number BIGINT NOT NULL, hashes {blob} NOT NULL,
    PRIMARY KEY (level, number))
"""
_PUT_ENTRY = (
    "INSERT INTO entries (place, statement, entry) VALUES (?, ?, ?) ON CONFLICT (statement) DO NOTHING"
)
_HOPEFUL = 100
"""From this many entries on it is quicker to put them all and count than to ask first which are there."""
_PUT_TILE = (
    "INSERT INTO tiles (level, number, hashes) VALUES (?, ?, ?)"
    " ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How far the log has come."""

    size: int
    root: bytes


class Sequencer:
    """One log. Use it from one thread; several processes may have one each."""

    def __init__(self, place: str | Path, origin: str) -> None:
        """Open, or begin, the log of this name. The head is compared with the rows: `check`.

        Raises `UsageError` (`log-origin` where another log is there, `log-database`), `InputError` (`log-damaged`),
        `BrokenError` (`log-database`).
        """
        self.origin = origin
        self._database = open_database(place)
        try:
            self._begin(self._database)
            self.check()
        except BaseException:
            self._database.close()
            raise

    def _begin(self, database: Database) -> None:
        key = "INTEGER" if database.blob == "BLOB" else "BIGINT"
        with database.writing() as transaction:
            for table in _TABLES.split(";"):
                transaction.run(table.format(blob=database.blob, key=key), [()])
            row = "INSERT INTO log (one, version, origin, size, root) VALUES (1, ?, ?, 0, ?)"
            transaction.run(f"{row} ON CONFLICT (one) DO NOTHING", [(SCHEMA, self.origin, EMPTY)])
            ((version, origin),) = transaction.rows("SELECT version, origin FROM log")
        if version != SCHEMA:
            raise UsageError("log-database", f"the log was written by another version ({version})")
        if origin != self.origin:
            raise UsageError(
                "log-origin", f'this is the log "{visible(origin)}", not "{visible(self.origin)}"'
            )

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    # ------------------------------------------------------------------------------------------------ appending

    def append(self, entries: Iterable[LogEntry]) -> tuple[int, ...]:
        """The index of each entry, new or, where its statement is in the log already, old. Durable on return.

        All in one transaction: after an error none of them was taken. Raises `UsageError` (`log-entry`),
        `BrokenError` (`log-database`), `InputError` (`log-damaged`).
        """
        given = [(entry.statement, write_entry(entry)) for entry in entries]
        with self._database.writing() as transaction:
            edge = _edge(transaction)
            known: dict[bytes, int] = {}
            put = len(given) >= _HOPEFUL and _put_new(transaction, edge.size, _firsts(given))
            if not put:
                known.update(_find(transaction, [statement for statement, _ in given]))
            fresh: list[tuple[int, bytes, bytes]] = []
            for statement, text in given:
                if statement not in known:
                    known[statement] = edge.size + len(fresh)
                    fresh.append((known[statement], statement, text))
            if not put:
                transaction.run(_PUT_ENTRY, fresh)
            _take(transaction, edge, fresh)
        return tuple(known[statement] for statement, _ in given)

    def append_one(self, entry: LogEntry) -> int:
        """A single one, durable on return."""
        return self.append((entry,))[0]

    def find(self, statement: bytes) -> int | None:
        """The index of a statement's entry, by the statement's SHA-256."""
        with self._database.reading() as transaction:
            return dict(_find(transaction, [statement])).get(statement)

    # -------------------------------------------------------------------------------------------------- reading

    def head(self) -> Head:
        """The size and root of all that was appended."""
        with self._database.reading() as transaction:
            return _head(transaction)

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """The texts of entries `start` to `stop`, in pages. Raises `InputError` (`log-damaged`) for a gap."""
        for first in range(start, stop, WIDTH):
            last = min(stop, first + WIDTH)
            with self._database.reading() as transaction:
                yield from _texts(transaction, first, last)

    def bundle(self, number: int, width: int = WIDTH) -> bytes:
        """The bytes of an entry bundle."""
        return write_bundle(self.entries(number * WIDTH, number * WIDTH + width))

    def tile(self, tile: Tile) -> bytes:
        """The bytes of a tile; a pure function of the entries."""
        if tile.level == 0:
            first = tile.number * WIDTH
            return b"".join(leaf_hash(entry) for entry in self.entries(first, first + tile.width))
        with self._database.reading() as transaction:
            return _stored(transaction, tile)

    def tree(self, size: int | None = None) -> Tree:
        """The tree for roots and proofs, of all entries or the first `size`."""
        return Tree(self.head().size if size is None else size, self.tile)

    # ------------------------------------------------------------------------------------------- what was signed

    @property
    def signed(self) -> bytes | None:
        """The last checkpoint that was signed, a note."""
        with self._database.reading() as transaction:
            ((checkpoint,),) = transaction.rows("SELECT checkpoint FROM log")
        return None if checkpoint is None else bytes(checkpoint)

    def keep_signed(self, checkpoint: bytes) -> None:
        """Remember it before anybody sees it, so that no later one can contradict it."""
        with self._database.writing() as transaction:
            transaction.run("UPDATE log SET checkpoint = ?", [(checkpoint,)])

    # ------------------------------------------------------------------------------------------- what is still true

    def check(self) -> None:
        """Compare the head with the rows at the right edge: a database that was cut or put back is not written to.

        Raises `InputError` (`log-damaged`). `rebuild` looks at every row.
        """
        with self._database.reading() as transaction:
            head = _head(transaction)
            ((count, last),) = transaction.rows(
                "SELECT COUNT(*), MAX(place) FROM entries WHERE place >= ?", [head.size - 1]
            )
            if (count, last) != ((1, head.size - 1) if head.size else (0, None)):
                raise InputError(
                    "log-damaged", f"the log has {head.size} entries, but the last of them is not there"
                )
            edge = _edge(transaction)
            first = head.size - head.size % WIDTH
            leaves = [leaf_hash(text) for text in _texts(transaction, first, head.size)]
            if edge.root() != head.root or (edge.levels and edge.levels[0] != leaves):
                raise InputError("log-damaged", "the log's root does not follow from its last tiles")

    def rebuild(self) -> int:
        """Compute every tile from the entries anew, and put right those that differ; how many did.

        Raises `InputError` (`log-damaged`) where the entries do not give the root: then something of them is lost.
        """
        with self._database.writing() as transaction:
            head, edge = _head(transaction), Edge()
            wrong: list[tuple[int, int, bytes]] = []
            for first in range(0, head.size, WIDTH):
                for text in _texts(transaction, first, min(first + WIDTH, head.size)):
                    wrong += _differing(transaction, edge.add(leaf_hash(text)))
            wrong += _differing(transaction, edge.partial())
            if edge.root() != head.root:
                raise InputError("log-damaged", "the entries do not give the log's root")
            transaction.run(_PUT_TILE, wrong)
        return len(wrong)


def _head(transaction: Transaction) -> Head:
    ((size, root),) = transaction.rows("SELECT size, root FROM log")
    return Head(size=size, root=bytes(root))


def _find(transaction: Transaction, statements: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    for at in range(0, len(statements), _IN_ONE_QUESTION):
        some = statements[at : at + _IN_ONE_QUESTION]
        marks = ",".join("?" * len(some))
        rows = transaction.rows(f"SELECT statement, place FROM entries WHERE statement IN ({marks})", some)  # noqa: S608
        yield from ((bytes(statement), place) for statement, place in rows)


def _firsts(given: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Each statement with the first text that is given for it, in order."""
    texts: dict[bytes, bytes] = {}
    for statement, text in given:
        texts.setdefault(statement, text)
    return texts


def _put_new(transaction: Transaction, size: int, texts: dict[bytes, bytes]) -> bool:
    """Put entries behind the last one if all of their statements are new; whether they were. Else nothing is put."""
    rows = [(size + at, statement, text) for at, (statement, text) in enumerate(texts.items())]
    transaction.run(_PUT_ENTRY, rows)
    ((count,),) = transaction.rows("SELECT COUNT(*) FROM entries WHERE place >= ?", [size])
    if count == len(rows):
        return True
    transaction.run("DELETE FROM entries WHERE place >= ?", [(size,)])
    return False


def _edge(transaction: Transaction) -> Edge:
    head = _head(transaction)
    tiles = {tile.level: cut(_stored(transaction, tile), tile) for tile in edge_tiles(head.size)}
    levels = -(-head.size.bit_length() // HEIGHT)
    return Edge(head.size, [tiles.get(level, ()) for level in range(levels)])


def _stored(transaction: Transaction, tile: Tile) -> bytes:
    """A tile of the table, which holds the widest there is so far; a narrower one is its beginning."""
    rows = transaction.rows(
        "SELECT hashes FROM tiles WHERE level = ? AND number = ?", [tile.level, tile.number]
    )
    hashes = bytes(rows[0][0]) if rows else b""
    if len(hashes) < tile.width * 32:
        raise InputError("log-damaged", f'the log has lost the hashes of "{tile.path}"')
    return hashes[: tile.width * 32]


def _texts(transaction: Transaction, first: int, last: int) -> list[bytes]:
    rows = transaction.rows(
        "SELECT entry FROM entries WHERE place >= ? AND place < ? ORDER BY place", [first, last]
    )
    if len(rows) != last - first:
        raise InputError("log-damaged", f"the log has lost entries between {first} and {last}")
    return [bytes(row[0]) for row in rows]


def _take(transaction: Transaction, edge: Edge, fresh: Sequence[tuple[int, bytes, bytes]]) -> None:
    if not fresh:
        return
    filled: list[tuple[Tile, bytes]] = []
    for _, _, text in fresh:
        filled += edge.add(leaf_hash(text))
    # Leaf hashes follow from the entries; only those of the last, partial tile are kept, so that an append is quick.
    kept = [(tile, hashes) for tile, hashes in (*filled, *edge.partial()) if tile.level or tile.width < WIDTH]
    transaction.run(_PUT_TILE, [(tile.level, tile.number, hashes) for tile, hashes in kept])
    last = edge.size // WIDTH
    transaction.run("DELETE FROM tiles WHERE level = 0 AND number < ?", [(last,)])
    transaction.run("UPDATE log SET size = ?, root = ?", [(edge.size, edge.root())])


def _differing(
    transaction: Transaction, tiles: Iterable[tuple[Tile, bytes]]
) -> Iterator[tuple[int, int, bytes]]:
    for tile, hashes in tiles:
        if tile.level == 0 and tile.width == WIDTH:
            continue
        query = "SELECT hashes FROM tiles WHERE level = ? AND number = ?"
        rows = transaction.rows(query, [tile.level, tile.number])
        if not rows or bytes(rows[0][0]) != hashes:
            yield tile.level, tile.number, hashes
