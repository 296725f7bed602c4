"""The transparency log's figures: `python bench/tlog.py [ENTRIES]`. Wall-clock times, all of them with fsync."""

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from weighbridge.tlog.client import LogReader, from_directory
from weighbridge.tlog.entry import EntryKind, LogEntry, write_entry
from weighbridge.tlog.merkle import leaf_hash, verify_inclusion
from weighbridge.tlog.note import Kind, generate_signer
from weighbridge.tlog.policy import KnownLog, LogPolicy
from weighbridge.tlog.publish import publish
from weighbridge.tlog.sequencer import Sequencer
from weighbridge.tlog.targets import DirectoryTarget

BATCH = 10_000
ORIGIN = "bench.example.com/log"


def entry(number: int) -> LogEntry:
    digest = hashlib.sha256(b"%d" % number)
    return LogEntry(
        kind=EntryKind.ATTEST,
        statement=digest.digest(),
        predicate_type="https://slsa.dev/provenance/v1",
        issuer="example.com/ann",
        time=1_790_000_000,
        subjects=(f"sha256:{digest.hexdigest()}",),
    )


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def measure(count: int, folder: Path) -> dict[str, float]:
    """The figures by name."""
    log, signer = Sequencer(folder / "log.db", ORIGIN), generate_signer(ORIGIN, Kind.ED25519)
    spent = 0.0
    for first in range(0, count, BATCH):
        batch = [entry(number) for number in range(first, min(count, first + BATCH))]
        spent += seconds(lambda batch=batch: log.append(batch))
    singles = [entry(-number) for number in range(1, 201)]
    alone = seconds(lambda: [log.append_one(one) for one in singles])
    target = DirectoryTarget(folder / "public")
    public = seconds(lambda: publish(log, target, [signer], now=1_790_000_000))
    policy = LogPolicy(logs=(KnownLog(key=signer.vkey),))
    cold = []
    for number in range(50):
        reader = LogReader(from_directory(folder / "public"), policy)
        head = reader.refresh(1_790_000_000).checkpoint
        index = number * 19_937 % count
        cold.append(seconds(lambda index=index, reader=reader: reader.tree.inclusion(index)))
    proof, leaf = reader.tree.inclusion(index), leaf_hash(write_entry(entry(index)))
    many = seconds(lambda: [verify_inclusion(index, head.size, leaf, proof, head.root) for _ in range(2000)])
    assert verify_inclusion(index, head.size, leaf, proof, head.root)
    tree = sum(file.stat().st_size for file in (folder / "public/tile").rglob("*") if file.is_file())
    bundles = sum(
        file.stat().st_size for file in (folder / "public/tile/entries").rglob("*") if file.is_file()
    )
    log.close()
    return {
        "entries": head.size,
        "append, batches of 10,000, entries/s": count / spent,
        "append, durable singles/s": len(singles) / alone,
        "publish the whole log, entries/s": head.size / public,
        "inclusion proof, cold, ms (median)": sorted(cold)[len(cold) // 2] * 1e3,
        "verify inclusion, µs": many / 2000 * 1e6,
        "tree, bytes an entry": (tree - bundles) / head.size,
        "entry, bytes an entry": bundles / head.size,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for what, value in measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, Path(name)).items():
            print(f"{what:40} {value:14,.2f}")
