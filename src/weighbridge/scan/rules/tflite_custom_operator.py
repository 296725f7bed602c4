"""The rule `tflite-custom-operator`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading
from weighbridge.formats.tflite import LiteOperator, TfliteReading
from weighbridge.scan.operators.tensorflow import CALLS_CODE, PRINTS, SAVER, computes, harmful
from weighbridge.scan.operators.tensorflow_paths import leads_out
from weighbridge.scan.rule import Rule
from weighbridge.scan.text_harm import harm

SHIPPED = frozenset(
    {
        "TFLite_Detection_PostProcess", "AudioSpectrogram", "Mfcc", "NumericVerify", "Convolution2DTransposeBias",
        "MaxPoolingWithArgmax2D", "MaxUnpooling2D", "TransformTensorBilinear", "TransformLandmarks", "Landmarks2TransformMatrix",
        "RFFT2D", "IRFFT2D", "Multinomial", "RandomStandardNormal", "RandomUniform", "Roll", "Sign", "AtanH",
    }
)  # fmt: skip
"""Custom operators that the interpreter, or MediaPipe, brings along: arithmetic on tensors."""
FIRST_IMPOSSIBLE = 1024
"""Built-in operators are numbered one by one; some 210 there are."""
WELL_KNOWN = late(
    r"(?i)(edgetpu|ethos-?u|odml|mediapipe|aiq|vx-delegate|qnn|hexagon|neuron|tftext|tfsentencepiece|tf-?text|custom_?tflite_|xnnpack|stablehlo)"
    r"|(Whitespace|FastWordpiece|Wordpiece|Sentencepiece|Ragged|Ngrams|NGrams|SgnnProjection|Skipgram|Normalize|Predict|ExtractFeatures|FastBert)\w*\Z"
)
"""Custom operators of the compilers of accelerators, of TensorFlow Text and of Google's task libraries."""
OPAQUE_BUILTINS = frozenset({"DELEGATE", "STABLEHLO_CUSTOM_CALL", "CUSTOM"})
"""Built-in codes that stand for something else."""


class TfliteCustomOperator(Rule):
    """A TensorFlow Lite model calls an operator that is not built in.

    ## What it does
    Looks at the operators that a model names. `Flex…` is an operator of full TensorFlow, and is judged like one: those
    that call Python or open files are errors, those that compute are fine. Other names are somebody's own, apart from a short
    list of those that the interpreter brings along. Commands and addresses in the options of such operators are errors too.

    ## Why is this bad?
    A custom operator is native code that the application, or a library, registers under that name. What it does with the
    tensors and options that the model hands it cannot be seen here.

    ## Example
    ```text
    custom_code: "FlexWriteFile"
    ```

    ## Use instead
    Built-in operators.

    ## Known problems
    Custom operators of well-known libraries (TensorFlow Text, the Edge TPU compiler) are undecided. A model whose operators
    come from a library of one's own fails until a policy accepts the finding.
    """

    name = "tflite-custom-operator"
    summary = "a TensorFlow Lite model calls an operator that is not built in"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("tflite",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, TfliteReading):
            return
        for operator in dict.fromkeys(reading.operators):
            found = _judged(operator)
            if found is not None:
                where = place.inside(f"operator {visible(operator.name, 80)}")
                where = replace(where, offset=operator.offset)
                severity = Severity.ERROR if found[0] else None
                message = f"{visible(operator.name, 80) or 'a custom operator without a name'} {found[1]}"
                yield self.finding(where, message, severity=severity, doubt=not found[0])
        for text in reading.texts:
            if (words := harm(text)) is not None:
                message = f'"{visible(text.strip(), 80)}" in the options of an operator is {words}'
                yield self.finding(place, message, severity=Severity.ERROR)
        for file in reading.files:
            if words := leads_out(file):
                message = f'weights are read from "{visible(file, 100)}", which {words}'
                yield self.finding(place, message, severity=Severity.ERROR)
            else:
                yield self.finding(place, f'weights lie in "{visible(file, 100)}"', doubt=True)


def _judged(operator: LiteOperator) -> tuple[bool, str] | None:
    """(harm, words); None where it computes."""
    name = operator.name
    if not operator.custom:
        number = name.removeprefix("built-in ")
        if number != name and not 0 <= int(number) < FIRST_IMPOSSIBLE:
            return True, "is a number that no built-in operator has"
        known = name not in OPAQUE_BUILTINS and not name.startswith("built-in ")
        return None if known else (False, "is no operator whose effect is known")
    if name in SHIPPED:
        return None
    if name.startswith("Flex"):
        return _flex(name.removeprefix("Flex"))
    if CALLS_CODE.search(name):
        return True, "is nobody's known operator, and its name says that it leaves the model"
    if not name:
        return True, "calls whatever native code stands first in the application"
    if WELL_KNOWN.match(name):
        return False, "is native code that a well-known library brings along"
    return True, "is native code that nobody here knows, which the application has to bring along"


def _flex(name: str) -> tuple[bool, str] | None:
    """An operator of full TensorFlow."""
    if name in computes() or name in PRINTS:
        return None
    if name in harmful():
        return True, harmful()[name]
    if name in SAVER:
        return True, f"{SAVER[name][0]} a checkpoint whose path the model chooses"
    if CALLS_CODE.search(name):
        return True, "is nobody's known operator, and its name says that it leaves the model"
    return False, "is an operator of TensorFlow whose effect is not known"
