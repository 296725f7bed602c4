"""Sequencer: gives each statement its place in the log, once, and keeps it; the one truth from which all files follow.

Rows in SQL (`database`): the entries, 256 in a row as they are published and one in a row at the end; where each statement
stands; the tiles above the leaves; and the last head that was signed. An append is one transaction: what it returned
survives kill -9 and power cuts, what it did not return may or may not be there. Two writers at once take turns. Nothing
is signed or published here.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.tlog.database import Database, Transaction, open_database
from weighbridge.tlog.entry import LogEntry, read_entry, write_entry
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
    read_bundle,
    root_of,
    write_bundle,
)

SCHEMA = 2
_IN_ONE_QUESTION = 500

_TABLES = """
CREATE TABLE IF NOT EXISTS log (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL,
    origin TEXT NOT NULL, size BIGINT NOT NULL, root {blob} NOT NULL, checkpoint {blob});
CREATE TABLE IF NOT EXISTS bundles (number {key} PRIMARY KEY, entries {blob} NOT NULL);
CREATE TABLE IF NOT EXISTS entries (place {key} PRIMARY KEY, entry {blob} NOT NULL);
CREATE TABLE IF NOT EXISTS statements (statement {blob} PRIMARY KEY, place BIGINT NOT NULL) {sorted};
CREATE TABLE IF NOT EXISTS tiles (level INTEGER NOT NULL, number BIGINT NOT NULL, hashes {blob} NOT NULL,
    PRIMARY KEY (level, number))
