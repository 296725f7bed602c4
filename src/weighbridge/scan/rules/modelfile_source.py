"""The rule `modelfile-source`."""

import re
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.hiddentext import hidden_in
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

_NAME = late(r"(?i)(^|/)Modelfile([.-][^/]*)?$|\.modelfile$", needs=("modelfile",))
_LINE = late(r"(?im)^[ \t]*(FROM|ADAPTER)[ \t]+[\"']?([^\s\"']+)")
_OUTSIDE = late(r"(^|[/\\])\.\.([/\\]|$)|^[/\\~]|^[A-Za-z]:[/\\]")
_SYSTEM = late(
    r"^(/etc|/proc|/sys|/dev|/root|/var|/boot|~/\.|/home/[^/]+/\.)|\.ssh|\.\.[/\\].*(etc|proc|\.ssh|\.aws)"
)
_URL = late(r"(?i)\w+://")
_WRITES_DATA = late(r"(?i)https?://[^\s\"'<>]*\{\{")


class ModelfileSource(Rule):
    """
    ## What it does
    Looks in Ollama's Modelfiles for `FROM` and `ADAPTER` lines that name files outside the folder or addresses, for web
    addresses into which the template writes the conversation, and for characters that nobody sees.

    ## Why is this bad?
    `ollama create` reads the named file and `ollama push` publishes it. Weights that come from elsewhere were not weighed
    here. A template speaks to the model in every conversation.

    ## Example
    ```
    FROM ../../weighbridge-sample/model.gguf
    ```

    ## Use instead
    Files beside the Modelfile, or a model's name.

    ## Known problems
    `FROM` with the name of a model takes that model from the registry of whoever builds it; it is not reported.
    """

    name = "modelfile-source"
    summary = "a Modelfile takes files from outside, or hides something in its template"
    severity = Severity.ERROR
    formats = ("text",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a line."""
        if not isinstance(reading, TextReading) or not _NAME.search(
            place.parts[-1] if place.parts else place.path
        ):
            return
        text = reading.text
        for match in _LINE.finditer(text):
            where = replace(place, line=text.count("\n", 0, match.start(1)) + 1)
            yield from self._source(where, match[1].upper(), match[2])
        for match in _WRITES_DATA.finditer(text):
            where = replace(place, line=text.count("\n", 0, match.start()) + 1)
            yield self.finding(where, f"writes the conversation into the address {visible(match[0], 80)}")
        for hidden in hidden_in(text):
            severity = Severity.ERROR if hidden.kind == "tag" else Severity.WARNING
            doubt = hidden.kind != "zero-width"
            yield self.finding(
                replace(place, line=hidden.line),
                f"{hidden.kind} characters {hidden.codes}",
                severity=severity,
                doubt=doubt,
            )

    def _source(self, place: Place, word: str, target: str) -> Iterator[Finding]:
        if _SYSTEM.search(target) or re.search(r"(^|[/\\])\.\.([/\\]|$)", target):
            yield self.finding(place, f"{word} takes {target[:120]}, outside the model")
        elif _URL.match(target) or _OUTSIDE.search(target):
            message = f"{word} takes {target[:120]}, which was not weighed here"
            severity = Severity.ERROR if target.startswith("http://") else Severity.WARNING
            yield self.finding(place, message, severity=severity, doubt=True)
