"""Put what the demo printed into the README: `python examples/retell.py DEMO-OUTPUT-FILE`. Long digests are shortened."""

import re
import sys
from pathlib import Path

BEGIN, END = "<!-- demo -->", "<!-- end of demo -->"


def retold(output: str) -> str:
    """The demo's output as an indented block, without key facts and with short digests."""
    lines = [
        line for line in output.splitlines() if not line.startswith(("type     ", "key      ", "hint     "))
    ]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    text = re.sub(r"[0-9a-f]{64}", lambda match: f"{match[0][:8]}…{match[0][-4:]}", text)
    text = re.sub(r"lies in \S+/demo/", "lies in demo/", text)
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def main() -> None:
    """Replace the block between the markers."""
    readme = Path(__file__).parents[1] / "README.md"
    before, _, rest = readme.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    block = retold(Path(sys.argv[1]).read_text("utf-8"))
    readme.write_text(f"{before}{BEGIN}\n\n{block}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
