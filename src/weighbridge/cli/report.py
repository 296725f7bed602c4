"""`weighbridge report`: render a saved report again. Its verdict, and so the exit code, stays what it was."""

import argparse

from weighbridge.cli import options as shared

EXAMPLES = (
    "weighbridge check ./minilm --format json -o report.json",
    "weighbridge report report.json --format html -o report.html",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """The file and how to print it."""
    parser.add_argument("file", metavar="FILE", help="a report that was saved with --format json")
    shared.output(parser)
    shared.judging(parser.add_argument_group("Policy"))


def run(options: argparse.Namespace) -> int:
    """Read, render, and exit with the report's own code."""
    from pathlib import Path

    from weighbridge.cli.output import emit
    from weighbridge.core.errors import InputError, UsageError
    from weighbridge.core.wire import MAX_DOCUMENT
    from weighbridge.report import read_report
    from weighbridge.store import read_beside

    data = read_beside(Path(options.file), MAX_DOCUMENT)
    if data is None:
        raise UsageError("no-such-path", f'there is no report at "{options.file}"')
    try:
        report = read_report(data)
    except InputError as error:
        raise UsageError(error.code, f'"{options.file}" is no report: {error.message}') from None
    return emit(report, options)
