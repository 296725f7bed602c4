"""Writes tensor files byte by byte, right and wrong ones; shared by the tests of readers and rules."""

import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

# -- safetensors


def safetensors(
    tensors: Mapping[str, Any], data: bytes = b"", *, metadata: Mapping[str, Any] | None = None
) -> bytes:
    """A file of this header and data; entries are (dtype, shape, begin, end) or whatever else shall stand there."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata is not None else {}
    for name, entry in tensors.items():
        if isinstance(entry, tuple):
            dtype, shape, begin, end = entry
            entry = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
        header[name] = entry
    return framed(json.dumps(header).encode(), data)


def framed(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


# -- GGUF


class Gguf:
    """Writes GGUF; every number can be given wrong."""

    def __init__(self, *, version: int = 3, order: str = "<") -> None:
        self.version, self.order = version, order
        self.pairs: list[bytes] = []
        self.infos: list[bytes] = []
        self.data = b""
        self.alignment = 32
        self.tensor_count: int | None = None
        self.pair_count: int | None = None

    def count(self, value: int) -> bytes:
        return struct.pack(self.order + ("I" if self.version == 1 else "Q"), value)

    def u32(self, value: int) -> bytes:
        return struct.pack(self.order + "I", value)

    def u64(self, value: int) -> bytes:
        return struct.pack(self.order + "Q", value)

    def string(self, text: str | bytes, length: int | None = None) -> bytes:
        raw = text.encode() if isinstance(text, str) else text
        return self.count(len(raw) if length is None else length) + raw

    def pair(self, key: str, kind: int, value: bytes) -> "Gguf":
        self.pairs.append(self.string(key) + self.u32(kind) + value)
        return self

    def text(self, key: str, value: str | bytes) -> "Gguf":
        return self.pair(key, 8, self.string(value))

    def set_alignment(self, value: int) -> "Gguf":
        self.alignment = value
        return self.pair("general.alignment", 4, self.u32(value))

    def info(self, name: str | bytes, dims: Iterable[int], kind: int, offset: int) -> "Gguf":
        dims = list(dims)
        raw = self.string(name) + self.u32(len(dims)) + b"".join(self.count(dim) for dim in dims)
        self.infos.append(raw + self.u32(kind) + self.u64(offset))
        return self

    def tensor(self, name: str, dims: Iterable[int], kind: int, data: bytes) -> "Gguf":
        self.info(name, dims, kind, len(self.data))
        self.data += data + bytes(-len(data) % self.alignment)
        return self

    def bytes(self) -> bytes:
        tensors = len(self.infos) if self.tensor_count is None else self.tensor_count
        pairs = len(self.pairs) if self.pair_count is None else self.pair_count
        head = b"GGUF" + self.u32(self.version) + self.count(tensors) + self.count(pairs)
        head += b"".join(self.pairs) + b"".join(self.infos)
        return head + bytes(-len(head) % (self.alignment or 1)) + self.data


# -- protobuf and ONNX


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def message(field: int, *parts: bytes | str) -> bytes:
    body = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return varint(field << 3 | 2) + varint(len(body)) + body


DOMAINS = (
    "",
    "ai.onnx.ml",
    "ai.onnx.preview.training",
    "ai.onnx.contrib",
    "com.microsoft",
    "com.microsoft.extensions",
    "whatever",
    "TRT",
)
"""Operator sets that every model imports."""


def model(*graph: bytes, opset: bool = True, extra: bytes = b"") -> bytes:
    """A ModelProto with one graph of these fields."""
    opsets = b"".join(message(8, message(1, name), number(2, 21)) for name in DOMAINS) if opset else b""
    return number(1, 10) + message(2, "tests") + message(7, *graph, message(2, "main")) + opsets + extra


def node(op: str, *, domain: str = "", attributes: bytes = b"", name: str = "") -> bytes:
    parts = [message(1, "x"), message(2, "y"), message(3, name), message(4, op), attributes]
    return message(1, *parts, *([message(7, domain)] if domain else []))


def attribute(name: str, *parts: bytes) -> bytes:
    return message(5, message(1, name), *parts)


def tensor(field: int, name: str, dims: Iterable[int], kind: int, *parts: bytes) -> bytes:
    """A TensorProto as `field` (5 in graphs, 5 in attributes)."""
    return message(field, *(number(1, dim) for dim in dims), number(2, kind), message(8, name), *parts)


def external(location: str | None, *, offset: str = "", length: str = "") -> bytes:
    """The fields of a TensorProto whose data lies elsewhere."""
    entries = [("location", location), ("offset", offset), ("length", length)]
    found = b"".join(message(13, message(1, key), message(2, value)) for key, value in entries if value)
    if location == "":
        found += message(13, message(1, "location"))
    return found + number(14, 1)
