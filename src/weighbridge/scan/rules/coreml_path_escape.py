"""The rule `coreml-path-escape`."""

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.json import JsonReading
from weighbridge.formats.membernames import escapes
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Folder, Rule

HEADER = 64
"""Bytes before the content of each blob in a weights file."""

_ENCODED = late(r"(?i)(%2e|\.){2}(%2f|%5c)|%2e%2e")


class CoremlPathEscape(Rule):
    """
    ## What it does
    Looks at every path in a Core ML model and in the `Manifest.json` of a package: weights, linked models, items. It must
    stay inside of the package, and weights must lie inside of their file.

    ## Why is this bad?
    Whoever loads or compiles the package reads what stands at the path. Weights behind the end of their file make a reader
    without checks read foreign memory.

    ## Example
    ```json
    {"itemInfoEntries": {"A": {"name": "weights", "path": "../../../tmp/weighbridge-sample"}}}
    ```

    ## Use instead
    Packages as coremltools writes them.

    ## Known problems
    A package that was cut off while it was copied looks the same as weights behind the end.

    ## References
    - CWE-22, CWE-125
    """

    name = "coreml-path-escape"
    summary = "a Core ML package reads files outside of itself, or behind a file's end"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("coreml", "coreml-weights", "json")
    folder = True

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if isinstance(reading, JsonReading):
            yield from self._manifest(reading, place)
            return
        yield from self.noted(reading, place, {"coreml-path", "coreml-blob"})
        yield from self.noted(reading, place, {"coreml-type"}, severity=Severity.WARNING, doubt=True)

    def _manifest(self, reading: JsonReading, place: Place) -> Iterator[Finding]:
        for view in reading.views:
            for key, path in _items(view):
                steps = path.replace("\\", "/").split("/")
                if (
                    escapes(path)
                    or ".." in steps
                    or "\\" in path
                    or "\0" in path
                    or "://" in path
                    or _ENCODED.search(path)
                ):
                    where = replace(place, line=reading.line(("itemInfoEntries", key, "path")))
                    yield self.finding(where, f'an item of the package is read from "{visible(path, 200)}"')

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """Weights behind the end of their file."""
        members = {member.path: member for member in folder.artifact.members}
        for path, readings in folder.readings.items():
            for reading in readings:
                for file, reach in _reaches(reading).items():
                    member = members.get(posixpath.normpath(posixpath.join(posixpath.dirname(path), file)))
                    if member is not None and member.size < reach + HEADER:
                        shown = visible(file, 120)
                        message = f'a weight lies at byte {reach} of "{shown}", which has {member.size} bytes'
                        yield self.finding(Place(path=path), message)


def _items(view: Any) -> Iterator[tuple[str, str]]:
    """(identifier, path) of the items that a package's manifest lists."""
    entries = view.get("itemInfoEntries") if isinstance(view, dict) else None
    for key, item in entries.items() if isinstance(entries, dict) else ():
        path = item.get("path") if isinstance(item, dict) else None
        if isinstance(path, str):
            yield key, path


def _reaches(reading: Reading) -> dict[str, int]:
    """File → the farthest blob's beginning in it."""
    if reading.format != "coreml":
        return {}
    from weighbridge.formats.coreml import MODEL_PATH, CoremlReading

    found: dict[str, int] = {}
    for blob in reading.blobs if isinstance(reading, CoremlReading) else ():
        file = blob.file.removeprefix(MODEL_PATH)
        if blob.file.startswith(MODEL_PATH):
            found[file] = max(found.get(file, 0), blob.offset)
    return found
