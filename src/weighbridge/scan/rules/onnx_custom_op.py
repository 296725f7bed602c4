"""The rule `onnx-custom-op`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.onnx import OnnxReading, Operator
from weighbridge.formats.reading import Reading
from weighbridge.scan.onnx_operators import BUILT_IN, OPAQUE, PYTHON
from weighbridge.scan.rule import Rule


class OnnxCustomOp(Rule):
    """A model calls operators that only somebody's own library has.

    ## What it does
    Compares every operator that the model calls, in all graphs and functions, with those that ONNX and ONNX Runtime
    define; functions that the model itself brings are made of such operators and are followed. The rest is named here.

    ## Why is this bad?
    To run the model, a native library has to be loaded that registers the operator. Nobody can say from the model what
    that library does, and often it comes from the same hand. `EPContext` and `Snpe` carry a compiled program for an
    accelerator, which is as opaque.

    ## Example
    ```text
    node { op_type: "FastTokenizer" domain: "com.example" }
    ```

    ## Use instead
    Operators of the standard, or functions of the model's own that are made of them.

    ## Known problems
    Operators newer than onnx 1.23 and onnxruntime 1.32 are reported as unknown. onnxruntime-extensions
    (`ai.onnx.contrib`, `com.microsoft.extensions`) is such a library too, and some of its operators call network
    services.

    ## References
    - https://onnxruntime.ai/docs/reference/operators/add-custom-op.html
    """

    name = "onnx-custom-op"
    summary = "an operator needs a library that is not part of the model's runtime"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("onnx",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for operator in reading.operators if isinstance(reading, OnnxReading) else ():
            if (operator.domain, operator.name) in OPAQUE:
                yield self._found(place, operator, "holds a compiled program that nobody here can read")
            elif not (operator.local or operator.name in PYTHON or _built_in(operator)):
                yield self._found(
                    place, operator, "is no operator of ONNX or ONNX Runtime: a library must bring it"
                )

    def _found(self, place: Place, operator: Operator, what: str) -> Finding:
        name = visible(f"{operator.domain}:{operator.name}" if operator.domain else operator.name, 120)
        where = replace(place.inside(f"operator {name}"), offset=operator.offset)
        return self.finding(where, f"{name} {what}", doubt=True)


def _built_in(operator: Operator) -> bool:
    return operator.name in BUILT_IN.get(operator.domain, frozenset())
