"""The tensors of an ONNX model: each one's fields, and where its bytes are. Weights are stepped over, never read."""

import sys
from array import array
from collections.abc import Iterable, Iterator

from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Source
from weighbridge.formats.membernames import escapes
from weighbridge.formats.onnx.external import read_external
from weighbridge.formats.onnx.schema import DATA_TYPES, DOUBLES, FLOATS, STRINGS, DataType
from weighbridge.formats.onnx.tensor import Tensor, length_of, unlist
from weighbridge.formats.onnx.work import MAX_TEXT, Work
from weighbridge.formats.protobuf import LENGTH, Field, signed
from weighbridge.formats.reading import TensorRef

MAX_STRINGS = 1000
"""Strings of one tensor that are looked at; the rest is a vocabulary."""
MAX_LOOSE = 100_000
"""Numbers of one tensor that stand one by one, each with its own tag."""
MAX_DECODED = 16 * 1024**2
"""Bytes of one tensor whose numbers are varints, decoded into memory."""
MAX_NUMBERS = 256
"""Bytes of a constant that may be a shape."""


def read_sparse(work: Work, item: Field, scope: str, label: str, depth: int) -> None:
    """A sparse tensor: its values and where they belong."""
    for part in work.each("Sparse", item.start, item.end, depth):
        if part.number == 1:
            read_tensor(work, part, scope, label, depth + 1)
        elif part.number == 2:
            read_tensor(work, part, scope, f"{label or 'sparse'}/indices", depth + 1)


def read_tensor(work: Work, item: Field, scope: str, label: str, depth: int) -> None:
    """One tensor; `label` names those that have no name of their own to go by."""
    work.budget.spend_members()
    tensor = Tensor(item.start)
    for part in work.each("Tensor", item.start, item.end, depth):
        _take(work, tensor, part, depth)
    if "../" in tensor.name and escapes(tensor.name):
        message = "the name is a path out of the folder, for whoever unpacks tensors to files"
        work.odd("name-escapes", message, offset=item.start, part=tensor.name)
    tensor.name = scope + (label or tensor.name)
    _make_unique(work, tensor, initial=not label)
    _place(work, tensor)


def _make_unique(work: Work, tensor: Tensor, *, initial: bool) -> None:
    if work.names[tensor.name]:
        if initial:
            work.odd("duplicate-tensor", "two tensors have this name", offset=tensor.at, part=tensor.name)
        work.names[tensor.name] += 1
        tensor.name = f"{tensor.name}#{work.names[tensor.name]}"
    work.names[tensor.name] += 1


def _take(work: Work, tensor: Tensor, part: Field, depth: int) -> None:
    match part.number:
        case 1:
            _dims(work, tensor, part)
        case 2:
            tensor.kind = part.value
        case 3:
            tensor.segment = True
            work.check("Segment", part.start, part.end, depth + 1)
        case 4 | 5 | 7 | 10 | 11:
            pieces = tensor.numbers.setdefault(part.number, [])
            if len(pieces) <= MAX_LOOSE:
                pieces.append(part)
        case 6:
            tensor.strings += 1
            if tensor.strings <= MAX_STRINGS:
                work.text_field(part, "a tensor of strings")
        case 8:
            tensor.name = work.text(part)
        case 9:
            tensor.raw = part
        case 13:
            tensor.entries.append(_entry(work, part, depth + 1))
        case 14:
            tensor.external = part.value == 1
        case 16:
            work.check("Entry", part.start, part.end, depth + 1)


def _dims(work: Work, tensor: Tensor, part: Field) -> None:
    values: Iterable[int] = (part.value,)
    if part.wire == LENGTH:
        values = work.wire.varints(part.start, part.end)
    for value in values:
        if len(tensor.dims) > MAX_TEXT:
            raise InputError("bad-dims", f"a tensor of more than {MAX_TEXT} dimensions")
        tensor.dims.append(signed(value))


