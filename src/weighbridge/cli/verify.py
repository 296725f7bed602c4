"""`weighbridge verify`: who signed this, and is it what they signed?"""

import argparse

from weighbridge.cli import options as shared

EXAMPLES = (
    "weighbridge verify ./minilm --key publisher.pub",
    "weighbridge verify ./minilm --by release@example.org",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The model and every shared group."""
    shared.model(parser)
    shared.output(parser)
    shared.trust(parser)
    shared.policy(parser)
    shared.limits(parser)
    shared.recalls(parser.add_argument_group("Evidence"))
    parser.set_defaults(layout=None)
    group = parser.add_argument_group("Reading")
    group.add_argument("--fail-fast", action="store_true", help="stop reading at the first file that differs")


def run(options: argparse.Namespace) -> int:
    """Check the signatures and print."""
    from weighbridge.check import Ask
    from weighbridge.cli.request import weigh_as_asked

    return weigh_as_asked(options, frozenset({Ask.SIGNATURES}))
