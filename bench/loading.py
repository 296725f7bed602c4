"""Verified loading side by side with loading that checks nothing: `bench/loading.py`, or `--scale 0.05` to look.

One safetensors file of 2 GB, signed with SHA-256 and with BLAKE3. Every contender is a process of its own, from the start of
Python to the arrays in memory; they take turns, and medians and best runs are shown. On a virtual machine whose host takes
free memory back, the first touch of a page is the host's work and lands on whoever touches it: each run is therefore
preceded by a process that touches as much memory once, and the CPU seconds of the program itself stand beside the system's.

Nothing here passes or fails. `--write` puts the table into docs/benchmarks.md.
"""

import argparse
import mmap
import resource
import statistics
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import Run, Tools, machine, race, workplace, write_file
from page import write_section

SIZE = 2_000_000_000
TENSORS = 20
MAX_MEMORY, MAX_CPU = 0.55, 0.8
"""What a verified load may cost of an unchecked one."""

TOUCH = """
import mmap, sys
memory = mmap.mmap(-1, int(sys.argv[1]), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_HUGEPAGE)
for at in range(0, len(memory), 1 << 21):
    memory[at] = 1
"""
THEIRS = "import sys; from safetensors.numpy import load_file; load_file(sys.argv[1])"
OURS = "import sys, weighbridge; weighbridge.load(sys.argv[1], key=sys.argv[2], jobs=int(sys.argv[3]))"
READ = """
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(fd).st_size
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_HUGEPAGE)
view = memoryview(memory)
new = None
if len(sys.argv) > 2:
    import hashlib
    new = hashlib.sha256() if sys.argv[2] == "sha256" else __import__("blake3").blake3()
for at in range(0, size, 1 << 20):
    with view[at : at + (1 << 20)] as piece:
        os.preadv(fd, [piece], at)
        if new:
            new.update(piece)
"""


@dataclass
class Load(Run):
    """A run whose system time is told apart."""

    own: list[float] = field(default_factory=list)
    _before: float = 0.0

    def once(self) -> None:
        """Note the children's own CPU seconds too."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        super().once()
        self.own.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)

    def row(self, size: int) -> str:
        """Its line of the table."""
        cpu, own, wall, memory = (
            statistics.median(values) for values in (self.cpu, self.own, self.wall, self.memory)
        )
        return f"| {self.name} | {cpu:.2f} | {min(self.cpu):.2f} | {own:.2f} | {wall:.2f} | {memory:.0f} |"


def write_model(path: Path, size: int) -> None:
    """F32 tensors of equal size, their bytes not repeating."""
    each = size // TENSORS // 4 * 4
    entries = ",".join(
        f'"layer.{n}":{{"dtype":"F32","shape":[{each // 4}],"data_offsets":[{n * each},{(n + 1) * each}]}}'
        for n in range(TENSORS)
    )
    header = f"{{{entries}}}".encode()
    header += b" " * (-len(header) % 8)
    write_file(path, each * TENSORS, 1)
    body = path.with_suffix(".body")
    path.rename(body)
    with path.open("wb") as file, body.open("rb") as data:
        file.write(struct.pack("<Q", len(header)) + header)
        while piece := data.read(1 << 24):
            file.write(piece)
    body.unlink()


def signed(tools: Tools, root: Path, size: int) -> dict[str, Path]:
    """The model twice, as two names of one file, signed with each hash."""
    subprocess.run([tools.weighbridge, "key", "new", str(root / "k")], check=True, capture_output=True)
    first = root / "model.safetensors"
    write_model(first, size)
    found = {}
    for name in ("sha256", "blake3"):
        folder = root / name
        folder.mkdir()
        (folder / first.name).hardlink_to(first)
        command = [tools.weighbridge, "sign", str(folder), "--key", str(root / "k.key"), "--hash", name]
        subprocess.run(command, check=True, capture_output=True)
        found[name] = folder
    return found


def contenders(tools: Tools, models: dict[str, Path], root: Path, size: int) -> list[Run]:
    """Everybody on the same bytes."""
    path, python = str(root / "model.safetensors"), tools.python

    def touch() -> None:
        subprocess.run([python, "-c", TOUCH, str(int(size * 1.2) + mmap.PAGESIZE)], check=True)

    def run(name: str, program: str, *arguments: str) -> Run:
        return Load(name, [python, "-c", program, *arguments], prepare=touch)

    return [
        run("`safetensors.numpy.load_file`, nothing checked", THEIRS, path),
        run("read into memory, nothing else", READ, path),
        run("read and sha256", READ, path, "sha256"),
        run("read and blake3", READ, path, "blake3"),
        run(
            "**weighbridge.load**, signed with sha256", OURS, str(models["sha256"]), str(root / "k.pub"), "1"
        ),
        run(
            "**weighbridge.load**, signed with blake3", OURS, str(models["blake3"]), str(root / "k.pub"), "1"
        ),
        run(
            "**weighbridge.load**, blake3, all cores", OURS, str(models["blake3"]), str(root / "k.pub"), "64"
        ),
    ]


def table(size: int, runs: Sequence[Run]) -> list[str]:
    """Markdown, with the ratios that matter."""
    lines = [
        f"### verified load of {size / 1e9:.2f} GB",
        "",
        "| contender | CPU s | best | of it own | wall s | MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(run.row(size) for run in runs),
        "",
    ]
    base = runs[0]
    for run in runs[4:]:
        cpu = statistics.median(run.cpu) / statistics.median(base.cpu)
        best = min(run.cpu) / min(base.cpu)
        memory = statistics.median(run.memory) / statistics.median(base.memory)
        lines.append(
            f"* {run.name} / load_file: {cpu:.2f} of its CPU ({best:.2f} best to best; goal {MAX_CPU}), "
            f"{memory:.2f} of its memory (goal {MAX_MEMORY})"
        )
    return lines


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="size times this")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dir", help="where the data goes (2 GB at scale 1)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    tools = Tools.find()
    size = int(SIZE * options.scale)
    with workplace(options.dir) as root:
        models = signed(tools, root, size)
        runs = contenders(tools, models, root, size)
        race(runs, options.rounds)
        lines = [*machine(tools, options.scale, options.rounds), "", *table(size, runs)]
    print("\n".join(lines))
    if options.write:
        write_section("loading", lines)


if __name__ == "__main__":
    sys.exit(main())
