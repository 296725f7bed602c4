"""Orbax checkpoints: the JSON documents that say what is in one, and OCDBT's manifests, whose data lies in `d/`.

`_METADATA` lists the tree's keys, which become names of folders where the checkpoint is of plain Zarr arrays;
`_CHECKPOINT_METADATA` names the handlers that restore the parts. An OCDBT manifest (TensorStore's key-value store) begins
with 0x0cdb3a2a and names its data files, below its own folder, in a table that is packed with zstd. The nodes in `d/` are
not decoded: TensorStore takes numbers from them and nothing else.
"""

from collections.abc import Iterator
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.formats import json
from weighbridge.formats.membernames import Notes, escapes
from weighbridge.formats.reading import Gap, Reading

NAMES = frozenset({"_METADATA", "_CHECKPOINT_METADATA", "_sharding"})
MANIFEST = b"\x0c\xdb\x3a\x2a"
HEADER = 4 + 8
MAX_INNER = 256 * 1024
MAX_BODY = 16 * 1024**2
VALUES = frozenset(
    {
        "jax.Array",
        "np.ndarray",
        "scalar",
        "string",
        "None",
        "Dict",
        "List",
        "Tuple",
        "NamedTuple",
        "Custom",
        "jax.Array[PRNG]",
    }
)
"""Kinds of leaves; all are numbers, texts or empty containers."""
_HANDLER = late(r"orbax\.(checkpoint|export)(\.\w+)+\Z")
_OUTSIDE = late(rb"(?:^|[^\w.])(\.\./|/(?:etc|home|root|tmp|var|proc|usr)/)|(?:file|https?|s3|gs|ftp)://")


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read one of them, by content. Raises `InputError` (`not-this-format`, `bad-json`)."""
    if source.read(0, 4) == MANIFEST:
        return _manifest(source, budget)
    document = json.read(source, budget, ".json")
    notes, gaps = Notes(), list[Gap]()
    for view in document.views:
        if not isinstance(view, dict):
            raise InputError("not-this-format", "no metadata of Orbax")
        _tree(view.get("tree_metadata"), notes, gaps)
        _stores(view, notes, budget)
        for handler in _handlers(view.get("item_handlers")):
            if not _HANDLER.match(handler):
                notes.add(
                    "orbax-handler",
                    f'"{visible(handler, 200)}" is to restore a part of it',
                    part="item_handlers",
                )
    return Reading(
        format="orbax",
        anomalies=notes.all(),
        gaps=tuple(gaps),
        tensors_unlisted="arrays of Orbax checkpoints are not put together"
        if "tree_metadata" in document.text
        else "",
    )


def _tree(tree: Any, notes: Notes, gaps: list[Gap]) -> None:
    for label, leaf in tree.items() if isinstance(tree, dict) else ():
        keys = leaf.get("key_metadata") if isinstance(leaf, dict) else None
        names = [str(item.get("key", "")) for item in keys or () if isinstance(item, dict)]
        if any(
            escapes(name) or ("/" in name and ".." in name) or "\0" in name
            for name in [*names, ".".join(names)]
        ):
            notes.add(
                "orbax-path", f'the key "{visible(label, 200)}" leads out of the checkpoint', part=label
            )
        value = leaf.get("value_metadata") if isinstance(leaf, dict) else None
        kind = value.get("value_type") if isinstance(value, dict) else None
        if kind is not None and kind not in VALUES and len(gaps) < 100:
            gaps.append(
                Gap(code="codec-unknown", message=f'a value of the unknown kind "{visible(str(kind), 80)}"')
            )


_STORE_KEYS = frozenset(
    {
        "path",
        "base",
        "param_name",
        "file",
        "filename",
        "url",
        "uri",
        "bucket",
        "location",
        "kvstore",
        "ocdbt",
        "directory",
    }
)


def _stores(value: Any, notes: Notes, budget: Budget) -> None:
    """Places of TensorStore's key-value stores and names of parameters, also in documents inside of texts."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        key, item = waiting.pop()
        budget.spend_members()
        if isinstance(item, dict):
            waiting += ((str(name), inner) for name, inner in item.items())
        elif isinstance(item, list):
            waiting += ((key, inner) for inner in item)
        elif isinstance(item, str):
            inner = _document(item)
            if inner is not None:
                waiting.append((key, inner))
            elif key in _STORE_KEYS and (escapes(item) or _ELSEWHERE.match(item)):
                notes.add(
                    "orbax-path",
                    f'"{visible(key, 60)}" leads out of the checkpoint, to "{visible(item, 120)}"',
                )


_ELSEWHERE = late(r"(?i)(file|https?|ftp|s3|gs|gcs|memory)://|[/\\~]|[A-Z]:[\\/]")


def _document(text: str) -> Any:
    """The JSON document that a text is; None for every other text."""
    if not (text.startswith("{") and text.endswith("}") and len(text) < MAX_INNER):
        return None
    import msgspec

    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None


def _handlers(value: Any) -> Iterator[str]:
    for item in value.values() if isinstance(value, dict) else [value]:
        if isinstance(item, str):
            yield item


def _manifest(source: Source, budget: Budget) -> Reading:
    """Header, then the table of data files; the rest of the manifest are numbers."""
    head = source.read(0, HEADER + 2)
    length = int.from_bytes(head[4:12], "little")
    if len(head) < HEADER + 2 or length != source.size or length > MAX_BODY:
        raise InputError("bad-ocdbt", f"the manifest declares {length} bytes, the file has {source.size}")
    version, packing = head[HEADER], head[HEADER + 1]
    body = source.read(HEADER + 2, length)[:-4]
    notes, gaps = Notes(), list[Gap]()
    if version or packing > 1:
        gaps.append(Gap(code="codec-unknown", message=f"OCDBT version {version} with packing {packing}"))
    elif packing:
        body = _unpacked(body, budget)
    if found := _OUTSIDE.search(body):
        text = body[found.start() : found.start() + 80].decode("latin-1")
        notes.add("orbax-path", f'its data lies outside of the checkpoint, at "{visible(text, 80)}"')
    return Reading(
        format="ocdbt",
        anomalies=notes.all(),
        gaps=tuple(gaps),
        tensors_unlisted="arrays in OCDBT stores are not put together",
        externals=("d/",),
    )


def _unpacked(body: bytes, budget: Budget) -> bytes:
    from weighbridge.formats.unpacked import new_zstd

    budget.need_memory(MAX_BODY, "an OCDBT manifest")
    decompressor, broken = new_zstd()
    try:
        plain = decompressor.decompress(body, MAX_BODY)
    except broken as error:
        raise InputError("bad-ocdbt", f"the manifest cannot be unpacked: {error}") from None
    budget.spend_bytes(len(plain))
    return plain
