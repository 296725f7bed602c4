"""The rule `document-script`."""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.image import ImageReading
from weighbridge.formats.notebook import ACTIVE_HTML, taken
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

MAX_FINDINGS = 20


_SMUGGLES = late(
    r"(?is)<script(?=.{0,200000}(\bnew\s+Blob\s*\(|data:application/(octet-stream|x-msdownload|zip|hta)|atob\s*\())(?=.{0,200000}\.(download\s*=|msSaveOrOpenBlob|msSaveBlob))"
    r"(?=.{0,200000}(\.click\s*\(\s*\)|msSave)).{0,200000}[\"'][^\"'\n]{1,80}\.(exe|scr|bat|cmd|js|hta|iso|img|lnk|msi|zip|vbs|ps1)[\"']"
)
"""A script that makes a program out of text and saves it with the visitor (HTML smuggling)."""


class DocumentScript(Rule):
    """
    ## What it does
    Looks in HTML and SVG files for scripts, event handlers, frames, forms and addresses that run.

    ## Why is this bad?
    Opening the file in a browser runs them. An SVG looks like a picture and is a program; served from a hub, it runs with
    the hub's own rights. One that reaches for cookies or keys, sends data, moves to another page, runs cells or begins with a
    dialogue (as whoever tries a way in does) is an error.

    ## Example
    ```xml
    <svg xmlns="http://www.w3.org/2000/svg"><script>alert("weighbridge-sample")</script></svg>
    ```

    ## Use instead
    PNG for pictures, Markdown for text.

    ## Known problems
    Saved interactive plots are HTML with scripts, and are reported.
    """

    name = "document-script"
    summary = "an HTML or SVG file runs scripts when it is opened"
    severity = Severity.WARNING
    formats = ("html", "svg")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Twenty findings a file at most."""
        text: str = getattr(reading, "text", "")
        if (reading.format == "svg" or ACTIVE_HTML.search(text)) and (what := taken(text)):
            line = text.count("\n", 0, text.index(what)) + 1
            message = f"opening it runs a script that reaches for {what.strip()[:50]}"
            yield self.finding(replace(place, line=line), message, severity=Severity.ERROR)
        if _SMUGGLES.search(text):
            message = "opening it puts together a file and has it saved"
            yield self.finding(place, message, severity=Severity.ERROR)
        if isinstance(reading, ImageReading):
            for active in reading.active[:MAX_FINDINGS]:
                yield self.finding(
                    replace(place, line=active.line), f"opening it runs {active.what}", doubt=True
                )
        elif isinstance(reading, TextReading):
            for count, match in enumerate(ACTIVE_HTML.finditer(reading.text)):
                if count >= MAX_FINDINGS:
                    return
                line = reading.text.count("\n", 0, match.start()) + 1
                yield self.finding(
                    replace(place, line=line), f"opening it runs {match[0].strip()[:60]}", doubt=True
                )
