"""The rule `pytorch-tensor-out-of-bounds`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"tensor-out-of-bounds"})


class PytorchTensorOutOfBounds(Rule):
    """
    ## What it does
    Holds the declared length of every storage against the bytes that the file has for it, and offset, shape and strides of
    every tensor against its storage.

    ## Why is this bad?
    A loader that does not check reads or writes memory beyond the storage: leaked memory at best, code execution at worst.

    ## Example
    A storage of 24 bytes that the pickle says has a million items.

    ## Use instead
    A file written by `torch.save`.

    ## Known problems
    Sparse and nested tensors are looked at as far as their parts are plain tensors.

    ## References
    - CVE-2026-24747
    """

    name = "pytorch-tensor-out-of-bounds"
    summary = "A PyTorch tensor reaches outside of its storage"
    severity = Severity.ERROR
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
        yield from self.noted(reading, place, CODES)
