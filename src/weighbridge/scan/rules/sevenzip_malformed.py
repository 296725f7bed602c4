"""The rule `sevenzip-malformed`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

HARMFUL = frozenset({"7z-anti-item", "7z-device"})
DOUBTFUL = frozenset(
    {
        "7z-checksum",
        "7z-data-in-header",
        "7z-duplicate-name",
        "7z-encrypted",
        "7z-hidden-content",
        "7z-sizes-differ",
    }
)


class SevenzipMalformed(Rule):
    """
    ## What it does
    Checks a 7z archive against itself: checksums of headers and members, names that stand once, contents that have a name
    and fit what they are unpacked from, no data hidden in the header, no encryption. Devices, and items that make
    unpacking delete a file, are errors.

    ## Why is this bad?
    Readers go on in different ways where an archive contradicts itself, and a check that read it one way says nothing
    about the other. An anti item deletes files of whoever unpacks the archive.

    ## Example
    A 7z archive with the anti item `config.json`.

    ## Use instead
    An archive as 7-Zip writes it, or the files themselves.

    ## Known problems
    Encrypted archives are not wrong, but nobody can say what they hold.

    ## References
    - 7zFormat.txt in the LZMA SDK
    """

    name = "sevenzip-malformed"
    summary = "A 7z archive contradicts itself, or deletes files"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("7z",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, HARMFUL, severity=Severity.ERROR)
        yield from self.noted(reading, place, DOUBTFUL, doubt=True)
