"""Zarr arrays (versions 2 and 3), as Orbax and others keep them: the metadata of one array, and which files are its chunks.

The metadata is JSON: `.zarray`, `zarr.json`, or `.zmetadata` with that of a whole group. It names the codecs that the chunks
go through; the codec `pickle` is one of them, and arrays of objects need it or another one. Chunks are numbers behind
codecs, so that the file names that follow from shape and chunk shape are given as the array's own data.
"""

import itertools
from collections.abc import Iterator
from math import prod
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.formats import json
from weighbridge.formats.membernames import Notes, escapes
from weighbridge.formats.reading import Gap, Reading, TensorRef

NAMES = frozenset({".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json"})
MAX_CHUNKS = 100_000
CODECS = frozenset(
    {
        "zlib", "gzip", "bz2", "lzma", "lz4", "zstd", "blosc", "delta", "fixedscaleoffset", "quantize",
        "packbits", "shuffle", "bitround", "astype", "categorize", "crc32", "crc32c", "adler32", "fletcher32",
        "jenkins_lookup3", "vlen-utf8", "vlen-bytes", "vlen-array", "json2", "msgpack2", "base64", "bytes",
        "transpose", "sharding_indexed", "zfpy", "pcodec",
    }
)  # fmt: skip
"""Codecs of numcodecs 0.16 and of the Zarr 3 text that turn bytes into bytes or numbers."""
DTYPES = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8", "u8": "U64", "u4": "U32",
          "u2": "U16", "u1": "U8", "b1": "BOOL"}  # fmt: skip


