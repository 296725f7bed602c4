"""The rule `index-traversal`."""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, weight_map
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

_OUTSIDE = late(r"(^|[/\\])\.\.([/\\]|$)|^[/\\~]|^[A-Za-z]:|[\x00\\]|^\w+://")


class IndexTraversal(Rule):
    """
    ## What it does
    Looks in the index of a sharded model (`*.index.json`) for shard names that lead out of the model's folder.

    ## Why is this bad?
    Loaders join the name to the folder and open it: the shard that is loaded is then one that nobody scanned or signed.

    ## Example
    ```json
    {"weight_map": {"layer.weight": "../../weighbridge-sample/pytorch_model.bin"}}
    ```

    ## Use instead
    Shards beside their index.

    ## Known problems
    None known.
    """

    name = "index-traversal"
    summary = "the index of a sharded model names a file outside the model"
    severity = Severity.ERROR
    formats = ("json",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a shard."""
        if isinstance(reading, JsonReading):
            for tensor, shard in weight_map(reading):
                if _OUTSIDE.search(shard):
                    line = reading.line(("weight_map", tensor))
                    message = f'tensor "{tensor[:100]}" is loaded from "{shard[:200]}", outside the model'
                    yield self.finding(replace(place, line=line), message)
