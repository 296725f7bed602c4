"""Hold weighbridge's scanner against others, on the same files in one run: what each finds, what it costs.

    bench/scanners.py [--every N] [--real FOLDER] [--limit SECONDS] [--write]

The corpus is the one of tests/corpus: every case has the outcome that somebody who knows its bytes would give it, and its
payload is `echo weighbridge` at most. Nobody loads anything. A tool finds a case when it reports what its own defaults
treat as a failure (the table says what that is); one that cannot scan a folder to its end is asked file by file, and
the cost of that stands in the table. A tool that works longer than its limit is stopped, with its children: what it did not
answer counts as not found, and the table says so, as it says which tools are not here. The tools live in an environment of
their own (requirements/peers.txt).
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from page import write_section  # noqa: E402
from tests.corpus.make import cases  # noqa: E402

OURS = Path(sys.executable).with_name("weighbridge")
PEERS = Path(os.environ.get("WEIGHBRIDGE_PEERS") or ROOT / ".venv-peers/bin")
QUIET = {**os.environ, "PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1", "PYTHONWARNINGS": "ignore"}
LIMIT = 1800
"""Seconds of wall time for one tool and one table."""
STOPPED = -1
"""In place of an exit code: the time was over."""

Found = set[str]
"""Cases, as FAMILY/NUMBER."""


@dataclass
class Tool:
    """One scanner and how its answer is read."""

    name: str
    counts: str
    """What counts as having found something."""
    command: Callable[[Path], Sequence[str]]
    found: Callable[[str, Path], Found] | None = None
    """Cases out of its answer about the whole folder; None where it is asked case by case, and the exit code counts."""
    bad: tuple[int, ...] = (1,)

    @property
    def missing(self) -> bool:
        """Whether the tool is not here."""
        return not Path(self.command(Path())[0]).exists()


@dataclass
class Result:
    """What one tool did."""

    found: Found = field(default_factory=set)
    wall: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    note: str = ""


def case_of(path: str, folder: Path) -> str:
    """FAMILY/NUMBER of a path in the corpus; "" for none."""
    _, _, rest = path.partition(f"{folder}/")
    parts = (rest or path).split("/")
    return "/".join(parts[:2]) if len(parts) > 2 or rest else ""


def ours(text: str, folder: Path) -> Found:
    """Files that fail."""
    return {"/".join(f["path"].split("/")[:2]) for f in json.loads(text)["files"] if f["outcome"] == "fail"}


def hayward(text: str, folder: Path) -> Found:
    """Findings of the severities at which its command fails."""
    rows = json.loads(text)["findings"]
    return {case_of(row["file"], folder) for row in rows if row["severity"] in ("high", "critical")}


def modelscan(text: str, folder: Path) -> Found:
    """Any issue."""
    document = json.loads(text[text.index('{"summary"') :].replace("\n", ""))
    return {"/".join(issue["source"].split(":")[0].split("/")[:2]) for issue in document["issues"]}


def modelaudit(text: str, folder: Path) -> Found:
    """Issues at which its command fails: warnings and worse."""
    rows = json.loads(text)["issues"]
    return {
        case_of(str(row.get("location")), folder)
        for row in rows
        if row["severity"] in ("warning", "critical")
    }


TOOLS = (
    Tool("**weighbridge scan**", "outcome `fail`", lambda p: [str(OURS), "scan", str(p), "--format", "json", "--exit-zero"], ours),
    Tool("hayward 1.4.1", "high, critical", lambda p: [str(PEERS / "hayward"), "scan", str(p), "--format", "json"], hayward),
    Tool("modelscan 0.8.8", "any issue", lambda p: [str(PEERS / "modelscan"), "-p", str(p), "-r", "json"], modelscan),
    Tool("modelaudit 0.2.54", "warning, critical", lambda p: [str(PEERS / "modelaudit"), "scan", str(p), "--format", "json", "--quiet"], modelaudit),
    Tool("picklescan 1.0.5", "exit 1", lambda p: [str(PEERS / "picklescan"), "-p", str(p)]),
    Tool("picklescan --strict", "exit 1", lambda p: [str(PEERS / "picklescan"), "--strict", "-p", str(p)]),
    Tool("fickling 0.1.12", "exit 1", lambda p: [str(PEERS / "fickling"), "--check-safety", str(p)]),
)  # fmt: skip


def run(command: Sequence[str], seconds: float = LIMIT) -> tuple[int, str, float, float, float]:
    """(exit code or STOPPED, standard output, wall s, CPU s, MB) of one process and its children, for so long at most."""
    with tempfile.TemporaryFile() as out:
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.DEVNULL,
            env=QUIET,
            cwd=tempfile.gettempdir(),
            start_new_session=True,
        )
        stopped = threading.Event()
        timer = threading.Timer(max(seconds, 0.1), _stop, [process.pid, stopped])
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            _stop(process.pid, stopped)
            raise
        finally:
            timer.cancel()
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    code = STOPPED if stopped.is_set() else process.returncode
    return code, text, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def _stop(session: int, stopped: threading.Event) -> None:
    """End a process that leads a session of its own, with everything that it started there."""
    stopped.set()
    with suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


def stopped_after(seconds: float) -> str:
    """What a table says of a tool whose time was over."""
    return f"stopped after {seconds:.0f} s"


def whole(tool: Tool, folder: Path, limit: float) -> Result:
    """Ask about the folder at once."""
    assert tool.found is not None
    code, text, wall, cpu, memory = run(tool.command(folder), limit)
    if code == STOPPED:
        return Result(set(), wall, cpu, memory, f"{stopped_after(limit)}, nothing answered")
    try:
        return Result(tool.found(text, folder), wall, cpu, memory)
    except (ValueError, KeyError, TypeError) as error:
        return Result(set(), wall, cpu, memory, f"no answer that can be read ({type(error).__name__})")


def each(tool: Tool, folder: Path, names: Iterable[str], limit: float) -> Result:
    """Ask about every case on its own, until the time is over."""
    result = Result(note="case by case")
    left = list(names)
    while left:
        name = left.pop(0)
        targets = (
            [folder / name]
            if "picklescan" in tool.name
            else sorted(p for p in (folder / name).rglob("*") if p.is_file())
        )
        for target in targets:
            code, _, wall, cpu, memory = run(tool.command(target), limit - result.wall)
            result.wall, result.cpu, result.memory = (
                result.wall + wall,
                result.cpu + cpu,
                max(result.memory, memory),
            )
            result.found |= {name} if code in tool.bad else set()
            if code == STOPPED:
                result.note += f", {stopped_after(limit)}, {len(left) + 1} cases not answered"
                return result
    return result


def write_corpus(folder: Path, every: int) -> tuple[dict[str, str], int]:
    """(FAMILY/NUMBER → expected outcome, number of files): every N-th case."""
    labels, count = {}, 0
    for number, case in enumerate(cases()):
        if number % every:
            continue
        name = f"{case.family}/{number:04}"
        labels[name] = str(case.expect)
        for path, data in case.files.items():
            target = folder / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            count += 1
    return labels, count


def row(tool: Tool, result: Result, labels: Mapping[str, str]) -> str:
    """A line of the table."""
    bad = {name for name, expect in labels.items() if expect == "fail"}
    good = {name for name, expect in labels.items() if expect == "pass"}
    hit, alarm = len(bad & result.found) / len(bad), len(good & result.found) / len(good)
    cost = f"{result.wall:.1f} | {result.cpu:.1f} | {result.memory:.0f}"
    return f"| {tool.name} | {tool.counts} | {hit:.1%} | {alarm:.1%} | {cost} | {result.note} |"


HEAD = (
    "",
    "| tool | counts as found | harmful found | harmless reported | wall s | CPU s | MB | |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |",
)


def corpus_table(folder: Path, every: int, limit: float) -> list[str]:
    """What everybody finds in the corpus."""
    labels, count = write_corpus(folder, every)
    kinds = {kind: sum(expect == kind for expect in labels.values()) for kind in ("fail", "pass", "unknown")}
    families = len({name.split("/")[0] for name in labels})
    lines = [
        (
            f"{count:,} files in {len(labels):,} cases of {families} families: {kinds['fail']:,} harmful, "
            f"{kinds['pass']:,} harmless, {kinds['unknown']:,} that nobody can judge from the bytes (not counted)."
        ),
        *HEAD,
    ]
    for tool in TOOLS:
        print(f"  {tool.name} …", file=sys.stderr, flush=True)
        if tool.missing:
            lines.append(f"| {tool.name} | {tool.counts} | | | | | | not here |")
            continue
        result = whole(tool, folder, limit) if tool.found else each(tool, folder, labels, limit)
        lines.append(row(tool, result, labels))
        print("  " + lines[-1], file=sys.stderr, flush=True)
    return lines


def real_table(folder: Path, rounds: int, limit: float) -> list[str]:
    """What everybody costs on real models that packages ship, and how many of the files are reported."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    lines = [
        f"{len(files)} real model files out of packages, {size / 1e6:,.0f} MB, none of them harmful.",
        "",
        "| tool | reported | wall s | CPU s | MB | |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for tool in TOOLS:
        print(f"  {tool.name} …", file=sys.stderr, flush=True)
        if tool.missing:
            lines.append(f"| {tool.name} | | | | | not here |")
            continue
        runs: list[Cost] = []
        while len(runs) < rounds and not (runs and runs[-1].note):
            runs.append(measure_real(tool, folder, files, limit))
        wall, cpu, memory = (statistics.median(getattr(run, what) for run in runs) for what in COSTS)
        reported = f"{runs[-1].reported}" if runs[-1].reported is not None else ""
        lines.append(
            f"| {tool.name} | {reported} | {wall:.1f} | {cpu:.1f} | {memory:.0f} | {runs[-1].note} |"
        )
    return lines


