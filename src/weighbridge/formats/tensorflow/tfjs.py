"""TensorFlow.js: `model.json` and the older weights manifests, as facts out of a JSON document that was read already.

A model names its shards in groups; the tensors of a group stand behind each other in its shards. The graph of a graph model
is read by `tfjs_graph`; a layers model holds a Keras configuration, which the rules for those find by themselves. Formats:
tfjs-converter's `WeightsManifestConfig`.
"""

from typing import Any, NamedTuple

from weighbridge.formats.reading import TensorRef

DTYPES: dict[str, tuple[str, int]] = {
    "float32": ("F32", 4), "int32": ("I32", 4), "uint8": ("U8", 1), "uint16": ("U16", 2), "float16": ("F16", 2), "bool": ("BOOL", 1),
    "complex64": ("C64", 8), "int64": ("I64", 8), "float64": ("F64", 8), "int8": ("I8", 1), "int16": ("I16", 2),
    "uint32": ("U32", 4),
}  # fmt: skip
MAX_NAME = 4096
MAX_ELEMENTS = 2**48
KEYS = ("weightsManifest", "modelTopology")


class Weight(NamedTuple):
    """One tensor of a group."""

    name: str
    dtype: str
    """As it is stored: that of the quantization where there is one."""
    shape: tuple[int, ...]
    size: int | None
    """Bytes; None for texts, whose length stands in the data."""
    problem: str = ""
    """What is wrong with the entry, in words."""


class Group(NamedTuple):
    """Shards that belong together."""

    paths: tuple[str, ...]
    weights: tuple[Weight, ...]


def is_model(value: Any) -> bool:
    """Whether a document is a model of TensorFlow.js, or a manifest of weights."""
    if isinstance(value, dict):
        return any(key in value for key in KEYS) and (
            isinstance(value.get("weightsManifest"), list) or isinstance(value.get("modelTopology"), dict)
        )
    return isinstance(value, list) and bool(value) and all(_is_group(item) for item in value)


def _is_group(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("paths"), list)
        and isinstance(item.get("weights"), list)
    )


def groups(value: Any) -> list[Group]:
    """The groups of weights that a model or a manifest names."""
    items = value.get("weightsManifest") if isinstance(value, dict) else value
    found = []
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            paths, weights = item.get("paths"), item.get("weights")
            named = tuple(path for path in paths if isinstance(path, str)) if isinstance(paths, list) else ()
            entries = tuple(_weight(entry) for entry in weights) if isinstance(weights, list) else ()
            found.append(Group(named, entries))
    return found


def _weight(entry: Any) -> Weight:
    if not isinstance(entry, dict):
        return Weight("", "", (), 0, "an entry that is no object")
    name = str(entry.get("name", ""))[:MAX_NAME]
    packed = entry.get("quantization")
    dtype = packed.get("dtype", entry.get("dtype")) if isinstance(packed, dict) else entry.get("dtype")
    shape = entry.get("shape")
    if not isinstance(shape, list) or any(type(dim) is not int or dim < 0 for dim in shape):
        return Weight(name, "", (), 0, "a shape that is none")
    items = 1
    for dim in shape:
        items *= dim
        if items > MAX_ELEMENTS:
            return Weight(name, "", (), 0, "a shape that no memory holds")
    if dtype == "string":
        return Weight(name, "STRING", tuple(shape), None)
    if not isinstance(dtype, str) or dtype not in DTYPES:
        return Weight(name, "", (), 0, "a data type that is none")
    canonical, width = DTYPES[dtype]
    return Weight(name, canonical, tuple(shape), items * width)


def externals(value: Any) -> tuple[str, ...]:
    """The shards that a document names, where they are plain names below its own folder."""
    paths = (path for group in groups(value) for path in group.paths)
    return tuple(dict.fromkeys(path for path in paths if path and not path_problem(path)))


def path_problem(path: str) -> str:
    """How the name of a shard leads out of the model, in words; "" when it stays."""
    if (
        "://" in path
        or path.startswith("//")
        or path[:5].lower() in ("data:", "blob:")
        or path[:11].lower() == "javascript:"
    ):
        return "is an address"
    if path.startswith(("/", "\\", "~")) or path[1:3] in (":\\", ":/"):
        return "is absolute"
    words = path.replace("\\", "/").split("/")
    if any(word in ("..", "%2e%2e", "%2E%2E", ".%2e", "%2e.") for word in words):
        return "leads out of the model's folder"
    return "" if path.isprintable() else "holds characters that no name has"


def tensors(value: Any) -> tuple[tuple[TensorRef, ...] | None, str]:
    """The tensors of a document, or why they cannot be listed."""
    found: list[TensorRef] = []
    for group in groups(value):
        if not group.weights:
            continue
        if len(group.paths) != 1:
            return None, f"a group of weights is cut over {len(group.paths)} shards"
        if path_problem(group.paths[0]):
            return None, "a shard lies outside of the model"
        at = 0
        for weight in group.weights:
            if weight.problem or weight.size is None:
                return None, weight.problem or "texts among the weights have no fixed length"
            width = next((width for name, width in DTYPES.values() if name == weight.dtype), 1)
            spans = ((at, weight.size),)
            found.append(
                TensorRef(
                    weight.name, weight.dtype, weight.shape, spans, None, width, None, False, group.paths[0]
                )
            )
            at += weight.size
    names = {ref.name for ref in found}
    return (tuple(found), "") if len(names) == len(found) else (None, "two weights have one name")
