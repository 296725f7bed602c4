"""Questions to a lineage: what is this made of, what came of it, how do two things hang together?

Every answer says which part is known "for sure" (a way whose every edge somebody trusted has signed, or that was done
again) and which is only "perhaps". Rows are bounded and the totals are not. Small questions are answered from SQL as it
stands; big ones from the index, which is made again first where the graph has grown.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from weighbridge.core.value import dataclass
from weighbridge.lineage.edge import LEADING, NUMBERS, SURE, Edge, Grade, Link, Node
from weighbridge.lineage.graph import Lineage
from weighbridge.lineage.index import load
from weighbridge.lineage.nodes import in_parts, members_of, roots_of

if TYPE_CHECKING:
    from weighbridge.core.database import Transaction

LIMIT = 1000
"""Rows of an answer, unless more are asked for."""
SHALLOW = 5_000
"""Nodes that are looked through in SQL before the index is worth to be made."""
MAX_CIRCLE = 20_000
"""Nodes that are looked through for a circle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One row of an answer."""

    node: Node
    sure: bool
    """Whether some way to it is known for sure; the way of `nearer` is one then."""
    depth: int
    """Hops from what was asked about, on the way of `nearer`."""
    nearer: int
    """The number of the node before it on the way."""
    edges: tuple[Edge, ...]
    """What was stated about the two, best first."""

    @property
    def trusted(self) -> tuple[str, ...]:
        """Who vouches for the edge: distinct identities, however many statements each of them signed."""
        return trusted(self.edges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a question brought."""

    starts: tuple[Node, ...]
    """What was asked about; () where the lineage does not know it."""
    rows: tuple[Found, ...] = ()
    """The nearest, sure ones first."""
    total: int = 0
    """How many there are, whether in `rows` or not."""
    sure: int = 0
    """How many of these for sure."""
    circle: tuple[Node, ...] = ()
    """Where something is said to be its own ancestor: the way around, from a start back to before it."""
    circular: bool = False
    selves: tuple[Edge, ...] = ()
    """Statements that one of the starts is its own parent: recorded, and no part of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How two things hang together."""

    nodes: tuple[Node, ...]
    """From the descendant to the ancestor."""
    hops: tuple[tuple[Edge, ...], ...]
    """Between each two of them, best first."""
    sure: bool


def trusted(edges: Iterable[Edge]) -> tuple[str, ...]:
    """The distinct identities behind what is known for sure."""
    return tuple(sorted({edge.issuer for edge in edges if edge.grade.is_sure}))


def ancestors(lineage: Lineage, keys: Iterable[str], limit: int = LIMIT) -> Answer:
    """What the thing with any of these keys is made of."""
    return _ask(lineage, keys, 0, limit)


def descendants(lineage: Lineage, keys: Iterable[str], limit: int = LIMIT) -> Answer:
    """What came of it."""
    return _ask(lineage, keys, 2, limit)


def way(lineage: Lineage, one: Iterable[str], other: Iterable[str]) -> Way | None:
    """The shortest way from one to the other, whichever descends from which: a sure one where there is one."""
    first, second = lineage.find(one), lineage.find(other)
    if not first or not second or set(first) & set(second):
        return None
    for starts, goals in ((first, second), (second, first)):
        for ways in ((0,), (0, 1)):
            found = _with_graph(lineage, lambda graph, s=starts, g=goals, w=ways: _way(graph, s, g, w))
            if found:
                return _told(lineage, found, sure=ways == (0,))
    return None


class Direction(StrEnum):
    """What one of two kin is to the other, by what is stated of them."""

    ANCESTOR = "ancestor"
    DESCENDANT = "descendant"
    UNKNOWN = "unknown"
    """Nothing is stated, or both."""


def direction(lineage: Lineage, one: Sequence[int], other: int) -> Direction:
    """What the node `other` is to the nodes `one`. Likeness itself has no direction and decides nothing here."""
    with lineage.reading() as transaction:
        try:
            graph = Live(transaction, MAX_CIRCLE, _STEPS_ALONE, Grade.INFERRED)
            above = bool(_way(graph, one, (other,), (0, 1)))
            below = bool(_way(graph, (other,), one, (0, 1)))
        except TooMuchError:
            return Direction.UNKNOWN
    if above == below:
        return Direction.UNKNOWN
    return Direction.ANCESTOR if above else Direction.DESCENDANT


# ------------------------------------------------------------------------------------------------------ the search


