"""The rule `tar-device`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"tar-device", "zip-device"})


class TarDevice(Rule):
    """
    ## What it does
    Reports members that are character devices, block devices, FIFOs or (in zip files) sockets.

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
    summary = "An archive makes a device, a FIFO or a socket"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = (
        "tar", "pytorch-tar", "zip", "npz", "keras", "pytorch-zip", "torchscript", "pt2", "torch-package",
    )  # fmt: skip

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES)
