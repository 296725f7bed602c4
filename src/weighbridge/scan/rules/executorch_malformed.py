"""The rule `executorch-malformed`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"executorch-malformed", "executorch-out-of-bounds"})


class ExecutorchMalformed(Rule):
    """
    ## What it does
    Holds every reference, index and extent of an ExecuTorch program against what it points into: tables, segments, the data
    and the planned memory of each tensor, the values, operators and delegates that instructions use.

    ## Why is this bad?
    The runtime on the device trusts the program and checks little: a number that leads outside reads or writes memory that
    is not the model's.

    ## Example
    A tensor of a megabyte over a segment of 48 bytes.

    ## Use instead
    A file written by ExecuTorch's own exporter.

    ## Known problems
    None known.

    ## References
    CWE-125, CWE-787
    """

    name = "executorch-malformed"
    summary = "An ExecuTorch program leads its runtime outside of its memory"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("executorch", "flat-tensor")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES)
