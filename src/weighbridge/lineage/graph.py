"""The graph in SQL, the truth: nodes, what is one with what, and every edge that anybody ever stated.

Rows are added and never changed, but for a grade that rises. Taking the same edge in again changes nothing. One writer at a
time; every batch is one transaction, so that being killed loses at most the last batch, and giving the same again
completes it. Self-parents are kept apart, where no question can stumble over them.
"""

import secrets
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path

from weighbridge.core.database import Database, Purpose, Row, Transaction, open_database
from weighbridge.core.errors import UsageError
from weighbridge.lineage import taking
from weighbridge.lineage.edge import GRADES, NAMES, NUMBERS, RELATIONS, Edge, Grade, Link, Node
from weighbridge.lineage.nodes import in_parts, members_of, roots_of
from weighbridge.lineage.taking import Added

SCHEMA = 1
CODE = "lineage-database"
PURPOSE = Purpose(name="the lineage", code=CODE, turn=2, mkdir=True)
BATCH = 100_000
"""Edges of one transaction."""
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
            taking.make_indexes(transaction)
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
        ids = taking.Ids()
        try:
            with taking.no_garbage():
                while batch := list(islice(source, BATCH)):
                    with self.writing() as transaction:
                        added = added.plus(taking.put(transaction, batch, ids))
        finally:
            if ids.last != (0, 0):
                with self.writing() as transaction:
                    taking.make_indexes(transaction)
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
            return taking.join(transaction, keys, grade, issuer, statement, label)

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
            taking.grow(transaction)
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


def _edge(row: Row) -> Edge:
    _, _, relation, grade, issuer, statement, time, child, parent = row
    return Edge(child, parent, RELATIONS[relation], GRADES[grade], issuer, statement, time)


def _best_first(edge: Edge) -> tuple[int, str, str, str]:
    return -edge.grade.rank, edge.relation.value, edge.issuer, edge.statement
