"""The graph in SQL, the truth: nodes, what is one with what, and every edge that anybody ever stated.

Rows are added and never changed, but for a grade that rises. Taking the same edge in again changes nothing. One writer at a
time; every batch is one transaction, so that being killed loses at most the last batch, and giving the same again
completes it. Self-parents are kept apart, where no question can stumble over them.
"""

import gc
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import chain, compress, count, islice
from operator import eq, is_, itemgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from weighbridge.core.database import Database, Purpose, Row, Transaction, open_database
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.lineage.edge import GRADES, NAMES, NUMBERS, RELATIONS, Edge, Grade, Link, Node

SCHEMA = 1
CODE = "lineage-database"
PURPOSE = Purpose(name="the lineage", code=CODE, turn=2, mkdir=True)
BATCH = 100_000
"""Edges of one transaction."""
MANY = 10_000
"""From so many edges at once on, an empty graph is filled without its indexes."""
FEW = 500
"""Values in one question: databases bound them."""
MAX_KEY = 600
"""Characters of a node's key."""
_USUAL = len("sha256:") + 64
_DIGEST = late(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}:(?:[0-9a-f]{2}){16,64}\Z")
_INDEXES = {
    "lineage_node_by_key": "UNIQUE INDEX IF NOT EXISTS lineage_node_by_key ON lineage_node (key)",
    "lineage_source_by_key": (
        "UNIQUE INDEX IF NOT EXISTS lineage_source_by_key ON lineage_source (statement, issuer, time)"
    ),
    "lineage_edge_by_parent": "INDEX IF NOT EXISTS lineage_edge_by_parent ON lineage_edge (parent, child)",
}
"""Left out while an empty graph is filled: it is quicker to make them when all is there. Opening a graph makes them too."""
_TABLES = """
CREATE TABLE IF NOT EXISTS lineage (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL,
    identity {blob} NOT NULL, grown {big} NOT NULL);
CREATE TABLE IF NOT EXISTS lineage_node (id {key} PRIMARY KEY, key TEXT NOT NULL, label TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS lineage_alias (id {key} PRIMARY KEY, root {big} NOT NULL);
CREATE INDEX IF NOT EXISTS lineage_alias_by_root ON lineage_alias (root);
CREATE TABLE IF NOT EXISTS lineage_join (a {big} NOT NULL, b {big} NOT NULL, source {big} NOT NULL,
    grade SMALLINT NOT NULL, PRIMARY KEY (a, b, source)) {tight};
CREATE TABLE IF NOT EXISTS lineage_source (id {key} PRIMARY KEY, statement TEXT NOT NULL, issuer TEXT NOT NULL,
    time {big} NOT NULL);
CREATE TABLE IF NOT EXISTS lineage_edge (child {big} NOT NULL, parent {big} NOT NULL, relation SMALLINT NOT NULL,
    source {big} NOT NULL, grade SMALLINT NOT NULL, PRIMARY KEY (child, parent, relation, source)) {tight};
CREATE TABLE IF NOT EXISTS lineage_self (child {big} NOT NULL, parent {big} NOT NULL, relation SMALLINT NOT NULL,
    source {big} NOT NULL, grade SMALLINT NOT NULL, PRIMARY KEY (child, parent, relation, source)) {tight};
CREATE TABLE IF NOT EXISTS lineage_model (id {key} PRIMARY KEY, node {big} NOT NULL, name TEXT NOT NULL,
    bytes {big} NOT NULL, UNIQUE (node));
CREATE TABLE IF NOT EXISTS lineage_tensor (model {big} NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL,
    dtype TEXT NOT NULL, items {big} NOT NULL, bytes {big} NOT NULL, digest {blob} NOT NULL, sketch {blob},
    PRIMARY KEY (model, place)) {tight};
CREATE INDEX IF NOT EXISTS lineage_tensor_by_digest ON lineage_tensor (digest, model);
CREATE INDEX IF NOT EXISTS lineage_tensor_by_items ON lineage_tensor (items, model)
"""
_EDGE = "INTO {} (child, parent, relation, source, grade) VALUES "
_CONFLICT = " ON CONFLICT (child, parent, relation, source) DO "
_RAISE = (
    "INSERT "
    + _EDGE
    + "(?, ?, ?, ?, ?)"
    + _CONFLICT
    + "UPDATE SET grade = excluded.grade WHERE excluded.grade > {}.grade"
)
"""For edges that may be there with a lesser grade."""
TOGETHER = 100
"""Rows of one INSERT: half the price of one each."""


