"""Constants in TensorFlow graphs, held against their own shape, since TensorFlow allocates by the shape."""

from dataclasses import field

from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.protobuf import LENGTH, Field, signed
from weighbridge.formats.reading import TensorRef
from weighbridge.formats.tensorflow.schema import DTYPES, KNOWN_TYPES, STRING
from weighbridge.formats.tensorflow.walk import GraphWalk

MAX_TEXTS = 64
"""Texts of one constant; vocabularies have more."""
MAX_CONSTANT = 16 * 1024**3
"""Bytes that one constant may stand for; a protobuf holds two gigabytes."""
MAX_DECODED = 1024**2
"""Bytes of one constant that are written out, where the file holds its numbers in another form."""
MAX_NUMBERS = 32
"""Numbers of a constant that may be a shape."""


@dataclass(slots=True, kw_only=True)
class _Tensor:
    """One TensorProto as it stands in the file."""

    dtype: int = 0
    shape: tuple[int, ...] = ()
    unknown: bool = False
    content: Field | None = None
    values: list[tuple[str, Field]] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    count: int = 0


def read_tensor(walk: GraphWalk, item: Field, name: str, depth: int) -> tuple[str, ...]:
    """Check and note one tensor; its first texts where it holds strings."""
    found = _Tensor()
    for key, kind, part in walk.each("Tensor", item.start, item.end, depth):
        if key == "dtype":
            found.dtype = part.value
        elif key == "tensor_shape":
            found.shape, found.unknown = read_shape(walk, part, depth + 1)
        elif key == "string_val":
            found.count += 1
            walk.program(part, name)
            if len(found.strings) < MAX_TEXTS:
                found.strings.append(walk.text(part))
        elif key == "tensor_content":
            found.content = part
        elif key != "version_number" and kind != "skip":
            found.values.append((kind, part))
    try:
        _measure(walk, found, name, item)
    except InputError as error:
        walk.broken("Tensor", error, item.start, "bad-protobuf")
    return tuple(found.strings)


def read_shape(walk: GraphWalk, item: Field, depth: int) -> tuple[tuple[int, ...], bool]:
    """The dimensions, and whether even their number is unknown."""
    dims: list[int] = []
    unknown = False
    for key, _, part in walk.each("Shape", item.start, item.end, depth):
        if key == "unknown_rank":
            unknown = unknown or part.value != 0
            continue
        size = 0
        for inner, _, number in walk.each("Dim", part.start, part.end, depth + 1):
            size = signed(number.value) if inner == "size" else size
        dims.append(size)
    return tuple(dims), unknown


def _measure(walk: GraphWalk, found: _Tensor, name: str, item: Field) -> None:
    """Hold a tensor's data against its shape, and list it."""
    items = 1
    for dim in found.shape:
        items *= dim
    shown = visible(str(found.shape[:8]), 80)
    if found.unknown or any(dim < 0 for dim in found.shape) or items >= 2**63:
        walk.odd("shape-overflow", f"a constant with the shape {shown}", item.start, name)
    elif found.dtype not in KNOWN_TYPES:
        walk.odd("type-invalid", f"a constant of the data type {found.dtype}", item.start, name)
    elif found.dtype in DTYPES:
        _numbers(walk, found, name, items, item)
    elif found.dtype == STRING and items * 8 > MAX_CONSTANT:
        walk.odd(
            "constant-bomb",
            f"a constant of {items} strings, of which {found.count} are here",
            item.start,
            name,
        )
    elif found.dtype != STRING:
        walk.odd("constant-opaque", "a constant that is a handle or an object", item.start, name)


def _numbers(walk: GraphWalk, found: _Tensor, name: str, items: int, item: Field) -> None:
    dtype, width = DTYPES[found.dtype]
    size = items * width
    if size > MAX_CONSTANT:
        walk.odd("constant-bomb", f"a constant that takes {size} bytes in memory", item.start, name)
        return
    if found.content is not None and found.content.end > found.content.start:
        _written(
            walk,
            found.content,
            TensorRef(name, dtype, found.shape, ((found.content.start, size),), None, width),
            item,
        )
    else:
        _packed(walk, found, name, items, dtype, width)


