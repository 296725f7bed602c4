"""The weights file of a Core ML package (`weights/weight.bin`): a header, then blobs, each behind a header of its own.

Layout as coremltools 9 writes it (`MILBlob/Blob/StorageFormat.hpp`): 64 bytes with the number of blobs and version 2; for
each blob 64 bytes with a mark, the type, the size and the place of its bytes; everything at multiples of 64. The blobs
have no names here, so that no tensors are listed.
"""

import struct

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.formats.reading import Anomaly, Gap, Reading

ALIGNED = 64
MARK = 0xDEADBEEF
HEADER = struct.Struct("<II56x")
BLOB = struct.Struct("<IIQQQ32x")
TYPES = frozenset(range(1, 32))
"""Numbers of element types; later releases add some."""


def looks_like_weights(head: bytes) -> bool:
    """The storage header of version 2 with the first blob's mark behind it."""
    return head[4:8] == b"\x02\0\0\0" and head[64:68] == b"\xef\xbe\xad\xde"


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Walk all blobs. Raises `InputError` (`not-this-format`)."""
    head = source.read(0, ALIGNED * 2)
    if not looks_like_weights(head):
        raise InputError("not-this-format", "no weights file of Core ML")
    count, _ = HEADER.unpack(head[:ALIGNED])
    at = end = ALIGNED
    wrong: list[Anomaly] = []
    for index in range(count):
        budget.spend_members()
        raw = source.read(at, ALIGNED)
        mark, kind, size, start, _ = BLOB.unpack(raw) if len(raw) == ALIGNED else (0, 0, 0, 0, 0)
        if mark != MARK or start != at + ALIGNED or start + size > source.size:
            message = f"blob {index} of {count} at byte {at} has no place in the file's {source.size} bytes"
            wrong.append(Anomaly(code="coreml-blob", message=message, offset=at))
            break
        if kind not in TYPES:
            message = f"blob {index} has the unknown element type {kind}"
            wrong.append(Anomaly(code="coreml-type", message=message, offset=at))
        at = -(-(start + size) // ALIGNED) * ALIGNED
        end = start + size
    gaps = () if wrong or at >= source.size or _zeros(source, end) else (_behind(source, end),)
    return Reading(
        format="coreml-weights",
        anomalies=tuple(wrong),
        gaps=gaps,
        tensors_unlisted="the blobs of a Core ML package have no names of their own",
    )


def _zeros(source: Source, end: int) -> bool:
    return source.size - end <= 65536 and not source.read(end, source.size - end).strip(b"\0")


def _behind(source: Source, end: int) -> Gap:
    return Gap(code="trailing-bytes", message=f"{source.size - end} bytes behind the last blob", offset=end)
