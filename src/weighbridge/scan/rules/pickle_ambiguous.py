"""pickle-ambiguous: loaders would read the pickle in different ways."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.pickle_findings import FORMATS
from weighbridge.scan.rule import Rule

CODES = frozenset(
    {
        "arguments-not-a-tuple",
        "empty-state",
        "frame-crossed",
        "frame-in-frame",
        "frame-past-stop",
        "frame-too-long",
        "inst-without-mark",
        "keywords-computed",
        "name-missing",
        "nothing-added",
        "number-differs",
        "number-odd",
        "number-too-long",
        "odd-items",
        "raw-inside-frame",
    }
)
NOTES = frozenset({"python2-string"})


class PickleAmbiguous(Rule):
    """Loaders would read the pickle in different ways.

    ## What it does
    Reports where the C unpickler and `pickle.py` (which joblib and others build on) go different ways: frames that lie,
    arguments that are no tuple, numbers that only one of them reads. Both ways are judged.

    ## Why is this bad?
    No pickler writes such a stream. It is made so that a scanner sees one thing and the loader does another.

    ## Example
    A FRAME opcode that promises more bytes than the file has.

    ## Use instead
    Write the file again with an ordinary pickler.

    ## Known problems
    Strings of Python 2 that are not ASCII load only with an `encoding`; that is a note and no doubt.

    ## References
    PEP 3154
    """

    name = "pickle-ambiguous"
    summary = "Loaders would read the pickle in different ways"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = FORMATS

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES, doubt=True)
        for finding in self.noted(reading, place, NOTES):
            yield self.finding(finding.place, finding.message, severity=Severity.NOTE)
