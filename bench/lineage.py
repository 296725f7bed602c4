"""The lineage's figures: `python bench/lineage.py [NODES]`. A graph of a hub, asked by the index and by plain SQL in turn.

A million nodes: 15 % data sets, 2 % base models, 48 % fine-tunes, 25 % quantised or merged, 10 % deployments; five edges a
node, most of them to the few that are popular. Wall-clock times; `--without-numpy` measures the standard library alone.
"""

import argparse
import hashlib
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from weighbridge.attest.step import Relation
from weighbridge.lineage import Edge, Grade, Lineage, ancestors, descendants, index

SHARES = {"data": 0.15, "base": 0.02, "tuned": 0.48, "quantised": 0.25, "deployed": 0.10}
HOPS = {0: Grade.ATTESTED, 1: Grade.ATTESTED, 2: Grade.DECLARED}


def key(number: int) -> str:
    return f"sha256:{hashlib.sha256(number.to_bytes(8, 'big')).hexdigest()}"


def starts(count: int) -> dict[str, int]:
    found, at = {}, 0
    for name, share in SHARES.items():
        found[name] = at
        at += round(count * share)
    return found | {"end": count}


def graph(count: int) -> Iterator[tuple[int, int, Relation]]:
    """(child, parent, relation), a child's edges together."""
    dice = random.Random(11)
    first = starts(count)
    data, base, tuned, quantised, deployed, end = first.values()

    def some(low: int, high: int, tail: float) -> int:
        return low + int((high - low) * dice.random() ** tail)

    for child in range(base, tuned):
        for _ in range(30):
            yield child, some(data, base, 3.2), Relation.TRAINED_ON
    for child in range(tuned, quantised):
        parent = some(base, tuned, 2.0) if dice.random() < 0.7 else some(tuned, child + 1, 1.2)
        if parent != child:
            yield child, parent, Relation.FINE_TUNED_FROM
        for _ in range(5):
            yield child, some(data, base, 3.2), Relation.TRAINED_ON
    for child in range(quantised, deployed):
        yield child, some(tuned, quantised, 1.5), Relation.QUANTIZED_FROM
        for _ in range(3):
            yield child, some(tuned, quantised, 1.5), Relation.MERGED_FROM
    for child in range(deployed, end):
        for _ in range(5):
            yield child, some(base, deployed, 1.2), Relation.DEPLOYED_AS


def edges(count: int) -> Iterator[Edge]:
    names = [key(number) for number in range(count)]
    statement, known = "", -1
    for child, parent, relation in graph(count):
        if child != known:
            known, statement = child, "sha256:" + names[child][:6:-1]
        yield Edge(
            names[child],
            names[parent],
            relation,
            HOPS[child % 3],
            "ann@example.org",
            statement,
            1_790_000_000,
        )


def seconds(act: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = act()
    return time.perf_counter() - start, found


def plain(file: Path, number: int) -> int:
    """The question as plain SQL asks it."""
    connection = sqlite3.connect(file)
    ((count,),) = connection.execute(
        "WITH RECURSIVE below(id) AS (SELECT ? UNION SELECT e.child FROM lineage_edge e JOIN below b ON e.parent = b.id)"
        " SELECT count(*) - 1 FROM below",
        (number,),
    )
    connection.close()
    return count


def plain_load(file: Path, count: int) -> None:
    """The least that a database can be asked for: pairs of numbers and the index back, without names and statements."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(
        "CREATE TABLE edge (child INTEGER, parent INTEGER, PRIMARY KEY (child, parent)) WITHOUT ROWID"
    )
    connection.executemany(
        "INSERT OR IGNORE INTO edge VALUES (?, ?)", ((child, parent) for child, parent, _ in graph(count))
    )
    connection.execute("CREATE INDEX back ON edge (parent, child)")
    connection.commit()
    connection.close()


def measure(count: int, folder: Path) -> None:
    file = folder / "lineage.db"
    lineage = Lineage(file)
    making, total = seconds(lambda: sum(1 for _ in edges(count)))
    drawing, _ = seconds(lambda: sum(1 for _ in graph(count)))
    bare, _ = seconds(lambda: plain_load(folder / "plain.db", count))
    worked = time.process_time()
    spent, added = seconds(lambda: lineage.add(edges(count)))
    worked = time.process_time() - worked
    built, _ = seconds(lambda: index.load(lineage))
    opened, _ = seconds(lambda: index.load(lineage))
    line("edges stated, distinct", f"{total:,}, {added.new:,}")
    line(
        "load from statements in memory (making them taken off)",
        f"{spent - making:.1f} s, {worked - making:.1f} s of CPU",
    )
    line("pairs of numbers into plain SQL", f"{bare - drawing:.1f} s")
    line("build the index", f"{built:.1f} s")
    line("open the index from its file", f"{opened * 1e3:.0f} ms")
    line(
        "database, index",
        f"{file.stat().st_size / 1e6:.0f} MB, {(folder / 'lineage.db.index').stat().st_size / 1e6:.0f} MB",
    )
    ask(lineage, file, count)


def ask(lineage: Lineage, file: Path, count: int) -> None:
    from weighbridge.lineage import ask as asked

    loaded = index.load(lineage)
    asked.load = lambda *_, **__: loaded  # opened once, as a service has it
    first, dice = starts(count), random.Random(5)

    def flood(number: int) -> Any:
        (start,) = lineage.find([key(number)])
        return asked._Search(loaded, (start,), 2, 0).run()

    worst = max(range(0, first["base"], max(1, first["base"] // 300)), key=lambda n: flood(n).total)
    best = min([worst, 0, 1, 2], key=lambda n: -flood(n).total)
    chosen = {"worst data set": best, "data set 1/3": first["base"] // 3, "base model": first["tuned"] - 5}
    chosen["fine-tune, early"] = first["tuned"] + 50
    for name, number in chosen.items():
        (start,) = lineage.find([key(number)])
        times = [seconds(lambda start=start: asked._Search(loaded, (start,), 2, 0).run()) for _ in range(5)]
        took, reach = statistics.median(t for t, _ in times), times[0][1]
        slow, same = seconds(lambda start=start: plain(file, start))
        assert same == reach.total, (same, reach.total)
        share = f"{reach.total:,} descendants ({reach.total / count:.0%}), {reach.sure:,} for sure"
        line(f"{name}: {share}", f"{took * 1e3:.2f} ms, plain SQL {slow * 1e3:.1f} ms")
    some = [dice.randrange(first["tuned"], first["end"]) for _ in range(300)]
    ids = [lineage.find([key(number)])[0] for number in some]
    typical = [seconds(lambda one=one: asked._Search(loaded, (one,), 2, 0).run())[0] for one in ids]
    slow = statistics.median(seconds(lambda one=one: plain(file, one))[0] for one in ids)
    whole = [seconds(lambda n=n: descendants(lineage, [key(n)], 100))[0] for n in some]
    up = [seconds(lambda n=n: ancestors(lineage, [key(n)], 100))[0] for n in some]
    line(
        "any model's descendants, median",
        f"{statistics.median(typical) * 1e3:.3f} ms, plain SQL {slow * 1e3:.3f} ms",
    )
    line("the same with names and statements of 100 rows", f"{statistics.median(whole) * 1e3:.2f} ms")
    line("any model's ancestors with 100 rows, median", f"{statistics.median(up) * 1e3:.2f} ms")


def line(what: str, figure: str) -> None:
    print(f"{what:<90} {figure}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("nodes", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--without-numpy", action="store_true")
    options = parser.parse_args()
    if options.without_numpy:
        sys.modules["numpy"] = None  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as name:
        measure(options.nodes, Path(name))