class Graph(Protocol):
    """Neighbours, from SQL or from the index. A way is a place in `index.WAYS`."""

    last: int

    def spread(self, nodes: Iterable[int], way: int) -> Iterator[tuple[int, Sequence[int]]]:
        """(node, its neighbours) for each that has any."""

    def is_empty(self, way: int) -> bool:
        """Whether no edge leads this way at all, as far as is known."""

    def round(self, frontier: Any, way: int, seen: bytearray) -> tuple[Any, bool]:
        """See `index.Index.round`."""


class TooMuchError(Exception):
    """More than is looked through in SQL."""


class Live:
    """Neighbours straight from SQL, as they are now."""

    def __init__(
        self,
        transaction: "Transaction",
        most: int,
        leading: frozenset[int] = LEADING,
        without: Grade | None = None,
    ) -> None:
        ((self.last,),) = transaction.rows("SELECT coalesce(max(id), 0) FROM lineage_node")
        self._transaction, self._left = transaction, most
        self._which = f"relation IN ({','.join(map(str, sorted(leading)))})"
        self._which += f" AND grade <> {without.rank}" if without else ""
        self._known: dict[tuple[bool, int], tuple[list[int], list[int]]] = {}

    def spread(self, nodes: Iterable[int], way: int) -> Iterator[tuple[int, Sequence[int]]]:
        """See `Graph`. Raises `TooMuchError`."""
        down, doubtful = way >= 2, way % 2
        wanted = list(nodes)
        self._ask([node for node in wanted if (down, node) not in self._known], down)
        for node in wanted:
            near = self._known[down, node][doubtful]
            if near:
                yield node, near

    def is_empty(self, way: int) -> bool:
        """See `Graph`."""
        return False

    def round(self, frontier: Any, way: int, seen: bytearray) -> tuple[Any, bool]:
        """Nothing is flooded here."""
        raise TooMuchError

    def _ask(self, nodes: list[int], down: bool) -> None:
        self._left -= len(nodes)
        if self._left < 0:
            raise TooMuchError
        members = members_of(self._transaction, nodes)
        near, far = ("parent", "child") if down else ("child", "parent")
        sql = (
            f"SELECT {near}, {far}, MAX(grade) FROM lineage_edge WHERE {near} IN ({{}})"  # noqa: S608 - ours
            f" AND {self._which} GROUP BY {near}, {far}"
        )
        rows = list(in_parts(self._transaction, sql, list(members)))
        if len(rows) > 20 * SHALLOW:
            raise TooMuchError
        roots = roots_of(self._transaction, [row[1] for row in rows])
        best: dict[int, dict[int, int]] = {node: {} for node in nodes}
        for one, other, grade in rows:
            mine, theirs = members[one], roots[other]
            if mine != theirs:
                best[mine][theirs] = max(grade, best[mine].get(theirs, 0))
        for node, found in best.items():
            sure = [other for other, grade in found.items() if grade >= SURE]
            self._known[down, node] = (sure, [other for other, grade in found.items() if grade < SURE])


class _Step(NamedTuple):
    node: int
    nearer: int
    sure: bool
    depth: int


class _Reach(NamedTuple):
    steps: list[_Step]
    total: int
    sure: int
    circular: bool


class _Search:
    """One flood from the starts: first along what is sure, then along everything else."""

    def __init__(self, graph: Graph, starts: Sequence[int], down: int, limit: int) -> None:
        self._graph, self._starts, self._down, self._limit = graph, list(starts), down, limit
        self._goals = frozenset(starts)
        self._seen = bytearray(graph.last + 1)
        for start in starts:
            self._seen[start] = 3
        self._steps: list[_Step] = []
        self._circular = False

    def run(self) -> _Reach:
        certain, doubtful = self._down, self._down + 1
        parts = self._flood([self._starts], (certain,), (certain,), sure=True)
        sure = sum(map(len, parts))
        total = sure
        if not self._graph.is_empty(doubtful):
            first = [self._starts, *parts]
            total += sum(map(len, self._flood(first, (doubtful,), (certain, doubtful), sure=False)))
        return _Reach(self._steps, total, sure, self._circular)

    def _flood(
        self, frontier: list[Any], ways: tuple[int, ...], then: tuple[int, ...], *, sure: bool
    ) -> list[Any]:
        """Round after round. A round's nodes come in parts, as the search has found them."""
        found: list[Any] = []
        depth = 0
        while frontier:
            depth += 1
            fresh = [part for way in ways for part in self._round(frontier, way, depth, sure=sure)]
            frontier, ways = [part for part in fresh if len(part)], then
            found += frontier
        return found

    def _round(self, frontier: list[Any], way: int, depth: int, *, sure: bool) -> Iterator[Any]:
        for part in frontier:
            if len(self._steps) < self._limit:
                yield self._step_by_step(part, way, depth, sure=sure)
            else:
                fresh, met = self._graph.round(part, way, self._seen)
                # From one start to another is no circle: a name and its revisions are asked about together.
                self._circular = self._circular or (met and part is not self._starts)
                yield fresh

    def _step_by_step(self, part: Any, way: int, depth: int, *, sure: bool) -> list[int]:
        """The same with the way to each, for as many as are shown."""
        fresh: list[int] = []
        nodes = part if isinstance(part, list) else part.tolist()
        for node, near in self._graph.spread(nodes, way):
            for other in near:
                mark = self._seen[other]
                if mark == 0:
                    self._seen[other] = 1
                    fresh.append(other)
                    if len(self._steps) < self._limit:
                        self._steps.append(_Step(other, node, sure, depth))
                elif mark == 3 and node not in self._goals:
                    self._circular = True
        return fresh


