"""The rule `weights-appended`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule
from weighbridge.scan.weights.numbers import FLOATS, plain
from weighbridge.scan.weights.reading import Hidden, WeightsReading


class WeightsAppended(Rule):
    """
    ## What it does
    With `--weights`: looks for the headers of programs (ELF, Windows, Mach-O) behind the tensors of a file, between them, and
    at any place inside them.

    ## Why is this bad?
    Weights are numbers. Whoever knows where the program stands takes it out and starts it; nobody else sees it.

    ## Example
    ```
    an ELF program stands at byte 1048640, behind the last tensor
    ```

    ## Use instead
    A file that holds tensors and nothing else.

    ## Known problems
    Inside tensors of whole numbers it is a warning, since data sets and look-up tables may hold anything. Only the usual
    headers are looked for: a program that was packed, encrypted or cut into pieces has none. Large tensors are sampled
    unless numpy is installed.
    """

    name = "weights-appended"
    summary = "a program stands behind, between or inside the tensors"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("weights",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a program."""
        if not isinstance(reading, WeightsReading):
            return
        for outside in reading.outside:
            where = "behind the last tensor" if outside.behind else "in bytes that belong to no tensor"
            yield self.finding(place, f"{outside.what} stands at byte {outside.at}, {where}")
        yield from (self._inside(one, place) for one in reading.hidden if not one.how)

    def _inside(self, one: Hidden, place: Place) -> Finding:
        message = f"{one.what} stands at byte {one.at} of the tensor ({one.tensor.share})"
        numbers = plain(one.tensor.dtype) in FLOATS
        return self.finding(
            place.inside(one.tensor.name), message, severity=None if numbers else Severity.WARNING
        )