COSTS = ("wall", "cpu", "memory")


@dataclass(frozen=True)
class Cost:
    """What one tool reported of the real models, and what that cost."""

    reported: int | None
    """Files; None where it gave no answer."""
    wall: float
    cpu: float
    memory: float
    note: str = ""


def measure_real(tool: Tool, folder: Path, files: Sequence[Path], limit: float) -> Cost:
    """One round: the folder at once, or every file on its own until the time is over."""
    if tool.found:
        code, text, wall, cpu, memory = run(tool.command(folder), limit)
        if code == STOPPED:
            return Cost(None, wall, cpu, memory, stopped_after(limit))
        try:
            return Cost(len(tool.found(text, folder)), wall, cpu, memory)
        except (ValueError, KeyError, TypeError):
            return Cost(None, wall, cpu, memory, "no answer that can be read")
    runs: list[tuple[int, str, float, float, float]] = []
    for path in files:
        runs.append(run(tool.command(path), limit - sum(r[2] for r in runs)))
        if runs[-1][0] == STOPPED:
            break
    stopped = runs[-1][0] == STOPPED
    note = f"{stopped_after(limit)}, {len(files) - len(runs) + 1} files not answered" if stopped else ""
    reported = sum(r[0] in tool.bad for r in runs)
    return Cost(reported, sum(r[2] for r in runs), sum(r[3] for r in runs), max(r[4] for r in runs), note)


def main() -> None:
    """Run, print, and write if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=3, help="take every N-th case of the corpus")
    parser.add_argument("--real", help="a folder NAME/FILE… of real models (tests/real/fetch.py makes one)")
    parser.add_argument("--rounds", type=int, default=3, help="how often on the real models")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for one tool and one table")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weighbridge-scanners-") as work:
        lines = ["### A made corpus", "", *corpus_table(Path(work) / "corpus", options.every, options.limit)]
    if options.real:
        lines += [
            "",
            "### Real models",
            "",
            *real_table(Path(options.real).resolve(), options.rounds, options.limit),
        ]
    print("\n".join(lines))
    if options.write:
        write_section("scanners", lines)


if __name__ == "__main__":
    main()
