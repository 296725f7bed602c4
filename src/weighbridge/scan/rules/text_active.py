"""The rule `text-active`."""

import re
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

_TABLE = re.compile(r"(?i)\.(csv|tsv|tab|psv)$")
_FORMULA = re.compile(
    r"(?im)(?:^|[,;\t])[ ]*\"?[=+\-@][^,;\n]{0,200}?(\b(?:cmd|powershell|mshta|rundll32|regsvr32|msexcel|wscript)(?:\.exe)?\s*\|"
    r"|\b(?:WEBSERVICE|HYPERLINK|IMPORTXML|IMPORTDATA|IMPORTHTML|IMPORTFEED|IMPORTRANGE|IMAGE)\s*\(\s*(?:CONCATENATE\s*\(\s*)?\"{1,2}(?:https?|ftp):"
    r"|\b(?:CALL|REGISTER|EXEC)\s*\(\s*\"{1,2}\w+)"
)
"""Formulas that start a program (DDE), or send what stands in other cells to an address."""
_PLAIN = re.compile(
    r"(?i)\.(md|markdown|rst|html?|jsonl|csv|tsv|tex|bib|diff|patch|log)$|(^|/)(readme|license|notice|changelog)[^/]*$"
)
"""Texts for people, which may show what others must not hold."""
_YAML = re.compile(r"(?m)^[ \t]*(?:- +)?(?:[\w.\"'-]{1,80}:[ \t]+)?!!python/(?:object|name|module)[\w/.:]*")
_TAGS = re.compile("(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f]{3,}")
"""Tag characters that spell a text; those behind a black flag make a flag."""
_LINK = re.compile(
    r"(?i)\]\(\s*javascript:[^)\n]{0,300}(fetch|cookie|XMLHttpRequest|eval|localStorage|location\s*=)"
)
_STARTS = re.compile(r"(?im)^\s*(open|shellexecute|shell\\\w+\\command)\s*=\s*(\S.*)$")
_ICON = re.compile(r"(?im)^\s*(IconFile|IconResource|InfoTip|LocalizedResourceName)\s*=\s*(\\\\|//)[\w.-]+\\")


class TextActive(Rule):
    """
    ## What it does
    Looks in texts for what starts when a program opens them: formulas in tables that run commands or send cells to an
    address, `autorun.inf` and `desktop.ini` that start programs or reach for shares, links that run a script, objects of
    Python's YAML under another name; and for messages in tag characters, which programs read and people do not see.

    ## Why is this bad?
    A spreadsheet carries out the formulas of a table, a desktop reads `desktop.ini` when the folder is shown, and a language
    model that reads a README follows what nobody else sees there.

    ## Example
    ```
    a,b
    =cmd|'/C echo weighbridge-sample'!A0,1
    ```

    ## Use instead
    Numbers and words. A text that begins with `=` gets an apostrophe before it.

    ## Known problems
    Flags of emoji are made of tag characters too, and are let through.

    ## References
    - CWE-1236
    """

    name = "text-active"
    summary = "a text starts something when it is opened, or speaks to programs only"
    severity = Severity.ERROR
    formats = ("text",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding for each kind."""
        if not isinstance(reading, TextReading):
            return
        name = place.parts[-1] if place.parts else place.path
        for pattern, message in _wanted(name, reading.text):
            if match := pattern.search(reading.text):
                line = reading.text.count("\n", 0, match.start()) + 1
                yield self.finding(replace(place, line=line), message)


def _wanted(name: str, text: str) -> Iterator[tuple[re.Pattern[str], str]]:
    base = name.rpartition("/")[2].lower()
    if _TABLE.search(name):
        yield _FORMULA, "a formula that starts a program, or sends cells to an address"
    if base == "autorun.inf":
        yield _STARTS, "starts a program when the disk is opened"
    if base == "desktop.ini":
        yield _ICON, "reaches for a share of another machine when the folder is shown"
    if "javascript:" in text:
        yield _LINK, "a link that runs a script"
    if "!!python/" in text and not _PLAIN.search(name):
        yield _YAML, "an object of Python's YAML, which an unsafe loader builds"
    if not text.isascii() and "vocab" not in base:
        yield _TAGS, "a message in characters that people do not see"
