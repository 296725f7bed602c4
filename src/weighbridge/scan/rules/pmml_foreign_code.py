"""The rule `pmml-foreign-code`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.xml import XmlReading
from weighbridge.scan.rule import Rule

HARM = frozenset({"pmml-class", "pmml-program", "pmml-extension"})
DOUBT = frozenset({"pmml-function", "pmml-table"})
MAX_FINDINGS = 20


class PmmlForeignCode(Rule):
    """
    ## What it does
    Looks in PMML documents for programs: in extensions, in texts and attributes, and for functions that are neither PMML's
    own nor defined in the document. A dotted name is the name of a Java class.

    ## Why is this bad?
    PMML computes with what the standard lists, and that runs nothing. Consumers go further: JPMML makes an object of the
    class that an expression names, others run the script in an extension that they understand.

    ## Example
    ```xml
    <Extension extender="example" name="script" value="java.lang.Runtime.getRuntime().exec('echo weighbridge-sample')"/>
    ```

    ## Use instead
    Expressions of PMML's own functions; `DefineFunction` for others.

    ## Known problems
    A function without dots that is not known is undecided: some producers have their own.

    ## References
    - https://dmg.org/pmml/v4-4-1/BuiltinFunctions.html
    """

    name = "pmml-foreign-code"
    summary = "a PMML document holds or calls code that is not PMML's own"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("pmml",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Twenty findings at most."""
        if not isinstance(reading, XmlReading):
            return
        wanted = [fact for fact in reading.facts if fact.code in HARM | DOUBT]
        for fact in sorted(wanted, key=lambda fact: fact.code in DOUBT)[:MAX_FINDINGS]:
            where = replace(place, line=fact.line)
            if fact.code in HARM:
                yield self.finding(where, fact.message)
            else:
                yield self.finding(where, fact.message, severity=Severity.WARNING, doubt=True)
