"""The edges once more, as arrays in a file: what "all that descends from this" is answered from in milliseconds.

    header   "weighbridge lineage index 1\\n", JSON with the graph's identity, how often it had grown, the counts, a BLAKE3
    arrays   for each of four ways (up for sure, up perhaps, down for sure, down perhaps): n+2 starts, then neighbours,
             32-bit, as this machine orders bytes (https://en.wikipedia.org/wiki/Sparse_matrix, compressed rows)

A copy and never the truth: one that is missing, damaged, or of an older state is made again from SQL. Evaluations and tools
are no descent and do not stand here. Needs nothing but the standard library; with numpy the big floods are quicker.
"""

import mmap
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, compress, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.core.durable import write_file
from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.wire import read_json, write_json
from weighbridge.lineage.edge import LEADING, RELATIONS, SURE

if TYPE_CHECKING:
    from weighbridge.core.database import Transaction
    from weighbridge.lineage.graph import Lineage

MAGIC = b"weighbridge lineage index 1\n"
MAX_HEADER = 4096
WAYS = ("up-sure", "up-perhaps", "down-sure", "down-perhaps")
_EDGES = "child, parent, MAX(CASE WHEN grade >= {sure} THEN 1 ELSE 0 END)"
WIDE = 4096
"""Nodes of one round from which on numpy is quicker."""


class Index:
    """Neighbours of every node, by its number."""

    def __init__(self, last: int, arrays: Sequence[Any], held: Any = None) -> None:
        """`last`: the highest number. `arrays`: starts and neighbours of each of the `WAYS` in turn."""
        self.last = last
        self._starts, self._near = list(arrays[0::2]), list(arrays[1::2])
        self._held = held

    def spread(self, nodes: Iterable[int], way: int) -> Iterator[tuple[int, Sequence[int]]]:
        """(node, its neighbours) for each that has any; `way` is a place in `WAYS`."""
        starts, near = self._starts[way], self._near[way]
        for node in nodes:
            first, end = starts[node], starts[node + 1]
            if first != end:
                yield node, near[first:end]

    def is_empty(self, way: int) -> bool:
        """Whether no edge leads this way at all."""
        return not len(self._near[way])

    def round(self, frontier: Any, way: int, seen: bytearray) -> tuple[Any, bool]:
        """The neighbours of all these that are not `seen`, which are marked with 1; and whether an edge leads to a goal.

        Goals are marked with 3. What comes back is a list or an array of numpy, and either may be given again.
        """
        np = _numpy() if len(frontier) >= WIDE else None
        if np is None:
            return self._narrow(frontier, way, seen)
        return self._wide(np, frontier, way, seen)

    def _narrow(self, frontier: Any, way: int, seen: bytearray) -> tuple[list[int], bool]:
        starts, near = self._starts[way], self._near[way]
        nodes = frontier if isinstance(frontier, list) else frontier.tolist()
        fresh: list[int] = []
        met = False
        for node in nodes:
            for other in near[starts[node] : starts[node + 1]]:
                mark = seen[other]
                if not mark:
                    seen[other] = 1
                    fresh.append(other)
                elif mark == 3:
                    met = True
        return fresh, met

    def _wide(self, np: Any, frontier: Any, way: int, seen: bytearray) -> tuple[Any, bool]:
        starts, near = (np.frombuffer(one, np.int32) for one in (self._starts[way], self._near[way]))
        nodes = np.asarray(frontier, dtype=np.int32)
        first = starts[nodes]
        counts = starts[nodes + 1] - first
        total = int(counts.sum())
        if not total:
            return [], False
        before = np.cumsum(counts, dtype=np.int32) - counts
        reached = near[np.repeat(first - before, counts) + np.arange(total, dtype=np.int32)]
        marks = np.frombuffer(seen, np.uint8)
        known = marks[reached]
        fresh = reached[known == 0]
        marks[fresh] = 2  # each once and in order: cheaper than sorting them, where there are many
        once = np.flatnonzero(marks == 2) if len(fresh) * 64 > len(marks) else np.unique(fresh)
        marks[once] = 1
        return once, bool((known == 3).any())


def load(lineage: "Lineage", *, build: bool = True) -> Index | None:
    """The index of the graph as it is now: from its file, or, with `build`, made; None where it would have to be made."""
    identity, grown = lineage.state()
    found = _read(lineage.cache, identity, grown) if lineage.cache else None
    if found is not None or not build:
        return found
    index = make(lineage)
    if lineage.cache is not None:
        _write(lineage.cache, index, identity, grown)
    return index


def make(lineage: "Lineage") -> Index:
    """The index, from SQL."""
    with lineage.reading() as transaction:
        ((last,),) = transaction.rows("SELECT coalesce(max(id), 0) FROM lineage_node")
        roots: dict[int, int] = dict(transaction.rows("SELECT id, root FROM lineage_alias"))
        if _numpy() is not None:
            return Index(last, _with_numpy(transaction, last, roots))
        return Index(last, _without(transaction, last, merged=bool(roots)))


# ------------------------------------------------------------------------------------------------------- making it


def _flat(transaction: "Transaction", sql: str) -> "array[int]":
    return array("i", chain.from_iterable(transaction.each(sql)))


def _leading() -> str:
    return " AND ".join(f"relation <> {number}" for number in range(len(RELATIONS)) if number not in LEADING)


