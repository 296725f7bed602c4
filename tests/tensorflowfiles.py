"""Small models of TensorFlow's formats, written byte by byte: protobuf messages, LevelDB tables and flatbuffers."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REAL = Path(__file__).parent / "formats" / "tensorflow"
"""Files that TensorFlow itself wrote."""
ECHO = "echo weighbridge-sample"


def varint(value: int) -> bytes:
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes | str | int) -> bytes:
    """One field: a number, or anything with a length."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    raw = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(raw)) + raw


# -- graphs


def attribute(key: str, value: bytes) -> bytes:
    return field(5, field(1, key) + field(2, value))


def text(value: str) -> bytes:
    """AttrValue.s."""
    return field(2, value)


def call(name: str) -> bytes:
    """AttrValue.func."""
    return field(10, field(1, name))


def node(name: str, op: str, *inputs: str, **attributes: bytes) -> bytes:
    """NodeDef."""
    body = field(1, name) + field(2, op) + b"".join(field(3, one) for one in inputs)
    return body + b"".join(attribute(key, value) for key, value in attributes.items())


def shape(*dims: int) -> bytes:
    return b"".join(field(2, field(1, dim)) for dim in dims)


def string(name: str, *values: str) -> bytes:
    """A constant of strings."""
    tensor = field(1, 7) + field(2, shape(len(values))) + b"".join(field(8, value) for value in values)
    return node(name, "Const", value=field(8, tensor), dtype=field(6, 7))


def number(name: str, dtype: int, dims: Sequence[int], content: bytes) -> bytes:
    """A constant of numbers with its bytes."""
    tensor = field(1, dtype) + field(2, shape(*dims)) + (field(4, content) if content else b"")
    return node(name, "Const", value=field(8, tensor), dtype=field(6, dtype))


def function(
    name: str, *nodes: bytes, arguments: Sequence[str] = (), results: Mapping[str, str] | None = None
) -> bytes:
    """FunctionDef."""
    signature = field(1, name) + b"".join(field(2, field(1, one)) for one in arguments)
    returned = b"".join(field(4, field(1, key) + field(2, value)) for key, value in (results or {}).items())
    return field(1, signature) + b"".join(field(3, one) for one in nodes) + returned


def graph(*nodes: bytes, functions: Sequence[bytes] = ()) -> bytes:
    """GraphDef."""
    library = field(2, b"".join(field(1, one) for one in functions)) if functions else b""
    return b"".join(field(1, one) for one in nodes) + library + field(4, field(1, 1987))


def meta_graph(
    content: bytes,
    *,
    assets: Sequence[tuple[str, str]] = (),
    saver: str = "",
    metadata: str = "",
    collection: bytes = b"",
) -> bytes:
    """MetaGraphDef. `assets` are (file name, tensor); `metadata` that of one Keras object."""
    info = field(1, field(4, "serve") + field(5, "2.21.0"))
    named = b"".join(field(6, field(1, field(1, tensor)) + field(2, name)) for name, tensor in assets)
    saving = field(3, field(1, saver)) if saver else b""
    held = field(4, field(1, "weighbridge") + field(2, field(2, field(1, collection)))) if collection else b""
    user = field(1, "_tf_keras_layer") + field(3, metadata)
    objects = field(7, field(1, field(4, user))) if metadata else b""
    return info + field(2, content) + saving + held + named + objects


def saved_model(*graphs: bytes) -> bytes:
    """SavedModel of these meta graphs."""
    return field(1, 1) + b"".join(field(2, one) for one in graphs)


def model(*nodes: bytes, **extra: Any) -> bytes:
    """SavedModel of one graph."""
    functions = extra.pop("functions", ())
    return saved_model(meta_graph(graph(*nodes, functions=functions), **extra))


def keras_metadata(config: object) -> bytes:
    """`keras_metadata.pb` of one object."""
    one = field(2, 1) + field(3, "root.layer") + field(4, "_tf_keras_layer") + field(5, json.dumps(config))
    return field(1, one)


# -- checkpoints


def entry(dtype: int, dims: Sequence[int], offset: int, size: int, shard: int = 0) -> bytes:
    """BundleEntryProto."""
    return field(1, dtype) + field(2, shape(*dims)) + field(3, shard) + field(4, offset) + field(5, size)


def block(pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in pairs)
    return body + struct.pack("<II", 0, 1)


