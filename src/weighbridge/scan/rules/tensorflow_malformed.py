"""The rule `tensorflow-malformed`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

BROKEN = frozenset(
    {
        "constant-bomb", "count-overflow", "duplicate-tensor", "function-cycle", "function-expansion", "index-out-of-range",
        "name-escapes", "overlap",
        "nesting-too-deep", "offset-invalid", "out-of-file", "shape-overflow", "size-mismatch", "structure-invalid",
        "type-invalid",
    }
)  # fmt: skip
DOUBTFUL = frozenset({"constant-opaque", "field-repeated", "more-values", "unknown-field"})


class TensorflowMalformed(Rule):
    """A TensorFlow model or checkpoint contradicts its own format.

    ## What it does
    Walks every message of the model: functions must not call themselves or grow without measure when they are inlined,
    constants must be as long as their shape says and fit into memory, and every tensor of a checkpoint must lie in one of its
    shards, in the length that its shape needs.

    ## Why is this bad?
    A function that calls itself overflows the loader's stack (CVE-2022-23591). A constant of four bytes may stand for a
    terabyte. Sizes that do not fit made TensorFlow read and write foreign memory again and again.

    ## Example
    A function `f` whose only node calls `f`.

    ## Use instead
    Save the model again from where it was made.

    ## Known problems
    Fields that came into the schema after TensorFlow 2.21 are reported as unknown.

    ## References
    - CVE-2022-23591, CVE-2021-41203, CVE-2022-21730
    """

    name = "tensorflow-malformed"
    summary = "a TensorFlow model or checkpoint contradicts its format or itself"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = (
        "tf-savedmodel", "tf-metagraph", "tf-graph", "keras-metadata", "tf-checkpoint", "tf-checkpoint-index",
        "tf-checkpoint-v1",
    )  # fmt: skip

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, BROKEN)
        yield from self.noted(reading, place, DOUBTFUL, severity=Severity.WARNING, doubt=True)
