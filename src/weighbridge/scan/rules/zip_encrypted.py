"""The rule `zip-encrypted`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"zip-encrypted"})


class ZipEncrypted(Rule):
    """
    ## What it does
    Looks at the encryption bits of every entry. The bytes are examined as if they were plain, since a false mark hides a plain
    content from scanners.

    ## Why is this bad?
    Nobody can say what an encrypted member holds; PyTorch, numpy and Keras cannot load it either.

    ## Example
    A zip file made with `zip -e`.

    ## Use instead
    Plain members, and encryption of the whole file where it is needed.

    ## Known problems
    None known.

    ## References
    CVE-2025-1945
    """

    name = "zip-encrypted"
    summary = "A zip member is marked as encrypted"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = (
        "zip",
        "npz",
        "keras",
        "pytorch-zip",
        "torchscript",
        "pt2",
        "torch-package",
    )

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES, doubt=True)
