"""Measure weighbridge side by side with other tools, in one run: `make bench`, or `bench.py --scale 0.05` to look.

Every contender is a process of its own. They take turns, round by round, so that whatever else the machine does
hits all of them; medians are shown. CPU seconds include all threads and children; memory is the largest of them, and
never below this program's own at its start. The page cache is warm: disks would hide what is compared.

Nothing here passes or fails. `--write` puts the tables into docs/benchmarks.md.
"""

import argparse
import os
import pickle
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from page import write_section

ROOT = Path(__file__).parents[1]
HASHERS = Path(__file__).with_name("hashers.py")
BLOCK = os.urandom(1 << 20)
HEADER = b'{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'
SMALL = {
    "w.safetensors": len(HEADER).to_bytes(8, "little") + HEADER + bytes(4),
    "w.pkl": pickle.dumps({"a": [1, 2]}),
    "config.json": b'{"model_type": "bert", "architectures": ["BertModel"]}',
    "README.md": b"# A model\n",
}
"""One small file of each kind that is scanned most: what starting costs until each has its verdict."""


@dataclass
class Run:
    """One contender on one data set."""

    name: str
    command: Sequence[str]
    prepare: Callable[[], object] = lambda: None
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def once(self) -> None:
        """Start it, wait for it, and note what it cost."""
        self.prepare()
        started = time.perf_counter()
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=errors)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            if process.returncode:
                raise SystemExit(
                    f"{shlex.join(self.command)}: exit {process.returncode}\n{errors.read().decode()}"
                )
        self.wall.append(time.perf_counter() - started)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.memory.append(usage.ru_maxrss / 1000)

    def row(self, size: int) -> str:
        """Its line of the table."""
        cpu, wall, memory = (statistics.median(values) for values in (self.cpu, self.wall, self.memory))
        rate = f"{size / wall / 1e9:.2f}" if size else ""
        return f"| {self.name} | {cpu:.3f} | {wall:.3f} | {rate} | {memory:.0f} |"


@dataclass(frozen=True)
class Tools:
    """Where everything is."""

    python: str
    weighbridge: str
    model_signing: str | None
    openssl: str | None
    b3sum: str | None

    @classmethod
    def find(cls) -> "Tools":
        """Ours beside this interpreter; theirs from the environment, the interop environment, or the path."""
        here = Path(sys.executable).parent
        theirs = os.environ.get("WEIGHBRIDGE_MODEL_SIGNING") or str(ROOT / ".venv-interop/bin/model_signing")
        return cls(
            python=sys.executable,
            weighbridge=str(here / "weighbridge"),
            model_signing=shutil.which(theirs),
            openssl=shutil.which("openssl"),
            b3sum=shutil.which("b3sum"),
        )

    def missing(self) -> list[str]:
        """Contenders that are not here; said, never passed over in silence."""
        names = {"model_signing": self.model_signing, "openssl": self.openssl, "b3sum": self.b3sum}
        return [name for name, path in names.items() if path is None]


# The data.


