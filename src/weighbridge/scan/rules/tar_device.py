"""The rule `tar-device`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"tar-device"})


class TarDevice(Rule):
    """
    ## What it does
    Reports members that are character devices, block devices or FIFOs.

    ## Why is this bad?
    Unpacked by a privileged user they give access to disks and memory; a FIFO makes readers wait for ever. No model needs one.

    ## Example
    A tar file with the block device `sda`.

    ## Use instead
    Archives of plain files and folders.

    ## Known problems
    None known.
    """

    name = "tar-device"
    summary = "A tar file makes a device or a FIFO"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("tar", "pytorch-tar")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES)
