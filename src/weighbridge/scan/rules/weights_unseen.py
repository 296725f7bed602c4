"""The rule `weights-unseen`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import counted, visible
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule
from weighbridge.scan.weights.reading import WeightsReading

SHOWN = 20


class WeightsUnseen(Rule):
    """
    ## What it does
    With `--weights`: says which tensors were not looked at, and why.

    ## Why is this bad?
    It is not bad. Silence about them would read as if there were nothing to say.

    ## Example
    ```
    the numbers of 12 tensors were not looked at: their bytes lie in another file
    ```

    ## Use instead
    Formats that state where each tensor lies, such as safetensors.

    ## Known problems
    It speaks of files whose format is known to hold tensors. What the look at all the others cannot show is in
    docs/weights.md.
    """

    name = "weights-unseen"
    summary = "the numbers of some tensors were not looked at"
    severity = Severity.NOTE
    formats: ClassVar[tuple[str, ...]] = ("weights",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding for each reason."""
        if not isinstance(reading, WeightsReading):
            return
        reasons: dict[str, list[str]] = {}
        for name, why in reading.unseen:
            reasons.setdefault(why, []).extend([name] if name else [])
        for why, names in reasons.items():
            what = f"{counted(len(names), 'tensor')}" if names else "its tensors"
            message = f"the numbers of {what} were not looked at: {visible(why, 300)}"
            yield self.finding(place, message, trail=tuple(visible(name, 120) for name in names[:SHOWN]))
