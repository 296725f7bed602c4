"""Writing safetensors: the header first, since every length is known, then the bytes of one tensor after the other.

Tensors stand by falling item size, so that each is aligned, and within that in the order in which they lie in the
source, so that reading stays sequential. https://github.com/huggingface/safetensors#format
"""

import json
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from weighbridge.convert.copying import Copier, Placed
from weighbridge.core.errors import UsageError
from weighbridge.formats.safetensors import DTYPE_BITS, MAX_HEADER

BUFFER = 1024**2


def refused(dtype: str) -> str:
    """Why a tensor of this type has no place in the format; "" when it has one."""
    if dtype in DTYPE_BITS:
        return ""
    return f"safetensors has no type {dtype}"


def write(path: Path, tensors: Sequence[Placed], metadata: Mapping[str, str], copier: Copier) -> None:
    """Write one file. Raises `UsageError` (`too-many-tensors`), `InputError`, `LimitError`, `OSError`."""
    ordered = sorted(tensors, key=lambda tensor: -DTYPE_BITS[tensor.found.ref.dtype])
    head = header(ordered, metadata)
    with path.open("xb", buffering=BUFFER) as file:
        file.write(head)
        for tensor in ordered:
            copier.copy(tensor.found, file)
        file.flush()
        os.fsync(file.fileno())


def header(tensors: Sequence[Placed], metadata: Mapping[str, str]) -> bytes:
    """Length and JSON header, padded with spaces so that the data begins at a multiple of eight."""
    document: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    at = 0
    for tensor in tensors:
        ref, size = tensor.found.ref, tensor.found.size
        document[tensor.name] = {
            "dtype": ref.dtype,
            "shape": list(ref.shape),
            "data_offsets": [at, at + size],
        }
        at += size
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise UsageError(
            "too-many-tensors",
            f"the header of one file would have {len(text)} bytes, the format allows {MAX_HEADER}",
            "--shard-size 5G",
        )
    return struct.pack("<Q", len(text)) + text


def index(shards: Mapping[str, Sequence[Placed]]) -> bytes:
    """The index of several files, as transformers reads and writes it: file → its tensors."""
    total = sum(tensor.found.size for tensors in shards.values() for tensor in tensors)
    names = {tensor.name: file for file, tensors in shards.items() for tensor in tensors}
    document = {"metadata": {"total_size": total}, "weight_map": names}
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()
