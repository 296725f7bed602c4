"""The rule `template-hidden-text`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.reading import Reading
from weighbridge.formats.template import TemplateReading
from weighbridge.scan.rule import Rule

WRITES = frozenset({"tag", "bidi"})
"""Kinds with which text is written that nobody sees, or that reads in another order than it stands."""
_PARTED = late("[a-zA-Z][\u200b-\u200d\u2060\ufeff\u00ad]+[a-zA-Z]")
_RUN = late("[\u200b-\u200d\u2060-\u2064\ufeff]{4,}")
SMUGGLING = frozenset({"tag", "bidi", "variation"})


class TemplateHiddenText(Rule):
    """A template holds characters that its reader does not see.

    ## What it does
    Looks for zero-width characters, marks that turn the direction of text, tag characters (an invisible copy of ASCII)
    and supplementary variation selectors, in the template and in its string literals.

    ## Why is this bad?
    The model reads what the person who checks the template does not see. Tag characters spell whole instructions; they and
    marks of direction are errors.

    ## Example
    A system prompt with `U+E0073 U+E0061 U+E0079 …` behind a full stop.

    ## Use instead
    Plain text; where a special token has such a character, write it as an escape with a comment.

    ## Known problems
    Joiners between letters of scripts that need them and inside emoji are let through. Zero-width characters are
    shown, and leave the file undecided only inside a word.
    """

    name = "template-hidden-text"
    summary = "a template holds invisible characters"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("template",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for fact in reading.hidden if isinstance(reading, TemplateReading) else ():
            message = f"{fact.how} characters {fact.name}"
            written = fact.how in WRITES or (fact.how == "zero-width" and fact.line in _spelt(reading))
            severity = Severity.ERROR if written else None
            doubt = fact.how in SMUGGLING or (fact.how == "zero-width" and fact.line in _inside(reading))
            yield self.finding(replace(place, line=fact.line), message, severity=severity, doubt=doubt)


def _spelt(reading: Reading) -> set[int]:
    """Lines of written text in which zero-width characters follow each other: bits of a message."""
    return {text.line for text in getattr(reading, "texts", ()) if _RUN.search(text.text)}


def _inside(reading: Reading) -> set[int]:
    """Lines of written text in which a zero-width character parts two letters of one word."""
    return {text.line for text in getattr(reading, "texts", ()) if _PARTED.search(text.text)}
