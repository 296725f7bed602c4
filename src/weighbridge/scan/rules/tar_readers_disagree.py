"""The rule `tar-readers-disagree`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

CODES = frozenset({"tar-duplicate-name", "tar-names-differ", "tar-sizes-differ"})


class TarReadersDisagree(Rule):
    """
    ## What it does
    Finds members whose size or name is given differently by the plain, GNU and pax headers, links and folders with content,
    and members that stand twice.

    ## Why is this bad?
    A reader that believes the other size finds the next header elsewhere and sees other members.

    ## Example
    A pax record `size=1024` over a header that says 0: some readers take the content for headers.

    ## Use instead
    Archives written in one go by one program.

    ## Known problems
    `tar -r` appends new versions of a member without ill intent.

    ## References
    CVE-2025-62518
    """

    name = "tar-readers-disagree"
    summary = "Two tar readers would see different contents"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("tar", "pytorch-tar")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, CODES, doubt=True)
