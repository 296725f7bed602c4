"""The rule `onnx-python-op`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.onnx.reading import OnnxReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.operators.onnx import PYTHON
from weighbridge.scan.rule import Rule


class OnnxPythonOp(Rule):
    """A model calls Python code by name.

    ## What it does
    Looks for the operators with which runtimes call from a graph into Python: `PyOp` (onnxruntime and its extensions),
    `PythonOp` (training), and those of TensorFlow's converters.

    ## Why is this bad?
    The node names a module, class or registered function, and running the model imports and calls it with data that the
    model chooses.

    ## Example
    ```text
    node { op_type: "PyOp" domain: "ai.onnx.contrib" attribute { name: "module" s: "sample" } }
    ```

    ## Use instead
    Operators of the ONNX standard.

    ## Known problems
    A library may give a harmless operator one of these names.

    ## References
    - https://github.com/microsoft/onnxruntime-extensions
    """

    name = "onnx-python-op"
    summary = "an operator calls Python code that the model names"
    severity = Severity.ERROR
    confidence = Confidence.MEDIUM
    formats: ClassVar[tuple[str, ...]] = ("onnx", "onnx-text")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for operator in reading.operators if isinstance(reading, OnnxReading) else ():
            if operator.name in PYTHON and not operator.local:
                name = visible(
                    f"{operator.domain}:{operator.name}" if operator.domain else operator.name, 120
                )
                where = replace(place.inside(f"operator {name}"), offset=operator.offset)
                yield self.finding(where, f"running the model calls Python code through {name}")
