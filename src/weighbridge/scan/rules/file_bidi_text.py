"""The rule `file-bidi-text`."""

from collections.abc import Iterator

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class FileBidiText(Rule):
    """
    ## What it does
    Looks in configs, requirements and scripts for characters that make text read in another order than it stands.

    ## Why is this bad?
    What a person reviews is not what the program reads.

    ## Example
    A config value with U+202E (right-to-left override) before a file name.

    ## Use instead
    Plain characters; put text in right-to-left languages into documents.

    ## Known problems
    Vocabularies and READMEs hold such characters for good reasons and are not looked at; Python files are looked at by
    `python-unproved`.

    ## References
    - CVE-2021-42574 (Trojan Source)
    """

    name = "file-bidi-text"
    summary = "a config or script reads in another order than it stands"
    severity = Severity.WARNING
    confidence = Confidence.MEDIUM
    formats = ("json", "yaml", "requirements")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a file; vocabularies are too large to be kept, and excused."""
        if reading.keep and "vocab" not in place.path and "tokenizer.json" not in place.path:
            for anomaly in reading.anomalies:
                if anomaly.code == "bidi-characters":
                    yield self.finding(place, anomaly.message)
