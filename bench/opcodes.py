"""What a pickle of a million opcodes costs, mix by mix: `python bench/opcodes.py [--opcodes N] [--write] [WORD …]`.

Every opcode, every kind of callee and every kind of state has a mix of its own, written the same each time and, where that
matters, different each time. Each is scanned in a process of its own: executed, judged, reported. Beside it stands
`pickletools.genops` of CPython, which only takes the same bytes apart. The goal is 2 seconds of CPU and 200 MB for every
mix. A WORD keeps the mixes whose names hold it.
"""

import argparse
import json
import pickletools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from page import write_section  # noqa: E402

SECONDS, MEGABYTES = 2.0, 200.0
MILLION = 1_000_000


def scan(data: bytes) -> object:
    """What the scan of a file does with it."""
    from weighbridge.core.artifact import Member
    from weighbridge.core.budget import Limits
    from weighbridge.core.source import MemorySource
    from weighbridge.scan.engine import Scanner

    return Scanner(Limits()).examine(Member("model.pkl", len(data)), MemorySource(data)).result.outcome.value


def apart(data: bytes) -> object:
    """What CPython does to take it apart."""
    return sum(1 for _ in pickletools.genops(data))


def peak() -> float:
    """MB that this process has held at most; not what `getrusage` says, which knows the parent's too."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1000


def measured(path: str, what: str) -> None:
    """One look at a file, in this process; prints what it cost."""
    data = Path(path).read_bytes()
    work = scan if what == "scan" else apart
    work(b"\x80\x04cm\nf\n)R.")
    started = time.process_time()
    answer = work(data)
    cost = time.process_time() - started
    print(json.dumps([cost, peak(), answer]))


def asked(path: Path, what: str) -> tuple[float, float, object]:
    """(seconds, MB, answer) of one look in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", str(path), what], stdout=-1, check=True, text=True
    )
    seconds, memory, answer = json.loads(done.stdout)
    return seconds, memory, answer


def rows(words: list[str], opcodes: int) -> list[tuple[str, float, float, object, float]]:
    """(mix, seconds, MB, outcome, seconds of genops) of each."""
    from mixes import MIXES, program  # the processes that measure do not hold them

    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pkl"
        for name in MIXES:
            if words and not any(word in name for word in words):
                continue
            path.write_bytes(program(MIXES[name], opcodes))
            seconds, memory, answer = asked(path, "scan")
            found.append((name, seconds, memory, answer, asked(path, "genops")[0]))
            print(f"{seconds:6.2f} s {memory:4.0f} MB {answer:8} {found[-1][4]:6.2f} s  {name}", flush=True)
    return found


def main() -> None:
    """Measure the mixes; see the module."""
    if sys.argv[1:2] == ["--one"]:
        return measured(*sys.argv[2:4])
    options = argparse.ArgumentParser()
    options.add_argument("words", nargs="*")
    options.add_argument("--opcodes", type=int, default=MILLION)
    options.add_argument("--write", action="store_true")
    given = options.parse_args()
    found = sorted(rows(given.words, given.opcodes), key=lambda row: -row[1])
    over = [row for row in found if row[1] > SECONDS or row[2] > MEGABYTES]
    lines = [f"## A pickle of {given.opcodes} opcodes", "",
             f"{len(found)} mixes; over {SECONDS:g} s or {MEGABYTES:g} MB: {len(over)}. The dearest in time and in memory:", "",
             "| mix | CPU s | MB | outcome | genops CPU s | ratio |", "|---|---:|---:|---|---:|---:|"]  # fmt: skip
    dearest = dict.fromkeys([*found[:20], *sorted(found, key=lambda row: -row[2])[:10]])
    lines += [f"| {n} | {s:.2f} | {m:.0f} | {a} | {g:.2f} | {s / g:.2f} |" for n, s, m, a, g in dearest]
    print("\n".join(lines))
    if given.write:
        write_section("opcodes", lines)
    return None


if __name__ == "__main__":
    main()
