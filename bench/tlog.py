"""The transparency log's figures, beside pymerkle's: `python bench/tlog.py [--entries 1000000] [--write]`.

Wall-clock times in one run, all appends with fsync. pymerkle (GPL) runs as a process of its own out of `.venv-peers`, where
it is installed, on entries of the same length; it keeps no index of what is there already and no tree, so it appends
more quickly and proves more slowly. Nothing here passes or fails. `--write` puts the table into docs/benchmarks.md.
"""

import argparse
import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from page import write_section

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
NOW = 1_790_000_000
ROOT = Path(__file__).parents[1]
PEER = ROOT / ".venv-peers/bin/python"

ROWS = (
    ("append", "append, batches of 10,000, entries/s", "≥ 50,000"),
    ("single", "append, durable singles/s", "≥ 200"),
    ("publish", "publish the whole log, entries/s", ""),
    ("prove", "inclusion proof, cold, ms", "≤ 2"),
    ("verify", "verify inclusion, µs", "≤ 50"),
    ("tree", "tree, bytes an entry", "≤ 33"),
    ("bytes", "database, bytes an entry", ""),
)


def entry(number: int) -> LogEntry:
    """One with one subject, as most have."""
    digest = hashlib.sha256(b"%d" % number)
    return LogEntry(
        kind=EntryKind.ATTEST,
        statement=digest.digest(),
        predicate_type="https://slsa.dev/provenance/v1",
        issuer="example.com/ann",
        time=NOW,
        subjects=(f"sha256:{digest.hexdigest()}",),
    )


def seconds(act: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def appended(log: Sequencer, count: int) -> dict[str, float]:
    """Batches, then singles."""
    spent = 0.0
    for first in range(0, count, BATCH):
        batch = [entry(number) for number in range(first, min(count, first + BATCH))]
        spent += seconds(lambda batch=batch: log.append(batch))
    singles = [entry(-number) for number in range(1, 201)]
    alone = seconds(lambda: [log.append_one(one) for one in singles])
    return {"append": count / spent, "single": len(singles) / alone}


def proved(public: Path, policy: LogPolicy, count: int) -> dict[str, float]:
    """Proofs by readers who have read nothing but the head, and their verification."""
    cold = []
    for number in range(50):
        reader = LogReader(from_directory(public), policy)
        head = reader.refresh(NOW).checkpoint
        index = number * 19_937 % count
        cold.append(seconds(lambda index=index, reader=reader: reader.tree.inclusion(index)))
    proof, leaf = reader.tree.inclusion(index), leaf_hash(write_entry(entry(index)))
    many = seconds(lambda: [verify_inclusion(index, head.size, leaf, proof, head.root) for _ in range(2000)])
    assert verify_inclusion(index, head.size, leaf, proof, head.root)
    return {"prove": sorted(cold)[len(cold) // 2] * 1e3, "verify": many / 2000 * 1e6}


def size(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def measure(count: int, folder: Path) -> dict[str, float]:
    """Ours, by name."""
    log, signer = Sequencer(folder / "log.db", ORIGIN), generate_signer(ORIGIN, Kind.ED25519)
    found = appended(log, count)
    target, total = DirectoryTarget(folder / "public"), log.head().size
    found["publish"] = total / seconds(lambda: publish(log, target, [signer], now=NOW))
    log.close()
    found |= proved(folder / "public", LogPolicy(logs=(KnownLog(key=signer.vkey),)), count)
    tiles = folder / "public/tile"
    found["tree"] = (size(tiles) - size(tiles / "entries")) / total
    found["bytes"] = (folder / "log.db").stat().st_size / total
    return found


def measure_peer(count: int, folder: Path) -> dict[str, float] | None:
    """pymerkle's, by the same names; None where it is not installed."""
    here = PEER.exists() and not subprocess.run([PEER, "-c", "import pymerkle"], stderr=-3).returncode
    if not here:
        return None
    program = Path(__file__).with_name("tlog_peer.py")
    done = subprocess.run([PEER, program, str(count), folder], check=True, stdout=-1, stderr=-3)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        ours = measure(options.entries, Path(name))
        theirs = measure_peer(options.entries, Path(name))
    lines = [f"## The transparency log, {options.entries:,} entries", ""]
    lines += ["| | weighbridge | goal | pymerkle 7 in SQLite |", "|---|---:|---:|---:|"]
    for key, what, goal in ROWS:
        peer = f"{theirs[key]:,.2f}" if theirs and key in theirs else ""
        lines.append(f"| {what} | {ours[key]:,.2f} | {goal} | {peer} |")
    lines += [
        "" if theirs else "\npymerkle is not installed in .venv-peers.",
        "Every append is on the disk when it returns. pymerkle keeps entries and their hashes, neither a tree nor an index of what is there",
        "already: it appends more quickly, and computes a proof from all leaves.",
    ]
    print("\n".join(lines))
    if options.write:
        write_section("tlog", lines)


if __name__ == "__main__":
    main()
