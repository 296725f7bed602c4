"""The rule `xml-active-content`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.xml import XmlReading
from weighbridge.scan.rule import Rule

HARM = frozenset(
    {
        "script",
        "extension-function",
        "include-outside",
        "stylesheet-remote",
        "object",
        "deep",
        "schema-outside",
    }
)
MODELS = frozenset({"schema-remote"})
"""What a model has no need of, and other documents do."""
DOUBT = frozenset({"include", "stylesheet", "transform", "deep-doubt"})
MAX_FINDINGS = 20


class XmlActiveContent(Rule):
    """
    ## What it does
    Looks in XML files for what makes their reader run or fetch something: scripts, instructions with programs, XInclude,
    stylesheets and schemas from elsewhere, extension functions of stylesheet processors, documents that make objects
    (`java.beans.XMLDecoder`, Spring, XAML, MSBuild), and nesting that no reader's stack holds.

    ## Why is this bad?
    A model in XML is numbers. Whoever opens one that holds a program, with a tool that understands it, runs it.

    ## Example
    ```xml
    <xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///tmp/weighbridge-sample" parse="text"/>
    ```

    ## Use instead
    Documents without programs, and without parts of other documents.

    ## Known problems
    Stylesheets (XSLT) and includes of neighbouring files are undecided: they are programs, or parts that another file
    holds.

    ## References
    - CWE-91, CWE-94, CWE-502
    """

    name = "xml-active-content"
    summary = "an XML file makes its reader run or fetch something"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("xml", "pmml", "openvino")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Twenty findings at most."""
        if not isinstance(reading, XmlReading):
            return
        told = HARM | DOUBT | (MODELS if reading.format in ("pmml", "openvino") else frozenset())
        wanted = [fact for fact in reading.facts if fact.code in told]
        for fact in sorted(wanted, key=lambda fact: fact.code in DOUBT)[:MAX_FINDINGS]:
            where = replace(place, line=fact.line)
            if fact.code in HARM | MODELS:
                yield self.finding(where, fact.message)
            else:
                yield self.finding(where, fact.message, severity=Severity.WARNING, doubt=True)
