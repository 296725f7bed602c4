"""The rule `opaque-format`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.opaque import OpaqueReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class OpaqueFormat(Rule):
    """The file is of a known format that nobody here can read.

    ## What it does
    Recognises plans for accelerators (TensorRT, RKNN, Hailo) and models of MNN, NCNN, Darknet, Arm NN, Tesseract and dlib,
    and says why they stay undecided. Whole programs and commands inside of them are looked for by other rules.

    ## Why is this bad?
    A plan is compiled code for a device, and its runtime may load libraries that stand in it. What cannot be read can only be
    trusted for whoever signed it.

    ## Example
    ```text
    model.engine
    ```

    ## Use instead
    The model that the plan was made from (ONNX, for example), and the plan built from it on the machine where it runs.

    ## Known problems
    Some of these formats hold nothing but numbers. That they do is not shown here.

    ## References
    - https://docs.nvidia.com/deeplearning/tensorrt/
    """

    name = "opaque-format"
    summary = "a compiled plan or another format that is not read: trusted only by its signature"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = (
        "tensorrt", "rknn", "hailo", "mnn", "ncnn", "darknet", "armnn", "tesseract", "ggml-session", "dlib", "unrecognised",
    )  # fmt: skip

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if isinstance(reading, OpaqueReading):
            yield self.finding(place, f"this {reading.reason}", doubt=True)
