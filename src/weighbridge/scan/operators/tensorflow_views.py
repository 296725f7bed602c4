"""The programs that rules about TensorFlow's operators look at: of a graph in protobuf, or out of a TensorFlow.js document."""

from collections.abc import Iterator

from weighbridge.formats.json import JsonReading
from weighbridge.formats.reading import Reading
from weighbridge.formats.tensorflow.graph import GraphReading, Program


def programs(reading: Reading) -> Iterator[Program]:
    """All programs of a reading, in every view of a document with doubled keys."""
    if isinstance(reading, GraphReading):
        yield from reading.programs
    elif isinstance(reading, JsonReading) and reading.format == "json":
        for value in reading.views:
            if isinstance(value, dict) and ("modelTopology" in value or "modelInitializer" in value):
                from weighbridge.formats.tensorflow import tfjs

                yield from tfjs.programs(value)
