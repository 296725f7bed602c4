"""Run the fuzz targets with atheris for a bounded time: `python tests/fuzz/run.py --seconds 60 [TARGET …]`.

Each target runs in a process of its own, with coverage feedback, starting from the samples of the scanner's tests.
What it finds is left in `.work/fuzz/TARGET/` and belongs, made small, into `tests/fuzz/regressions/`.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--inside", metavar="TARGET", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*")
    options, rest = parser.parse_known_args()
    if options.inside:
        return inside(options.inside, [*rest, *options.targets])
    from tests.fuzz.targets import TARGETS

    names = options.targets or list(TARGETS)
    share = max(1, options.seconds // len(names))
    failed = [name for name in names if run(name, share) != 0]
    print(
        f"{len(names) - len(failed)} passed, {len(failed)} failed"
        + (f": {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


def run(name: str, seconds: int) -> int:
    """One target in its own process."""
    folder = ROOT / ".work" / "fuzz" / name
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        __file__,
        "--inside",
        name,
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-rss_limit_mb=1024",
        "-max_len=65536",
        "-print_final_stats=0",
        "-verbosity=0",
        f"-artifact_prefix={folder}/",
        str(folder),
    ]
    command += [str(path) for path in sorted((ROOT / "tests" / "samples").iterdir()) if path.is_dir()]
    command += [str(path) for path in [ROOT / "tests" / "fuzz" / "seeds" / name] if path.is_dir()]
    print(f"fuzz {name} for {seconds} s", flush=True)
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    ).returncode


def inside(name: str, arguments: list[str]) -> int:
    """The process that atheris drives."""
    import atheris

    with atheris.instrument_imports(include=["weighbridge"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
