"""The rule `tensorflow-path-escape`."""

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading
from weighbridge.formats.tensorflow.checkpoint import StateReading
from weighbridge.formats.tensorflow.graph import GraphReading
from weighbridge.scan.operators.tensorflow_paths import leads_out
from weighbridge.scan.rule import Folder, Rule

SUFFIXES = ("", ".index", ".meta", ".data-00000-of-00001")
"""What a checkpoint leaves behind under its name."""


class TensorflowPathEscape(Rule):
    """A path in a TensorFlow model leads out of its folder.

    ## What it does
    Looks at the file names of a SavedModel's assets, and at the checkpoints that the file `checkpoint` names. A path with
    `..` or an address is an error, an absolute path as well, unless the checkpoint of that name lies beside: then the path
    is where somebody trained, and the file is undecided.

    ## Why is this bad?
    Loaders join the name to the folder, or take an absolute one as it is, and read what stands there: a table is filled
    with the content of a key file, or other weights are loaded than those that were weighed.

    ## Example
    ```text
    model_checkpoint_path: "../../weighbridge-sample/model.ckpt-1"
    ```

    ## Use instead
    Names relative to the model; savers write them with `save_relative_paths=True`.

    ## Known problems
    TensorFlow 1 wrote absolute paths wherever the training named an absolute folder. Where only the state file was
    published, they are errors.
    """

    name = "tensorflow-path-escape"
    summary = "an asset or checkpoint of a TensorFlow model lies outside of its folder"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("tf-savedmodel", "tf-metagraph", "tf-checkpoint")
    folder = True

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Paths that are wrong whatever lies beside the model."""
        if isinstance(reading, GraphReading):
            for program in reading.programs:
                for asset in program.assets:
                    if words := leads_out(asset.filename):
                        where = replace(
                            place.inside(program.name) if program.name else place, offset=asset.offset
                        )
                        yield self.finding(where, f'the asset "{visible(asset.filename, 100)}" {words}')
        elif isinstance(reading, StateReading):
            for path in reading.paths:
                words = leads_out(path)
                if words and (place.parts or words != "is absolute"):
                    yield self.finding(place, f'the checkpoint "{visible(path, 100)}" {words}')

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """Absolute paths of checkpoints, with or without their files beside."""
        present = {member.path for member in folder.artifact.members}
        for path, readings in folder.readings.items():
            for reading in readings:
                if isinstance(reading, StateReading):
                    yield from self._absolute(reading, path, present)

    def _absolute(self, reading: StateReading, path: str, present: set[str]) -> Iterator[Finding]:
        for name in reading.paths:
            if leads_out(name) != "is absolute":
                continue
            base = posixpath.join(posixpath.dirname(path), name.replace("\\", "/").rpartition("/")[2])
            beside = (
                any(base + suffix in present for suffix in SUFFIXES) and base != posixpath.dirname(path) + "/"
            )
            message = f'the checkpoint "{visible(name, 100)}" is absolute'
            if beside:
                message += ", and one of its name lies beside"
            severity = Severity.WARNING if beside else None
            yield self.finding(Place(path=path), message, severity=severity, doubt=beside)
