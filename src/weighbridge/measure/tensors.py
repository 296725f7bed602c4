"""Which tensors lie in a file, and the canonical bytes of those that do not lie there in order.

Canonical content is row-major, little-endian and gap-free, whatever the container does (docs/formats/digests.md).
Nothing is loaded through a format's own library: the readers of `weighbridge.formats` say where the bytes are. A
file that holds tensors which cannot all be listed makes the tensors of the whole artifact unknown.
"""

import array
import math
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats import FORMATS as READERS
from weighbridge.formats import candidates, read
from weighbridge.formats.reading import Reading, TensorRef
from weighbridge.measure.reorder import reordered

CHUNK = 1024**2

REGION = 32 * 1024**2
"""Bytes of one tensor that are held at once to put its items in order."""

FORMATS = frozenset(READERS) - {
    "json", "yaml", "python", "notebook", "template", "text", "sentencepiece", "image", "document", "executable",
    "lfs-pointer", "empty",
}  # fmt: skip
"""Candidates (of `weighbridge.formats`) that can hold tensors; every reader that is not known to hold none. The weights of
TensorFlow.js lie beside a JSON document and are listed only where a scan reads that too."""

WEIGHTS = (
    ".safetensors", ".gguf", ".onnx", ".npy", ".npz", ".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib",
    ".h5", ".hdf5", ".keras", ".tflite", ".pb", ".msgpack", ".mlmodel", ".engine", ".ot", ".pte", ".pdparams",
)  # fmt: skip
"""Names that weights go by: when no reader understands such a file, its tensors are unknown, not absent."""

NO_TENSORS = frozenset(
    {
        "unknown",
        "empty",
        "text",
        "json",
        "jsonl",
        "python",
        "template",
        "notebook",
        "lfs-pointer",
        "sentencepiece",
    }
    | {"png", "jpeg", "gif", "webp", "svg", "elf", "pe", "mach-o", "java-class", "wasm", "pyc", "script"}
)
"""`Reading.format` names that never hold tensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The tensors of one file."""

    tensors: tuple[TensorRef, ...] = ()
    unlisted: str = ""
    """Why they are not (all) known; "" when they are."""
    readings: tuple[Reading, ...] = ()
    """What the readers said, for whoever wants more of a file than its tensors."""


NOTHING = Listing()


def list_tensors(source: Source, path: str, budget: Budget) -> Listing:
    """Run the readers that can find tensors in these bytes. Never raises for anything the bytes do."""
    tensors: list[TensorRef] = []
    formats: set[str] = set()
    readings: list[Reading] = []
    unlisted, gaps = "", False
    try:
        found = [candidate for candidate in candidates(source, path) if candidate in FORMATS]
    except (InputError, LimitError) as error:
        return Listing(unlisted=error.message)
    if not found and not path.lower().endswith(WEIGHTS):
        return NOTHING
    for candidate in found:
        try:
            reading = read(candidate, source, budget, path)
        except (InputError, LimitError) as error:
            if error.code != "not-this-format":
                formats.add(candidate)
                gaps = True
            continue
        except Exception as bug:
            unlisted = f"the {candidate} reader broke on it: {type(bug).__name__}"
            continue
        formats.add(reading.format)
        readings.append(reading)
        tensors += reading.tensors or ()
        gaps = gaps or bool(reading.gaps)
        unlisted = unlisted or reading.tensors_unlisted
    found_there = listing(path, frozenset(formats or {"unknown"}), tensors, unlisted, gaps=gaps)
    return replace(found_there, readings=tuple(readings))


def listing(
    path: str, formats: frozenset[str], tensors: Sequence[TensorRef], unlisted: str, *, gaps: bool
) -> Listing:
    """What readers said of one file, with doubt where weights might be that none of them found.

    `gaps` says that a reader met something at the top of the file which it could not follow.
    """
    if not unlisted and not tensors:
        harmless = formats <= NO_TENSORS
        if harmless and path.lower().endswith(WEIGHTS):
            unlisted = "its name is that of weights, but no reader understands it"
        elif gaps and not harmless:
            unlisted = "not all of it is understood"
    return Listing(unlisted=unlisted) if unlisted else Listing(tensors=tuple(tensors))