def write_file(path: Path, size: int, number: int) -> None:
    """Bytes that do not repeat from file to file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for at in range(0, size, len(BLOCK)):
            file.write((number.to_bytes(8, "big") + at.to_bytes(8, "big") + BLOCK[16:])[: size - at])


def data_sets(root: Path, scale: float) -> Iterator[tuple[str, Path, int]]:
    """(title, folder, bytes), each made just before it is used."""
    for name, count, size in (("one file", 1, 4e9), ("files", 100, 20e6), ("small files", 20_000, 20e3)):
        if name == "small files":
            count, size = max(1, int(count * scale)), int(size)
        else:
            size = int(size * scale)
        folder = root / name.replace(" ", "-")
        for number in range(count):
            write_file(folder / f"part-{number // 200:03d}" / f"{number:05d}.bin", int(size), number)
        title = f"{count:,} × {size / 1e6:,.2f} MB" if count > 1 else f"one file of {size / 1e9:,.2f} GB"
        yield title, folder, count * int(size)
        shutil.rmtree(folder)


def small_model(folder: Path) -> Path:
    """Three files, as a model that is only looked at."""
    for number, name in enumerate(("model.safetensors", "config.json", "README.md")):
        write_file(folder / name, 50_000, number)
    return folder


# The contenders.


def contenders(tools: Tools, folder: Path, keys: Path) -> list[Run]:
    """Everybody on one folder."""
    threads = str(len(os.sched_getaffinity(0)))
    every = f"find {shlex.quote(str(folder))} -type f -print0 | xargs -0 -n 2000"
    runs = [Run("`cat`", ["sh", "-c", f"{every} cat"])]
    if tools.openssl:
        runs.append(Run("`openssl dgst -sha256`", ["sh", "-c", f"{every} {tools.openssl} dgst -sha256"]))
    for algorithm in ("sha256", "blake3"):
        for count in ("1", threads):
            name = f"bare {algorithm}, {count} thread{'s' if count != '1' else ''}"
            runs.append(Run(name, [tools.python, str(HASHERS), algorithm, count, str(folder)]))
    if tools.b3sum:
        runs.append(Run("`b3sum`", ["sh", "-c", f"{every} {tools.b3sum}"]))
    return [*runs, *ours(tools, folder, keys), *theirs(tools, folder, keys)]


def ours(tools: Tools, folder: Path, keys: Path) -> list[Run]:
    """weighbridge, with the signatures kept outside the folder so that the others do not hash them."""
    program, model = tools.weighbridge, str(folder)
    private, public = str(keys / "ours.key"), str(keys / "ours.pub")
    runs = [Run("**weighbridge digest**", [program, "digest", model, "--no-tensors", "--format", "json"])]
    for name, extra in (
        ("sign", []),
        ("sign --hash blake3", ["--hash", "blake3"]),
        ("sign --shard-size 1G", ["--shard-size", "1G"]),
    ):
        signature = keys / f"{name.replace(' ', '')}.sig"
        command = [program, "sign", model, "--key", private, "--signature", str(signature), *extra]
        runs.append(
            Run(f"**weighbridge {name}**", command, prepare=lambda s=signature: s.unlink(missing_ok=True))
        )
    for name, file in (
        ("verify", "sign"),
        ("verify (blake3)", "sign--hashblake3"),
        ("verify (shards)", "sign--shard-size1G"),
    ):
        command = [program, "verify", model, "--key", public, "--signature", str(keys / f"{file}.sig")]
        runs.append(Run(f"**weighbridge {name}**", command))
    return runs


def theirs(tools: Tools, folder: Path, keys: Path) -> list[Run]:
    """model-signing in its key mode."""
    if not tools.model_signing:
        return []
    program, model, signature = tools.model_signing, str(folder), str(keys / "theirs.sig")
    sign = [program, "sign", "key", model, "--private_key", str(keys / "ours.key"), "--signature", signature]
    verify = [
        program,
        "verify",
        "key",
        model,
        "--public_key",
        str(keys / "ours.pub"),
        "--signature",
        signature,
    ]
    return [Run("model-signing sign", sign), Run("model-signing verify", verify)]


def small_files(folder: Path) -> list[Path]:
    """`SMALL`, each beside the others."""
    folder.mkdir()
    for name, content in SMALL.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in SMALL]


def start_up(tools: Tools, folder: Path, keys: Path) -> list[Run]:
    """What starting costs, and the smallest real pieces of work."""
    runs = [
        Run("bare interpreter", [tools.python, "-c", "pass"]),
        Run("**weighbridge --version**", [tools.weighbridge, "--version"]),
        *[
            run
            for run in ours(tools, folder, keys)
            if run.name in ("**weighbridge sign**", "**weighbridge verify**")
        ],
        Run("**weighbridge scan**", [tools.weighbridge, "scan", str(folder), "--exit-zero"]),
        *[
            Run(f"**weighbridge scan {file.name}**", [tools.weighbridge, "scan", str(file), "--exit-zero"])
            for file in small_files(folder.parent / "files")
        ],
    ]
    return [*runs, *theirs(tools, folder, keys)]


# The run.


def race(runs: Sequence[Run], rounds: int) -> None:
    """Round by round, everybody in turn."""
    for number in range(rounds):
        for run in runs:
            print(f"\r  round {number + 1} of {rounds}: {run.name:40}", end="", file=sys.stderr, flush=True)
            run.once()
    print("\r" + " " * 70 + "\r", end="", file=sys.stderr)


def table(title: str, runs: Sequence[Run], size: int) -> list[str]:
    """Markdown."""
    head = [
        "",
        f"### {title}",
        "",
        "| contender | CPU s | wall s | GB/s | MB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    return [*head, *(run.row(size) for run in runs)]


def ratios(runs: Sequence[Run], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Ours over theirs, where both ran."""
    named = {run.name.strip("*"): run for run in runs}
    lines = []
    for one, other in pairs:
        if one in named and other in named:
            cpu, wall = (
                statistics.median(getattr(named[one], what)) / statistics.median(getattr(named[other], what))
                for what in ("cpu", "wall")
            )
            lines.append(f"* {one} / {other}: {cpu:.2f} of its CPU, {wall:.2f} of its wall time")
    return ["", *lines] if lines else []


