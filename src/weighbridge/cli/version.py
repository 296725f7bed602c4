"""`weighbridge version`."""

import argparse

from weighbridge.cli import options as shared
from weighbridge.core.version import __version__

EXAMPLES = ("weighbridge version", "weighbridge version --format json")


def configure(parser: argparse.ArgumentParser) -> None:
    """No options but those of every command."""
    shared.output(parser, shared.BOTH)


def run(options: argparse.Namespace) -> int:
    """Print the version."""
    line = f"weighbridge {__version__}"
    if options.format == "json" or options.output:
        from weighbridge.cli.output import tell

        return tell(options, {"name": "weighbridge", "version": __version__}, [line])
    print(line)  # without importing what this needs nothing of
    return 0