class _Work:
    def __init__(self) -> None:
        self.notes = Notes()
        self.gaps: list[Gap] = []
        self.tensors: list[TensorRef] = []
        self.externals: list[str] = []
        self.unlisted = ""

    def gap(self, message: str, part: str = "") -> None:
        if len(self.gaps) < 100:
            self.gaps.append(Gap(code="codec-unknown", message=message, part=visible(part)))


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read one metadata document. Raises `InputError` (`bad-json`, `not-this-format`)."""
    document = json.read(source, budget, ".json")
    work = _Work()
    arrays = 0
    for view in document.views:
        for folder, metadata in _arrays(view, name.rpartition("/")[2], work):
            budget.spend_members()
            arrays += 1
            _array(work, folder, metadata)
    return Reading(
        format="zarr",
        anomalies=work.notes.all(),
        gaps=tuple(work.gaps),
        tensors=tuple(work.tensors) if arrays and not work.unlisted else None,
        tensors_unlisted=work.unlisted,
        externals=tuple(work.externals),
    )


def _arrays(view: Any, name: str, work: _Work) -> Iterator[tuple[str, dict[str, Any]]]:
    """(folder below this file's own, metadata) of each array that the document describes."""
    if not isinstance(view, dict):
        raise InputError("not-this-format", "no Zarr metadata")
    inner = view.get("metadata") if name == ".zmetadata" else (view.get("consolidated_metadata") or {})
    listed = inner.get("metadata", inner) if isinstance(inner, dict) else {}
    for path, metadata in listed.items() if isinstance(listed, dict) else ():
        if escapes(path) or ".." in path.replace("\\", "/").split("/"):
            work.notes.add(
                "zarr-path", f'the array "{visible(path, 200)}" lies outside of the store', part=path
            )
        elif isinstance(metadata, dict) and _is_array(metadata):
            yield path.removesuffix(".zarray").removesuffix("zarr.json"), metadata
    if _is_array(view):
        yield "", view


def _is_array(metadata: dict[str, Any]) -> bool:
    return isinstance(metadata.get("shape"), list) and ("chunks" in metadata or "chunk_grid" in metadata)


def _array(work: _Work, folder: str, metadata: dict[str, Any]) -> None:
    codecs = list(_codecs(metadata))
    names = [name for name, _ in codecs]
    for name in names:
        bare = name.removeprefix("numcodecs.").removeprefix("https://codec.zarrs.dev/numcodecs/")
        if bare == "pickle":
            work.notes.add(
                "zarr-pickle", "its chunks are pickles, which are loaded with the array", part=folder
            )
        elif bare not in CODECS:
            work.gap(f'the codec "{visible(name, 80)}" is not known', folder)
    kind = metadata.get("dtype", metadata.get("data_type"))
    if _objects(kind) and not {
        "vlen-utf8",
        "vlen-bytes",
        "vlen-array",
        "json2",
        "msgpack2",
        "categorize",
        "pickle",
    } & set(names):
        work.notes.add("zarr-pickle", "an array of Python objects without a codec of its own", part=folder)
    if metadata.get("storage_transformers"):
        work.gap("storage transformers are not known", folder)
    shape, chunks = _sizes(metadata.get("shape")), _sizes(_chunk_shape(metadata))
    if shape is None or chunks is None or len(shape) != len(chunks) or (0 in chunks and 0 not in shape):
        work.notes.add("zarr-size", "shape and chunks are no sizes that belong together", part=folder)
    elif prod(shape) >= 2**60 or prod(chunks) >= 2**40:
        work.notes.add("zarr-size", f"an array of {min(prod(shape), 2**64)} items", part=folder)
    else:
        _chunks(work, folder, metadata, shape, chunks, plain=not [c for c in codecs if not _is_plain(c)])


def _codecs(metadata: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, configuration) of every codec, those inside of shards too."""
    listed = [metadata.get("compressor"), *_list(metadata.get("filters")), *_list(metadata.get("codecs"))]
    while listed:
        codec = listed.pop(0)
        if codec is None:
            continue
        found = codec.get("id", codec.get("name")) if isinstance(codec, dict) else codec
        inside = codec.get("configuration") if isinstance(codec, dict) else None
        yield (found if isinstance(found, str) else "?"), inside
        if isinstance(inside, dict):
            listed += [*_list(inside.get("codecs")), *_list(inside.get("index_codecs"))]


def _is_plain(codec: tuple[str, Any]) -> bool:
    name, inside = codec
    return name == "bytes" and (not isinstance(inside, dict) or inside.get("endian", "little") == "little")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _objects(kind: Any) -> bool:
    """Whether a numpy type, structures included, has Python objects in it."""
    if isinstance(kind, list):
        return any(_objects(item) for field in kind if isinstance(field, list) for item in field[1:2])
    return isinstance(kind, str) and (kind.strip("|<>=").startswith("O") or kind == "object")


def _sizes(value: Any) -> tuple[int, ...] | None:
    good = (
        isinstance(value, list)
        and all(type(size) is int and size >= 0 for size in value)
        and len(value) <= 64
    )
    return tuple(value) if good else None


def _chunk_shape(metadata: dict[str, Any]) -> Any:
    if "chunk_grid" not in metadata:
        return metadata.get("chunks")
    grid = metadata["chunk_grid"]
    inside = grid.get("configuration") if isinstance(grid, dict) else None
    return inside.get("chunk_shape") if isinstance(inside, dict) else None


def _chunks(
    work: _Work,
    folder: str,
    metadata: dict[str, Any],
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    *,
    plain: bool,
) -> None:
    """The files of an array: one for each position of its grid (Zarr 2 text, "Chunks"; Zarr 3, "chunk key encoding")."""
    grid = tuple(-(-size // chunk) if chunk else 0 for size, chunk in zip(shape, chunks, strict=True))
    if prod(grid) > MAX_CHUNKS or len(work.externals) > MAX_CHUNKS:
        work.gap(f"an array of {prod(grid)} chunks", folder)
        return
    names = [_chunk_name(metadata, place) for place in itertools.product(*(range(count) for count in grid))]
    work.externals += [folder + name for name in names]
    kind = metadata.get("dtype", "")
    dtype = DTYPES.get(kind[1:], "") if isinstance(kind, str) and kind[:1] in "<|" else ""
    if not (plain and dtype and shape == chunks and metadata.get("order") == "C" and folder == ""):
        work.unlisted = "the chunks of Zarr arrays are not put together"
        return
    # The array's name is its folder's, which is not known here; the one chunk names the tensor.
    item = int(kind[2:])
    spans = ((0, prod(shape) * item),) if prod(shape) else ()
    work.tensors.append(
        TensorRef(name=names[0], dtype=dtype, shape=shape, spans=spans, itemsize=item, external=names[0])
    )


def _chunk_name(metadata: dict[str, Any], place: tuple[int, ...]) -> str:
    if "chunk_grid" not in metadata:
        separator = "/" if metadata.get("dimension_separator") == "/" else "."
        return separator.join(map(str, place)) or "0"
    encoding = metadata.get("chunk_key_encoding")
    encoding = encoding if isinstance(encoding, dict) else {}
    inside = encoding.get("configuration")
    old = encoding.get("name") == "v2"
    given = inside.get("separator") if isinstance(inside, dict) else None
    separator = str(given) if given in (".", "/") else "." if old else "/"
    return (separator.join(map(str, place)) or "0") if old else separator.join(["c", *map(str, place)])
