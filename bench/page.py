"""docs/benchmarks.md: each program of this folder owns the part between its marks and replaces it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
END = "<!-- end -->"


def write_section(name: str, lines: Sequence[str]) -> None:
    """Replace what bench/NAME.py measured before."""
    begin = f"<!-- measured by bench/{name}.py -->"
    old = PAGE.read_text("utf-8") if PAGE.exists() else "# Benchmarks\n"
    if begin not in old:
        old = f"{old.rstrip()}\n\n{begin}\n{END}\n"
    before, rest = old.split(begin, 1)
    PAGE.write_text(
        before + begin + "\n\n" + "\n".join(lines) + "\n\n" + END + rest.split(END, 1)[1], "utf-8"
    )


def main() -> None:
    """Run programs of this folder and put what they print into the page: `python bench/page.py attest lineage run`."""
    for name in sys.argv[1:]:
        done = subprocess.run(
            [sys.executable, PAGE.parents[1] / "bench" / f"{name}.py"], stdout=-1, text=True, check=True
        )
        print(done.stdout, flush=True)
        write_section(name, [f"## {TITLES[name]}", "", "```", done.stdout.rstrip(), "```"])


TITLES = {
    "attest": "Statements in a batch",
    "lineage": "The lineage, one million nodes",
    "run": "Recording a run",
}

if __name__ == "__main__":
    main()
