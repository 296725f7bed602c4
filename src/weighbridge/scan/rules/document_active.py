"""The rule `document-active`."""

from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.document import DocumentReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

_CALLED = {
    "pdf": "PDF",
    "ole": "Office document",
    "rtf": "RTF document",
    "windows-shortcut": "Windows shortcut",
    "postscript": "PostScript document",
}


class DocumentActive(Rule):
    """
    ## What it does
    Looks in PDF, Office and RTF documents for scripts, macros, programs to start and embedded objects, and at Windows
    shortcuts, which start a program by design.

    ## Why is this bad?
    A model card as a document with macros is mail with an attachment: opening it runs what its author wants.

    ## Example
    ```
    << /Type /Catalog /OpenAction << /S /JavaScript /JS (app.alert\\("weighbridge-sample"\\)) >> >>
    ```

    ## Use instead
    Markdown, or a PDF without actions.

    ## Known problems
    Actions on opening that only choose a page, attached files and encrypted parts are undecided. A plain document passes: its
    viewer's own mistakes are not looked for.
    """

    name = "document-active"
    summary = "a document runs scripts, macros or programs when it is opened"
    severity = Severity.ERROR
    formats = ("pdf", "ole", "rtf", "windows-shortcut", "postscript")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding for each thing that is started."""
        if not isinstance(reading, DocumentReading):
            return
        called = _CALLED[reading.format]
        for what in reading.active:
            yield self.finding(place, f"opening this {called} starts {what}")
        for what in reading.odd:
            yield self.finding(place, f"this {called} holds {what}", severity=Severity.WARNING, doubt=True)
        if reading.format == "ole" and not reading.active:
            message = "an Office document of the old form, which is read for macros only"
            yield self.finding(place, message, severity=Severity.WARNING, doubt=True)
