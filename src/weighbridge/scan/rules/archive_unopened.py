"""The rule `archive-unopened`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.unopened import UnopenedReading
from weighbridge.scan.rule import Rule


class ArchiveUnopened(Rule):
    """
    ## What it does
    Names archives, disk images and compressed streams that no loader of models opens: RAR, cabinets, `ar`, cpio, ISO and
    Apple images, `.Z`, snappy, lzop, lzip, brotli, and others. They are not opened here.

    ## Why is this bad?
    Whatever is in it was not weighed, and reaches the machine of whoever unpacks it by hand.

    ## Example
    `model.rar` in a model repository.

    ## Use instead
    The files themselves, or a zip or tar file.

    ## Known problems
    None known.
    """

    name = "archive-unopened"
    summary = "An archive of a kind that is not opened"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("unopened",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if isinstance(reading, UnopenedReading):
            yield self.finding(place, f"holds contents that were not weighed: {reading.kind}", doubt=True)
