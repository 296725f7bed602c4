"""The rule `template-heavy`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.template import TemplateReading
from weighbridge.formats.template.nodes import Fact
from weighbridge.scan.rule import Rule

LARGE = 1_000_000
"""Repetitions, or characters, that no chat template needs."""
DEADLY = 100_000_000
"""Repetitions, or characters, that stop the program."""
DOUBLINGS = 16
"""Assignments that double a value: 2¹⁶ times its length."""


class TemplateHeavy(Rule):
    """A template makes its program work without end.

    ## What it does
    Multiplies the constant bounds of nested loops, computes the widths and repetitions of strings and the size of
    powers, and looks for values that double in a loop.

    ## Why is this bad?
    The template runs in the server, before the model, for every request. A loop over ten thousand million numbers or
    a string of gigabytes stops it.

    ## Example
    ```jinja
    {% for i in range(99999) %}{% for j in range(99999) %}{{ i }}{% endfor %}{% endfor %}
    ```

    ## Use instead
    Loops over the conversation's messages.

    ## Known problems
    Bounds that depend on data are not known here.
    """

    name = "template-heavy"
    summary = "a template loops or grows far beyond what a conversation needs"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("template",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, TemplateReading):
            return
        for line in sorted({fact.line for fact in reading.sizes}):
            worst = max(
                (fact for fact in reading.sizes if fact.line == line), key=lambda fact: int(fact.name)
            )
            if int(worst.name) >= LARGE:
                yield self._size(replace(place, line=worst.line), worst)
        if len(reading.doublings) >= DOUBLINGS or any(fact.how == "loop" for fact in reading.doublings):
            first = reading.doublings[0]
            message = f"{first.name} doubles with every assignment"
            where = replace(place, line=first.line)
            yield self.finding(
                where, message, severity=Severity.WARNING, confidence=Confidence.MEDIUM, doubt=True
            )

    def _size(self, where: Place, fact: Fact) -> Finding:
        what = {"loop": "repeats something", "string": "makes a text of", "number": "makes a number of"}[
            fact.how
        ]
        unit = {"loop": "times", "string": "characters", "number": "bits"}[fact.how]
        message = f"{what} {int(fact.name):,} {unit}"
        if int(fact.name) >= DEADLY:
            return self.finding(where, message)
        return self.finding(where, message, severity=Severity.WARNING, doubt=True)
