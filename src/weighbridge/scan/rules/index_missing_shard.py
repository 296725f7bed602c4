"""The rule `index-missing-shard`."""

import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.value import replace
from weighbridge.scan.rule import Folder, Rule

if TYPE_CHECKING:
    from weighbridge.formats.gguf.reading import GgufReading
    from weighbridge.formats.json import JsonReading

MAX_SHARDS = 10_000
DOCUMENTS = ("json", "jsonl", "yaml", "keras-object")
"""What is read as JSON is."""
_SHARD = late(r"-\d{5}-of-\d{5}\.gguf\Z")


def _some(reading: "GgufReading") -> range:
    return range(1, min(reading.shards, MAX_SHARDS) + 1)


class IndexMissingShard(Rule):
    """
    ## What it does
    Looks for shards that the index of a sharded model, or a shard of a split GGUF model, names and that are not in the
    artifact.

    ## Why is this bad?
    Part of the model was not weighed. A loader may fetch it from elsewhere, or from a cache, and use what it finds.

    ## Example
    ```json
    {"weight_map": {"layer.weight": "model-00002-of-00002.safetensors"}}
    ```

    ## Use instead
    Weigh the whole model, or remove the index.

    ## Known problems
    Repositories that publish two formats and were fetched in one keep the index of the other.
    """

    name = "index-missing-shard"
    summary = "the index of a sharded model names a file that is not here"
    severity = Severity.NOTE
    folder = True

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """One finding a shard."""
        present = {member.path for member in folder.artifact.members}
        if folder.holds("gguf"):
            yield from self._splits(folder, present)
        if folder.holds(*DOCUMENTS):
            yield from self._indexes(folder, present)

    def _splits(self, folder: Folder, present: set[str]) -> Iterator[Finding]:
        from weighbridge.formats.gguf.reading import GgufReading  # only beside such models

        for path, readings in folder.readings.items():
            for reading in readings:
                if isinstance(reading, GgufReading):
                    yield from self._split(reading, path, present)

    def _indexes(self, folder: Folder, present: set[str]) -> Iterator[Finding]:
        from weighbridge.formats.json import JsonReading  # only beside documents

        for path, readings in folder.readings.items():
            for reading in readings:
                if isinstance(reading, JsonReading):
                    yield from self._missing(reading, path, present)

    def _split(self, reading: "GgufReading", path: str, present: set[str]) -> Iterator[Finding]:
        """llama.cpp takes the names of the other shards from the name of the first."""
        found = _SHARD.search(path)
        names = (
            [f"{path[: found.start()]}-{n:05d}-of-{reading.shards:05d}.gguf" for n in _some(reading)]
            if found
            else []
        )
        missing = [name for name in names if name not in present]
        if missing or not found or reading.shards > MAX_SHARDS:
            which = f'the shard "{posixpath.basename(missing[0])[:200]}"' if missing else "one of the shards"
            message = f"{which} is not here, of {reading.shards} that the model has"
            yield self.finding(Place(path=path), message, doubt=True)

    def _missing(self, reading: "JsonReading", path: str, present: set[str]) -> Iterator[Finding]:
        from weighbridge.formats.json import weight_map

        for tensor, shard in weight_map(reading):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), shard))
            if target not in present and not target.startswith("../"):
                place = replace(Place(path=path), line=reading.line(("weight_map", tensor)))
                yield self.finding(place, f'the shard "{shard[:200]}" is not here', doubt=True)
