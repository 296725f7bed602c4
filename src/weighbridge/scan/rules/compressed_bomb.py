"""compressed-bomb: a compressed file grows beyond reason when it is unpacked."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"compressed-bomb"})
FORMATS = ("gzip", "bzip2", "xz", "lzma", "zlib", "lz4", "zstd", "joblib-zfile")


class CompressedBomb(Rule):
    """A compressed file grows beyond reason when it is unpacked.

    ## What it does
    Finds streams that unpack to 10 MB or more and to at least 500 times their packed size. Unpacking stops at the budget's
    memory.

    ## Why is this bad?
    Unpacking fills the memory of whoever loads it.

    ## Example
    100 kB that unpack to 100 MB of zeros.

    ## Use instead
    Formats that say how large they are.

    ## Known problems
    A large array of zeros, compressed, looks the same.

    ## References
    CWE-409
    """

    name = "compressed-bomb"
    summary = "A compressed file grows beyond reason when it is unpacked"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = FORMATS

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES)
