"""One self-contained HTML file: no scripts, no requests, readable on paper, in the dark and by a screen reader.

Jinja escapes everything (`autoescape`), every foreign text is made visible first, and a Content-Security-Policy in
the file forbids whatever might slip through. State is always a word beside its sign and colour (WCAG 2.2, 1.4.1).
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.core.report import Report
from weighbridge.core.text import counted, human_bytes, visible
from weighbridge.report.summary import (
    SYMBOLS,
    counts_line,
    differences,
    gaps,
    reading_line,
    verdict_word,
    work_line,
    worst_first,
)

if TYPE_CHECKING:
    from jinja2 import Template

    from weighbridge.report import RulePage

MAX_FILES = 2000
"""Rows of the file list; the JSON document has them all."""
MAX_FINDINGS = 500


def render(report: Report, *, rules: Mapping[str, "RulePage"]) -> str:
    """The page."""
    return _template().render(_context(report, rules))


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["visible"] = visible
    environment.filters["size"] = human_bytes
    folder = Path(__file__).parent / "templates"
    environment.globals["css"] = (folder / "report.css").read_text("utf-8")
    return environment.from_string((folder / "report.html").read_text("utf-8"))


def _context(report: Report, rules: Mapping[str, "RulePage"]) -> dict[str, Any]:
    findings = worst_first(report.findings)
    return {
        "report": report,
        "rules": rules,
        "word": verdict_word(report),
        "sign": {"admitted": "✓", "refused": "✗"}.get(report.verdict.decision.value, "?"),
        "symbols": {outcome.value: symbol for outcome, symbol in SYMBOLS.items()},
        "counts": counts_line(report),
        "work": work_line(report),
        "reading": reading_line(report),
        "differences": differences(report),
        "gaps": gaps(report.unread),
        "findings": findings[:MAX_FINDINGS],
        "more_findings": max(0, len(findings) - MAX_FINDINGS),
        "files": report.files[:MAX_FILES],
        "more_files": max(0, len(report.files) - MAX_FILES),
        "digests": _digests(report),
        "file_count": counted(report.subject.files, "file"),
    }


def _digests(report: Report) -> list[tuple[str, str]]:
    subject = report.subject
    named = (
        ("files", subject.files_digest),
        ("tensors", subject.tensors_digest),
        ("card", subject.card_digest),
    )
    return [(name, digest) for name, digest in named if digest]
