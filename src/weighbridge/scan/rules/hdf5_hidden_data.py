"""The rule `hdf5-hidden-data`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"hdf5-data-after", "hdf5-user-block"})


class Hdf5HiddenData(Rule):
    """
    ## What it does
    Finds a user block in front of the HDF5 superblock, and bytes behind the declared end. The bytes are examined on their
    own.

    ## Why is this bad?
    The file is something else besides, for a program that reads from the start or from the end.

    ## Example
    A shell script in the first 512 bytes of a weights file.

    ## Use instead
    One file a format.

    ## Known problems
    MATLAB writes a user block of 512 bytes into each of its files.
    """

    name = "hdf5-hidden-data"
    summary = "An HDF5 file holds bytes that do not belong to it"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("hdf5",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES, doubt=True)
