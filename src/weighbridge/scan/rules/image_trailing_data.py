"""The rule `image-trailing-data`."""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class ImageTrailingData(Rule):
    """
    ## What it does
    Looks for bytes behind the end of a picture. A script for a web server or a browser there is an error.

    ## Why is this bad?
    Viewers do not show them. Archives, keys and programs travel there, and code elsewhere in the model can pick them up.

    ## Example
    A PNG with 40 bytes behind its IEND chunk.

    ## Use instead
    Save the picture again.

    ## Known problems
    Some cameras append previews; further whole JPEG pictures and zero padding are not reported.
    """

    name = "image-trailing-data"
    summary = "something stands behind the end of a picture"
    severity = Severity.WARNING
    formats = ("png", "jpeg", "gif", "webp")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a picture."""
        for anomaly in reading.anomalies:
            if anomaly.code == "trailing-bytes":
                yield self.finding(replace(place, offset=anomaly.offset), anomaly.message, doubt=True)
            elif anomaly.code == "trailing-script":
                where = replace(place, offset=anomaly.offset)
                yield self.finding(where, anomaly.message, severity=Severity.ERROR)
