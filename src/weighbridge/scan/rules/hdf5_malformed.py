"""The rule `hdf5-malformed`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"hdf5-out-of-bounds", "hdf5-bomb"})


class Hdf5Malformed(Rule):
    """
    ## What it does
    Holds the shape and place of every dataset in an HDF5 file against the file: data behind its end, shapes larger than the
    room that they have, and shapes for which no file of this size has numbers.

    ## Why is this bad?
    Loaders make room for what the shape claims before they read: a few bytes ask for all memory. Data behind the end is
    how a reader without checks is made to read foreign memory.

    ## Example
    A weights file of 2 kB with a dataset of shape (2147483647, 2147483647).

    ## Use instead
    Files as Keras and h5py write them.

    ## Known problems
    A dataset of many gigabytes that was made and never filled is reported too.

    ## References
    - CVE-2026-0897
    """

    name = "hdf5-malformed"
    summary = "an HDF5 file claims data that it does not have"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("hdf5",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES)
