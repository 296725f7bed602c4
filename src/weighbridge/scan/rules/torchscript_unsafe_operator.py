"""The rule `torchscript-unsafe-operator`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.pytorch import PytorchZip
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts import torchscript
from weighbridge.scan.rule import Rule


class TorchscriptUnsafeOperator(Rule):
    """
    ## What it does
    Finds operators in TorchScript code that write or map files, call Python, or call other processes, and operators of a
    library that nobody here knows, which are native code that must be loaded for the model.

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
                yield from self._operator(name, place.inside(record))
        for record, mobile in reading.bytecode:
            for name in mobile.operators:
                yield from self._operator(name, place.inside(record))

    def _operator(self, name: str, place: Place) -> Iterator[Finding]:
        if name in torchscript.HARMFUL:
            yield self.finding(place, f"the model's code calls {name}")
        elif torchscript.is_foreign(name):
            message = (
                f"the model needs the native operator {visible(name, 60)} of a library that nobody here knows"
            )
            yield self.finding(place, message, confidence=Confidence.MEDIUM)
