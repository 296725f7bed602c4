"""The rule `archive-ambiguous-name`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"path-backslash", "path-dots", "path-reserved", "similar-names"})
DOUBTFUL = frozenset({"path-colon", "path-nul"})


class ArchiveAmbiguousName(Rule):
    """
    ## What it does
    Finds backslashes, `..` in the middle, NUL bytes, names that are devices or other names on Windows (`aux.txt`, a dot or
    blank at the end, `name:stream`), and names that differ only in case, Unicode normalisation or `./`.

    ## Why is this bad?
    One reader takes such a member for a file of its own, the next for another member, and a check that looked at one of
    them says nothing about the other. PyTorch looks records up without regard to case; many file systems do the same.
    All contents are examined under every name, so this alone does not fail a file; a NUL or a colon
    leaves it undecided.

    ## Example
    A zip file with `model/data.pkl` and `model/DATA.PKL`.

    ## Use instead
    Plain names that are unique on every system.

    ## Known problems
    Some old Windows programs write backslashes without ill intent.
    """

    name = "archive-ambiguous-name"
    summary = "Systems and readers disagree about a member's name"
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
    )

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES)
        yield from self.noted(reading, place, DOUBTFUL, doubt=True)