def pairs(threads: str) -> list[tuple[str, str]]:
    """What is worth comparing."""
    return [
        ("weighbridge digest", f"bare sha256, {threads} threads"),
        ("weighbridge digest", "bare sha256, 1 thread"),
        ("weighbridge sign --hash blake3", f"bare blake3, {threads} threads"),
        ("weighbridge sign", "model-signing sign"),
        ("weighbridge verify", "model-signing verify"),
        ("weighbridge --version", "bare interpreter"),
        *[(f"weighbridge scan {name}", "weighbridge --version") for name in SMALL],
    ]


def machine(tools: Tools, scale: float, rounds: int) -> list[str]:
    """When, where, with what."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next(
        (line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "?"
    )
    cores = len(os.sched_getaffinity(0))
    missing = f" Not here: {', '.join(tools.missing())}." if tools.missing() else ""
    load = os.getloadavg()[0]
    when = time.strftime("%Y-%m-%d")
    where = f"{cores} cores of {model}, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"
    how = f"Medians of {rounds} rounds in turn, sizes × {scale:g}, page cache warm, load {load:.1f} at the start."
    return [f"{when}, {where}. {how}{missing}"]


@contextmanager
def workplace(parent: str | None) -> Iterator[Path]:
    """A folder that is gone afterwards, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="weighbridge-bench-", dir=parent) as folder:
        yield Path(folder)


def run_all(tools: Tools, root: Path, scale: float, rounds: int) -> list[str]:
    """Every table."""
    keys = root / "keys"
    keys.mkdir()
    subprocess.run([tools.weighbridge, "key", "new", str(keys / "ours")], check=True, capture_output=True)
    lines = machine(tools, scale, rounds)
    threads = str(len(os.sched_getaffinity(0)))
    for title, folder, size in data_sets(root, scale):
        runs = contenders(tools, folder, keys)
        race(runs, rounds)
        lines += table(title, runs, size) + ratios(runs, pairs(threads))
    runs = start_up(tools, small_model(root / "model"), keys)
    race(runs, max(rounds, 9))
    return lines + table("starting, and a model of three small files", runs, 0) + ratios(runs, pairs(threads))


def main() -> None:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="sizes and counts times this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", help="where the data goes (9 GB at scale 1)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args()
    tools = Tools.find()
    with workplace(options.dir) as root:
        lines = run_all(tools, root, options.scale, options.rounds)
    print("\n".join(lines))
    if options.write:
        write_section("bench", lines)


if __name__ == "__main__":
    main()
