"""The rule `openvino-custom-layer`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.xml import XmlReading
from weighbridge.scan.rule import Rule

HARM = frozenset({"openvino-custom", "openvino-library"})
MAX_FINDINGS = 20


class OpenvinoCustomLayer(Rule):
    """
    ## What it does
    Finds layers of an OpenVINO model that are no operators of a published operator set, and libraries, kernels and paths
    that a model or its kernel list names.

    ## Why is this bad?
    Such a layer runs code of a native library that somebody must load for it. A model that asks for one asks for that
    library to be run.

    ## Example
    ```xml
    <layer id="1" name="run" type="SampleOp" version="extension"/>
    ```

    ## Use instead
    Operators of an operator set.

    ## Known problems
    Operators of a later release than 2026.4, and those of openvino-tokenizers, are undecided. Models with an extension
    that you wrote yourself are reported: accept the finding with its reason.

    ## References
    - https://docs.openvino.ai/2026/documentation/openvino-extensibility.html
    """

    name = "openvino-custom-layer"
    summary = "an OpenVINO model needs native code that is not OpenVINO's own"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("openvino",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Twenty findings at most."""
        if not isinstance(reading, XmlReading):
            return
        wanted = [fact for fact in reading.facts if fact.code in HARM or fact.code == "openvino-unknown"]
        for fact in sorted(wanted, key=lambda fact: fact.code not in HARM)[:MAX_FINDINGS]:
            where = replace(place, line=fact.line)
            if fact.code in HARM:
                yield self.finding(where, fact.message)
            else:
                yield self.finding(where, fact.message, severity=Severity.WARNING, doubt=True)
