"""Keras models: the archive of Keras 3 (`.keras`), and the objects that any Keras configuration names.

An archive is a zip with `config.json`, `metadata.json` and `model.weights.h5`. The three are parts, read by their own
readers; the tensors come out of the HDF5 part. `objects` lists what a configuration would have Keras look up: every
dictionary with a `class_name`, however deep, since Keras descends into all of them (`deserialize_keras_object`), and the
older spellings of versions 1 and 2. Which of them are safe is for the rules.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeGuard

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.json import JsonReading, Path, walk
from weighbridge.formats.reading import Reading, TensorRef
from weighbridge.formats.sniff import starts_like_pickle

if TYPE_CHECKING:
    from weighbridge.formats.zip.tree import ZipTree

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
    spec_name: str = ""
    """The class that a `__typespec__` stands for."""

    @property
    def name(self) -> str:
        """The class's or function's own name."""
        if self.class_name == "function" and isinstance(self.config, str):
            return self.config
        return self.spec_name or self.class_name


def objects(value: Any) -> Iterator[KerasObject]:
    """Every class and function that Keras would look up for this configuration; nothing for other documents."""
    for path, item in walk(value):
        if not isinstance(item, dict) or not isinstance(item.get("class_name"), str):
            continue
        if "config" not in item and "module" not in item and "registered_name" not in item:
            continue
        module, registered, spec = item.get("module"), item.get("registered_name"), item.get("spec_name")
        yield KerasObject(
            path=path,
            class_name=item["class_name"],
            module=module if isinstance(module, str) else None,
            registered_name=registered if isinstance(registered, str) else None,
            config=item.get("config"),
            spec_name=spec if item["class_name"] == "__typespec__" and isinstance(spec, str) else "",
        )


def objects_in(reading: Reading) -> Iterator[KerasObject]:
    """The objects of a JSON or YAML document, in every view that a loader may have of it."""
    if is_configuration(reading):
        for view in reading.views:
            yield from objects(view)


def is_configuration(reading: Reading) -> TypeGuard[JsonReading]:
    """Whether a document may name objects of Keras."""
    if not isinstance(reading, JsonReading):
        return False
    text = reading.text
    escaped = reading.format == "yaml" and "\\" in text
    return escaped or "class_name" in text or ("\\u" in text and _MENTIONS.search(text) is not None)


def pairs_in(reading: Reading) -> Iterator[tuple[Path, str]]:
    """(path, dotted name) of every module that stands beside a function's name, in whatever spelling."""
    for path, item in _dictionaries(reading):
        module = item.get("module")
        for key in CALLABLE_KEYS if isinstance(module, str) and "class_name" not in item else ():
            if isinstance(name := item.get(key), str):
                yield (*path, key), f"{module}.{name}"


def switches_in(reading: Reading) -> Iterator[Path]:
    """Places where a configuration turns off Keras' refusal to run code."""
    for path, item in _dictionaries(reading):
        if item.get("safe_mode", True) in (False, 0, "false", "False"):
            yield (*path, "safe_mode")
        if item.get("enable_unsafe_deserialization"):
            yield (*path, "enable_unsafe_deserialization")


def _dictionaries(reading: Reading) -> Iterator[tuple[Path, dict[str, Any]]]:
    if is_configuration(reading):
        for view in reading.views:
            yield from ((path, item) for path, item in walk(view) if isinstance(item, dict))


def code_in(reading: Reading) -> Iterator[tuple[Path, bytes]]:
    """(path, beginning) of every text that is marshalled Python code or a pickle, as Keras' own dump writes them."""
    if is_configuration(reading):
        for view in reading.views:
            for path, item in walk(view):
                if isinstance(item, str) and len(item) > 24 and (head := _encoded(item)):
                    yield path, head


def _encoded(text: str) -> bytes:
    """The first bytes behind base64 or Keras 1's raw escapes, where they begin code or a pickle; else nothing."""
    if _RAW_CODE.match(text):
        return text[:4096].encode("latin-1", "replace")
    if not _BASE64.match(text):
        return b""
    letters = re.sub(r"\s", "", text[:8192])
    try:
        head = base64.b64decode(letters[: len(letters) // 4 * 4])
    except ValueError:
        return b""
    if head[:1] in (b"c", b"\xe3") and head[1:5].count(b"\0") >= 3:
        return head
    return head if head[:2] in _PICKLES and starts_like_pickle(head, len(text)) else b""


CALLABLE_KEYS = (
    "function",
    "fn",
    "func",
    "callable",
    "method",
    "attr",
    "fn_name",
    "function_name",
    "name",
    "call_fn",
)
_BASE64 = late(r"(?:4[w-z]|Y[w-z]|gA[I-V])[A-Za-z0-9+/\s]{22,}={0,2}\s*\Z")
"""The first letters of marshalled code (0xe3, or `c`) and of a pickle of protocol 2 to 5."""
_RAW_CODE = late(r"[\xe3c][\x00-\x10]\x00\x00\x00")
_PICKLES = frozenset({b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"})


_MENTIONS = late("".join(f"(?:{char}|\\\\u(?i:{ord(char):04x}))" for char in "class_name"))
"""The key in any spelling that JSON has for it; most documents lack it and need no walk."""


def read_zip(tree: "ZipTree", source: Source, budget: Budget, name: str) -> Reading:
    """The Keras view of a zip file."""
    from weighbridge.formats.zip.tree import ZipTree  # configurations are JSON, and need no archive

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
