"""The rule `notebook-active-output`."""

from collections.abc import Iterator

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.formats.notebook import NotebookReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class NotebookActiveOutput(Rule):
    """
    ## What it does
    Looks for saved outputs and text cells that hold JavaScript, event handlers, frames or forms, and for cells whose code
    shows a page that reaches out of it.

    ## Why is this bad?
    A notebook that is trusted runs them when it is opened, before any cell is. Inside Jupyter, JavaScript can run cells.

    ## Example
    ```json
    {"output_type": "display_data", "data": {"text/html": "<script>alert('weighbridge-sample')</script>"}}
    ```

    ## Use instead
    Clear the outputs before publishing (`jupyter nbconvert --clear-output`), or save plots as PNG.

    ## Known problems
    Interactive plots and Colab tables carry scripts too.

    ## References
    - CVE-2021-32797, CVE-2021-32798
    """

    name = "notebook-active-output"
    summary = "a notebook holds output that runs when it is opened"
    severity = Severity.WARNING
    confidence = Confidence.MEDIUM
    formats = ("notebook",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a cell."""
        if isinstance(reading, NotebookReading):
            for cell, kind in dict.fromkeys(reading.outputs):
                message = f"{kind} with active content, which a trusted notebook runs when it is opened"
                yield self.finding(place.inside(f"cell {cell}"), message, doubt=True)
            for cell, what in reading.taking:
                message = f"a page in it holds a script that reaches for {what}"
                yield self.finding(place.inside(f"cell {cell}"), message, severity=Severity.ERROR)
