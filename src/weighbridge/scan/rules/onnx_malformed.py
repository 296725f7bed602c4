"""The rule `onnx-malformed`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

BROKEN = frozenset(
    {
        "constant-bomb",
        "context-outside",
        "duplicate-tensor",
        "external-key",
        "external-number",
        "function-cycle",
        "function-expansion",
        "name-escapes",
        "nesting-too-deep",
    }
    | {"flatbuffer-out-of-bounds", "shape-overflow", "size-mismatch"}
)
DOUBTFUL = frozenset(
    {
        "data-missing",
        "data-twice",
        "dtype-unknown",
        "external-unmarked",
        "field-repeated",
        "more",
        "name-too-long",
        "opset-missing",
        "opset-not-imported",
    }
    | {"segment", "trailing-bytes", "unknown-field", "wire-type"}
)


class OnnxMalformed(Rule):
    """An ONNX model contradicts its own schema.

    ## What it does
    Checks every message of the model: fields that the schema knows, once where it says once; tensors whose data is as
    long as their shape says; graphs, types and functions that end (no function inside itself, no inlining that
    explodes); an imported version for every set of operators; nothing behind the model.

    ## Why is this bad?
    Sizes that do not fit make a runtime read or write out of bounds. Functions that call each other twice per level
    grow to billions of nodes when a runtime inlines them. A field that stands twice is merged by one parser and
    replaced by another, and an unknown field is carried along unseen.

    ## Example
    A tensor with `dims: [1024]`, `data_type: FLOAT` and eight bytes of `raw_data`.

    ## Use instead
    Export the model again, and let `onnx.checker.check_model` look at it.

    ## Known problems
    Fields added to the schema after onnx 1.23 are reported as unknown.

    ## References
    - https://github.com/onnx/onnx/blob/main/docs/IR.md
    """

    name = "onnx-malformed"
    summary = "an ONNX model contradicts its schema or itself"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("onnx", "ort")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, BROKEN)
        yield from self.noted(reading, place, DOUBTFUL, severity=Severity.WARNING, doubt=True)
