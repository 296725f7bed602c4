"""The rule `tfjs-weights`."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import ClassVar

from weighbridge.core.artifact import Member
from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.json import JsonReading
from weighbridge.formats.reading import Reading
from weighbridge.formats.tensorflow import tfjs
from weighbridge.scan.rule import Folder, Rule

MAX_TOLD = 20


class TfjsWeights(Rule):
    """The weights manifest of a TensorFlow.js model leads out of it, or contradicts its shards.

    ## What it does
    Looks at the shards that `model.json` or a weights manifest names: plain names below the model's folder that are there,
    and together as long as their tensors. Entries need a shape and a data type. Keys named `__proto__` reach the program itself.

    ## Why is this bad?
    The browser or Node fetches what stands there: another model's weights, a local file, an address that learns who uses
    the model. Bytes that no tensor uses are carried along unseen.

    ## Example
    ```json
    {"weightsManifest": [{"paths": ["https://example.com/weighbridge-sample.bin"], "weights": []}]}
    ```

    ## Use instead
    Shards beside the model, as `tensorflowjs_converter` writes them.

    ## Known problems
    Shards behind a `weightPathPrefix` that the application sets are said to be missing.
    """

    name = "tfjs-weights"
    summary = "the shards of a TensorFlow.js model lie elsewhere, or are not what the manifest says"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("json",)
    folder = True

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Names and entries that are wrong whatever lies beside the model."""
        if not isinstance(reading, JsonReading):
            return
        for value in reading.views:
            if not tfjs.is_model(value):
                continue
            where = replace(place, line=reading.line(("weightsManifest",)) if isinstance(value, dict) else 1)
            for message in islice(_problems(value), MAX_TOLD):
                yield self.finding(where, message)
        if any(tfjs.is_model(value) for value in reading.views):
            for path, item in reading.objects:
                if "__proto__" in item or (path[-1:] == ("constructor",) and "prototype" in item):
                    message = "a key that changes every object of the program that copies it (`__proto__`)"
                    yield self.finding(replace(place, line=reading.line(path)), message)
                    break

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """Shards that are missing, too short or too long."""
        members = {member.path: member for member in folder.artifact.members}
        for path, readings in folder.readings.items():
            for reading in readings:
                if isinstance(reading, JsonReading) and tfjs.is_model(reading.value):
                    for group in tfjs.groups(reading.value):
                        yield from self._group(group, path, members)

    def _group(self, group: tfjs.Group, path: str, members: Mapping[str, Member]) -> Iterator[Finding]:
        if any(tfjs.path_problem(name) for name in group.paths):
            return
        place, have = Place(path=path), 0
        for name in group.paths:
            member = members.get(posixpath.normpath(posixpath.join(posixpath.dirname(path), name)))
            if member is None:
                message = f'the shard "{visible(name, 100)}" is not here'
                yield self.finding(place, message, severity=Severity.WARNING, doubt=True)
                return
            have += member.size
        sizes = [weight.size for weight in group.weights]
        need = sum(size for size in sizes if size is not None)
        if have < need:
            yield self.finding(place, f"the shards have {have} bytes, and their tensors need {need}")
        elif have > need and None not in sizes:
            message = f"{have - need} bytes in the shards belong to no tensor"
            yield self.finding(place, message, severity=Severity.WARNING, doubt=True)


def _problems(value: object) -> Iterator[str]:
    for group in tfjs.groups(value):
        for path in group.paths:
            if words := tfjs.path_problem(path):
                yield f'the shard "{visible(path, 100)}" {words}'
        for weight in group.weights:
            if weight.problem:
                yield f'the weight "{visible(weight.name, 80)}" has {weight.problem}'