class Added(NamedTuple):
    """What became of edges that were given."""

    given: int = 0
    new: int = 0
    """New, or better known than before; the others stood there already."""
    own: int = 0
    """New self-parents among them: kept apart, and no part of any answer."""

    def plus(self, other: "Added") -> "Added":
        """Both together."""
        return Added(*(a + b for a, b in zip(self, other, strict=True)))


class Lineage:
    """One graph. Use it from one thread; several processes may have one each."""

    def __init__(self, place: str | Path, cache: Path | None = None) -> None:
        """Open, or begin, a graph. `cache`: the file of the index; beside an SQLite file when left out.

        Raises `UsageError` (`lineage-database`, `extra-missing`), `BrokenError` (`lineage-database`).
        """
        from weighbridge.core.database import file_of, is_server

        self.cache = cache
        if cache is None and not is_server(place):
            file = file_of(place)
            self.cache = file.with_name(f"{file.name}.index")
        self._database: Database = open_database(place, PURPOSE)
        try:
            self._begin()
        except BaseException:
            self._database.close()
            raise

    def _begin(self) -> None:
        light = self._database.blob == "BLOB"
        names = {
            "blob": self._database.blob,
            "key": "INTEGER" if light else "BIGINT",
            "big": "INTEGER" if light else "BIGINT",
            "tight": "WITHOUT ROWID" if light else "",
        }
        with self._database.writing() as transaction:
            for table in _TABLES.format(**names).split(";"):
                transaction.run(table, [()])
            _index(transaction)
            row = "INSERT INTO lineage (one, version, identity, grown) VALUES (1, ?, ?, 0)"
            transaction.run(f"{row} ON CONFLICT (one) DO NOTHING", [(SCHEMA, secrets.token_bytes(16))])
            ((version,),) = transaction.rows("SELECT version FROM lineage")
        if version != SCHEMA:
            raise UsageError(CODE, f"the lineage was written by another version ({version})")

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def __enter__(self) -> "Lineage":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reading(self) -> AbstractContextManager[Transaction]:
        """A context: one moment of the graph."""
        return self._database.reading()

    def writing(self) -> AbstractContextManager[Transaction]:
        """A context: the one writer."""
        return self._database.writing()

    # ------------------------------------------------------------------------------------------------ writing

    def add(self, edges: Iterable[Edge]) -> Added:
        """Take edges in, each once. Raises `InputError` (`bad-node`) for a key that is none; what came before is kept."""
        source, added = iter(edges), Added()
        ids = _Ids()
        try:
            with _no_garbage():
                while batch := list(islice(source, BATCH)):
                    with self.writing() as transaction:
                        added = added.plus(_put(transaction, batch, ids))
        finally:
            if ids.last != (0, 0):
                with self.writing() as transaction:
                    _index(transaction)
        return added

    def join(
        self, keys: Sequence[str], grade: Grade, issuer: str, statement: str = "", label: str = ""
    ) -> int:
        """Say that these keys are one thing; the number of the node. Whoever is not to be believed says `Link.SAME_AS`.

        Raises `InputError` (`bad-node`), `UsageError` (`bad-grade`) below `attested`.
        """
        if not grade.is_sure:
            raise UsageError("bad-grade", f"things are not made one by what is only {grade}")
        with self.writing() as transaction:
            return _join(transaction, keys, grade, issuer, statement, label)

    def label(self, labels: Iterable[tuple[str, str]]) -> None:
        """(key, name for people): the first that was given stays."""
        sql = "UPDATE lineage_node SET label = ? WHERE key = ? AND label = ''"
        with self.writing() as transaction:
            transaction.run(sql, [(label[:300], key) for key, label in labels if label])

    def distrust(self, issuer: str) -> int:
        """Count what this issuer said as declared from now on; how many edges that changes.

        What it made one stays one: an artifact's digests are not a matter of trust for long, and `Lineage` forgets nothing.
        """
        sql = (
            "UPDATE lineage_edge SET grade = 0 WHERE grade > 0"
            " AND source IN (SELECT id FROM lineage_source WHERE issuer = ?)"
        )
        with self.writing() as transaction:
            count = transaction.run(sql, [(issuer,)])
            _grow(transaction)
        return count

    # ------------------------------------------------------------------------------------------------ reading

    def state(self) -> tuple[bytes, int]:
        """(which graph this is, how often it grew): a copy of it is good as long as both are the same."""
        with self.reading() as transaction:
            ((identity, grown),) = transaction.rows("SELECT identity, grown FROM lineage")
        return bytes(identity), grown

    def counts(self) -> tuple[int, int]:
        """(nodes, edges); a thing with three digests counts once."""
        with self.reading() as transaction:
            ((nodes,),) = transaction.rows("SELECT count(*) FROM lineage_node")
            ((merged,),) = transaction.rows("SELECT count(*) FROM lineage_alias")
            ((edges,),) = transaction.rows("SELECT count(*) FROM lineage_edge")
        return nodes - merged, edges

    def find(self, keys: Iterable[str]) -> tuple[int, ...]:
        """The nodes that are known by any of these keys; a name without a revision also means its revisions."""
        wanted = list(dict.fromkeys(keys))
        with self.reading() as transaction:
            ids = [
                row[0]
                for row in in_parts(transaction, "SELECT id FROM lineage_node WHERE key IN ({})", wanted)
            ]
            named = [key for key in wanted if key.startswith(NAMES)]
            if named:
                sql = (
                    f"SELECT e.parent FROM lineage_edge e JOIN lineage_node n ON n.id = e.child"  # noqa: S608
                    f" WHERE e.relation = {NUMBERS[Link.NAMED]} AND n.key IN ({{}})"
                )
                ids += [row[0] for row in in_parts(transaction, sql, named)]
            roots = roots_of(transaction, ids)
        return tuple(dict.fromkeys(roots[one] for one in ids))

    def nodes(self, ids: Sequence[int]) -> dict[int, Node]:
        """The nodes of these numbers, with every key of each."""
        with self.reading() as transaction:
            members = members_of(transaction, ids)
            sql = "SELECT id, key, label FROM lineage_node WHERE id IN ({})"
            rows = list(in_parts(transaction, sql, list(members)))
        keys: dict[int, list[str]] = {}
        labels: dict[int, str] = {}
        for one, key, label in rows:
            keys.setdefault(members[one], []).append(key)
            if label:
                labels.setdefault(members[one], label)
        return {
            root: Node(id=root, keys=tuple(sorted(found)), label=labels.get(root, ""))
            for root, found in keys.items()
        }

    def edges(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], tuple[Edge, ...]]:
        """(child, parent) of nodes → every edge between the two, the best known first."""
        wanted = set(pairs)
        with self.reading() as transaction:
            members = members_of(transaction, [one for pair in wanted for one in pair])
            parents = {other for _, other in wanted}
            sql = (
                "SELECT e.child, e.parent, e.relation, e.grade, s.issuer, s.statement, s.time, c.key, p.key"
                " FROM lineage_edge e JOIN lineage_source s ON s.id = e.source JOIN lineage_node c ON c.id = e.child JOIN lineage_node p ON p.id = e.parent"
                " WHERE e.child = ? AND e.parent IN ({})"
            )
            found: dict[tuple[int, int], list[Edge]] = {}
            theirs: dict[int, list[int]] = {}
            for child, parent in wanted:
                theirs.setdefault(child, []).append(parent)
            back: dict[int, list[int]] = {}
            for member, root in members.items():
                back.setdefault(root, []).append(member)
            for child, above in theirs.items():
                targets = [member for parent in above if parent in parents for member in back[parent]]
                for own in back[child]:
                    for row in in_parts(transaction, sql, targets, first=(own,)):
                        found.setdefault((child, members[row[1]]), []).append(_edge(row))
        return {pair: tuple(sorted(edges, key=_best_first)) for pair, edges in found.items()}

    def selves(self, ids: Sequence[int]) -> tuple[Edge, ...]:
        """The edges by which somebody says that one of these nodes is its own parent."""
        sql = (
            "SELECT e.child, e.parent, e.relation, e.grade, s.issuer, s.statement, s.time, c.key, p.key"
            " FROM lineage_self e JOIN lineage_source s ON s.id = e.source JOIN lineage_node c ON c.id = e.child JOIN lineage_node p ON p.id = e.parent WHERE e.child IN ({})"
        )
        with self.reading() as transaction:
            members = list(members_of(transaction, ids))
            return tuple(_edge(row) for row in in_parts(transaction, sql, members))


