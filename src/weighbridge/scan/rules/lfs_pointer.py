"""The rule `lfs-pointer`."""

from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.lfs import LfsPointer
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class LfsPointerRule(Rule):
    """
    ## What it does
    Says that a file is only a git-lfs pointer. One whose object is not a digest but a path is an error.

    ## Why is this bad?
    The weights were not weighed: the real file is fetched later, from elsewhere. A client that
    believes a path takes some other file of the machine for the model.

    ## Example
    ```
    version https://git-lfs.github.com/spec/v1
    oid sha256:…
    size 90868376
    ```

    ## Use instead
    `git lfs pull`, then weigh again.

    ## Known problems
    None known.

    ## References
    - https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
    """

    name = "lfs-pointer"
    summary = "only a git-lfs pointer is here, not the file"
    severity = Severity.NOTE
    formats = ("lfs-pointer",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a pointer."""
        if reading.anomalies:
            yield from self.noted(reading, place, ("oid-path",), severity=Severity.ERROR)
        elif isinstance(reading, LfsPointer):
            message = f"the file of {reading.real_size} bytes is not here, only a pointer to sha256:{reading.oid[:12]}…"
            yield self.finding(place, message, doubt=True, fix="git lfs pull")
