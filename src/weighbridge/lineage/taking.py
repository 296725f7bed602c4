"""Taking edges in: nodes and sources get numbers, an edge that is there already stays, and a grade only rises."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, compress, count
from operator import eq, is_, itemgetter
from typing import Any, NamedTuple, TypeVar

from weighbridge.core.database import Transaction
from weighbridge.lineage.edge import NUMBERS, Edge, Grade
from weighbridge.lineage.nodes import check_key, in_parts, members_of, roots_of

MANY = 10_000
"""From so many edges at once on, an empty graph is filled without its indexes."""
_INDEXES = {
    "lineage_node_by_key": "UNIQUE INDEX IF NOT EXISTS lineage_node_by_key ON lineage_node (key)",
    "lineage_source_by_key": (
        "UNIQUE INDEX IF NOT EXISTS lineage_source_by_key ON lineage_source (statement, issuer, time)"
    ),
    "lineage_edge_by_parent": "INDEX IF NOT EXISTS lineage_edge_by_parent ON lineage_edge (parent, child)",
}
"""Left out while an empty graph is filled: it is quicker to make them when all is there. Opening a graph makes them too."""
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


Source = tuple[str, str, int]
"""(statement, issuer, time)."""
_Key = TypeVar("_Key", str, Source)
_is_none = partial(is_, None)
_RELATION_NUMBERS = {id(relation): number for relation, number in NUMBERS.items()}
_RANKS = {id(grade): grade.rank for grade in Grade}
"""By the members themselves: to hash one costs more than all else that is done for an edge."""


@contextmanager
def no_garbage() -> Iterator[None]:
    """Millions of tuples are made and let go in no circles: to look through them takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Ids:
    """Numbers that were looked up or given out, for as long as one writing takes."""

    def __init__(self) -> None:
        self.nodes: dict[str, int] = {}
        self.sources: dict[Source, int] = {}
        self.bare = False
        """Whether the graph was empty: then nothing is there that is not known here, and the indexes wait."""
        self.last = (0, 0)
        """The highest numbers as we left them; where they are others, somebody else has written too."""


def put(transaction: Transaction, batch: list[Edge], ids: Ids) -> Added:
    """One batch of edges. Raises `InputError` (`bad-node`)."""
    if len(batch) >= MANY and not ids.bare and not _last(transaction, "lineage_node"):
        ids.bare = True
        for name in _INDEXES:
            transaction.run(f"DROP INDEX IF EXISTS {name}", [()])
    elif ids.bare and ids.last != _lasts(transaction):
        ids.bare = False
        make_indexes(transaction)
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
        grow(transaction)
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


def make_indexes(transaction: Transaction) -> None:
    """Those that are missing."""
    for index in _INDEXES.values():
        transaction.run(f"CREATE {index}", [()])


def _last(transaction: Transaction, table: str) -> int:
    ((last,),) = transaction.rows(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608 - one of ours
    return int(last)


def _lasts(transaction: Transaction) -> tuple[int, int]:
    return _last(transaction, "lineage_node"), _last(transaction, "lineage_source")


def _number_nodes(transaction: Transaction, columns: Sequence[Sequence[str]], ids: Ids) -> list[list[int]]:
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


def _number_sources(transaction: Transaction, sources: Sequence[Source], ids: Ids) -> list[int]:
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


def join(
    transaction: Transaction, keys: Sequence[str], grade: Grade, issuer: str, statement: str, label: str
) -> int:
    """Make these keys one node; its number. Raises `InputError` (`bad-node`)."""
    ids = Ids()
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
    grow(transaction)
    return root


def grow(transaction: Transaction) -> None:
    """The graph is another one than before: copies of it are old."""
    transaction.run("UPDATE lineage SET grown = grown + 1", [()])