def check_key(key: str) -> str:
    """The key itself. Raises `InputError` (`bad-node`) where it names nothing."""
    if len(key) == _USUAL and key.startswith("sha256:") and not key[7:].strip("0123456789abcdef"):
        return key  # most of a million: as the pattern says, in a third of its time
    if key.startswith(NAMES):
        if len(key.partition(":")[2]) > 0 and len(key) <= MAX_KEY and key.isprintable():
            return key
    elif _DIGEST.match(key):
        return key
    raise InputError("bad-node", f'"{visible(key, 80)}" is neither a digest nor a name such as hf:org/name')


def in_parts(
    transaction: Transaction, sql: str, values: Sequence[Any], first: Sequence[Any] = ()
) -> Iterator[Row]:
    """The rows of a question with `IN ({})`, asked as often as the number of values needs."""
    for at in range(0, len(values), FEW):
        part = values[at : at + FEW]
        yield from transaction.rows(sql.format(",".join("?" * len(part))), (*first, *part))


def roots_of(transaction: Transaction, ids: Sequence[int]) -> dict[int, int]:
    """The number under which each goes."""
    found: dict[int, int] = dict(
        in_parts(transaction, "SELECT id, root FROM lineage_alias WHERE id IN ({})", list(set(ids)))
    )
    return {one: found.get(one, one) for one in ids}


