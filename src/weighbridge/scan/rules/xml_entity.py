"""The rule `xml-entity`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.xml import XmlReading
from weighbridge.scan.rule import Rule

HARM = frozenset({"entity-external", "entity-nested", "entity-long", "doctype-external"})
DOUBT = frozenset({"doctype", "encoding-odd"})


class XmlEntity(Rule):
    """
    ## What it does
    Looks in XML files (PMML, OpenVINO's and others) for a document type with entities: those that stand for a file or an
    address, those that are made of other entities, and encodings in which a document type could hide.

    ## Why is this bad?
    A parser that follows entities reads files of the machine and calls addresses while it loads the model (XXE), or fills
    the memory with a few lines of text (“billion laughs”). No model format needs them.

    ## Example
    ```xml
    <!DOCTYPE PMML [<!ENTITY x SYSTEM "file:///tmp/weighbridge-sample">]>
    ```

    ## Use instead
    The same document without `<!DOCTYPE …>`.

    ## Known problems
    A document type without such entities is undecided: some parsers fetch it. Apple's property lists have one, which is
    let pass. Nothing behind declared entities is read, so such a file never passes.

    ## References
    - CWE-611, CWE-776
    """

    name = "xml-entity"
    summary = "an XML file makes its parser read files, call addresses or grow"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("xml", "pmml", "openvino")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding for each kind of harm, the gravest alone where there is one."""
        if not isinstance(reading, XmlReading):
            return
        told: set[str] = set()
        harm = any(fact.code in HARM for fact in reading.facts)
        for fact in reading.facts:
            if fact.code in told or fact.code not in HARM | DOUBT or (harm and fact.code == "doctype"):
                continue
            told.add(fact.code)
            where = replace(place, line=fact.line)
            if fact.code in HARM:
                yield self.finding(where, fact.message)
            else:
                yield self.finding(where, fact.message, severity=Severity.WARNING, doubt=True)