def _way(
    graph: Graph, starts: Sequence[int], goals: Sequence[int], ways: tuple[int, ...], *, around: bool = False
) -> list[int]:
    """The numbers from a start to a goal; [] where there is no way. `around`: back to the start itself."""
    wanted = set(goals)
    before: dict[int, int] = dict.fromkeys(starts, 0)
    frontier = list(starts)
    while frontier:
        fresh: list[int] = []
        for way in ways:
            for node, near in graph.spread(frontier, way):
                for other in near:
                    if other in wanted and (around or other not in before):
                        return _back(before, node, [other])
                    if other not in before:
                        before[other] = node
                        fresh.append(other)
        frontier = fresh
    return []


def _back(before: dict[int, int], node: int, path: list[int]) -> list[int]:
    while node:
        path.append(node)
        node = before[node]
    return path[::-1]


def _with_graph(lineage: Lineage, search: Any) -> Any:
    """Ask the index where it is good; else SQL; and make the index anew where that is too much."""
    index = load(lineage, build=False)
    if index is None:
        try:
            with lineage.reading() as transaction:
                return search(Live(transaction, SHALLOW))
        except TooMuchError:
            index = load(lineage)
    return search(index)


# ------------------------------------------------------------------------------------------------------ the answer


def _ask(lineage: Lineage, keys: Iterable[str], down: int, limit: int) -> Answer:
    starts = lineage.find(keys)
    if not starts:
        return Answer(starts=())
    reach: _Reach = _with_graph(lineage, lambda graph: _Search(graph, starts, down, limit).run())
    circular, circle = _circle(lineage, starts) if reach.circular else (False, ())
    nodes = lineage.nodes([*starts, *(step.node for step in reach.steps), *circle])
    pairs = {
        step: (step.nearer, step.node) if down == 0 else (step.node, step.nearer) for step in reach.steps
    }
    edges = lineage.edges(list(pairs.values()))
    return Answer(
        starts=tuple(nodes[one] for one in starts),
        rows=tuple(
            Found(
                node=nodes[step.node],
                sure=step.sure,
                depth=step.depth,
                nearer=step.nearer,
                edges=edges.get(pairs[step], ()),
            )
            for step in reach.steps
        ),
        total=reach.total,
        sure=reach.sure,
        circle=tuple(nodes[one] for one in circle),
        circular=circular,
        selves=lineage.selves(starts),
    )


_STEPS_ALONE = LEADING - {NUMBERS[Link.SAME_AS], NUMBERS[Link.KIN]}
"""The edges that say which came first."""


def _circle(lineage: Lineage, starts: Sequence[int]) -> tuple[bool, tuple[int, ...]]:
    """The way from a start back to itself. Two that are said to be the same, or are kin, are no circle."""
    with lineage.reading() as transaction:
        graph = Live(transaction, MAX_CIRCLE, _STEPS_ALONE)
        try:
            ways = ((one, _way(graph, (one,), (one,), (0, 1), around=True)) for one in starts)
            found = next((path for _, path in ways if path), [])
        except TooMuchError:
            return True, ()
    return bool(found), tuple(found[:-1])


def _told(lineage: Lineage, path: Sequence[int], *, sure: bool) -> Way:
    nodes = lineage.nodes(path)
    pairs = list(pairwise(path))
    edges = lineage.edges(pairs)
    return Way(
        nodes=tuple(nodes[one] for one in path), hops=tuple(edges.get(pair, ()) for pair in pairs), sure=sure
    )
