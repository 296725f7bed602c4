"""Where an answer goes: standard output or a file; and the exit code that says the same."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.cli.options import columns
from weighbridge.core.durable import refuse_no_folder, write_file
from weighbridge.core.errors import ExitCode, UsageError
from weighbridge.core.report import Report
from weighbridge.core.text import visible

if TYPE_CHECKING:
    from weighbridge.report import RulePage


def emit(report: Report, options: argparse.Namespace) -> int:
    """Render the report as asked, put it where asked, and return the exit code."""
    from weighbridge.report import render

    code = int(ExitCode.DONE if options.exit_zero else report.verdict.decision.exit_code)
    text = render(
        report,
        options.format,
        color=colored(options.color, options.output),
        width=columns(),
        verbose=bool(options.verbose),
        quiet=options.quiet,
        min_severity=options.min_severity or "note",
        exit_code=code,
        rules=_pages(report) if options.format in ("sarif", "html") else None,
        prefix=_prefix(options),
    )
    write(text, options.output)
    if options.output and options.format != "human" and sys.stderr.isatty():
        sys.stderr.write(f"{report.verdict.decision}: see {options.output}\n")
    return code


def _pages(report: Report) -> "dict[str, RulePage]":
    """The pages of the rules that the report names."""
    from inspect import cleandoc

    from weighbridge.report import RulePage
    from weighbridge.scan.engine import load_rule
    from weighbridge.scan.rules import RULES

    named = {finding.rule for finding in report.findings} & {name for name, _ in RULES}
    rules = [load_rule(name) for name in sorted(named)]
    return {
        rule.name: RulePage(
            summary=rule.summary, help=cleandoc(rule.__doc__ or ""), uri=f"docs/rules/{rule.name}.md"
        )
        for rule in rules
    }


def _prefix(options: argparse.Namespace) -> str:
    """The model's path as typed, where it is relative: annotations then point into the repository."""
    model = getattr(options, "model", None)
    if not isinstance(model, str) or Path(model).is_absolute() or not Path(model).is_dir():
        return ""
    return "" if model in (".", "./") else model


def write(text: str, output: str | None) -> None:
    """Print `text`, or leave it whole in the file `output`."""
    data = text.encode("utf-8", "backslashreplace")
    data = data if data.endswith(b"\n") else data + b"\n"
    if output and output != "-":
        _leave(data, Path(output))
        return
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def refuse_output(output: str | None) -> None:
    """Refuse a FILE that cannot be written before any work is done for it. Raises `UsageError` (`cannot-write`)."""
    if output and output != "-":
        path = Path(output)
        if path.is_dir():
            raise UsageError("cannot-write", f'cannot write "{visible(output)}": it is a folder')
        refuse_no_folder(path)


def _leave(data: bytes, path: Path) -> None:
    """Whole or not at all, but for a device, a pipe or a link such as /dev/stdout: those must not be replaced."""
    if not path.exists() or (path.is_file() and not path.is_symlink()):
        write_file(path, data)
    else:
        path.write_bytes(data)


def colored(choice: str, output: str | None) -> bool:
    """Colour only on a capable terminal, unless it was asked for (https://no-color.org)."""
    if choice != "auto":
        return choice == "always"
    capable = os.environ.get("TERM", "") != "dumb" and not os.environ.get("NO_COLOR")
    return capable and not output and sys.stdout.isatty()
