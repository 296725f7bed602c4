"""skops (`.skops`): the tree of nodes in `schema.json`, each with the loader that builds it and the type that it names.

The file is a zip; its arrays are parts of their own. A node is `{"__class__", "__module__", "__loader__", "content", …}`
(skops.io, protocol 0 to 2). What a loader does with the type is for the rules.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from weighbridge.formats.json import JsonReading, Path


class Node(NamedTuple):
    """One node."""

    path: Path
    loader: str
    module: str
    type_name: str
    names: tuple[tuple[str, str], ...]
    """Further (module, name) pairs that the loader looks up: a function's, a method's, a constructor's."""
    method: str = ""
    """What a MethodNode takes from its object."""


def is_schema(reading: JsonReading, name: str) -> bool:
    """Whether the document is the schema of a skops file."""
    value = reading.value
    return (
        name.endswith("schema.json")
        and isinstance(value, dict)
        and ("_skops_version" in value or "__loader__" in value)
    )


def nodes(reading: JsonReading) -> Iterator[Node]:
    """Every node of every view, in document order."""
    for path, item in reading.objects:
        if "__loader__" not in item and "__class__" not in item:
            continue
        yield Node(
            path=path,
            loader=_text(item.get("__loader__")),
            module=_text(item.get("__module__")),
            type_name=_text(item.get("__class__")),
            names=tuple(_names(item)),
            method=_text(_get(item.get("content"), "func")),
        )


def _names(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    content = item.get("content")
    for holder in (item, content):
        module, function = _get(holder, "module_path"), _get(holder, "function")
        if isinstance(function, str):
            yield _text(module), function
    for key in ("constructor", "reduce"):
        inner = item.get(key)
        if isinstance(inner, dict) and isinstance(inner.get("__class__"), str):
            yield _text(inner.get("__module__")), inner["__class__"]


def _get(holder: Any, key: str) -> Any:
    return holder.get(key) if isinstance(holder, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
