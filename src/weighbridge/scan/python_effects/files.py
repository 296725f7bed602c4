"""Which Python files of an artifact run when the model is loaded, and which of their classes somebody calls.

Told by configs (`auto_map`, `custom_pipelines`, `MLmodel`), by the names that hubs and servers import, by base classes that
loaders make, and by the imports of the files that are loaded so.
"""

from collections.abc import Iterator, Mapping, Set
from typing import Any

from weighbridge.core.finding import Place
from weighbridge.core.pattern import late
from weighbridge.formats.python import PythonReading
from weighbridge.scan.python_effects import harmful_names
from weighbridge.scan.python_effects.effect import Setting
from weighbridge.scan.rule import Folder

CONVENTIONAL = late(
    r"(^|/)(__init__|hubconf|handler|pipeline|generate|model|service|predict|inference|sitecustomize|usercustomize|conftest|setup|code/\w+"
    r"|(modeling|modelling|configuration|tokenization|processing|preprocessing|image_processing|image_preprocessing"
    r"|video_processing|feature_extraction|pipeline)_\w+)\.pyw?$"
)
"""Names that loaders, hubs and installers import without being told by a config."""
ALL_ENTRY = late(r"(^|/)(hubconf|handler|pipeline|generate)\.py$")
"""Files whose functions a hub calls by name."""
_INSTALLS = late(r"(setuptools|distutils)\.command\.(install|develop|egg_info)\b")
_CELL = late(r"cell \d+\Z")


def inner_setting(place: Place) -> Setting | None:
    """The setting of a module inside another file (an archive's member, a notebook's cell); None for a file itself."""
    if not place.parts:
        return None
    outer = place.parts[-2] if len(place.parts) > 1 else place.path
    cell = bool(_CELL.match(place.parts[-1])) and outer.lower().endswith(".ipynb")
    return Setting(cell=cell, loaded=not cell, path=place.parts[-1])


def python_files(folder: Folder) -> Iterator[tuple[str, PythonReading, Setting]]:
    """Every Python file of an artifact with its setting."""
    files = {
        path: reading
        for path, readings in folder.readings.items()
        for reading in readings
        if isinstance(reading, PythonReading)
    }
    entry = entry_points(folder)
    present = frozenset(member.path for member in folder.artifact.members)
    siblings = frozenset(part.removesuffix(".py") for path in files for part in path.split("/"))
    loaded = _loaded(files, entry, single=len(folder.artifact.members) == 1)
    shared = _imported_by_others(files)
    helpers = {
        f"{path.rpartition('/')[2].removesuffix('.py')}.{name}": what
        for path in shared
        for name, what in harmful_names(files[path])
    }
    for path, reading in files.items():
        every = (
            ALL_ENTRY.search(path) or _is_builder(reading) or _is_served(reading) or _is_registered(reading)
        )
        names = frozenset("*") if every else entry.get(path, frozenset()) | _hooks(reading)
        yield (
            path,
            reading,
            Setting(
                entry=names,
                siblings=siblings,
                present=present,
                path=path,
                loaded=path in loaded,
                shared=path in shared,
                helpers=helpers,
            ),
        )


def _imported_by_others(files: Mapping[str, PythonReading]) -> set[str]:
    """Files whose module name stands in some other file's imports."""
    named: dict[str, list[str]] = {}
    for path in files:
        named.setdefault(path.rpartition("/")[2].removesuffix(".py"), []).append(path)
    return {
        path
        for other, reading in files.items()
        for item in reading.imports
        for part in (*item.module.split("."), item.name)
        for path in named.get(part, ())
        if path != other
    }


def _is_served(reading: PythonReading) -> bool:
    """A class that a server of models makes and calls by its name."""
    if "TritonPythonModel" in reading.classes:
        return True
    return any(base.startswith("ts.torch_handler.") for _, bases in reading.bases for base in bases)


def _is_registered(reading: PythonReading) -> bool:
    """Functions that spaCy calls because a config names what they are registered as."""
    return any(use.name.startswith("spacy.registry.") for use in reading.uses)


def _hooks(reading: PythonReading) -> set[str]:
    """What MLflow calls in a loader's module, and the commands that installing runs; building may run compilers."""
    commands = {name for name, bases in reading.bases if any(map(_INSTALLS.match, bases))}
    return commands | ({"_load_pyfunc"} & set(reading.functions))


def _is_builder(reading: PythonReading) -> bool:
    """A data set's script: `load_dataset` imports it and calls its builder's methods."""
    return any(
        base.startswith("datasets.") and base.endswith(("Builder", "BuilderConfig"))
        for _, bases in reading.bases
        for base in bases
    )


def _loaded(files: Mapping[str, PythonReading], entry: Mapping[str, Set[str]], *, single: bool) -> set[str]:
    """Files that are imported when the model is: named by a config or by custom, and what those import."""
    loaded: set[str] = set()
    todo = [path for path in files if single or path in entry or CONVENTIONAL.search(path)]
    todo += [path for path, reading in files.items() if _is_builder(reading)]
    while todo:
        path = todo.pop()
        if path in loaded:
            continue
        loaded.add(path)
        base = path.rpartition("/")[0]
        for item in files[path].imports:
            for part in (*item.module.split("."), item.name):
                todo += [
                    p
                    for p in (f"{base}/{part}.py".lstrip("/"), f"{part}.py")
                    if p in files and p not in loaded
                ]
    return loaded


def entry_points(folder: Folder) -> dict[str, set[str]]:
    """Path of a Python file → classes that some config of the artifact names in it."""
    found: dict[str, set[str]] = {}
    for path, readings in folder.readings.items():
        base = path.rpartition("/")[0]
        for reading in readings:
            for module, name in named_classes(getattr(reading, "value", None)):
                target = f"{base}/{module.replace('.', '/')}.py".lstrip("/")
                found.setdefault(target, set()).add(name)
    return found


def named_classes(value: Any) -> Iterator[tuple[str, str]]:
    """(module, class) pairs that `auto_map` and `custom_pipelines` of a config name, without other repositories."""
    if not isinstance(value, dict):
        return
    yield from _mlflow_code(value)
    maps = [value.get("auto_map")]
    custom = value.get("custom_pipelines")
    if isinstance(custom, dict):
        maps += [{"impl": one.get("impl")} for one in custom.values() if isinstance(one, dict)]
    for mapping in maps:
        references = list(mapping.values()) if isinstance(mapping, dict) else [mapping]
        for reference in references:
            for text in reference if isinstance(reference, list) else [reference]:
                if isinstance(text, str) and "--" not in text and "." in text:
                    module, _, name = text.rpartition(".")
                    yield module, name


def _mlflow_code(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Files that MLflow imports, and then calls, because an `MLmodel` says so."""
    flavors = value.get("flavors")
    for flavor in flavors.values() if isinstance(flavors, dict) else ():
        if not isinstance(flavor, dict):
            continue
        script, loader, code = flavor.get("model_code_path"), flavor.get("loader_module"), flavor.get("code")
        if isinstance(script, str) and script.endswith(".py"):
            yield script.removesuffix(".py").replace("/", "."), "*"
        if isinstance(loader, str) and not loader.startswith("mlflow."):
            yield (f"{code}.{loader}" if isinstance(code, str) else loader), "_load_pyfunc"