def refused(ref: TensorRef, size: int) -> str:
    """Why a tensor's place cannot be right ("" when it can); `size` is that of what the spans index."""
    if any(n < 0 for n in ref.shape):
        return f"shape {list(ref.shape)} has a negative length"[:200]
    if any(offset < 0 or length < 0 or offset + length > size for offset, length in ref.spans):
        return "it reaches behind the end of its file"
    if ref.strides is None:
        return ""
    if len(ref.strides) != len(ref.shape) or ref.itemsize < 1 or any(stride < 0 for stride in ref.strides):
        return "its strides do not fit its shape"
    last = sum((n - 1) * stride for n, stride in zip(ref.shape, ref.strides, strict=True))
    if math.prod(ref.shape) and (last + 1) * ref.itemsize > _length(ref):
        return "its strides lead behind its storage"
    return ""


def cost(ref: TensorRef) -> int:
    """Bytes that hashing this tensor takes: its content, or its storage where that is more."""
    items = math.prod(ref.shape) * ref.itemsize if ref.strides is not None else 0
    return max(items, _length(ref))


def content(ref: TensorRef, source: Source) -> Iterator[bytes]:
    """The canonical bytes, in pieces of bounded size. Raises `LimitError` (`limit-memory`), and what reading raises."""
    if ref.strides is None or not math.prod(ref.shape):
        pieces = _in_spans(ref.spans, source) if ref.strides is None else iter(())
    elif _length(ref) <= REGION:
        pieces = _gathered(memoryview(b"".join(_in_spans(ref.spans, source))), ref)
    elif ref.source is None and len(ref.spans) == 1:
        pieces = reordered(ref, source)
    else:  # an unpacked member would have to be unpacked anew for every block
        raise LimitError("limit-memory", f"its {_length(ref)} bytes lie out of order, limit {REGION}")
    return map(_Swap(ref), pieces) if ref.swap else pieces


def external_path(path: str, ref: TensorRef) -> str:
    """The member that an external tensor's spans index."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), ref.external))


def _length(ref: TensorRef) -> int:
    return sum(length for _, length in ref.spans)


def _in_spans(spans: Sequence[tuple[int, int]], source: Source) -> Iterator[bytes]:
    for offset, length in spans:
        for at in range(offset, offset + length, CHUNK):
            yield source.read(at, min(CHUNK, offset + length - at))


_CODES: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}


def _gathered(region: memoryview, ref: TensorRef) -> Iterator[bytes]:
    """Items in row-major order: one strided copy for each row of the innermost dimension."""
    shape, strides, itemsize = ref.shape, ref.strides or (), ref.itemsize
    if itemsize not in _CODES:
        shape, strides, itemsize = (*shape, itemsize), (*(s * itemsize for s in strides), 1), 1
    if not shape:
        shape, strides = (1,), (1,)
    items = region[: len(region) // itemsize * itemsize].cast(_CODES[itemsize])
    count, stride = shape[-1], strides[-1]
    pieces = bytearray()
    for start in _row_starts(shape[:-1], strides[:-1]):
        if stride:
            pieces += items[start : start + (count - 1) * stride + 1 : stride].tobytes()
        else:
            yield from _repeated(items[start : start + 1].tobytes(), count, pieces)
        if len(pieces) >= CHUNK:
            yield bytes(pieces)
            pieces.clear()
    yield bytes(pieces)


def _repeated(item: bytes, count: int, pieces: bytearray) -> Iterator[bytes]:
    """`count` times the same item, as an expanded tensor has it."""
    yield bytes(pieces)
    pieces.clear()
    whole = CHUNK // len(item)
    for _ in range(count // whole):
        yield item * whole
    pieces += item * (count % whole)


def _row_starts(shape: Sequence[int], strides: Sequence[int]) -> Iterator[int]:
    index = [0] * len(shape)
    start = 0
    while True:
        yield start
        for axis in range(len(shape) - 1, -1, -1):
            index[axis] += 1
            start += strides[axis]
            if index[axis] < shape[axis]:
                break
            start -= index[axis] * strides[axis]
            index[axis] = 0
        else:
            return


class _Swap:
    """Turns big-endian items into little-endian ones; items may be cut between two pieces."""

    def __init__(self, ref: TensorRef) -> None:
        self._unit = ref.itemsize // 2 if ref.dtype.startswith("C") else ref.itemsize
        self._rest = b""

    def __call__(self, piece: bytes) -> bytes:
        data = self._rest + piece
        whole = len(data) // self._unit * self._unit
        self._rest = data[whole:]
        return _swapped(data[:whole], self._unit)


def _swapped(data: bytes, unit: int) -> bytes:
    if unit in _CODES:
        items: Any = array.array(_CODES[unit], data)
        items.byteswap()
        return bytes(items.tobytes())
    turned = bytearray(len(data))
    for i in range(unit):
        turned[i::unit] = data[unit - 1 - i :: unit]
    return bytes(turned)
