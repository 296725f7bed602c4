"""Where an answer goes: standard output or a file; and the exit code that says the same.

`-q`, `-v`, `--color` and `--format json` are kept here, for every command: `emit` for reports, `tell` for everything else.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from weighbridge.cli.options import columns
from weighbridge.core.durable import refuse_no_folder, write_file
from weighbridge.core.errors import ExitCode, UsageError
from weighbridge.core.pattern import late
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


def schema(command: str) -> str:
    """The name of the document that a command prints; `-answer` where a kind of statement has the command's own word."""
    return f"weighbridge.{command}{'-answer' if command in _STATED else ''}/v1"


_STATED = frozenset({"plan", "recall", "run", "transform"})


def tell(
    options: argparse.Namespace,
    document: Any,
    lines: Sequence[str],
    *,
    code: int = 0,
    verdict: int = 0,
    talk: bool = False,
) -> int:
    """One JSON document, or lines for people; returns the code.

    lines    made visible already
    verdict  which of the lines says what came of it: `--quiet` prints that one alone
    talk     the lines go to standard error, where standard output belongs to another program
    """
    if options.format == "json":
        from weighbridge.core.wire import write_json

        write(write_json(document, indent=2).decode("utf-8", "surrogateescape"), options.output)
    elif lines:
        shown = (
            [lines[verdict]]
            if options.quiet
            else [part for line in lines for part in _wrapped(line, options)]
        )
        if colored(options.color, options.output, sys.stderr if talk else sys.stdout):
            shown = [_painted(line, code) for line in shown]
        if talk and not options.output:
            sys.stderr.write("".join(f"{line}\n" for line in shown))
        else:
            write("\n".join(shown), options.output)
    return code


_LABEL = late(r"\s*[^\s]+(?:  +|\s)|\s*")
_MARK = late(r"(^\s*(?:[├└]─ )?|  )([✓✗?])(?= |$)")
_VERDICT = late(r"[A-Z][A-Z]+(?: [A-Z]+)*")
_CODES = {0: "1;32", 1: "1;31", 3: "1;33"}
_MARKS = {"✓": "32", "✗": "31", "?": "33"}


def _wrapped(line: str, options: argparse.Namespace) -> list[str]:
    """Folded at the terminal's width; what is written elsewhere, or is a command to be pasted, stays one line."""
    known = sys.stdout.isatty()
    if options.output or not known or len(line) <= columns() or "weighbridge " in line:
        return [line]
    from textwrap import wrap

    label = _LABEL.match(line)
    indent = " " * min(label.end() if label else 0, 20)
    if max(map(len, line.split())) > columns() - len(indent):  # a digest, which is to be copied
        return [line]
    return wrap(line, columns(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _painted(line: str, code: int) -> str:
    """The word of the verdict and the marks, in colour."""
    line = _MARK.sub(lambda found: f"{found[1]}\x1b[{_MARKS[found[2]]}m{found[2]}\x1b[0m", line)
    paint = _CODES.get(code)
    return (
        _VERDICT.sub(lambda found: f"\x1b[{paint}m{found[0]}\x1b[0m", line, count=1)
        if _begins(line) and paint
        else line
    )


def _begins(line: str) -> bool:
    return _VERDICT.match(line) is not None


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


def colored(choice: str, output: str | None, stream: TextIO | None = None) -> bool:
    """Colour only on a capable terminal, unless it was asked for (https://no-color.org)."""
    if choice != "auto":
        return choice == "always"
    capable = os.environ.get("TERM", "") != "dumb" and not os.environ.get("NO_COLOR")
    return capable and not output and (stream or sys.stdout).isatty()
