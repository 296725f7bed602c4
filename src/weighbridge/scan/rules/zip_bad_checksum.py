"""The rule `zip-bad-checksum`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"crc-wrong"})


class ZipBadChecksum(Rule):
    """
    ## What it does
    Unpacks members up to 16 MiB (stored ones up to 1 MiB) and compares CRC-32.

    ## Why is this bad?
    The file is damaged, or was changed by hand: Python's `zipfile` refuses such a member, PyTorch loads it. Scanners built on
    `zipfile` stop there.

    ## Example
    A checkpoint in which the checksum of `data.pkl` was overwritten with zeros.

    ## Use instead
    The file as its author made it.

    ## Known problems
    `torch.save` leaves the checksum out after `set_crc32_options(False)`. Loading does no harm then, so this alone does not
    fail a file.

    ## References
    CVE-2025-10156
    """

    name = "zip-bad-checksum"
    summary = "A zip member does not have the checksum that its header says"
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
        yield from self.noted(reading, place, CODES)
