"""Checkpoints as `torch.save` writes them, made without torch: any object of plain containers, tensors and calls."""

import io
import pickle
import struct
import zipfile
from dataclasses import dataclass, field
from typing import Any, ClassVar

STORAGES = {
    "F32": ("FloatStorage", 4), "F16": ("HalfStorage", 2), "BF16": ("BFloat16Storage", 2), "F64": ("DoubleStorage", 8),
    "I64": ("LongStorage", 8), "U8": ("ByteStorage", 1), "BOOL": ("BoolStorage", 1), "C128": ("ComplexDoubleStorage", 16),
}  # fmt: skip


@dataclass(frozen=True)
class Name:
    """What a pickle would import."""

    module: str
    qualname: str

    def __call__(self) -> None: ...


class Made:
    """The result of a call, with state that is set later."""

    def __init__(self, name: str, *args: Any, state: Any = None) -> None:
        module, _, qualname = name.rpartition(".")
        self.reduced = (Name(module, qualname), args, *(() if state is None else (state,)))

    def __reduce_ex__(self, protocol: object) -> Any:
        return self.reduced


@dataclass(eq=False)
class Storage:
    dtype: str
    data: bytes


def tensor(
    dtype: str,
    shape: tuple[int, ...],
    data: bytes | Storage,
    *,
    strides: tuple[int, ...] | None = None,
    offset: int = 0,
    **more: Any,
) -> Made:
    """A tensor over its own storage, or over a given one."""
    storage = data if isinstance(data, Storage) else Storage(dtype, data)
    steps = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        steps[axis] = steps[axis + 1] * max(shape[axis + 1], 1)
    hooks = Made("collections.OrderedDict")
    return Made(
        "torch._utils._rebuild_tensor_v2",
        storage,
        offset,
        shape,
        strides or tuple(steps),
        False,
        hooks,
        **more,
    )


class _Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Writes names without looking whether they can be imported, and storages as persistent ids."""

    dispatch: ClassVar[Any] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file: Any) -> None:
        super().__init__(file, 2)
        self.storages: list[Storage] = []

    def save_name(self, obj: Name) -> None:
        self.write(f"c{obj.module}\n{obj.qualname}\n".encode())

    dispatch[Name] = save_name

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Storage):
            return None
        if obj not in self.storages:
            self.storages.append(obj)
        kind, itemsize = STORAGES[obj.dtype]
        return "storage", Name("torch", kind), str(self.storages.index(obj)), "cpu", len(obj.data) // itemsize


def checkpoint(obj: Any, *, before: bytes = b"", byteorder: str = "little") -> bytes:
    """The bytes of a `.pt` file; `before` are opcodes that run in front of the object's own."""
    program = io.BytesIO()
    pickler = _Pickler(program)
    pickler.dump(obj)
    data = program.getvalue()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        parts = [("data.pkl", data[:2] + before + data[2:]), ("byteorder", byteorder.encode())]
        parts += [(f"data/{key}", storage.data) for key, storage in enumerate(pickler.storages)]
        for name, content in [*parts, ("version", b"3\n")]:
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    return out.getvalue()


SHELL = b"cposix\nsystem\nX" + struct.pack("<I", 23) + b"echo weighbridge-sample\x85R0"
"""Opcodes that run a harmless command and leave nothing on the stack."""


@dataclass
class Read:
    """A safetensors file, read by the format's text alone."""

    metadata: dict[str, str]
    tensors: dict[str, tuple[str, tuple[int, ...], bytes]] = field(default_factory=dict)


def read(path: Any) -> Read:
    """Independent of the reader under test."""
    import json

    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    found = Read(header.pop("__metadata__", {}))
    ends = [0]
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        assert begin == ends[-1]
        ends.append(end)
        found.tensors[name] = (
            entry["dtype"],
            tuple(entry["shape"]),
            data[8 + length + begin : 8 + length + end],
        )
    assert 8 + length + ends[-1] == len(data)
    return found
