"""The rule `json-duplicate-key`."""

from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class JsonDuplicateKey(Rule):
    """
    ## What it does
    Looks for objects in JSON documents that have one key twice.

    ## Why is this bad?
    Python takes the last, other parsers the first, some refuse. A scanner that sees one value and a loader that takes the
    other is how a check is passed and then undone. Both values are judged here.

    ## Example
    ```json
    {"model_type": "bert", "model_type": "other"}
    ```

    ## Use instead
    Each key once; every JSON writer does so.

    ## Known problems
    None known.

    ## References
    - RFC 8259 section 4, RFC 7493 section 2.3
    """

    name = "json-duplicate-key"
    summary = "a JSON object has one key twice, and loaders disagree which one counts"
    severity = Severity.WARNING
    formats = ("json", "jsonl", "notebook", "yaml")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a key."""
        for anomaly in reading.anomalies:
            if anomaly.code == "duplicate-key":
                yield self.finding(place, anomaly.message, doubt=True)
