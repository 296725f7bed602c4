"""The rule `archive-hidden-data`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset(
    {
        "7z-data-after",
        "7z-data-between",
        "gzip-header-data",
        "skippable-frame",
        "stream-behind-zeros",
        "tar-data-after",
        "zip-data-after",
        "zip-data-before",
        "zip-data-between",
    }
)


class ArchiveHiddenData(Rule):
    """
    ## What it does
    Accounts for every byte of the file: members, headers, directory, end record. What is left over and is not padding is
    shown here and examined on its own. In compressed streams: frames that loaders step over, streams that stand behind
    padding, and gzip headers that hold more than a name.

    ## Why is this bad?
    The file is something else besides: for another program it may begin or end differently, and checks that went by the
    directory never saw these bytes. A pickle in front of a zip file is what PyTorch's older loader executes.

    ## Example
    A pickle with a harmless zip file appended to it.

    ## Use instead
    One file a format.

    ## Known problems
    Self-extracting archives and signed APK files are built like that on purpose.
    """

    name = "archive-hidden-data"
    summary = "An archive holds bytes that belong to no member"
    severity = Severity.WARNING
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
        "gzip",
        "bzip2",
        "xz",
        "lzma",
        "zlib",
        "lz4",
        "zstd",
        "joblib-zfile",
    )

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES, doubt=True)
