"""The rule `zip-readers-disagree`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset(
    {
        "zip-directory-lies",
        "zip-duplicate-name",
        "zip-end-lies",
        "zip-flags-differ",
        "zip-folder-with-content",
        "zip-names-differ",
        "zip-second-end",
        "zip-sizes-differ",
        "zip-stream-misfit",
        "zip-two-layouts",
    }
)
HIDING = frozenset({"zip-directories-differ", "zip-hidden-entry"})
"""These never come about by accident."""


class ZipReadersDisagree(Rule):
    """
    ## What it does
    Compares what the directory, the local headers and the end records say, and reads the file as Python's `zipfile`, as the
    reader inside PyTorch, and as programs that stream from the start. Every view is examined; this rule says that they differ.
    It is an error where the file has two directories, or entries that its directory does not list.

    ## Why is this bad?
    A scanner that reads the file one way says nothing about a loader that reads it another way: names, duplicates and flags
    were used to hide pickles from scanners while PyTorch loaded them.

    ## Example
    Two members called `model/data.pkl`: PyTorch loads the first, `zipfile` the second.

    ## Use instead
    Write the file again with `torch.save` or another program that keeps both headers alike.

    ## Known problems
    Appending to a zip file may leave an old member of the same name behind.

    ## References
    CVE-2025-1944, CVE-2025-1945
    """

    name = "zip-readers-disagree"
    summary = "Two zip readers would see different contents"
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
        for finding in self.noted(reading, place, HIDING):
            yield replace(finding, severity=Severity.ERROR)
