"""`weighbridge rule`: list the rules, or explain one."""

import argparse
from difflib import get_close_matches
from inspect import cleandoc
from typing import Any

from weighbridge.cli import options as shared
from weighbridge.cli.output import tell
from weighbridge.core.errors import UsageError
from weighbridge.core.text import counted
from weighbridge.scan.engine import load_rule
from weighbridge.scan.rule import Rule
from weighbridge.scan.rules import RULES

EXAMPLES = ("weighbridge rule", "weighbridge rule pickle-unsafe-call")


def configure(parser: argparse.ArgumentParser) -> None:
    """The rule's name, or nothing for the list."""
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="a rule, as findings name it in brackets; all rules when left out",
    )
    shared.output(parser, shared.BOTH)


def run(options: argparse.Namespace) -> int:
    """Print one page, or a line for each rule."""
    names = [name for name, _ in RULES]
    if options.name and options.name not in names:
        close = get_close_matches(options.name, names, n=1)
        hints = [f"weighbridge rule {close[0]}"] if close else ["weighbridge rule"]
        raise UsageError("unknown-rule", f'there is no rule "{options.name}"', *hints)
    rules = [load_rule(name) for name in ([options.name] if options.name else names)]
    document = [as_json(rule) for rule in rules]
    if options.name:
        return tell(
            options, document, [page(rules[0]), sentence(rules[0].summary)][: 1 + options.quiet], verdict=-1
        )
    width = max(len(name) for name in names)
    lines = [f"{rule.name:<{width}}  {rule.severity:<7}  {rule.summary}" for rule in rules]
    return tell(options, document, [*lines, counted(len(rules), "rule")], verdict=-1)


def page(rule: Rule) -> str:
    """The rule's page: the same text here and in `docs/rules/`."""
    _, heading, body = cleandoc(rule.__doc__ or "").partition(
        "## "
    )  # what stands before only repeats the summary
    facts = f"{rule.severity}, confidence {rule.confidence}, since {rule.since}; looks at {looks_at(rule)}"
    return f"# {rule.name}\n\n{sentence(rule.summary)}\n\n*{facts}*\n\n{heading}{body}\n"


def sentence(summary: str) -> str:
    """A rule's summary as a sentence."""
    return f"{summary[:1].upper()}{summary[1:]}."


def looks_at(rule: Rule) -> str:
    """Which formats a rule sees."""
    formats = ["every file" if name == "*" else name for name in rule.formats]
    return ", ".join([*formats, *(["the whole folder"] if rule.folder else [])])


def as_json(rule: Rule) -> dict[str, Any]:
    """The rule as data."""
    return {
        "name": rule.name,
        "summary": rule.summary,
        "severity": str(rule.severity),
        "confidence": str(rule.confidence),
        "since": rule.since,
        "formats": list(rule.formats),
        "page": cleandoc(rule.__doc__ or ""),
    }
