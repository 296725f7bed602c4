"""`weighbridge check`: the main job. Verify, scan, and judge by policy."""

import argparse

from weighbridge.cli import options as shared

EXAMPLES = (
    "weighbridge check ./minilm --key publisher.pub",
    "weighbridge check ./minilm --policy production --format html -o report.html",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The model and every shared group."""
    shared.model(parser)
    shared.output(parser)
    shared.trust(parser)
    evidence = shared.statements(parser)
    evidence.add_argument(
        "--base",
        metavar="MODEL",
        help="what this adapter shall be used with; it must be what it was signed for",
    )
    shared.policy(parser)
    shared.findings(parser)
    shared.limits(parser)
    group = parser.add_argument_group("Statement")
    group.add_argument(
        "--attest",
        metavar="FILE",
        help="leave the verdict in FILE as a signed statement, which the next gate can trust",
    )
    group.add_argument("--attest-key", metavar="KEY", help="the private key that signs the statement")


def run(options: argparse.Namespace) -> int:
    """Weigh, print, and leave the signed verdict where asked."""
    from weighbridge.check import Ask
    from weighbridge.cli.request import weigh_as_asked

    return weigh_as_asked(options, frozenset(Ask))
