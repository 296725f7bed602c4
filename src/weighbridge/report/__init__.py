"""Report → text for people, machines and services: pure functions of one value, one file a format.

Names and messages that came with a model are hostile: each renderer makes them visible (core.text) and escapes them
for its own format, and links lead nowhere but to our own pages. Nothing here reads a file, a clock or a terminal.
"""

from collections.abc import Mapping
from importlib import import_module

from weighbridge.core.errors import UsageError, WeighbridgeError
from weighbridge.core.finding import Severity
from weighbridge.core.report import Report
from weighbridge.core.value import dataclass

FORMATS = ("human", "json", "sarif", "html", "markdown", "junit", "github", "gitlab")
"""What `--format` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePage:
    """What a report says of a rule; the caller takes it from the rule itself."""

    summary: str
    help: str = ""
    """The rule's page, Markdown."""
    uri: str = ""
    """Where the page stands: `docs/rules/NAME.md`, or an https address of ours."""


def render(
    report: Report,
    format: str = "human",  # noqa: A002 - the word of the option
    *,
    color: bool = False,
    width: int = 80,
    verbose: bool = False,
    quiet: bool = False,
    min_severity: str = "note",
    exit_code: int | None = None,
    rules: Mapping[str, RulePage] | None = None,
    prefix: str = "",
) -> str:
    """The report in one of `FORMATS`.

    color, width, verbose, quiet, min_severity, exit_code  only change the screen for people
    rules   pages of rules, by name, for the formats that carry them (sarif, html)
    prefix  the model's path in its repository, for the formats that name files there (sarif, github, gitlab)
    """
    if format == "human":
        from weighbridge.report import human

        screen = human.Screen(
            color=color,
            width=width,
            verbose=verbose,
            quiet=quiet,
            min_severity=Severity(min_severity),
            exit_code=exit_code,
        )
        return human.render(report, screen)
    if format not in FORMATS:
        raise UsageError("unknown-format", f'there is no format "{format}"', f"formats: {', '.join(FORMATS)}")
    module = import_module(f"weighbridge.report.{format}")
    if format == "sarif":
        return str(module.render(report, rules=rules or {}, prefix=prefix))
    if format == "html":
        return str(module.render(report, rules=rules or {}))
    if format in ("github", "gitlab"):
        return str(module.render(report, prefix=prefix))
    return str(module.render(report))


def render_error(
    error: WeighbridgeError,
    format: str = "human",  # noqa: A002 - the word of the option
    *,
    color: bool = False,
) -> str:
    """An error for people, or the `weighbridge.error/v1` document for every machine format."""
    from weighbridge.report import failure

    return failure.text(error, color=color) if format == "human" else failure.document(error)


def read_report(data: bytes) -> Report:
    """The report of a saved `weighbridge.report/v1` document. Raises `InputError` (`bad-report`, `bad-json`, …)."""
    from weighbridge.report.json import read

    return read(data)


__all__ = ["FORMATS", "RulePage", "read_report", "render", "render_error"]