def table(
    pairs: Sequence[tuple[bytes, bytes]], *, handle: tuple[int, int] | None = None, codec: int = 0
) -> bytes:
    """A LevelDB table of one block; `handle` is what the index says of it."""
    data = block(pairs)
    place = handle or (0, len(data))
    index = block([(b"z", varint(place[0]) + varint(place[1]))])
    at = len(data) + 5
    footer = varint(0) + varint(0) + varint(at) + varint(len(index))
    trailer = bytes([codec]) + b"\0\0\0\0"
    return data + trailer + index + b"\0" * 5 + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


def index(tensors: Mapping[str, bytes], *, shards: int = 1) -> bytes:
    """A checkpoint's index."""
    header = field(1, shards) + field(3, field(1, 1))
    return table([(b"", header), *((name.encode(), value) for name, value in sorted(tensors.items()))])


# -- flatbuffers


class Table(dict[int, Any]):
    """A table by slots: numbers as (format, value), texts, bytes, lists of whole numbers, texts or tables, tables."""


def flatbuffer(root: Table, identifier: bytes = b"TFL3") -> bytes:
    """The bytes of a buffer: every object lies behind what refers to it."""
    out = bytearray(b"\0\0\0\0" + identifier)
    struct.pack_into("<I", out, 0, _table(out, root))
    return bytes(out)


def _table(out: bytearray, value: Table) -> int:
    slots = max(value, default=-1) + 1
    offsets, at = [0] * slots, 4
    for slot in sorted(value):
        width = struct.calcsize("<" + value[slot][0]) if isinstance(value[slot], tuple) else 4
        at += -at % width
        offsets[slot], at = at, at + width
    out += b"\0" * (-len(out) % 4)
    vtable = len(out)
    out += struct.pack(f"<HH{slots}H", 4 + 2 * slots, at, *offsets)
    out += b"\0" * (-len(out) % 8)
    start = len(out)
    out += struct.pack("<i", start - vtable) + b"\0" * (at - 4)
    for slot in sorted(value):
        place, item = start + offsets[slot], value[slot]
        if isinstance(item, tuple):
            struct.pack_into("<" + item[0], out, place, item[1])
        else:
            struct.pack_into("<I", out, place, _object(out, item) - place)
    return start


def _object(out: bytearray, item: Any) -> int:
    if isinstance(item, Table):
        return _table(out, item)
    out += b"\0" * (-len(out) % 16)
    start = len(out)
    if isinstance(item, str):
        raw = item.encode()
        out += struct.pack("<I", len(raw)) + raw + b"\0"
    elif isinstance(item, bytes):
        out += struct.pack("<I", len(item)) + item
    elif item and not isinstance(item[0], int):
        out += struct.pack("<I", len(item)) + b"\0\0\0\0" * len(item)
        for number, inner in enumerate(item):
            place = start + 4 + 4 * number
            struct.pack_into("<I", out, place, _object(out, inner) - place)
    else:
        out += struct.pack(f"<I{len(item)}i", len(item), *item)
    return start


def operator_code(builtin: int, custom: str = "") -> Table:
    made = Table({0: ("b", min(builtin, 127)), 3: ("i", builtin)})
    if custom:
        made[1] = custom
    return made


def lite(
    codes: Sequence[Table] = (),
    *,
    inputs: Sequence[int] = (0,),
    outputs: Sequence[int] = (1,),
    dims: Sequence[int] = (2,),
    dtype: int = 0,
    buffer: int = 1,
    data: bytes = bytes(8),
    options: bytes = b"",
    operator: Table | None = None,
    subgraphs: int = 1,
    extra: Mapping[int, Any] | None = None,
) -> bytes:
    """A model of one operator from a constant to a result; every argument can be made wrong."""
    codes = list(codes) or [operator_code(0)]
    tensors = [
        Table({0: list(dims), 1: ("b", dtype), 2: ("I", buffer), 3: "w"}),
        Table({0: list(dims), 1: ("b", 0), 2: ("I", 0), 3: "y"}),
    ]
    call_ = operator or Table({0: ("I", 0), 1: list(inputs), 2: list(outputs)})
    if options:
        call_[5] = options
    graphs = [Table({0: tensors, 1: [0], 2: [1], 3: [call_], 4: "main"}) for _ in range(subgraphs)]
    root = Table({0: ("I", 3), 1: codes, 2: graphs, 3: "a model", 4: [Table(), Table({0: data})]})
    root.update(extra or {})
    return flatbuffer(root)
