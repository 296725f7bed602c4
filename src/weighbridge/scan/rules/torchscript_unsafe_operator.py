"""The rule `torchscript-unsafe-operator`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.pytorch import PytorchZip
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts import torchscript
from weighbridge.scan.rule import Rule


class TorchscriptUnsafeOperator(Rule):
    """
    ## What it does
    Finds operators in TorchScript code that write or map files, call Python, or call other processes.

    ## Why is this bad?
    TorchScript code is part of the model. Its `__setstate__` methods run while the model is loaded, the rest when it is used.

    ## Example
    ```python
    def forward(self, x: Tensor) -> Tensor:
      _0 = torch.save(x, "/tmp/weighbridge-sample")
    ```

    ## Use instead
    Models that compute and leave files to the program that uses them.

    ## Known problems
    None known.
    """

    name = "torchscript-unsafe-operator"
    summary = "TorchScript code writes files, maps files, or calls out"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("torchscript",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, PytorchZip):
            return
        for record, code in reading.code:
            for name in torchscript.unlisted(code):
                if name in torchscript.HARMFUL:
                    yield self.finding(place.inside(record), f"the model's code calls {name}")
