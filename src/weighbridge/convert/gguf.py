"""Writing GGUF version 3, little-endian: metadata, tensor table, then the tensors at multiples of 32 bytes.

Only types that GGUF has without quantizing are taken, so that the copy is lossless. Names and the order of dimensions
follow the format; a program that runs the model also wants metadata and names of its own architecture, which only the
architecture's own converter knows. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from weighbridge.convert.copying import Copier, Placed

ALIGNMENT = 32
BUFFER = 1024**2
MAX_NAME = 63
"""Bytes: ggml keeps a name in 64, the last of which is zero."""
MAX_DIMENSIONS = 4
STRING = 8

TYPES = {"F32": 0, "F16": 1, "I8": 24, "I16": 25, "I32": 26, "I64": 27, "F64": 28, "BF16": 30}
"""Canonical dtype → ggml_type (ggml/include/ggml.h)."""


def refused(dtype: str, shape: Sequence[int], name: str) -> str:
    """Why a tensor cannot be written without loss; "" when it can."""
    if dtype not in TYPES:
        return f"GGUF has no type {dtype}"
    if not 1 <= len(shape) <= MAX_DIMENSIONS:
        return f"GGUF has no tensors of {len(shape)} dimensions"
    if 0 in shape:
        return "GGUF has no empty tensors"
    if len(name.encode()) > MAX_NAME:
        return f"its name has more than {MAX_NAME} bytes"
    return ""


def write(path: Path, tensors: Sequence[Placed], metadata: Mapping[str, str], copier: Copier) -> None:
    """Write one file. Raises `InputError`, `LimitError`, `OSError`."""
    with path.open("xb", buffering=BUFFER) as file:
        file.write(header(tensors, metadata))
        for tensor in tensors:
            copier.copy(tensor.found, file)
            file.write(b"\0" * (-tensor.found.size % ALIGNMENT))
        file.flush()
        os.fsync(file.fileno())


def header(tensors: Sequence[Placed], metadata: Mapping[str, str]) -> bytes:
    """Everything in front of the data, padded."""
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
    for key, value in metadata.items():
        head += _string(key) + struct.pack("<I", STRING) + _string(value)
    at = 0
    for tensor in tensors:
        ref = tensor.found.ref
        head += _string(tensor.name) + struct.pack("<I", len(ref.shape))
        head += b"".join(struct.pack("<Q", size) for size in reversed(ref.shape))
        head += struct.pack("<IQ", TYPES[ref.dtype], at)
        at += tensor.found.size + -tensor.found.size % ALIGNMENT
    return bytes(head + b"\0" * (-len(head) % ALIGNMENT))


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw
