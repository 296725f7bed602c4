"""Write the pages that the code already holds: one per command, one per rule, and the list of codes.

`make docs` runs this; a test fails where a page and the code disagree.
"""

import sys
from pathlib import Path

from weighbridge.cli.app import COMMANDS, parser_for
from weighbridge.cli.explain import known_codes
from weighbridge.cli.rule import page
from weighbridge.scan.engine import load_rule
from weighbridge.scan.rules import RULES

DOCS = Path(__file__).parent


def pages() -> dict[str, str]:
    """Path below docs/ → text."""
    found = {f"commands/{name}.md": command_page(name) for name in COMMANDS}
    found |= {f"rules/{name}.md": page(load_rule(name)) for name, _ in RULES}
    return found | {"commands/README.md": commands(), "rules/README.md": rules(), "codes.md": codes()}


def command_page(name: str) -> str:
    """What `weighbridge NAME --help` prints, under a title."""
    return f"# weighbridge {name}\n\n{COMMANDS[name][2]}\n\n```text\n{help_text(name)}```\n"


def help_text(name: str) -> str:
    """The help at a width that does not depend on whose terminal it is."""
    import argparse
    import functools

    parser = parser_for(name)
    parser.formatter_class = functools.partial(argparse.RawDescriptionHelpFormatter, width=100)  # type: ignore[assignment]
    return parser.format_help()


def commands() -> str:
    """The list of commands."""
    rows = [f"| [{name}]({name}.md) | {line} |" for name, (_, _, line) in COMMANDS.items()]
    return "\n".join(["# Commands", "", "| command | what it does |", "|---|---|", *rows, ""])


def rules() -> str:
    """The list of rules."""
    found = [load_rule(name) for name, _ in RULES]
    rows = [f"| [{rule.name}]({rule.name}.md) | {rule.severity} | {rule.summary} |" for rule in found]
    return "\n".join(["# Rules", "", "| rule | severity | what it sees |", "|---|---|---|", *rows, ""])


def codes() -> str:
    """Every code that stands in square brackets."""
    parts = [f"## {code}\n\n{text}\n" for code, text in sorted(known_codes().items())]
    return "# Codes\n\nWhat stands in square brackets, also printed by `weighbridge explain CODE`.\n\n" + "\n".join(parts)


def main() -> None:
    """Write every page."""
    for name, text in pages().items():
        path = DOCS / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {len(pages())} pages\n")


if __name__ == "__main__":
    main()
