"""The rule `template-hidden-text`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.template import TemplateReading
from weighbridge.scan.rule import Rule

SMUGGLING = frozenset({"tag", "bidi", "variation"})


class TemplateHiddenText(Rule):
    """A template holds characters that its reader does not see.

    ## What it does
    Looks for zero-width characters, marks that turn the direction of text, tag characters (an invisible copy of ASCII)
    and supplementary variation selectors, in the template and in its string literals.

    ## Why is this bad?
    The model reads what the person who checks the template does not see. Tag characters spell whole instructions.

    ## Example
    A system prompt with `U+E0073 U+E0061 U+E0079 …` behind a full stop.

    ## Use instead
    Plain text; where a special token has such a character, write it as an escape with a comment.

    ## Known problems
    Joiners between letters of scripts that need them and inside emoji are let through. Zero-width characters alone are
    shown but do not leave the file undecided.
    """

    name = "template-hidden-text"
    summary = "a template holds invisible characters"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("template",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for fact in reading.hidden if isinstance(reading, TemplateReading) else ():
            message = f"{fact.how} characters {fact.name}"
            yield self.finding(replace(place, line=fact.line), message, doubt=fact.how in SMUGGLING)
