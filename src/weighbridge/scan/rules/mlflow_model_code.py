"""The rule `mlflow-model-code`."""

import posixpath
from collections.abc import Iterator, Set
from dataclasses import replace
from typing import Any

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path, walk
from weighbridge.formats.reading import Reading
from weighbridge.scan import python_names as known
from weighbridge.scan.rule import Folder, Rule

_PATH_KEYS = frozenset(
    ["code", "model_code_path", "data", "python_model", "model_path", "pickled_model", "model_data", "env", "conda", "virtualenv", "path", "artifact_path", "serialization_path", "model_binary", "tf_model_dir", "saved_model_dir", "model_config_path", "state_dict"]
)  # fmt: skip
_OUTSIDE = late(r"(^|[/\\])\.\.([/\\]|$)|^[/\\~]|^[A-Za-z]:[/\\]|\x00")


class MlflowModelCode(Rule):
    """
    ## What it does
    Looks in MLflow's `MLmodel` for what makes `mlflow.pyfunc.load_model` run code of the model: `code` (a folder that is put
    on the import path), `model_code_path` (a script that is run), and for paths that lead out of the model. The Python files
    themselves are judged by the Python rules, `loader_module` by `config-names-code`.

    ## Why is this bad?
    MLflow runs this code for everybody who loads or serves the model. A module in `code` that is called like a published
    package takes its place.

    ## Example
    ```yaml
    flavors:
      python_function:
        loader_module: mlflow.pyfunc.model
        model_code_path: ../weighbridge-sample.py
    ```

    ## Use instead
    MLflow's own flavors, without code.

    ## Known problems
    None known.

    ## References
    - https://mlflow.org/docs/latest/ml/model/models-from-code
    """

    name = "mlflow-model-code"
    summary = "an MLflow model runs code of its own, or reaches outside itself"
    severity = Severity.ERROR
    formats = ("yaml",)
    folder = True

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Models inside archives."""
        if isinstance(reading, JsonReading) and place.parts:
            yield from self._found(reading, place, None)

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """Models of the artifact, with the files they name."""
        present = frozenset(member.path for member in folder.artifact.members)
        for path, readings in folder.readings.items():
            for reading in readings:
                if isinstance(reading, JsonReading) and reading.format == "yaml":
                    yield from self._found(reading, Place(path=path), present)

    def _found(self, reading: JsonReading, place: Place, present: Set[str] | None) -> Iterator[Finding]:
        flavors = reading.value.get("flavors") if isinstance(reading.value, dict) else None
        if not isinstance(flavors, dict):
            return
        base = posixpath.dirname(place.path)
        for path, key, text in _paths(reading.value):
            where = replace(place, line=reading.line(path))
            if _OUTSIDE.search(text):
                yield self.finding(where, f'"{key}" leads to {text[:100]}, outside the model')
            elif (
                key == "model_code_path" and present is not None and posixpath.join(base, text) not in present
            ):
                message = f"runs {text[:100]}, which is not here"
                yield self.finding(where, message, severity=Severity.WARNING, doubt=True)
            elif key == "code":
                yield from self._shadows(where, posixpath.join(base, text), present or frozenset())

    def _shadows(self, place: Place, folder: str, present: Set[str]) -> Iterator[Finding]:
        """Modules in the folder that stand before packages of the same name."""
        prefix = folder.rstrip("/") + "/"
        tops = {
            path.removeprefix(prefix).partition("/")[0].removesuffix(".py")
            for path in present
            if path.startswith(prefix)
        }
        for top in sorted(tops & (known.PACKAGES | known.STDLIB | known.GUARDED.keys())):
            yield self.finding(
                place, f'puts a module "{top}" of its own in place of the package of that name'
            )


def _paths(value: dict[str, Any]) -> Iterator[tuple[Path, str, str]]:
    for path, item in walk(value):
        if isinstance(item, dict):
            for key, text in item.items():
                if isinstance(text, str) and (key in _PATH_KEYS or path[-1:] == ("env",)):
                    yield (*path, key), key, text
