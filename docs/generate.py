"""Write the pages that the code already holds: one per command, one per rule, the lists of codes and of published bypasses.

`make docs` runs this; a test fails where a page and the code disagree.
"""

import argparse
import functools
import re
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from weighbridge.cli.app import COMMANDS, parser_for
from weighbridge.cli.explain import known_codes
from weighbridge.cli.rule import page, sentence
from weighbridge.scan.engine import load_rule
from weighbridge.scan.rules import RULES

DOCS = Path(__file__).parent
NAMES = frozenset(name for name, _ in RULES)
WALKS = ("getting-started.md",)
"""Pages whose commands are really run."""
ORDER = ("error", "warning", "note")


def pages() -> dict[str, str]:
    """Path below docs/ → text."""
    found = {f"commands/{name}.md": command_page(name) for name in COMMANDS}
    found |= {f"rules/{name}.md": rule_page(name) for name in NAMES}
    found |= {"commands/README.md": commands(), "rules/README.md": rules(), "codes.md": codes()}
    return found | {"bypasses.md": bypasses()}


def command_page(name: str) -> str:
    """What `weighbridge NAME --help` prints, and the same for each of its verbs."""
    parser = parser_for(name)
    parts = [f"# weighbridge {name}\n\n{COMMANDS[name][2]}\n\n{help_block(parser)}"]
    parts += [f"## {verb.prog}\n\n{help_block(verb)}" for verb in verbs(parser)]
    return "\n".join(parts)


def verbs(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The parsers of `trust init`, `trust show`, …"""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [verb for action in below for verb in action.choices.values()]


def help_block(parser: argparse.ArgumentParser) -> str:
    """The help at a width that does not depend on whose terminal it is."""
    parser.formatter_class = functools.partial(argparse.RawDescriptionHelpFormatter, width=100)  # type: ignore[assignment]
    return f"```text\n{parser.format_help()}```\n"


def commands() -> str:
    """The list of commands, in the panels of `weighbridge --help`."""
    panels: dict[str, list[str]] = {}
    for name, (panel, arguments, line) in COMMANDS.items():
        usage = f"{name} {arguments}".strip().replace("|", "\\|")
        panels.setdefault(panel, []).append(f"| [`{usage}`]({name}.md) | {line} |")
    parts = [
        f"## {panel}\n\n| command | what it does |\n|---|---|\n" + "\n".join(rows)
        for panel, rows in panels.items()
    ]
    return "# Commands\n\nWhat `weighbridge COMMAND --help` prints.\n\n" + "\n\n".join(parts) + "\n"


def rule_page(name: str) -> str:
    """What `weighbridge rule NAME` prints, with links to the rules that it speaks of."""
    text = page(load_rule(name))
    others = NAMES - {name}
    return re.sub(r"`([a-z0-9-]+)`", lambda m: f"[{m[0]}]({m[1]}.md)" if m[1] in others else m[0], text)


def rules() -> str:
    """The list of rules, worst first."""
    found = sorted(
        (load_rule(name) for name in NAMES), key=lambda rule: (ORDER.index(rule.severity), rule.name)
    )
    rows = [
        f"| [{rule.name}]({rule.name}.md) | {rule.severity} | {sentence(rule.summary)} |" for rule in found
    ]
    head = """\
# Rules

What `weighbridge rule NAME` prints. An **error** fails its file: loading it does harm, or nothing honest looks like it. A
**warning** is something to look at; where it says that a file cannot be judged, the file is UNKNOWN. A **note** only tells.
A finding can be worse or milder than its rule's usual severity, as the rule's page says.

| rule | severity | what it sees |
|---|---|---|
"""
    return head + "\n".join(rows) + "\n"


def codes() -> str:
    """Every code that stands in square brackets, by subject."""
    texts = known_codes()
    parts = []
    for title, names in sections().items():
        rows = [f"### {name}\n\n{texts[name]}\n" for name in names]
        parts.append(f"## {title}\n\n" + "\n".join(rows))
    head = """\
# Codes

What stands in square brackets behind an error or a reason, and in the field `code` of the JSON report. `weighbridge explain
CODE` prints the same text. A code that is a rule's name is explained on [the rule's page](rules/README.md).

"""
    return head + "\n".join(parts)


def bypasses() -> str:
    """The table of published bypasses, which the tests hold."""
    sys.path.insert(0, str(DOCS.parent))
    from tests.scan.published import page as table

    return table()


def sections() -> dict[str, list[str]]:
    """The headings of `codes.toml` (its ruled comment lines) and the codes below each."""
    found: dict[str, list[str]] = {}
    for line in files("weighbridge.cli").joinpath("codes.toml").read_text("utf-8").splitlines():
        if title := re.fullmatch(r"# --+ (.+)", line):
            found[title[1][:1].upper() + title[1][1:]] = []
        elif code := re.match(r"([a-z0-9-]+) = ", line):
            found[next(reversed(found))].append(code[1])
    return found


def main() -> None:
    """Write every page, and remove those of commands and rules that are gone."""
    wanted = pages()
    for folder in ("commands", "rules"):
        for path in (DOCS / folder).glob("*.md"):
            if f"{folder}/{path.name}" not in wanted:
                path.unlink()
    for name, text in wanted.items():
        path = DOCS / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {len(wanted)} pages\n")
    for name in WALKS:
        walk_again(DOCS / name)


def walk_again(path: Path) -> None:
    """Run a page's commands, and write down what they print where that is something else."""
    import walk

    text = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        told = walk.retold(text, walk.walk(text, Path(folder)))
    if walk.plain(told) != walk.plain(text):
        path.write_text(told, encoding="utf-8")
        sys.stdout.write(f"walked {path.name} again: read what changed\n")


if __name__ == "__main__":
    main()
