"""npy-odd-header: the header of a NumPy file says two things at once."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"npy-duplicate-key"})
ATTACKS = frozenset(
    {"npy-header-code", "npy-header-length", "npy-header-nested", "npy-shape-negative", "npy-shape-overflow"}
)
"""These never come about by accident."""


class NpyOddHeader(Rule):
    """The header of a NumPy file says two things at once.

    ## What it does
    Reports headers in which a key stands twice, and, as errors, headers that call something, that are nested too deep or
    longer than any writer makes them, and shapes that are negative or overflow.

    ## Why is this bad?
    Readers may keep the first or the last: one sees an array of numbers where another unpickles objects. Some evaluate the
    header, and some allocate by its numbers before they look at the file.

    ## Example
    `{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'descr': '|O'}`

    ## Use instead
    Write the array again with `numpy.save`.

    ## Known problems
    None.

    ## References
    NEP 1
    """

    name = "npy-odd-header"
    summary = "The header of a NumPy file says two things at once"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("npy",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES, doubt=True)
        yield from self.noted(reading, place, ATTACKS, severity=Severity.ERROR)