def _without(transaction: "Transaction", last: int, *, merged: bool) -> "list[array[int]]":
    """By the database's own sorting."""
    chosen = _EDGES.format(sure=SURE)
    table = f"lineage_edge WHERE {_leading()}"
    if merged:
        one = "coalesce(c.root, e.child)"
        other = "coalesce(p.root, e.parent)"
        table = (
            f"(SELECT {one} AS child, {other} AS parent, e.grade AS grade FROM lineage_edge e"  # noqa: S608
            " LEFT JOIN lineage_alias c ON c.id = e.child LEFT JOIN lineage_alias p ON p.id = e.parent"
            f" WHERE {_leading()} AND {one} <> {other}) AS edge"
        )
    arrays: list[array[int]] = []
    for near, far in (("child", "parent"), ("parent", "child")):
        rows = _flat(
            transaction,
            f"SELECT {chosen} FROM {table} GROUP BY {near}, {far} ORDER BY {near}, {far}",  # noqa: S608
        )
        arrays += _ways(rows[near == "parent" :: 3], rows[near == "child" :: 3], rows[2::3], last)
    return arrays


def _ways(near: "array[int]", far: "array[int]", sure: "array[int]", last: int) -> "Iterator[array[int]]":
    """Starts and neighbours, of the sure ones and of the others; everything sorted by `near`."""
    for wanted in (sure, array("i", (1 - one for one in sure))):
        counts = Counter(compress(near, wanted))
        yield array("i", chain((0,), accumulate(map(counts.get, range(last + 1), repeat(0)))))
        yield array("i", compress(far, wanted))


def _with_numpy(transaction: "Transaction", last: int, roots: dict[int, int]) -> list[Any]:
    np = _numpy()
    # One number a row: to make fewer values is most of what can be saved here.
    packed = f"(child * 4294967296 + parent) * 2 + CASE WHEN grade >= {SURE} THEN 1 ELSE 0 END"
    rows = transaction.each(f"SELECT {packed} FROM lineage_edge WHERE {_leading()}")  # noqa: S608 - numbers of ours
    values = np.frombuffer(array("q", chain.from_iterable(rows)), np.int64)
    sure, child, parent = values & 1 == 1, values >> 33, values >> 1 & 0xFFFFFFFF
    if roots:
        one = np.arange(last + 1, dtype=np.int64)
        one[list(roots)] = list(roots.values())
        child, parent = one[child], one[parent]
        keep = child != parent
        child, parent, sure = child[keep], parent[keep], sure[keep]
    arrays: list[Any] = []
    for near, far in ((child, parent), (parent, child)):
        pairs = near << 33 | far << 1 | ~sure  # of one pair, the sure edge comes first
        pairs.sort()
        first = np.ones(len(pairs), np.bool_)
        np.not_equal(pairs[1:] >> 1, pairs[:-1] >> 1, out=first[1:])
        pairs = pairs[first]
        doubtful = pairs & 1 == 1
        for some in (pairs[~doubtful], pairs[doubtful]):
            starts = np.zeros(last + 2, np.int32)
            np.cumsum(np.bincount(some >> 33, minlength=last + 1), out=starts[1:])
            arrays += [_array(starts), _array((some >> 1 & 0xFFFFFFFF).astype(np.int32))]
    return arrays


def _array(values: Any) -> "array[int]":
    made = array("i")
    made.frombytes(values.tobytes())
    return made


_NUMPY: list[Any] = []


def _numpy() -> Any:
    """numpy where it is installed; None where it is not."""
    if not _NUMPY:
        try:
            import numpy as np
        except ImportError:
            _NUMPY.append(None)
        else:
            _NUMPY.append(np)
    return _NUMPY[0]


# ------------------------------------------------------------------------------------------------------- its file


def _write(path: Path, index: Index, identity: bytes, grown: int) -> None:
    """Leave it for the next time; where that cannot be done it is made again then, and nothing fails for it."""
    from blake3 import blake3

    arrays = [one for pair in zip(index._starts, index._near, strict=True) for one in pair]
    body = b"".join(one.tobytes() for one in arrays)
    header = write_json(
        {
            "identity": identity.hex(), "grown": grown, "last": index.last, "order": sys.byteorder,
            "lengths": [len(one) for one in arrays], "blake3": blake3(body).hexdigest(),
        }
    )  # fmt: skip
    data = MAGIC + header + b"\n"
    data += b" " * (-len(data) % 64)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data + body, mode=0o600)
    except (OSError, WeighbridgeError):
        return


def _read(path: Path, identity: bytes, grown: int) -> Index | None:
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    end = mapped.find(b"\n", len(MAGIC), MAX_HEADER)
    if mapped[: len(MAGIC)] != MAGIC or end < 0:
        return None
    try:
        header = read_json(mapped[len(MAGIC) : end], "the index")
        if (header["identity"], header["grown"], header["order"]) != (identity.hex(), grown, sys.byteorder):
            return None
        lengths, last = [int(one) for one in header["lengths"]], int(header["last"])
    except (WeighbridgeError, KeyError, TypeError, ValueError):
        return None
    start = -(-(end + 1) // 64) * 64
    if len(mapped) != start + 4 * sum(lengths) or len(lengths) != 2 * len(WAYS):
        return None
    from blake3 import blake3

    body = memoryview(mapped)[start:]
    if blake3(body).hexdigest() != header.get("blake3"):
        return None
    views, at = [], 0
    for length in lengths:
        view: Any = body[at : at + 4 * length].cast("i")
        # Without numpy all is done item by item, and an array gives its items twice as quickly as a view of the file.
        views.append(view if _numpy() is not None else array("i", view.tobytes()))
        at += 4 * length
    return Index(last, views, mapped)
