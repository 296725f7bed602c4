"""The rule `archive-path-escape`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"path-drive", "path-escapes", "path-startup", "path-stream"})


class ArchivePathEscape(Rule):
    """
    ## What it does
    Looks at every name in zip and tar files under the rules of POSIX and of Windows: absolute paths, drives, `..` that
    climbs above the root, with `/` or `\\\\` as separators; streams of NTFS (`model.bin:sample.exe`). Files that start programs by their place (keys of an SSH server,
    hooks of git, autostart entries) are reported too.

    ## Why is this bad?
    Whoever unpacks the archive with a careless program gets a file of the attacker's choice anywhere on the disk: a start-up
    script, a key, a Python module (CVE-2007-4559 and many since).

    ## Example
    A tar file with the member `../../.bashrc`.

    ## Use instead
    Archives whose members all lie below their root.

    ## Known problems
    Python's `zipfile` and new versions of `tarfile` refuse or defuse most of these names; other programs do not.

    ## References
    CVE-2007-4559, CWE-22
    """

    name = "archive-path-escape"
    summary = "A member's name leads out of the folder it is unpacked in"
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
        "gzip",
    )

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES)