def _written(walk: GraphWalk, content: Field, ref: TensorRef, item: Field) -> None:
    """A constant whose bytes stand as they are."""
    walk.program(content, ref.name)
    size = ref.spans[0][1]
    if content.end - content.start != size:
        message = f"a constant of {content.end - content.start} bytes, and its shape needs {size}"
        walk.odd("size-mismatch", message, item.start, ref.name)
        return
    _list(walk, ref)


def _packed(walk: GraphWalk, found: _Tensor, name: str, items: int, dtype: str, width: int) -> None:
    """A constant whose numbers stand in a field of their kind."""
    size = items * width
    packed = tuple(
        part for kind, part in found.values if kind in ("fixed4", "fixed8") and part.wire == LENGTH
    )
    for part in packed:
        walk.program(part, name)
    if len(packed) == len(found.values) == 1 and packed[0].end - packed[0].start == size:
        _list(walk, TensorRef(name, dtype, found.shape, ((packed[0].start, size),), None, width))
    elif size <= MAX_DECODED:
        _decoded(walk, found, name, items, dtype, width)
    else:
        walk.unlisted.append((name, "its numbers are not written out in the file"))


def _decoded(walk: GraphWalk, found: _Tensor, name: str, items: int, dtype: str, width: int) -> None:
    """A small constant whose numbers stand one by one, or of which the last stands for the rest."""
    # Half-width floats stand in a field of whole numbers, complex ones as two floats each.
    unit = width // 2 if dtype in ("C64", "C128") else width
    wanted = items * (width // unit)
    pieces: list[bytes] = []
    for kind, part in found.values:
        if len(pieces) > wanted:
            break
        pieces += _pieces(walk, kind, part, unit, wanted)
    if len(pieces) > wanted:
        walk.odd("more-values", f"a constant of {items} items holds more of them", None, name)
    step = width // unit
    last = pieces[-step:] or [bytes(unit)] * step
    while pieces and len(pieces) < wanted and len(pieces) % step:
        pieces.append(last[-1])
    data = b"".join(pieces[:wanted]) + b"".join(last) * max(0, (wanted - len(pieces)) // step)
    ref = TensorRef(name, dtype, found.shape, ((0, items * width),), MemorySource(data), width)
    _list(walk, ref)


def _pieces(walk: GraphWalk, kind: str, part: Field, unit: int, limit: int) -> list[bytes]:
    if kind == "bytes":
        data = walk.wire.bytes(part.start, min(part.end, part.start + limit + 1))
        return [data[at : at + 1] for at in range(len(data))]
    if kind == "int":
        values = walk.wire.varints(part.start, part.end) if part.wire == LENGTH else iter((part.value,))
        mask = (1 << 8 * unit) - 1
        return [
            (value & mask).to_bytes(unit, "little")
            for _, value in zip(range(limit + 1), values, strict=False)
        ]
    size = 4 if kind == "fixed4" else 8
    if part.wire != LENGTH:
        return [part.value.to_bytes(size, "little")[:unit]]
    data = walk.wire.bytes(part.start, min(part.end, part.start + (limit + 1) * size))
    return [data[at : at + size][:unit] for at in range(0, len(data) - size + 1, size)]


def _list(walk: GraphWalk, ref: TensorRef) -> None:
    """Under its own name; a second one of this name gets a number."""
    walk.names[ref.name] += 1
    again = walk.names[ref.name]
    walk.tensors.append(ref if again == 1 else ref._replace(name=f"{ref.name}#{again}"))


def whole_numbers(refs: list[TensorRef], source: Source) -> tuple[int, ...]:
    """The numbers of one short constant; () for anything else."""
    if len(refs) != 1 or refs[0].dtype not in ("I32", "I64") or len(refs[0].shape) > 1:
        return ()
    (start, length), *_ = refs[0].spans
    if length > MAX_NUMBERS * refs[0].itemsize:
        return ()
    data, step = (refs[0].source or source).read(start, length), refs[0].itemsize
    return tuple(
        int.from_bytes(data[at : at + step], "little", signed=True) for at in range(0, len(data), step)
    )
