"""What `weighbridge run` adds to a job, beyond hashing its files: `python bench/run.py [SECONDS] [ROUNDS]`.

The same job runs bare and recorded, in turns, so that what else the machine does falls on both. The job is shorter than
the minute that the goal speaks of: what is added does not grow with it, so it is held against a minute. Hashing is
measured alone, by the same measure over the same files: materials twice, products once.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from weighbridge.core.version import __version__
from weighbridge.pipeline.material import measured
from weighbridge.trust.keygen import new_key

JOB = 60.0
GOAL = 0.02
SRC = Path(__file__).parents[1] / "src"
SCRIPT = """\
import pathlib, sys, time
end = time.monotonic() + float(sys.argv[1])
out = pathlib.Path("out")
out.mkdir(exist_ok=True)
while time.monotonic() < end:
    sum(range(10000))
(out / "model.bin").write_bytes(bytes(8 * 1024**2) + str(time.time()).encode())
"""


def timed(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(
        command, cwd=folder, check=True, env={**os.environ, "PYTHONPATH": str(SRC)}, capture_output=True
    )
    return time.perf_counter() - start


def prepare(folder: Path) -> None:
    (folder / "train.py").write_text(SCRIPT)
    (folder / "data").mkdir()
    for number in range(64):
        (folder / f"data/part-{number:03}.bin").write_bytes(os.urandom(1024**2))
    new_key(folder / "builder.key")
    git = ["git", "-c", "user.name=b", "-c", "user.email=b@example.com"]
    for words in (["init", "-q"], ["add", "train.py"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], cwd=folder, check=True)


def main() -> None:
    seconds = sys.argv[1] if len(sys.argv) > 1 else "2"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        job = [sys.executable, "train.py", seconds]
        recorded = [
            sys.executable, "-m", "weighbridge", "run", "--name", "train", "--materials", "data", "--products", "out",
            "--key", "builder.key", "--quiet", "--", *job,
        ]  # fmt: skip
        bare, full, hashing = [], [], []
        for _ in range(rounds):
            bare.append(timed(job, folder))
            full.append(timed(recorded, folder))
            start = time.perf_counter()
            for place in ("data", "data", "out"):
                measured(folder / place)
            hashing.append(time.perf_counter() - start)
    added = statistics.median(f - b - h for f, b, h in zip(full, bare, hashing, strict=True))
    print(
        f"weighbridge {__version__}: a job of {statistics.median(bare):.2f} s took {statistics.median(full):.2f} s recorded, of which"
        f" hashing {statistics.median(hashing):.2f} s; the rest, {added:.2f} s, is {added / JOB:.1%} of a minute"
        f" (wanted: at most {GOAL:.0%})"
    )


if __name__ == "__main__":
    main()
