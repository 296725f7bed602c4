"""The rule `coreml-custom-class`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class CoremlCustomClass(Rule):
    """
    ## What it does
    Finds Core ML models that are, or hold, a class of the program around them: custom models, custom layers, custom
    operations; and models of two types at once.

    ## Why is this bad?
    The file names a Swift or Objective-C class, and Core ML makes one and calls it with parameters that the file gives.
    What it does stands in the program that loads the model, not here. A model chooses its host's code.

    ## Example
    ```text
    neuralNetwork { layers { name: "run" custom { className: "SampleLayer" } } }
    ```

    ## Use instead
    Layers and operations of Core ML.

    ## Known problems
    Apps with a custom layer of their own are reported: accept the finding with its reason.

    ## References
    - https://apple.github.io/coremltools/mlmodel/Format/CustomModel.html
    """

    name = "coreml-custom-class"
    summary = "a Core ML model calls a class of the program that loads it"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("coreml",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, {"coreml-custom"})
        yield from self.noted(reading, place, {"coreml-ambiguous"}, severity=Severity.WARNING, doubt=True)
