"""What framework rules look at: a framework's own reading, or the same facts out of a JSON document.

MXNet's symbols, Paddle's newer programs and XGBoost's models are JSON. Which of them a document is, is told by its
content; any other JSON gives nothing. A key that stands twice gives one view for each value.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from weighbridge.core.pattern import late
from weighbridge.formats.framework import Call, FrameworkReading, Text, counted_calls
from weighbridge.formats.reading import Anomaly, Reading

RECORDS = late(r"quantize\.imatrix\.|general\.(description|source|license)|tokenizer\.chat_template")
"""Metadata of GGUF that tells how the file was made, with the paths of whoever made it; and templates, which have rules of
their own."""


_OPENED = late(r"(?i)\s*(javascript|vbscript|data:text/html|file:)")
"""How an address begins that does something when a person follows it."""


class View(NamedTuple):
    """The facts of one model."""

    family: str
    """The framework: `paddle`, `mxnet`, …"""
    calls: tuple[Call, ...] = ()
    texts: tuple[Text, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()


def views(reading: Reading) -> Iterator[View]:
    """The models that the reading is."""
    if isinstance(reading, FrameworkReading):
        family = reading.format.partition("-")[0]
        yield View(family, reading.calls, reading.texts, reading.anomalies)
    elif reading.format == "json":
        yield from _of_document(reading)
    elif reading.format == "gguf":
        yield from _of_gguf(reading)
    elif reading.format in ("safetensors", "onnx", "coreml"):
        yield View(reading.format, texts=tuple(text for text in _notes(reading) if not _is_prose(text.value)))


def _of_document(reading: Reading) -> Iterator[View]:
    from weighbridge.formats.json import JsonReading  # each reader only for files of its format

    for value in reading.views if isinstance(reading, JsonReading) else ():
        yield from _of_json(value)


def _of_gguf(reading: Reading) -> Iterator[View]:
    from weighbridge.formats.gguf.reading import GgufReading

    if isinstance(reading, GgufReading):
        pairs = (p for p in reading.metadata if isinstance(p.value, str) and not _is_prose(p.value))
        texts = (
            Text(pair.value, f"key {pair.key}", pair.offset)
            for pair in pairs
            if not RECORDS.match(pair.key) or _OPENED.match(str(pair.value))
        )
        yield View("gguf", texts=tuple(texts))


def _notes(reading: Reading) -> Iterator[Text]:
    """The free metadata of formats that hold nothing else a program could take for a command."""
    if reading.format == "safetensors":
        from weighbridge.formats.safetensors import SafetensorsReading

        if isinstance(reading, SafetensorsReading):
            yield from (Text(value, f"__metadata__ {key}") for key, value in reading.metadata)
    elif reading.format == "coreml":
        from weighbridge.formats.coreml import CoremlReading

        yield from reading.texts if isinstance(reading, CoremlReading) else ()
    else:
        from weighbridge.formats.onnx.reading import OnnxReading

        if isinstance(reading, OnnxReading):
            yield from reading.texts


def _is_prose(text: str) -> bool:
    """Sentences for people, which may well speak of commands; nothing that a program would take for one."""
    return len(text.split()) > 6 and text.rstrip().endswith((".", "!", "?"))


def _of_json(value: Any) -> Iterator[View]:
    if not isinstance(value, dict):
        return
    if "base_code" in value:
        from weighbridge.formats import paddle

        if paddle.json_program(value):
            yield View("paddle", counted_calls(paddle.json_calls(value)), tuple(paddle.json_texts(value)))
    elif "nodes" in value:
        from weighbridge.formats import mxnet

        if mxnet.is_symbol(value):
            edges = (Anomaly(code="index-out-of-range", message=text) for text in mxnet.symbol_edges(value))
            calls = counted_calls(mxnet.symbol_calls(value))
            yield View("mxnet", calls, tuple(mxnet.symbol_texts(value)), tuple(edges))
    elif "learner" in value:
        from weighbridge.formats import xgboost

        if xgboost.is_model(value):
            found = xgboost.problems(value)
            yield View("xgboost", tuple(xgboost.calls(value)), tuple(xgboost.texts(value)), found)
