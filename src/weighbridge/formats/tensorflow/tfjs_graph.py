"""The GraphDef that a TensorFlow.js graph model holds as JSON: the same graphs as those of `formats.tensorflow.graph`.

Only the graphs; what the document says of its weights is read by `tfjs`. Format: the JSON form of protobuf's messages.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from weighbridge.formats.tensorflow.constants import MAX_TEXTS
from weighbridge.formats.tensorflow.graph import Graph, Node, Program
from weighbridge.formats.tensorflow.walk import MAX_TEXT

MAX_DEPTH = 50


def programs(value: Any) -> Iterator[Program]:
    """The graphs of a graph model: its topology, and what initialises it."""
    if not isinstance(value, dict):
        return
    for key in ("modelTopology", "modelInitializer"):
        topology = value.get(key)
        if isinstance(topology, dict) and isinstance(topology.get("node"), list):
            library = topology.get("library")
            listed = library.get("function") if isinstance(library, dict) else None
            functions = (
                [_function(item) for item in listed if isinstance(item, dict)]
                if isinstance(listed, list)
                else []
            )
            name = "" if key == "modelTopology" else key
            yield Program(name, (Graph("", _nodes(topology["node"])), *functions))


def _nodes(items: Any) -> tuple[Node, ...]:
    return tuple(_node(item) for item in items if isinstance(item, dict)) if isinstance(items, list) else ()


def _function(item: dict[str, Any]) -> Graph:
    signature = item.get("signature")
    signature = signature if isinstance(signature, dict) else {}
    listed = signature.get("inputArg", signature.get("input_arg"))
    arguments = (
        [arg.get("name") for arg in listed if isinstance(arg, dict)] if isinstance(listed, list) else []
    )
    results = item.get("ret")
    return Graph(
        str(signature.get("name", "")),
        _nodes(item.get("nodeDef", item.get("node_def"))),
        tuple(name for name in arguments if isinstance(name, str)),
        tuple(str(value) for value in results.values()) if isinstance(results, dict) else (),
    )


def _node(item: dict[str, Any]) -> Node:
    inputs = item.get("input")
    named = tuple(name for name in inputs if isinstance(name, str)) if isinstance(inputs, list) else ()
    texts: list[tuple[str, str]] = []
    calls: list[str] = []
    attributes = item.get("attr")
    for key, attribute in attributes.items() if isinstance(attributes, dict) else ():
        _attribute(key, attribute, texts, calls, 0)
    constant = tuple(text for key, text in texts if key == "value") if item.get("op") == "Const" else ()
    return Node(
        str(item.get("name", "")), str(item.get("op", "")), named, tuple(texts), tuple(calls), constant
    )


def _attribute(key: str, value: Any, texts: list[tuple[str, str]], calls: list[str], depth: int) -> None:
    """One AttrValue: texts are base64 in the JSON form of protobuf."""
    if not isinstance(value, dict) or depth > MAX_DEPTH:
        return
    held = value.get("s")
    for text in held if isinstance(held, list) else (held,):
        if isinstance(text, str) and len(texts) < MAX_TEXTS:
            texts.append((key, _text(text)))
    function = value.get("func")
    for call in function if isinstance(function, list) else (function,):
        if isinstance(call, dict) and isinstance(call.get("name"), str):
            calls.append(call["name"])
            inner = call.get("attr")
            for name, attribute in inner.items() if isinstance(inner, dict) else ():
                _attribute(name, attribute, texts, calls, depth + 1)
    tensor = value.get("tensor")
    strings = tensor.get("stringVal", tensor.get("string_val")) if isinstance(tensor, dict) else None
    for text in strings if isinstance(strings, list) else ():
        if isinstance(text, str) and len(texts) < MAX_TEXTS:
            texts.append((key, _text(text)))
    _attribute(key, value.get("list"), texts, calls, depth + 1)


def _text(value: str) -> str:
    try:
        return base64.b64decode(value[: MAX_TEXT * 2], validate=True).decode("utf-8", "surrogateescape")[
            :MAX_TEXT
        ]
    except (binascii.Error, ValueError):
        return value[:MAX_TEXT]
