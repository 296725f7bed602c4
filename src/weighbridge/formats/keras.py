"""Keras models: the archive of Keras 3 (`.keras`), and the objects that any Keras configuration names.

An archive is a zip with `config.json`, `metadata.json` and `model.weights.h5`. The three are parts, read by their own
readers; the tensors come out of the HDF5 part. `objects` lists what a configuration would have Keras look up: every
dictionary with a `class_name`, however deep, since Keras descends into all of them (`deserialize_keras_object`), and the
older spellings of versions 1 and 2. Which of them are safe is for the rules.
"""

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.json import JsonReading, Path, walk
from weighbridge.formats.reading import Reading, TensorRef

if TYPE_CHECKING:
    from weighbridge.formats.ziptree import ZipTree

WEIGHTS = "model.weights.h5"


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasObject:
    """One class or function that a configuration names."""

    path: Path
    """Keys and indexes from the document's root."""
    class_name: str
    """`function` for a function, whose name is then in `config`."""
    module: str | None
    registered_name: str | None
    config: Any

    @property
    def name(self) -> str:
        """The class's or function's own name."""
        return (
            self.config if self.class_name == "function" and isinstance(self.config, str) else self.class_name
        )


def objects(value: Any) -> Iterator[KerasObject]:
    """Every class and function that Keras would look up for this configuration; nothing for other documents."""
    for path, item in walk(value):
        if not isinstance(item, dict) or not isinstance(item.get("class_name"), str):
            continue
        if "config" not in item and "module" not in item and "registered_name" not in item:
            continue
        module, registered = item.get("module"), item.get("registered_name")
        yield KerasObject(
            path=path,
            class_name=item["class_name"],
            module=module if isinstance(module, str) else None,
            registered_name=registered if isinstance(registered, str) else None,
            config=item.get("config"),
        )


def objects_in(reading: Reading) -> Iterator[KerasObject]:
    """The objects of a JSON document, in every view that a loader may have of it."""
    if isinstance(reading, JsonReading) and _MENTIONS.search(reading.text):
        for view in reading.views:
            yield from objects(view)


_MENTIONS = re.compile("".join(f"(?:{char}|\\\\u(?i:{ord(char):04x}))" for char in "class_name"))
"""The key in any spelling that JSON has for it; most documents lack it and need no walk."""


def read_zip(tree: "ZipTree", source: Source, budget: Budget, name: str) -> Reading:
    """The Keras view of a zip file."""
    from weighbridge.formats.ziptree import ZipTree  # configurations are JSON, and need no archive

    tensors, unlisted = _tensors(tree, budget)
    kept = {field.name: getattr(tree, field.name) for field in fields(tree)}
    return ZipTree(**{**kept, "format": "keras", "tensors": tensors, "tensors_unlisted": unlisted})


def _tensors(tree: "ZipTree", budget: Budget) -> tuple[tuple[TensorRef, ...] | None, str]:
    """The arrays of the weights, named by their path in the HDF5 file."""
    from weighbridge.formats import hdf5

    entries = [entry for entry in tree.named(WEIGHTS) if entry.source is not None]
    if len(entries) != 1:
        return None, f"{WEIGHTS} stands {len(entries)} times"
    (entry,) = entries
    assert entry.source is not None  # noqa: S101 - chosen above
    try:
        reading = hdf5.read(entry.source, budget, WEIGHTS)
    except InputError as error:
        return None, error.message
    if reading.tensors is None:
        return None, reading.tensors_unlisted
    return tuple(entry.place(tensor) for tensor in reading.tensors), ""
