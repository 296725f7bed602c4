"""`weighbridge version`."""

import argparse

from weighbridge.core.version import __version__

EXAMPLES = ("weighbridge version", "weighbridge version --format json")


def configure(parser: argparse.ArgumentParser) -> None:
    """No options but the format."""
    parser.add_argument(
        "-f",
        "--format",
        metavar="FORMAT",
        choices=("human", "json"),
        default="human",
        help="human (default) or json",
    )


def run(options: argparse.Namespace) -> int:
    """Print the version."""
    if options.format == "json":
        print(f'{{"name": "weighbridge", "version": "{__version__}"}}')
    else:
        print(f"weighbridge {__version__}")
    return 0
