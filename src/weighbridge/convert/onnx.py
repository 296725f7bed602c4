"""ONNX from ONNX: tensors out of the graph's file into one beside it, or back; every other byte stays as it was.

Only initial values of the outermost graph are moved; the message is copied field by field on the wire, so that nothing
that this module does not know gets lost. An ONNX file is a program with weights: none is made from weights alone.
Fields: onnx/onnx.proto3 (ModelProto.graph 7, GraphProto.initializer 5, TensorProto.name 8, raw_data 9, external_data 13,
data_location 14).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from weighbridge.convert.copying import Copier, Placed, Sink, Taker
from weighbridge.convert.gather import Found
from weighbridge.core.budget import Budget
from weighbridge.core.errors import UsageError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.protobuf import LENGTH, Field, Wire

GRAPH, INITIALIZER, NAME, RAW, EXTERNAL, LOCATION = 7, 5, 8, 9, 13, 14
MAX_FILE = 2**31 - 1
"""Bytes of a protobuf message that parsers take."""
SMALL = 1024
"""Tensors below this stay in the graph, as onnx's own tools leave them."""
ALIGNMENT = 4096
PIECE = 1024**2
BUFFER = 1024**2

Piece = bytes | tuple[int, int] | Found
"""Bytes of our own, a span of the source, or a tensor's content."""


@dataclass(slots=True, kw_only=True)
class _Message:
    """A message in the making."""

    pieces: list[Piece] = field(default_factory=list)
    size: int = 0

    def add(self, piece: Piece) -> None:
        length = (
            piece.size
            if isinstance(piece, Found)
            else len(piece)
            if isinstance(piece, bytes)
            else piece[1] - piece[0]
        )
        self.size += length
        if length:
            self.pieces.append(piece)

    def inside(self, number: int) -> "_Message":
        """This message as a field of another."""
        outer = _Message()
        outer.add(_tag(number, LENGTH) + _varint(self.size))
        outer.pieces += self.pieces
        outer.size += self.size
        return outer

    def join(self, other: "_Message") -> None:
        self.pieces += other.pieces
        self.size += other.size


@dataclass(slots=True, kw_only=True)
class _Job:
    """One file on its way."""

    wire: Wire
    tensors: Mapping[str, Found]
    beside: str
    """Name of the data file; "" to put everything into the graph's file."""
    moved: dict[str, Found] = field(default_factory=dict)
    at: int = 0
    """Where the next tensor goes in the data file."""


def fits(tensors: Sequence[Placed], source: Source) -> bool:
    """Whether graph and tensors together stay below what one protobuf message may have."""
    outside = sum(tensor.found.size for tensor in tensors if tensor.found.ref.external)
    return source.size + outside + SMALL * len(tensors) < MAX_FILE


def write(
    path: Path, source: Source, tensors: Sequence[Placed], copier: Copier, budget: Budget, *, external: bool
) -> None:
    """Write `path`, and with `external` its data beside it (`NAME.data`).

    Raises `UsageError` (`not-lossless`), `InputError`, `LimitError`, `OSError`.
    """
    if not external and not fits(tensors, source):
        raise UsageError("not-lossless", f"the file would be larger than {MAX_FILE} bytes", "--data external")
    found = {tensor.found.name: tensor.found for tensor in tensors}
    job = _Job(wire=Wire(source, budget), tensors=found, beside=f"{path.name}.data" if external else "")
    message = _model(job, source.size)
    stuck = [name for name, one in found.items() if one.ref.external and name not in job.moved]
    if stuck:
        raise UsageError(
            "not-lossless",
            f'tensor "{visible(stuck[0], 100)}" lies outside, and not as an initial value of the graph',
        )
    with path.open("xb", buffering=BUFFER) as file:
        for piece in message.pieces:
            _put(piece, file, source, copier)
        file.flush()
        os.fsync(file.fileno())
    if external:
        _write_data(path.with_name(job.beside), job, copier)
    for name, one in found.items():
        if name not in job.moved:
            copier.copy(one, Sink())


def _put(piece: Piece, file: Taker, source: Source, copier: Copier) -> None:
    if isinstance(piece, Found):
        copier.copy(piece, file)
    elif isinstance(piece, bytes):
        file.write(piece)
    else:
        for at in range(*piece, PIECE):
            file.write(source.read(at, min(PIECE, piece[1] - at)))


def _write_data(path: Path, job: _Job, copier: Copier) -> None:
    with path.open("xb", buffering=BUFFER) as file:
        for one in job.moved.values():
            file.write(b"\0" * (-file.tell() % ALIGNMENT))
            copier.copy(one, file)
        file.flush()
        os.fsync(file.fileno())


# -- the messages


def _model(job: _Job, size: int) -> _Message:
    model, graphs = _Message(), 0
    for raw, part in _fields(job.wire, 0, size):
        if part.number == GRAPH and part.wire == LENGTH:
            graphs += 1
            model.join(_graph(job, part).inside(GRAPH))
        else:
            model.add(raw)
    if graphs != 1:
        raise UsageError("not-lossless", f"the file has {graphs} graphs, not one")
    return model


def _graph(job: _Job, item: Field) -> _Message:
    graph = _Message()
    for raw, part in _fields(job.wire, item.start, item.end):
        if part.number == INITIALIZER and part.wire == LENGTH:
            graph.join(_tensor(job, part).inside(INITIALIZER))
        else:
            graph.add(raw)
    return graph


def _tensor(job: _Job, item: Field) -> _Message:
    """One initial value: moved, or as it was."""
    kept, name, held = _Message(), "", False
    for raw, part in _fields(job.wire, item.start, item.end):
        if part.number == NAME and part.wire == LENGTH:
            name = job.wire.bytes(part.start, part.end).decode("utf-8", "replace")
        held = held or (part.number == RAW and part.end - part.start >= SMALL)
        if part.number not in (RAW, EXTERNAL, LOCATION):
            kept.add(raw)
    found = job.tensors.get(name)
    outside = found is not None and bool(found.ref.external)
    if found is None or (not outside and not (held and job.beside)):
        whole = _Message()
        whole.add((item.start, item.end))
        return whole
    job.moved[name] = found
    if job.beside:
        _point(job, kept, found)
    else:
        kept.add(_tag(RAW, LENGTH) + _varint(found.size))
        kept.add(found)
    return kept


def _point(job: _Job, message: _Message, found: Found) -> None:
    """Say where the tensor lies in the data file."""
    job.at += -job.at % ALIGNMENT
    for key, value in (("location", job.beside), ("offset", str(job.at)), ("length", str(found.size))):
        entry = _text(1, key) + _text(2, value)
        message.add(_tag(EXTERNAL, LENGTH) + _varint(len(entry)) + entry)
    message.add(_tag(LOCATION, 0) + _varint(1))
    job.at += found.size


def _fields(wire: Wire, start: int, end: int) -> Iterator[tuple[tuple[int, int], Field]]:
    """Each field with all of its bytes, tag and length included."""
    at = start
    for part in wire.fields(start, end):
        yield (at, part.end), part
        at = part.end


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _text(number: int, text: str) -> bytes:
    raw = text.encode()
    return _tag(number, LENGTH) + _varint(len(raw)) + raw
