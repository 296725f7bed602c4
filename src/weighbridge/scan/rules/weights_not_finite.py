"""The rule `weights-not-finite`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule
from weighbridge.scan.weights.reading import NotFinite, WeightsReading


class WeightsNotFinite(Rule):
    """
    ## What it does
    With `--weights`: finds NaN and infinities in tensors of floating-point numbers.

    ## Why is this bad?
    One such number spreads through everything computed from it: answers become NaN, or a program that compares them takes
    the branch that nobody meant. They are what is left of a training run that diverged, of a conversion that overflowed,
    of a damaged file, or of somebody who wants the model to fail on some inputs.

    ## Example
    ```
    layers.3.mlp.weight: 1 NaN, 0 infinities (sampled 1048576 of 4194304 bytes)
    ```

    ## Use instead
    Weights from a run that ended well. `torch.isfinite(tensor).all()` tells where they come from.

    ## Known problems
    Masks and bounds are infinite on purpose: where a tensor has few numbers, or hardly any value besides, infinities are a
    note. Large tensors are sampled unless numpy is installed, so that silence does not say that all numbers are finite.
    """

    name = "weights-not-finite"
    summary = "a tensor holds NaN or infinities"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("weights",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a tensor."""
        if isinstance(reading, WeightsReading):
            yield from (self._told(found, place) for found in reading.not_finite)

    def _told(self, found: NotFinite, place: Place) -> Finding:
        infinities = f"{found.infinities} {'infinity' if found.infinities == 1 else 'infinities'}"
        numbers = f"its {found.tensor.dtype} numbers ({found.tensor.share})"
        message = f"{found.nans} NaN and {infinities} among {numbers}"
        severity = Severity.NOTE if found.usual else None
        return self.finding(place.inside(found.tensor.name), message, severity=severity)
