"""Rule: one file in `scan/rules/`, whose docstring is also its page.

A rule implements only the depth it needs: `look` for one reading (a pickle, a zip, a JSON document, wherever it is
nested) or `look_folder` for what only the whole artifact shows. It yields findings and never raises for bad input.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.artifact import Artifact
from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What folder rules see: the artifact and the small documents (JSON, text, Python) read in it."""

    artifact: Artifact
    readings: Mapping[str, tuple[Reading, ...]]
    """Path → the kept readings of that file (`engine.KEPT` formats)."""

    def holds(self, *formats: str) -> bool:
        """Whether a reading of one of these formats was kept; asked before what knows them is imported."""
        return any(reading.format in formats for readings in self.readings.values() for reading in readings)


class Rule:
    """Base of all rules. The class attributes are the rule's table; the docstring its explanation."""

    name: ClassVar[str]
    """Kebab-case; equals the module's name with hyphens."""
    summary: ClassVar[str]
    """One line for listings."""
    severity: ClassVar[Severity]
    confidence: ClassVar[Confidence] = Confidence.HIGH
    since: ClassVar[str] = "0.1"
    formats: ClassVar[tuple[str, ...]] = ()
    """`Reading.format` names that `look` wants; `("*",)` for all."""
    folder: ClassVar[bool] = False
    """True when the rule implements `look_folder`."""

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Findings in one reading."""
        yield from ()

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """Findings that only the whole artifact shows."""
        yield from ()

    def finding(
        self,
        place: Place,
        message: str,
        *,
        severity: Severity | None = None,
        confidence: Confidence | None = None,
        doubt: bool = False,
        trail: tuple[str, ...] = (),
        fix: str = "",
    ) -> Finding:
        """A finding of this rule, with its own severity and confidence unless said otherwise."""
        return Finding(
            rule=self.name,
            severity=severity or self.severity,
            confidence=confidence or self.confidence,
            place=place,
            message=message,
            doubt=doubt,
            trail=trail,
            fix=fix,
        )

    def noted(
        self,
        reading: Reading,
        place: Place,
        codes: Collection[str],
        *,
        severity: Severity | None = None,
        doubt: bool = False,
    ) -> Iterator[Finding]:
        """One finding for each anomaly of these codes, with the reader's own words and place."""
        for anomaly in reading.anomalies:
            if anomaly.code in codes:
                where = place.inside(anomaly.part) if anomaly.part else place
                place_there = replace(where, offset=anomaly.offset)
                yield self.finding(place_there, anomaly.message, severity=severity, doubt=doubt)
