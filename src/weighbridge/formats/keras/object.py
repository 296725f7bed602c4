"""The configuration of a Keras object inside a SavedModel: JSON, read as such, under a format of its own.

Of its own since Keras does something else with it than with a model's own configuration: where it knows no class of that
name, it takes the functions of the graph, which stand in the same file. Rules judge it accordingly.
"""

from dataclasses import replace

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.formats import json
from weighbridge.formats.json import JsonReading


def read(source: Source, budget: Budget, name: str) -> JsonReading:
    """Parse it. Raises `InputError` (`bad-json`)."""
    reading = json.read(source, budget, f"{name}.json")
    return replace(
        reading, format="keras-object", keep=False, externals=(), tensors=None, tensors_unlisted=""
    )
