"""The rule `archive-symlink`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"link-escapes"})
INSIDE = frozenset({"link-inside"})


class ArchiveSymlink(Rule):
    """
    ## What it does
    Reports symbolic and hard links in zip and tar files: as an error where the link leads out of the archive or another
    member is written through a link, as a note where it stays inside.

    ## Why is this bad?
    A link out of the archive shows files of the machine as if they were the model's, and a member written through it lands
    outside.

    ## Example
    A tar file with the symbolic link `weights -> /etc` and then the member `weights/passwd`.

    ## Use instead
    Archives of plain files and folders.

    ## Known problems
    Links inside an archive, as a Hub cache has them, are harmless and only noted.

    ## References
    CVE-2025-4517, CWE-59
    """

    name = "archive-symlink"
    summary = "An archive makes links, and where they lead"
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
    )

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES)
        for finding in self.noted(reading, place, INSIDE):
            yield replace(finding, severity=Severity.NOTE)