"""
_PUT_ENTRY = "INSERT INTO entries (place, entry) VALUES (?, ?)"
_PUT_BUNDLE = "INSERT INTO bundles (number, entries) VALUES (?, ?)"
_PUT_STATEMENT = "INSERT INTO statements (statement, place) VALUES (?, ?) ON CONFLICT (statement) DO NOTHING"
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
        with database.writing() as transaction:
            for table in _TABLES.split(";"):
                transaction.run(
                    table.format(blob=database.blob, key=database.key, sorted=database.sorted), [()]
                )
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
            places, texts = _place(given, edge.size, {})
            if not _put_statements(transaction, places, edge.size):
                old = dict(_find(transaction, list(places)))
                places, texts = _place(given, edge.size, old)
                fresh = {statement: at for statement, at in places.items() if statement not in old}
                _put_statements(transaction, fresh, edge.size)
            _take(transaction, edge, texts)
        return tuple([places[statement] for statement, _ in given])

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
        for number in range(start // WIDTH, -(-stop // WIDTH)):
            first = number * WIDTH
            with self._database.reading() as transaction:
                texts = _texts(transaction, number, min(WIDTH, stop - first))
            yield from texts[max(0, start - first) :]

    def bundle(self, number: int, width: int = WIDTH) -> bytes:
        """The bytes of an entry bundle."""
        with self._database.reading() as transaction:
            whole = _bundle(transaction, number) if width == WIDTH else None
            return whole or write_bundle(_texts(transaction, number, width))

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
            ((bundles,),) = transaction.rows("SELECT MAX(number) FROM bundles")
            ((last,),) = transaction.rows("SELECT MAX(place) FROM entries")
            full, rest = divmod(head.size, WIDTH)
            if (bundles, last) != (full - 1 if full else None, head.size - 1 if rest else None):
                raise InputError("log-damaged", f"the log has {head.size} entries, but not its last rows")
            edge = _edge(transaction)
            leaves = [leaf_hash(text) for text in _texts(transaction, full, rest)] if rest else []
            if edge.root() != head.root or (edge.levels and edge.levels[0] != leaves):
                raise InputError("log-damaged", "the log's root does not follow from its last tiles")
            if full:
                _check_bundle(transaction, full - 1, head.size)

    def rebuild(self) -> int:
        """Compute every tile, and where each statement stands, from the entries anew; how many rows had to be put right.

        Raises `InputError` (`log-damaged`) where the entries do not give the root: then something of them is lost.
        """
        with self._database.writing() as transaction:
            head, edge, lost = _head(transaction), Edge(), 0
            wrong: list[tuple[int, int, bytes]] = []
            for first in range(0, head.size, WIDTH):
                texts = _texts(transaction, first // WIDTH, min(WIDTH, head.size - first))
                wrong += _differing(transaction, edge.extend([leaf_hash(text) for text in texts]))
                lost += transaction.run(
                    _PUT_STATEMENT, [(read_entry(text).statement, at) for at, text in enumerate(texts, first)]
                )
            wrong += _differing(transaction, edge.partial())
            if edge.root() != head.root:
                raise InputError("log-damaged", "the entries do not give the log's root")
            transaction.run(_PUT_TILE, wrong)
        return len(wrong) + lost


def _head(transaction: Transaction) -> Head:
    ((size, root),) = transaction.rows("SELECT size, root FROM log")
    return Head(size=size, root=bytes(root))


def _find(transaction: Transaction, statements: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    for at in range(0, len(statements), _IN_ONE_QUESTION):
        some = statements[at : at + _IN_ONE_QUESTION]
        marks = ",".join("?" * len(some))
        rows = transaction.rows(f"SELECT statement, place FROM statements WHERE statement IN ({marks})", some)  # noqa: S608
        yield from ((bytes(statement), place) for statement, place in rows)


def _place(
    given: Sequence[tuple[bytes, bytes]], size: int, old: dict[bytes, int]
) -> tuple[dict[bytes, int], list[bytes]]:
    """Where each statement stands, the old ones where they did, and the texts of the new ones in their order."""
    places = dict(old)
    texts: list[bytes] = []
    for statement, text in given:
        if statement not in places:
            places[statement] = size + len(texts)
            texts.append(text)
    return places, texts


def _put_statements(transaction: Transaction, places: dict[bytes, int], size: int) -> bool:
    """Put them if all are new; whether they were. Else nothing is put: that is rare, and asking first is slow."""
    # In the order of the index, so that its pages are visited one after the other.
    rows = [(statement, places[statement]) for statement in sorted(places)]
    if transaction.run(_PUT_STATEMENT, rows) == len(places):
        return True
    mine = [(statement, size) for statement in places]
    transaction.run("DELETE FROM statements WHERE statement = ? AND place >= ?", mine)
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


def _bundle(transaction: Transaction, number: int) -> bytes | None:
    rows = transaction.rows("SELECT entries FROM bundles WHERE number = ?", [number])
    return bytes(rows[0][0]) if rows else None


def _texts(transaction: Transaction, number: int, width: int) -> list[bytes]:
    """The first `width` entries of a bundle, full or not."""
    whole = _bundle(transaction, number)
    if whole is not None:
        return list(read_bundle(whole, WIDTH, f"bundle {number} of the log"))[:width]
    first = number * WIDTH
    rows = transaction.rows(
        "SELECT entry FROM entries WHERE place >= ? AND place < ? ORDER BY place", [first, first + width]
    )
    if len(rows) != width:
        raise InputError("log-damaged", f"the log has lost entries between {first} and {first + width}")
    return [bytes(row[0]) for row in rows]


def _check_bundle(transaction: Transaction, number: int, size: int) -> None:
    """Compare the entries of a full bundle with the hash that the tree has of them."""
    tree = Tree(size, lambda tile: _stored(transaction, tile))
    leaves = [leaf_hash(text) for text in _texts(transaction, number, WIDTH)]
    if root_of(leaves) != tree.subtree(number * WIDTH, number * WIDTH + WIDTH):
        raise InputError("log-damaged", f"bundle {number} of the log is not what its tile says")


def _put_texts(transaction: Transaction, size: int, texts: Sequence[bytes]) -> None:
    """Put entries behind the last one; 256 of them become one row, so that a large log has few rows."""
    first, stop = size - size % WIDTH, size + len(texts)
    full = stop - stop % WIDTH
    if full > first:
        texts = [*_texts(transaction, first // WIDTH, size - first), *texts]
        cuts = range(first, full, WIDTH)
        rows = [(at // WIDTH, write_bundle(texts[at - first : at - first + WIDTH])) for at in cuts]
        transaction.run(_PUT_BUNDLE, rows)
        transaction.run("DELETE FROM entries WHERE place < ?", [(full,)])
        size, texts = full, texts[full - first :]
    transaction.run(_PUT_ENTRY, list(enumerate(texts, size)))


def _take(transaction: Transaction, edge: Edge, texts: Sequence[bytes]) -> None:
    if not texts:
        return
    _put_texts(transaction, edge.size, texts)
    filled = edge.extend([leaf_hash(text) for text in texts])
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
