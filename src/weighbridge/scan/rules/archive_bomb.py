"""The rule `archive-bomb`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"archive-bomb", "zip-overlap", "7z-overlap", "nested-too-deep"})


class ArchiveBomb(Rule):
    """
    ## What it does
    Finds members that unpack to 10 MB or more and to at least 500 times their packed size (2000 times in 7z, which packs
    repetitions better), whole archives of which the same is true from 100 MB on, entries that share the same packed
    bytes, archives that hold the same archive over and over, and containers nested deeper than the default limit of 16.
    Such members are not unpacked here.

    ## Why is this bad?
    Unpacking fills the disk or the memory of whoever does it.

    ## Example
    100 kB that unpack to 100 MB of zeros.

    ## Use instead
    Stored tensors, or formats that say how large they are.

    ## Known problems
    A large array of zeros in a compressed `.npz` looks the same.

    ## References
    CWE-409
    """

    name = "archive-bomb"
    summary = "An archive grows beyond reason when it is unpacked"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = (
        "zip",
        "npz",
        "keras",
        "pytorch-zip",
        "torchscript",
        "pt2",
        "torch-package",
        "tar",
        "pytorch-tar",
        "7z",
        "nested-too-deep",
    )

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES)