def members_of(transaction: Transaction, roots: Iterable[int]) -> dict[int, int]:
    """Every number that goes under one of these → that one."""
    wanted = list(dict.fromkeys(roots))
    found: dict[int, int] = dict(
        in_parts(transaction, "SELECT id, root FROM lineage_alias WHERE root IN ({})", wanted)
    )
    return {**{root: root for root in wanted}, **found}


def _edge(row: Row) -> Edge:
    _, _, relation, grade, issuer, statement, time, child, parent = row
    return Edge(child, parent, RELATIONS[relation], GRADES[grade], issuer, statement, time)


def _best_first(edge: Edge) -> tuple[int, str, str, str]:
    return -edge.grade.rank, edge.relation.value, edge.issuer, edge.statement


# ---------------------------------------------------------------------------------------------------- taking in


Source = tuple[str, str, int]
"""(statement, issuer, time)."""
_Key = TypeVar("_Key", str, Source)
_is_none = partial(is_, None)
_RELATION_NUMBERS = {id(relation): number for relation, number in NUMBERS.items()}
_RANKS = {id(grade): grade.rank for grade in Grade}
"""By the members themselves: to hash one costs more than all else that is done for an edge."""


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Millions of tuples are made and let go in no circles: to look through them takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class _Ids:
    """Numbers that were looked up or given out, for as long as one writing takes."""

    def __init__(self) -> None:
        self.nodes: dict[str, int] = {}
        self.sources: dict[Source, int] = {}
        self.bare = False
        """Whether the graph was empty: then nothing is there that is not known here, and the indexes wait."""
        self.last = (0, 0)
        """The highest numbers as we left them; where they are others, somebody else has written too."""


def _put(transaction: Transaction, batch: list[Edge], ids: _Ids) -> Added:
    if len(batch) >= MANY and not ids.bare and not _last(transaction, "lineage_node"):
        ids.bare = True
        for name in _INDEXES:
            transaction.run(f"DROP INDEX IF EXISTS {name}", [()])
    elif ids.bare and ids.last != _lasts(transaction):
        ids.bare = False
        _index(transaction)
    children, parents, relations, grades, issuers, statements, times = zip(*batch, strict=True)
    told = list(zip(statements, issuers, times, strict=True))
    below, above = _number_nodes(transaction, (children, parents), ids)
    sources = _number_sources(transaction, told, ids)
    ids.last = _lasts(transaction)
    numbers = map(_RELATION_NUMBERS.__getitem__, map(id, relations))
    ranks = map(_RANKS.__getitem__, map(id, grades))
    rows = list(zip(below, above, numbers, sources, ranks, strict=True))
    rows.sort(key=itemgetter(0))  # neighbours in the table are put one after the other
    own = [row for row in rows if row[0] == row[1]] if any(map(eq, below, above)) else []
    rest = [row for row in rows if row[0] != row[1]] if own else rows
    new = _insert(transaction, _EDGE.format("lineage_edge"), rest, _CONFLICT + "NOTHING")
    if new < len(rest):
        new += transaction.run(_RAISE.format("lineage_edge", "lineage_edge"), rest)
    strange = transaction.run(_RAISE.format("lineage_self", "lineage_self"), own)
    if new or strange:
        _grow(transaction)
    return Added(len(batch), new + strange, strange)


def _insert(transaction: Transaction, into: str, rows: Sequence[tuple[Any, ...]], conflict: str = "") -> int:
    """Insert rows of one width, many with each statement; how many were new."""
    if not rows:
        return 0
    width = len(rows[0])
    one = f"({','.join('?' * width)})"
    whole = len(rows) // TOGETHER * TOGETHER
    flat = list(chain.from_iterable(rows[:whole]))
    step = width * TOGETHER
    many = [flat[at : at + step] for at in range(0, len(flat), step)]
    new = transaction.run(f"INSERT {into}{','.join([one] * TOGETHER)}{conflict}", many)
    return new + transaction.run(f"INSERT {into}{one}{conflict}", rows[whole:])


