"""The rule `ollama-manifest-path`."""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

_DIGEST = late(r"(sha256[:-][0-9a-f]{64}|sha512[:-][0-9a-f]{128})\Z")
_ESCAPES = late(r"\.\.|[/\\\x00]|\s")


class OllamaManifestPath(Rule):
    """
    ## What it does
    Looks in manifests of Ollama and OCI images (`schemaVersion` with `layers`) for digests that are no digests.

    ## Why is this bad?
    The store makes a file name of the digest. One that holds `../` names any file of the machine, to be written by `pull` and
    read by `push`: Ollama before 0.1.34 could be taken over this way.

    ## Example
    ```json
    {"schemaVersion": 2, "layers": [{"digest": "../../../../../tmp/weighbridge-sample", "size": 1}]}
    ```

    ## Use instead
    `sha256:` and 64 hexadecimal digits.

    ## Known problems
    None known.

    ## References
    - CVE-2024-37032
    """

    name = "ollama-manifest-path"
    summary = "a manifest's digest leads its store to another file"
    severity = Severity.ERROR
    formats = ("json",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a digest."""
        if not isinstance(reading, JsonReading):
            return
        if not any(
            "schemaVersion" in item and ("layers" in item or "manifests" in item)
            for _, item in reading.objects
        ):
            return
        for path, item in reading.objects:
            digest = item.get("digest")
            if digest is None or (isinstance(digest, str) and _DIGEST.match(digest)):
                continue
            where = replace(place, line=reading.line((*path, "digest")))
            if isinstance(digest, str) and _ESCAPES.search(digest):
                yield self.finding(where, f'the digest "{digest[:120]}" leads out of the store')
            else:
                message = f'the digest "{str(digest)[:120]}" is none'
                yield self.finding(where, message, severity=Severity.WARNING, doubt=True)
