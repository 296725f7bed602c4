"""The rule `pt2-native-code`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.pytorch.pt2 import Pt2Reading
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class Pt2NativeCode(Rule):
    """
    ## What it does
    Names the libraries and kernels that a compiled program (AOTInductor) carries. Source code beside them, which nothing
    compiles when the file is loaded, leaves the file undecided.

    ## Why is this bad?
    The loader unpacks the libraries and opens them: whatever stands in them runs with the rights of whoever loads the file,
    and nobody can read it.

    ## Example
    `model/data/aotinductor/model/kernel.so`

    ## Use instead
    The exported program without compiled code, compiled where it is used.

    ## Known problems
    None known.

    ## References
    CWE-829
    """

    name = "pt2-native-code"
    summary = "A compiled program carries native code that its loader opens"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("pt2",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, Pt2Reading):
            return
        for record in reading.native:
            yield self.finding(place.inside(record), "the loader opens this as native code")
        for record in reading.sources:
            message = "source code that a compiled program was made of"
            yield self.finding(place.inside(record), message, severity=Severity.WARNING, doubt=True)
