"""The rule `weights-constant`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import counted, visible
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule
from weighbridge.scan.weights.reading import Constant, WeightsReading

SHOWN = 20


class WeightsConstant(Rule):
    """
    ## What it does
    With `--weights`: lists tensors in which all numbers are the same.

    ## Why is this bad?
    Such a tensor has learnt nothing, or was overwritten. A layer whose weights are all zero is switched off.

    ## Example
    ```
    2 tensors hold one value throughout: pooler.dense.bias, adapter.lora_B.weight
    ```

    ## Use instead
    Compare with the model that it was made from: `weighbridge diff OLD NEW`.

    ## Known problems
    Constants are normal where training begins with them or a graph needs them: biases, norms, the second matrix of LoRA,
    masks. Large tensors are sampled unless numpy is installed, and may differ elsewhere.
    """

    name = "weights-constant"
    summary = "all numbers of a tensor are the same"
    severity = Severity.NOTE
    formats: ClassVar[tuple[str, ...]] = ("weights",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a file."""
        if isinstance(reading, WeightsReading) and reading.constant:
            found = reading.constant
            verb = "holds" if len(found) == 1 else "hold"
            message = f"{counted(len(found), 'tensor')} {verb} one value throughout: {_names(found)}"
            yield self.finding(place, message, trail=tuple(_line(one) for one in found[:SHOWN]))


def _names(found: tuple[Constant, ...]) -> str:
    return ", ".join(visible(one.tensor.name, 80) for one in found[:3]) + (", …" if len(found) > 3 else "")


def _line(one: Constant) -> str:
    what = "zero" if one.zero else "one value"
    return f"{visible(one.tensor.name, 120)}: {one.tensor.dtype}, {what} ({one.tensor.share})"
