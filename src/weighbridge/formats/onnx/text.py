"""ONNX models written otherwise: as text (`.onnxtxt`), as JSON or text protobuf (`.onnxjson`), and ONNX Runtime's `.ort`.

`onnx.load` takes the first ones by their name. They are not parsed: only what could do harm, external data locations
and calls into Python, is looked for as text, so that they can fail and never pass. An `.ort` file is a flatbuffer
(file identifier `ORTM`) of which only the root is held against the file's length; kernels and graphs are not read.
"""

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.formats.onnx.location import location_problem
from weighbridge.formats.onnx.reading import ExternalData, OnnxReading, Operator
from weighbridge.formats.reading import Anomaly, Gap, Reading
from weighbridge.formats.sniff import ONNX_TEXT

MAX_SIZE = 64 * 1024**2
MAX_FOUND = 1000
_LOCATION = late(
    r"""["']?location["']?\s*[:,]\s*["']?(?:value["']?\s*:\s*)?["']([^"'\n]*)["']"""
    r"""|key["']?\s*:\s*["']location["']\s*,?\s*["']?value["']?\s*:\s*["']([^"'\n]*)["']"""
)
_PYTHON = late(
    r"\b(?:([\w.]+)\.)?(PyOp|PyCustomOp|PyFunc|PyFuncStateless|EagerPyFunc|PythonOp|PythonOpGrad)\b"
)


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Look through it. Raises `InputError` (`not-this-format`)."""
    if source.read(4, 4) == b"ORTM":
        return _ort(source)
    if not name.lower().endswith(ONNX_TEXT):
        raise InputError("not-this-format", "no ONNX model in text")
    budget.need_memory(4 * min(source.size, MAX_SIZE), "an ONNX model in text")
    budget.spend_bytes(min(source.size, MAX_SIZE))
    text = source.read(0, MAX_SIZE).decode("utf-8", "replace")
    external = tuple(_external(text))
    return OnnxReading(
        format="onnx-text",
        external=external,
        operators=tuple(_operators(text)),
        gaps=(Gap(code="not-parsed", message="ONNX models in text are searched and not parsed"),),
        tensors_unlisted="ONNX models in text are not parsed",
    )


def _external(text: str) -> "list[ExternalData]":
    found: list[ExternalData] = []
    for match in _LOCATION.finditer(text):
        location = match.group(1) if match.group(1) is not None else match.group(2)
        problem = location_problem(location)
        if problem and len(found) < MAX_FOUND:
            found.append(
                ExternalData(
                    tensor="", location=location, offset=0, length=0, at=match.start(), problem=problem
                )
            )
    return found


def _operators(text: str) -> "list[Operator]":
    seen: dict[tuple[str, str], int] = {}
    for match in _PYTHON.finditer(text):
        seen.setdefault((match.group(1) or "", match.group(2)), match.start())
    return [
        Operator(domain=domain, name=name, count=1, offset=at, local=False)
        for (domain, name), at in seen.items()
    ]


def _ort(source: Source) -> Reading:
    root = int.from_bytes(source.read(0, 4), "little")
    table = int.from_bytes(source.read(root, 4), "little", signed=True) if root + 4 <= source.size else 0
    outside = root + 4 > source.size or not 0 <= root - table <= source.size - 4
    message = "the root of the flatbuffer lies outside of the file"
    return Reading(
        format="ort",
        anomalies=(Anomaly(code="flatbuffer-out-of-bounds", message=message, offset=0),) if outside else (),
        gaps=(Gap(code="not-parsed", message="graphs of ONNX Runtime's own format are not read"),),
        tensors_unlisted="ONNX Runtime's own format is not read",
    )
