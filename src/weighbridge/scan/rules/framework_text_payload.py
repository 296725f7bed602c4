"""The rule `framework-text-payload`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading
from weighbridge.scan.operators.framework_views import views
from weighbridge.scan.rule import Rule
from weighbridge.scan.text_harm import MENTIONED, OUTSIDE, harm

MAX_LOOKED = 32 * 1024**2
"""Characters of one model."""
NOTES = frozenset(("safetensors", "onnx"))
"""Formats whose texts are notes for people: a path or a download that is spoken of there is none that is used."""


class FrameworkTextPayload(Rule):
    """A string in a model is a command, a call, or a path out of the model's folder.

    ## What it does
    Looks at the strings of models that otherwise hold numbers: attributes of operators, parameters, notes, names of
    features, metadata of safetensors and ONNX, and readable strings in compiled plans. Whole commands and calls (shell, Python, Lua, R), native libraries,
    addresses of files and paths that leave the folder are reported; single words are not.

    ## Why is this bad?
    No model needs a command in a setting. It stands there for a program that hands the string on to a shell, an
    interpreter or `open`, or for a person who copies it.

    ## Example
    ```text
    objective=binary sigmoid:1; os.system("echo weighbridge-sample")
    ```

    ## Use instead
    Plain names and numbers; a record of the training belongs into the model card.

    ## Known problems
    A name that quotes code, such as a feature called after an expression, can look like a command.
    """

    name = "framework-text-payload"
    summary = "a string in the model is a command, a call or a path out of its folder"
    severity = Severity.ERROR
    confidence = Confidence.MEDIUM
    formats: ClassVar[tuple[str, ...]] = (
        "paddle", "cntk", "caffe", "xgboost", "ubjson", "lightgbm", "catboost", "torch7", "gguf", "matlab", "json", "tensorrt", "rknn",
        "hailo", "mnn", "ncnn", "darknet", "armnn", "tesseract", "ggml-session", "dlib", "unrecognised", "safetensors", "onnx", "coreml",
    )  # fmt: skip

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for view in views(reading):
            left = MAX_LOOKED
            for text in view.texts:
                left -= len(text.value)
                if left < 0:
                    yield self.finding(
                        place, "more text than is looked at", severity=Severity.WARNING, doubt=True
                    )
                    break
                found = harm(text.value, without=MENTIONED if view.family in NOTES else ())
                if found == OUTSIDE and view.family == "caffe" and text.where == "source":
                    message = f'training data is read from "{visible(text.value, 80)}"'
                    yield self.finding(place, message, severity=Severity.WARNING, doubt=True)
                elif found is not None:
                    where = place.inside(visible(text.where, 120)) if text.where else place
                    message = f'"{visible(text.value.strip(), 80)}" is {found}'
                    yield self.finding(replace(where, offset=text.offset), message)
