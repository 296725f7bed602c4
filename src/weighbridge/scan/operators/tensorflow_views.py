"""The programs that rules about TensorFlow's operators look at: of a graph in protobuf, or out of a TensorFlow.js document."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weighbridge.formats.json import JsonReading
from weighbridge.formats.reading import Reading

if TYPE_CHECKING:
    from weighbridge.formats.tensorflow.graph import Program


def programs(reading: Reading) -> Iterator["Program"]:
    """All programs of a reading, in every view of a document with doubled keys."""
    if reading.format != "json":
        from weighbridge.formats.tensorflow.graph import GraphReading  # graphs have read it already

        yield from reading.programs if isinstance(reading, GraphReading) else ()
    elif isinstance(reading, JsonReading):
        for value in reading.views:
            if isinstance(value, dict) and ("modelTopology" in value or "modelInitializer" in value):
                from weighbridge.formats.tensorflow import tfjs_graph  # few documents are graphs

                yield from tfjs_graph.programs(value)
