"""The rule `file-empty`."""

from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

_CONTENT = late(
    r"(?i)\.(safetensors|bin|pt|pth|ckpt|pkl|pickle|joblib|npy|npz|h5|hdf5|keras|onnx|gguf|ggml|tflite|pb|msgpack|model|zip|tar"
    r"|gz|json|data|index|mlmodel|pdparams|params|engine|plan)$"
)


class FileEmpty(Rule):
    """
    ## What it does
    Looks for files of 0 bytes whose names promise weights or a config.

    ## Why is this bad?
    A download broke off, or somebody emptied the file. What a loader does then is its own affair: some fall back to
    another, less safe file beside it.

    ## Example
    ```
    model.safetensors    0 bytes
    ```

    ## Use instead
    Fetch the file again.

    ## Known problems
    `__init__.py`, `.gitkeep`, `py.typed` and other names that may well be empty are not reported.
    """

    name = "file-empty"
    summary = "a file that should hold weights or a config is empty"
    severity = Severity.WARNING
    formats = ("empty",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a file."""
        name = place.parts[-1] if place.parts else place.path
        if _CONTENT.search(name):
            yield self.finding(place, "the file is empty", doubt=True)
