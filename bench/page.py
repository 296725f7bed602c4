"""docs/benchmarks.md: each program of this folder owns the part between its marks and replaces it."""

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
