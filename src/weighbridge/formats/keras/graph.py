"""The graph of a Keras configuration (`config.json`, or the one inside a `.keras` archive): layers as nodes.

A layer takes the layers that its `inbound_nodes` name, in both spellings (Keras 2: lists, Keras 3: `keras_history`), or in
a `Sequential` the one before it. What else a layer's configuration says are its attributes, value by value. Nothing is
built, and no class is looked up.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.graph import Graph, Node
from weighbridge.core.text import visible

MAX_VALUE = 300
"""Characters of one value that are shown."""
SKIPPED = frozenset({"name", "layers", "inbound_nodes", "input_layers", "output_layers", "build_config"})


def read_graph(value: Any, budget: Budget) -> Graph:
    """The graph of a parsed configuration. Raises `InputError` (`not-this-format`), `LimitError`."""
    if isinstance(value, dict) and isinstance(value.get("modelTopology"), dict):  # as TensorFlow.js keeps it
        value = value["modelTopology"]
    if isinstance(value, dict) and isinstance(value.get("model_config"), dict):
        value = value["model_config"]
    if not _is_model(value):
        raise InputError("not-this-format", "no layers of a Keras model")
    nodes = tuple(_nodes(value, "", budget))
    config = value["config"] if isinstance(value["config"], dict) else {}
    return Graph(
        inputs=tuple(_ends(config.get("input_layers")))
        or tuple(node.name for node in nodes if node.op == "InputLayer" and not node.scope),
        outputs=tuple(_ends(config.get("output_layers"))),
        nodes=nodes,
    )


def _is_model(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("class_name"), str) and _layers(value) is not None


def _layers(value: Mapping[str, Any]) -> list[Any] | None:
    config = value.get("config")
    layers = config.get("layers") if isinstance(config, dict) else config
    if isinstance(layers, list) and all(isinstance(layer, dict) for layer in layers):
        return layers if any("class_name" in layer for layer in layers) else None
    return None


def _nodes(value: Mapping[str, Any], scope: str, budget: Budget) -> Iterator[Node]:
    before = ""
    chained = "Sequential" in str(value.get("class_name"))
    for index, layer in enumerate(_layers(value) or ()):
        budget.spend_members()
        raw = layer.get("config")
        config = raw if isinstance(raw, dict) else {}
        op = visible(str(layer.get("class_name", "?")), 100)
        name = str(layer.get("name") or config.get("name") or f"{op}[{index}]")[:MAX_VALUE]
        taken = tuple(dict.fromkeys(_inbound(layer.get("inbound_nodes"), budget)))
        if chained and not taken and before:
            taken = (before,)
        package = layer.get("registered_name")
        custom = isinstance(package, str) and ">" in package
        yield Node(
            op=f"{package.partition('>')[0]}.{op}" if custom and isinstance(package, str) else op,
            name=scope + name,
            inputs=tuple(scope + item for item in taken),
            outputs=(scope + name,),
            attributes=tuple(sorted(_attributes(config))),
            scope=scope,
        )
        before = name
        if _is_model(layer):
            with budget.deeper():
                yield from _nodes(layer, f"{scope}{name}/", budget)


def _attributes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        if key not in SKIPPED and value is not None:
            text = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
            yield (
                str(key)[:MAX_VALUE],
                text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + f"… #{hash_of(text)}",
            )


def hash_of(text: str) -> str:
    """A short digest of a text that is too long to be shown."""
    import hashlib

    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _inbound(value: Any, budget: Budget) -> Iterator[str]:
    """Names of layers in `inbound_nodes`: first items of lists that begin so, and of `keras_history`."""
    if isinstance(value, dict):
        history = value.get("keras_history")
        if isinstance(history, list) and history and isinstance(history[0], str):
            yield history[0]
            return
        inner: list[Any] = list(value.values())
    elif isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and all(type(n) is int for n in value[1:3]):
            yield value[0]
            return
        inner = value
    else:
        return
    with budget.deeper():
        for item in inner:
            yield from _inbound(item, budget)


def _ends(value: Any) -> Iterator[str]:
    """Names in `input_layers` and `output_layers`: `[name, 0, 0]`, or a list of such."""
    if isinstance(value, list):
        if value and isinstance(value[0], str):
            yield value[0]
        else:
            yield from (
                item[0] for item in value if isinstance(item, list) and item and isinstance(item[0], str)
            )
