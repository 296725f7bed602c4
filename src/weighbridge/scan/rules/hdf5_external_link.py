"""The rule `hdf5-external-link`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"hdf5-external-data", "hdf5-external-link"})


class Hdf5ExternalLink(Rule):
    """
    ## What it does
    Finds external links, external raw data and virtual datasets in HDF5 files, Keras weights among them.

    ## Why is this bad?
    Whoever loads the weights reads the named file as if it were part of the model: a file of the machine leaks into the
    weights, or weights that nobody signed are used.

    ## Example
    A dataset whose data lies in `/etc/hostname`.

    ## Use instead
    Files that hold their own data.

    ## Known problems
    Large scientific data sets are split over files in this way on purpose.

    ## References
    - CVE-2026-1669
    """

    name = "hdf5-external-link"
    summary = "An HDF5 file takes its data from other files"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("hdf5",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES)
