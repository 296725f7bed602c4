"""The rule `onnx-custom-op`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.onnx.reading import OnnxReading, Operator
from weighbridge.formats.reading import Reading
from weighbridge.scan.operators.onnx import BUILT_IN, NETWORK, OPAQUE, PYTHON, THIRD_PARTY
from weighbridge.scan.rule import Rule


class OnnxCustomOp(Rule):
    """A model calls operators that only somebody's own library has.

    ## What it does
    Compares every operator that the model calls, in all graphs and functions, with those that ONNX and ONNX Runtime
    define; functions that the model itself brings are made of such operators and are followed. The rest is named here:
    as a doubt where the operator belongs to a well-known library or accelerator, as an error where its domain is nobody's
    that we know, where its name says that it runs commands or loads code, and where it sends the input to an address.

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
    (`ai.onnx.contrib`, `com.microsoft.extensions`) is such a library too. A model whose operators come from a library of
    one's own fails until a policy accepts the finding.

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
                yield self._judged(place, operator)

    def _judged(self, place: Place, operator: Operator) -> Finding:
        """An operator that is neither built in, nor defined in the model, nor a call into Python."""
        if operator.name in NETWORK:
            text = "sends the input of the model to an address that stands in the model"
            return self._found(place, operator, text, severity=Severity.ERROR)
        if _RUNS.search(operator.name):
            text = "says by its name that it runs commands or loads code"
            return self._found(place, operator, text, severity=Severity.ERROR)
        if operator.domain in BUILT_IN or operator.domain in THIRD_PARTY:
            text = "is no operator of ONNX or ONNX Runtime: a library must bring it"
            return self._found(place, operator, text)
        text = "needs a native library that nobody here knows, loaded into the process that runs the model"
        return self._found(place, operator, text, severity=Severity.ERROR)

    def _found(
        self, place: Place, operator: Operator, what: str, *, severity: Severity | None = None
    ) -> Finding:
        name = visible(f"{operator.domain}:{operator.name}" if operator.domain else operator.name, 120)
        where = replace(place.inside(f"operator {name}"), offset=operator.offset)
        confidence = Confidence.MEDIUM if severity else None
        return self.finding(where, f"{name} {what}", severity=severity, confidence=confidence, doubt=True)


_RUNS = late(
    r"(?i)^(py_?(func|op|call|code|exec)|python|shell|bash|exec|system|command|eval|subprocess|spawn|popen)"
    r"|(exec(ute)?|system|shell|command)(call|cmd|code|command|shell|script|process)?$"
    r"|load_?(library|plugin|dll|so)|dlopen|import_?module|(read|write|delete|download)_?file|http_?(get|post|request)"
)


def _built_in(operator: Operator) -> bool:
    return operator.name in BUILT_IN.get(operator.domain, frozenset())
