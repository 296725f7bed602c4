"""The rule `name-collision`."""

import unicodedata
from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.scan.rule import Folder, Rule


class NameCollision(Rule):
    """
    ## What it does
    Looks for two files whose names differ only in case or in how accents are written.

    ## Why is this bad?
    On Windows and macOS they are one file: which of the two contents a loader gets depends on the order of unpacking.

    ## Example
    ```
    config.json
    Config.json
    ```

    ## Use instead
    Names that differ in more than case.

    ## Known problems
    Repositories that were only ever used on Linux may hold such pairs without harm.
    """

    name = "name-collision"
    summary = "two files have one name on other systems"
    severity = Severity.WARNING
    folder = True

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """One finding for every file after the first of its name."""
        first: dict[str, str] = {}
        for member in folder.artifact.members:
            key = unicodedata.normalize("NFC", member.path).casefold()
            other = first.setdefault(key, member.path)
            if other != member.path:
                yield self.finding(
                    Place(path=member.path), f'is "{visible(other)}" on Windows and macOS', doubt=True
                )
