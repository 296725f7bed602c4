"""pickle-trailing-data: bytes behind the pickle that are no pickle."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.pickle_findings import FORMATS
from weighbridge.scan.rule import Rule


class PickleTrailingData(Rule):
    """Bytes behind the pickle that are no pickle.

    ## What it does
    Reports bytes that follow the last STOP and that no unpickler reads. Further pickles in the stream are judged as such,
    and some padding is accepted.

    ## Why is this bad?
    An ordinary loader never looks at them: they are a place to hide a payload for a second stage, or a second file in the
    first one's clothes.

    ## Example
    A pickle with an archive appended.

    ## Use instead
    One file for each content.

    ## Known problems
    A few programs append raw arrays of their own to a pickle.

    ## References
    CWE-434
    """

    name = "pickle-trailing-data"
    summary = "Bytes behind the pickle that are no pickle"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = FORMATS

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for gap in reading.gaps:
            if gap.code == "trailing-bytes":
                yield self.finding(replace(place, offset=gap.offset), gap.message, doubt=True)
