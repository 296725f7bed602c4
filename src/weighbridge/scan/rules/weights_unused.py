"""The rule `weights-unused`."""

import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import counted, visible
from weighbridge.scan.rule import Folder, Rule

if TYPE_CHECKING:
    from weighbridge.formats.json import JsonReading
    from weighbridge.scan.weights.reading import WeightsReading

SHOWN = 20


class WeightsUnused(Rule):
    """
    ## What it does
    With `--weights`: lists tensors that nothing takes. In ONNX and TensorFlow Lite these are the weights that no operator
    names; in a sharded safetensors model those that its index does not name, or names and the shard does not have.

    ## Why is this bad?
    Bytes that no computation needs can be anything, and nobody notices when they change. A tensor that the index promises
    and the shard does not hold is filled by the loader with random numbers.

    ## Example
    ```
    1 tensor is taken by no operator: backup.weight
    ```

    ## Use instead
    Remove them: `onnxsim` and ONNX Runtime's optimizer do so for ONNX.

    ## Known problems
    Exporters leave weights behind that an optimization made useless. Which tensors of a single safetensors file the code
    takes is known to the code alone, so nothing is said about those.
    """

    name = "weights-unused"
    summary = "tensors stand in the file that nothing takes, or are missing there"
    severity = Severity.NOTE
    folder: ClassVar[bool] = True

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """One finding a file, and one for each index and shard that do not fit."""
        if not folder.holds("weights"):
            return
        from weighbridge.formats.json import JsonReading
        from weighbridge.scan.weights.reading import WeightsReading

        weights = {
            path: reading
            for path, readings in folder.readings.items()
            for reading in readings
            if isinstance(reading, WeightsReading)
        }
        for path, found in weights.items():
            if found.unused:
                yield self._told(path, found.unused, "taken by no operator")
        for path, readings in folder.readings.items() if weights else ():
            for reading in readings:
                if isinstance(reading, JsonReading):
                    yield from self._index(path, reading, weights)

    def _index(
        self, path: str, reading: "JsonReading", weights: "dict[str, WeightsReading]"
    ) -> Iterator[Finding]:
        promised: dict[str, set[str]] = {}
        for tensor, shard in _named(reading):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), shard))
            promised.setdefault(target, set()).add(tensor)
        for target, names in promised.items():
            held = weights.get(target)
            if held is None or not target.lower().endswith(".safetensors"):
                continue
            if missing := tuple(sorted(names - set(held.names))):
                where = f"missing in {visible(target, 200)}, where the index says it is"
                yield self._told(path, missing, where, Severity.WARNING)
            if extra := tuple(sorted(set(held.names) - names)):
                yield self._told(target, extra, f"not named by the index {visible(path, 200)}")

    def _told(
        self, path: str, names: tuple[str, ...], what: str, severity: Severity | None = None
    ) -> Finding:
        shown = ", ".join(visible(name, 80) for name in names[:3]) + (", …" if len(names) > 3 else "")
        verb = "is" if len(names) == 1 else "are"
        message = f"{counted(len(names), 'tensor')} {verb} {what}: {shown}"
        trail = tuple(visible(name, 200) for name in names[3 : SHOWN + 3])
        return self.finding(Place(path=path), message, severity=severity, trail=trail)


def _named(reading: "JsonReading") -> Iterator[tuple[str, str]]:
    """Every (tensor, shard) of an index."""
    for view in reading.views:
        mapping = view.get("weight_map") if isinstance(view, dict) else None
        for tensor, shard in mapping.items() if isinstance(mapping, dict) else ():
            if isinstance(tensor, str) and isinstance(shard, str):
                yield tensor, shard
