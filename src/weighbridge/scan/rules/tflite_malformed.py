"""The rule `tflite-malformed`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

BROKEN = frozenset(
    {
        "count-overflow", "index-out-of-range", "out-of-file", "shape-overflow", "size-mismatch", "structure-invalid",
        "subgraph-cycle", "too-many-dims", "type-invalid", "zero-stride",
    }
)  # fmt: skip
DOUBTFUL = frozenset({"buffer-zero", "constant-opaque", "trailing-bytes"})


class TfliteMalformed(Rule):
    """A TensorFlow Lite model contradicts its own format.

    ## What it does
    Holds every offset, count and length of the model against the file, every number of a tensor, buffer, operator code and
    subgraph against how many there are, every constant against its shape, and subgraphs against calling themselves. Bytes
    behind the model that are no zip of associated files are a doubt.

    ## Why is this bad?
    The interpreter follows offsets and numbers without asking, on phones and small devices without memory protection. A
    tensor number out of range, a stride of zero or a loop whose body is itself were vulnerabilities of TensorFlow Lite.

    ## Example
    An operator whose input is tensor 1000 of 4.

    ## Use instead
    Convert the model again, and load it with the verifier of the interpreter.

    ## Known problems
    Shapes are not inferred, so that a model may still be refused by the interpreter.

    ## References
    - CVE-2020-15211, CVE-2021-29591, CVE-2021-29592, CVE-2022-23557, CVE-2022-23561
    """

    name = "tflite-malformed"
    summary = "a TensorFlow Lite model contradicts its format or itself"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("tflite",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, BROKEN)
        yield from self.noted(reading, place, DOUBTFUL, severity=Severity.WARNING, doubt=True)
