"""The rule `index-missing-shard`."""

import posixpath
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.json import JsonReading, weight_map
from weighbridge.scan.rule import Folder, Rule


class IndexMissingShard(Rule):
    """
    ## What it does
    Looks for shards that the index of a sharded model names and that are not in the artifact.

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
        for path, readings in folder.readings.items():
            for reading in readings:
                if isinstance(reading, JsonReading):
                    yield from self._missing(reading, path, present)

    def _missing(self, reading: JsonReading, path: str, present: set[str]) -> Iterator[Finding]:
        for tensor, shard in weight_map(reading):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), shard))
            if target not in present and not target.startswith("../"):
                place = replace(Place(path=path), line=reading.line(("weight_map", tensor)))
                yield self.finding(place, f'the shard "{shard[:200]}" is not here', doubt=True)