def _entry(work: Work, item: Field, depth: int) -> tuple[str, str]:
    key = value = ""
    for part in work.each("Entry", item.start, item.end, depth):
        if part.number == 1:
            key = work.text(part)
        else:
            value = work.text(part)
    return key, value


def _place(work: Work, tensor: Tensor) -> None:
    """Find the tensor's bytes, check that they are as many as its shape says, and list them."""
    filled = tensor.filled()
    if len(filled) > 1:
        work.odd("data-twice", f"data in {' and in '.join(filled)}", offset=tensor.at, part=tensor.name)
    if tensor.segment:
        unlist(work, "segment", "a segmented tensor", tensor)
    if tensor.external or tensor.entries:
        read_external(work, tensor)
    elif tensor.kind == STRINGS:
        work.unlisted = work.unlisted or "a tensor of strings"
    elif tensor.kind not in DATA_TYPES:
        unlist(work, "dtype-unknown", f"data type {tensor.kind} is not known", tensor)
    else:
        _inline(work, tensor, DATA_TYPES[tensor.kind])


def _inline(work: Work, tensor: Tensor, kind: DataType) -> None:
    length = length_of(work, tensor)
    if length is None:
        return
    pieces = [tensor.raw] if tensor.raw else tensor.numbers.get(kind.field, [])
    if not pieces and length:
        unlist(work, "data-missing", "its shape is not empty, but it has no data", tensor)
    elif len(pieces) > MAX_LOOSE:
        work.unlisted = work.unlisted or f"a tensor of more than {MAX_LOOSE} single numbers"
    elif tensor.raw or kind.field in (FLOATS, DOUBLES):
        spans = tuple((piece.start, piece.end - piece.start) for piece in pieces)
        _list(work, tensor, kind, length, spans or ((tensor.at, 0),), None)
    else:
        _varints(work, tensor, kind, length, pieces)


def _varints(work: Work, tensor: Tensor, kind: DataType, length: int, pieces: list[Field]) -> None:
    """Numbers of varying width are decoded, since their bytes in the file are not the tensor's."""
    if length > MAX_DECODED:
        work.unlisted = work.unlisted or f"a tensor of {length} bytes as varints"
        return
    width = max(8, kind.bits)
    values = array({8: "B", 16: "H", 32: "I", 64: "Q"}.get(width, "B"))
    for value in _numbers(work, pieces):
        values.append(value & (2**width - 1))
        if len(values) * width // 8 > length:
            break
    if sys.byteorder == "big":
        values.byteswap()
    data = values.tobytes()
    _list(work, tensor, kind, length, ((0, len(data)),), MemorySource(data))


def _numbers(work: Work, pieces: list[Field]) -> Iterator[int]:
    for piece in pieces:
        if piece.wire == LENGTH:
            yield from work.wire.varints(piece.start, piece.end)
        else:
            yield piece.value


def _list(
    work: Work,
    tensor: Tensor,
    kind: DataType,
    length: int,
    spans: tuple[tuple[int, int], ...],
    source: Source | None,
) -> None:
    found = sum(size for _, size in spans)
    if found != length:
        message = f"{kind.name} {tensor.dims[:8]} needs {length} bytes, there are {found}"
        unlist(work, "size-mismatch", message, tensor)
        return
    if source is None and len(spans) == 1:
        work.program(*spans[0], tensor.name)
    ref = TensorRef(tensor.name, kind.name, tuple(tensor.dims), spans, source, max(1, kind.bits // 8))
    if kind.name in ("I32", "I64") and len(ref.shape) < 2 and len(spans) == 1 and length <= MAX_NUMBERS:
        _keep_numbers(work, ref)
    work.refs.append(ref)


def _keep_numbers(work: Work, ref: TensorRef) -> None:
    """The whole numbers of a short constant, which may be the shape of something."""
    data, step = (ref.source or work.source).read(*ref.spans[0]), ref.itemsize
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    work.numbers[ref.name] = tuple(int.from_bytes(piece, "little", signed=True) for piece in pieces)
