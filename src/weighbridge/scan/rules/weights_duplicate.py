"""The rule `weights-duplicate`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule
from weighbridge.scan.weights.reading import Twins, WeightsReading

SHOWN = 20


class WeightsDuplicate(Rule):
    """
    ## What it does
    With `--weights`: lists tensors of one file that are stored twice, with the same bytes under different names.

    ## Why is this bad?
    Two layers that learnt the very same do not happen in training. Somebody copied one over the other, a merge went
    wrong, or weights that belong together were saved one by one.

    ## Example
    ```
    the same bytes: lm_head.weight = wte.weight
    ```

    ## Use instead
    Tie the weights, so that they are stored once.

    ## Known problems
    Tied weights that an exporter writes out are the usual reason, and mean nothing. Constants are not listed here, tensors in
    different files are not compared, and in large tensors only samples are, unless numpy is installed.
    """

    name = "weights-duplicate"
    summary = "tensors with different names hold the same bytes"
    severity = Severity.NOTE
    formats: ClassVar[tuple[str, ...]] = ("weights",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a file."""
        if isinstance(reading, WeightsReading) and reading.twins:
            lines = [_line(one) for one in reading.twins]
            more = f", and {len(lines) - 1} more groups" if len(lines) > 1 else ""
            yield self.finding(place, f"the same bytes: {lines[0]}{more}", trail=tuple(lines[1 : SHOWN + 1]))


def _line(one: Twins) -> str:
    names = " = ".join(visible(name, 80) for name in one.names[:4])
    more = f" = {len(one.names) - 4} more" if len(one.names) > 4 else ""
    return f"{names}{more} ({one.tensor.share})"
