"""`weighbridge scan`: is anything in it dangerous to load?"""

import argparse

from weighbridge.cli import options as shared

EXAMPLES = (
    "weighbridge scan ./downloads",
    "weighbridge scan model.pt --format sarif -o weighbridge.sarif",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Models, and every shared group but trust."""
    parser.add_argument("model", metavar="MODEL", nargs="+", help="models: folders or files")
    shared.output(parser)
    shared.policy(parser)
    shared.findings(parser)
    shared.limits(parser)


def run(options: argparse.Namespace) -> int:
    """Examine the contents and print."""
    from weighbridge.check import Ask
    from weighbridge.cli.request import weigh_as_asked

    return weigh_as_asked(options, frozenset({Ask.CONTENT}))
