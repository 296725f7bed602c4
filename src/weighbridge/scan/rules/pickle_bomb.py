"""pickle-bomb: a small pickle costs its loader time or memory without bound."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.pickle_findings import FORMATS
from weighbridge.scan.rule import Rule

CODES = frozenset({"hash-bomb", "memo-index"})


class PickleBomb(Rule):
    """A small pickle costs its loader time or memory without bound.

    ## What it does
    Finds keys made of nested shared tuples, whose hash takes a loader exponential time, and memo indexes far beyond what is
    used, for which the C unpickler allocates gigabytes. The file itself is read in linear time here.

    ## Why is this bad?
    Loading it hangs or kills the process that does.

    ## Example
    A tuple of a tuple twice, thirty levels deep, as a key of a dict.

    ## Use instead
    Any format with declared sizes.

    ## Known problems
    None.

    ## References
    CWE-400
    """

    name = "pickle-bomb"
    summary = "A small pickle costs its loader time or memory without bound"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = FORMATS

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES)
