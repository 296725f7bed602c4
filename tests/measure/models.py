"""Small models of every tensor format, written byte by byte, and Files that count and misbehave."""

import io
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Source

Tensors = Mapping[str, tuple[str, tuple[int, ...], bytes]]
"""Name → (canonical dtype, shape, canonical content)."""


def safetensors(tensors: Tensors, metadata: dict[str, str] | None = None) -> bytes:
    """A safetensors file with the tensors in the order given."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(content)]}
        at += len(content)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(content for _, _, content in tensors.values())


def sharded(tensors: Tensors, count: int) -> dict[str, bytes]:
    """The same model as `count` files and an index."""
    names = list(tensors)
    files, weight_map = {}, {}
    for number in range(count):
        path = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
        mine = names[number::count]
        files[path] = safetensors({name: tensors[name] for name in mine})
        weight_map |= dict.fromkeys(mine, path)
    files["model.safetensors.index.json"] = json.dumps({"metadata": {}, "weight_map": weight_map}).encode()
    return files


STORAGES = {
    "F32": ("FloatStorage", 4),
    "F16": ("HalfStorage", 2),
    "I64": ("LongStorage", 8),
    "U8": ("ByteStorage", 1),
}


def torch_zip(
    tensors: Tensors,
    *,
    strides: Mapping[str, tuple[int, ...]] | None = None,
    storages: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """A `torch.save`d state dict. `strides` and `storages` lay single tensors out of order."""
    program = [b"\x80\x02}("]
    parts: list[tuple[str, bytes]] = []
    for key, (name, (dtype, shape, content)) in enumerate(tensors.items()):
        stored = (storages or {}).get(name, content)
        storage, itemsize = STORAGES[dtype]
        program += [
            _text(name),
            b"ctorch._utils\n_rebuild_tensor_v2\n(",
            b"(" + _text("storage") + f"ctorch\n{storage}\n".encode() + _text(str(key)) + _text("cpu"),
            _int(len(stored) // itemsize) + b"tQK\x00",
            _ints(shape),
            _ints((strides or {}).get(name) or row_major(shape)),
            b"\x89ccollections\nOrderedDict\n)RtR",
        ]
        parts.append((f"archive/data/{key}", stored))
    program.append(b"u.")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for path, data in [("archive/data.pkl", b"".join(program)), *parts, ("archive/version", b"3\n")]:
            archive.writestr(zipfile.ZipInfo(path), data, compression)
    return out.getvalue()


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Item strides of a contiguous array."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * max(shape[axis + 1], 1)
    return tuple(strides)


def _text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _int(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _ints(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(_int(value) for value in values) + b"t"


def npy(descr: str, shape: tuple[int, ...], data: bytes, *, fortran: bool = False) -> bytes:
    """One numpy array file."""
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def npz(arrays: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Arrays (as `npy` makes them) in one archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), data, compression)
    return out.getvalue()


def gguf(tensors: Tensors) -> bytes:
    """A GGUF 3 file of F32 tensors; its dimensions run innermost first."""
    kinds = {"F32": 0}
    infos, data = b"", b""
    for name, (dtype, shape, content) in tensors.items():
        raw = name.encode()
        infos += struct.pack("<Q", len(raw)) + raw + struct.pack("<I", len(shape))
        infos += b"".join(struct.pack("<Q", n) for n in reversed(shape))
        infos += struct.pack("<IQ", kinds[dtype], len(data))
        data += content + b"\x00" * (-len(content) % 32)
    key = b"general.architecture"
    metadata = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, 5) + b"llama"
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 1) + metadata + infos
    return head + b"\x00" * (-len(head) % 32) + data


def onnx(tensors: Tensors, external: str = "") -> tuple[bytes, bytes]:
    """(model, raw data file): a graph of initializers only, inline or in `external`."""
    initializers, raw = b"", b""
    for name, (dtype, shape, content) in tensors.items():
        tensor = b"".join(b"\x08" + _varint(n) for n in shape)
        tensor += b"\x10" + _varint({"F32": 1, "I64": 7}[dtype]) + _field(8, name.encode())
        if external:
            entries = {"location": external, "offset": str(len(raw)), "length": str(len(content))}
            for key, value in entries.items():
                tensor += _field(13, _field(1, key.encode()) + _field(2, value.encode()))
            tensor += b"\x70\x01"
            raw += content
        else:
            tensor += _field(9, content)
        initializers += _field(5, tensor)
    graph = _field(2, b"g") + initializers
    return b"\x08\x08" + _field(7, graph) + _field(8, b"\x10\x11"), raw


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@dataclass
class CountingFiles:
    """Files in memory that note every byte which is read of them."""

    contents: dict[str, bytes]
    reads: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def open(self, member: Member) -> Source:
        """See `Files.open`."""
        return _Counted(self.contents[member.path], self.reads.setdefault(member.path, []))

    def bytes_read(self, path: str) -> int:
        """How many bytes were read, those that were read twice counted twice."""
        return sum(length for _, length in self.reads.get(path, []))


class _Counted(MemorySource):
    __slots__ = ("_reads",)

    def __init__(self, data: bytes, reads: list[tuple[int, int]]) -> None:
        super().__init__(data)
        self._reads = reads

    def read(self, offset: int, length: int) -> bytes:
        data = super().read(offset, length)
        self._reads.append((offset, len(data)))
        return data


class ChangingSource(MemorySource):
    """Answers with other bytes from the second time on that a place is read."""

    __slots__ = ("_seen",)

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._seen: set[int] = set()

    def read(self, offset: int, length: int) -> bytes:
        data = super().read(offset, length)
        if offset in self._seen:
            return bytes(255 - byte for byte in data)
        self._seen.add(offset)
        return data


class BrokenFiles:
    """Files of which none can be opened."""

    def open(self, member: Member) -> Source:
        """See `Files.open`."""
        raise InputError("unreadable", f'"{member.path}" cannot be read')


def in_memory(contents: Mapping[str, bytes]) -> tuple[Artifact, CountingFiles]:
    """An artifact over bytes in memory, and its counters."""
    files = CountingFiles(dict(contents))
    members = tuple(Member(path, len(data)) for path, data in sorted(contents.items()))
    return Artifact(name="model", files=files, members=members), files