def _index(transaction: Transaction) -> None:
    for index in _INDEXES.values():
        transaction.run(f"CREATE {index}", [()])


def _last(transaction: Transaction, table: str) -> int:
    ((last,),) = transaction.rows(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608 - one of ours
    return int(last)


def _lasts(transaction: Transaction) -> tuple[int, int]:
    return _last(transaction, "lineage_node"), _last(transaction, "lineage_source")


def _number_nodes(transaction: Transaction, columns: Sequence[Sequence[str]], ids: _Ids) -> list[list[int]]:
    """The number of every key; those that are new get the next ones, in the order in which they come."""
    found: list[list[Any]] = [list(map(ids.nodes.get, keys)) for keys in columns]
    missing = _missing(chain.from_iterable(columns), found)
    if missing and not ids.bare:
        sql = "SELECT key, id FROM lineage_node WHERE key IN ({})"
        ids.nodes.update(in_parts(transaction, sql, missing))
        missing = [key for key in missing if key not in ids.nodes]
    last = _last(transaction, "lineage_node") if missing else 0
    fresh = [(last + place, check_key(key), "") for place, key in enumerate(missing, 1)]
    _insert(transaction, "INTO lineage_node (id, key, label) VALUES ", fresh)
    ids.nodes.update(zip(missing, count(last + 1)))
    for keys, column in zip(columns, found, strict=True):
        _fill(column, keys, ids.nodes)
    return found


def _missing(keys: Iterable[_Key], found: Iterable[list[Any]]) -> list[_Key]:
    """The keys without a number, each once."""
    return list(dict.fromkeys(compress(keys, map(_is_none, chain.from_iterable(found)))))


def _fill(found: list[Any], keys: Sequence[_Key], known: dict[_Key, int]) -> None:
    """Put in the numbers that were given meanwhile."""
    for place in list(compress(count(), map(_is_none, found))):
        found[place] = known[keys[place]]


def _number_sources(transaction: Transaction, sources: Sequence[Source], ids: _Ids) -> list[int]:
    """The same for who says it."""
    found: list[Any] = list(map(ids.sources.get, sources))
    missing = _missing(sources, [found])
    if missing and not ids.bare:
        sql = "SELECT id, statement, issuer, time FROM lineage_source WHERE statement IN ({})"
        statements = list({statement for statement, _, _ in missing} - {""})
        rows = list(in_parts(transaction, sql, statements))
        rows += transaction.rows(
            "SELECT id, statement, issuer, time FROM lineage_source WHERE statement = ''"
        )
        ids.sources.update(((statement, issuer, time), one) for one, statement, issuer, time in rows)
        missing = [one for one in missing if one not in ids.sources]
    last = _last(transaction, "lineage_source") if missing else 0
    fresh = [(last + place, *one) for place, one in enumerate(missing, 1)]
    _insert(transaction, "INTO lineage_source (id, statement, issuer, time) VALUES ", fresh)
    ids.sources.update(zip(missing, count(last + 1)))
    _fill(found, sources, ids.sources)
    return found


def _join(
    transaction: Transaction, keys: Sequence[str], grade: Grade, issuer: str, statement: str, label: str
) -> int:
    ids = _Ids()
    _number_nodes(transaction, (keys,), ids)
    first, *others = [ids.nodes[key] for key in dict.fromkeys(keys)]
    if label:
        sql = "UPDATE lineage_node SET label = ? WHERE id = ? AND label = ''"
        transaction.run(sql, [(label[:300], first)])
    source = (statement, issuer, 0)
    _number_sources(transaction, [source], ids)
    transaction.run(
        "INSERT INTO lineage_join (a, b, source, grade) VALUES (?, ?, ?, ?) ON CONFLICT (a, b, source) DO NOTHING",
        [(min(first, one), max(first, one), ids.sources[source], grade.rank) for one in others],
    )
    roots = set(roots_of(transaction, [first, *others]).values())
    root = min(roots)
    if len(roots) == 1:
        return root
    members = list(members_of(transaction, roots - {root}))
    transaction.run(
        "INSERT INTO lineage_alias (id, root) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET root = excluded.root",
        [(member, root) for member in members],
    )
    _grow(transaction)
    return root


def _grow(transaction: Transaction) -> None:
    transaction.run("UPDATE lineage SET grown = grown + 1", [()])
