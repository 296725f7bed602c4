"""pymerkle's figures, in a process and an environment of its own: `tlog_peer.py ENTRIES FOLDER`, JSON on stdout.

A tree in SQLite in that library's fastest way (`append_entries`), and one entry at a time; SQLite's own default is
synchronous=FULL with a rollback journal, so that a batch and a single are durable when they return.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

from pymerkle import SqliteTree, verify_inclusion

BATCH = 10_000


def text(number: int) -> bytes:
    """Some 330 bytes, as an entry of ours has."""
    return (hashlib.sha256(b"%d" % number).hexdigest() * 6)[:330].encode()


def main(count: int, folder: Path) -> dict[str, float]:
    """The figures by name."""
    tree, spent = SqliteTree(str(folder / "pymerkle.db")), 0.0
    for first in range(0, count, BATCH):
        batch = [text(number) for number in range(first, min(count, first + BATCH))]
        start = time.perf_counter()
        tree.append_entries(batch)
        spent += time.perf_counter() - start
    start = time.perf_counter()
    for number in range(200):
        tree.append_entry(text(-1 - number))
    alone = time.perf_counter() - start
    tree.close()
    cold = []
    for number in range(5):
        tree = SqliteTree(str(folder / "pymerkle.db"))
        start = time.perf_counter()
        proof = tree.prove_inclusion(number * 19_937 % count + 1)
        cold.append(time.perf_counter() - start)
        base, root = tree.get_leaf(number * 19_937 % count + 1), tree.get_root()
        tree.close()
    start = time.perf_counter()
    for _ in range(500):
        verify_inclusion(base, root, proof)
    verify = (time.perf_counter() - start) / 500
    return {
        "append": count / spent,
        "single": 200 / alone,
        "prove": sorted(cold)[2] * 1e3,
        "verify": verify * 1e6,
        "bytes": (folder / "pymerkle.db").stat().st_size / (count + 200),
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), Path(sys.argv[2]))))
