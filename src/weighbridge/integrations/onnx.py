"""ONNX Runtime: the session gets the model's verified bytes, or its verified file with its data files beside it."""

import functools
import os
from types import ModuleType
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import Source
from weighbridge.formats import read
from weighbridge.integrations.active import active, admit, inside, refuse
from weighbridge.integrations.arguments import path_of, verified
from weighbridge.integrations.patching import Patches
from weighbridge.integrations.shelf import shelf
from weighbridge.store import open_artifact


def install(module: ModuleType, patches: Patches) -> None:
    """Sessions are made from a path or from bytes."""
    patches.method(getattr(module, "InferenceSession", None), "__init__", _hooked)


def _hooked(original: Any) -> Any:
    @functools.wraps(original)
    def __init__(self: Any, path_or_bytes: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        if not active():
            original(self, path_or_bytes, *args, **kwargs)
            return
        path = path_of(path_or_bytes)
        if path is None:
            with verified(path_or_bytes) as data, inside():
                original(self, data, *args, **kwargs)
            return
        with inside():
            original(self, _model(path), *args, **kwargs)

    return __init__


def _model(path: str) -> Any:
    """The bytes, which a session keeps; a path where the model has data files, or is of another format (`.ort`).

    Which data files there are is asked before they are weighed, with the model; the weighed model must name no others.
    """
    if shelf().holds(path):
        return path
    names = _named(path)
    found = admit(path, names or ())
    held = found[""]
    if _externals(held, path) != names:
        raise refuse(path, "the file changed while it was weighed")
    if names is not None and not names:
        return bytes(held.view)
    link = shelf().place(
        held, path, copied=True
    )  # the runtime asks for real paths where there are data files
    for name, one in found.items():
        if name:
            shelf().beside(one, link, name, copied=True)
    return link


def _named(path: str) -> tuple[str, ...] | None:
    """What the file, as it is now, names."""
    artifact = open_artifact(path)
    source = artifact.files.open(artifact.members[0])
    return _externals(source, path)


def _externals(source: Source, path: str) -> tuple[str, ...] | None:
    """The data files that a model names; None where it is no ONNX model."""
    try:
        return tuple(dict.fromkeys(read("onnx", source, Budget(), os.path.basename(path)).externals))  # noqa: PTH119
    except (InputError, LimitError):
        return None
