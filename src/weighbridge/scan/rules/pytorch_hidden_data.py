"""The rule `pytorch-hidden-data`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"pytorch-data-after", "storage-spare-bytes"})


class PytorchHiddenData(Rule):
    """
    ## What it does
    Finds storages with more bytes than the pickle accounts for, and bytes behind the last storage of a legacy file. The
    bytes are examined on their own.

    ## Why is this bad?
    They came from somewhere and are for something: `torch.save` writes no such bytes.

    ## Example
    A legacy checkpoint with a second pickle appended to it.

    ## Use instead
    A file written by `torch.save`.

    ## Known problems
    None known.
    """

    name = "pytorch-hidden-data"
    summary = "A PyTorch file holds bytes that no tensor uses"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = (
        "pytorch-zip",
        "pytorch-legacy",
        "pytorch-tar",
        "torchscript",
        "pt2",
        "torch-package",
    )

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES, doubt=True)
