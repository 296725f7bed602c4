"""The rule `orbax-outside`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class OrbaxOutside(Rule):
    """
    ## What it does
    Looks in the metadata of Orbax checkpoints and in OCDBT manifests for keys and data files that lie outside of the
    checkpoint, and for handlers that are not Orbax' own.

    ## Why is this bad?
    Restoring reads the files that keys and manifests name. A handler is code that restores a part in its own way.

    ## Example
    ```json
    {"item_handlers": {"params": "os.system"}}
    ```

    ## Use instead
    Checkpoints as Orbax writes them.

    ## Known problems
    A handler of your own is undecided.

    ## References
    - CWE-22
    """

    name = "orbax-outside"
    summary = "an Orbax checkpoint reaches outside of itself"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("orbax", "ocdbt")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, {"orbax-path"})
        for gap in reading.gaps:
            if gap.message.startswith("a value of the unknown kind") and _harm(gap.message):
                yield self.finding(replace(place, offset=gap.offset), gap.message)
        for finding in self.noted(reading, place, {"orbax-handler"}, severity=Severity.WARNING, doubt=True):
            yield replace(finding, severity=Severity.ERROR) if _harm(finding.message) else finding


def _harm(message: str) -> bool:
    """Whether the name in quotes is one that reaches the system."""
    from weighbridge.scan.contracts import harm

    name = message.split('"')[1]
    return bool(harm.harm_of(name)) or harm.is_stdlib(name.partition(".")[0])
