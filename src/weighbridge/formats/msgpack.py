"""MessagePack, and Flax's way to write parameters in it: decoded strictly, with tensors stepped over and listed.

Follows the MessagePack specification (extension type -1 is a time). Flax (`flax.serialization`) adds extension types 1 for
an array (shape, type's name and bytes, packed again), 2 for a complex number and 3 for a numpy scalar, and cuts large
arrays into chunks. msgpack-numpy writes arrays as maps, and arrays of objects as pickles. Lengths are held against the
bytes that are left before anything is read, so that no count can ask for memory.

A table of millions of small values is read by msgspec first: where what it understood, written again, is the same bytes, the
document hides nothing, and only the values are looked through.
"""

import struct
from dataclasses import field
from math import prod
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.pattern import late
from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.membernames import Notes
from weighbridge.formats.opaque import hidden_programs
from weighbridge.formats.reading import Gap, Part, Reading, TensorRef
from weighbridge.formats.sniff import looks_like_text, starts_like_pickle

WINDOW = 64 * 1024
MAX_DEPTH = 200
"""msgpack-python refuses more than 1024 levels, and Flax calls itself for each."""
MAX_ITEMS = 20_000_000
MAX_KEPT = 4096
"""Entries of one map that are remembered, to understand the ways in which arrays are written."""
MAX_TENSORS = 1_000_000
KEY_LIMIT = 4096
MIN_PROGRAM = 8
_PROGRAM = late(
    rb"\s*(?:__import__\s*\(|(?:os|posix|nt|subprocess|builtins|importlib|runpy|pty)\s*\.\s*\w{2,20}\s*\(|(?:exec|eval|compile)\s*\(\s*[\"'_bc]|(?:import|from)\s+(?:os|subprocess|socket|ctypes)\b|c(?:os|posix|nt|subprocess|builtins)\n)"
)
"""How a text begins that is code, and no name of a parameter."""
MAX_TABLE, MAX_TABLE_MEMORY = 16 << 20, 256 << 20
"""Bytes of a document that is decoded at once, and what its values may take in memory."""
_HOLDERS = frozenset((bytes, list, dict))
_TABLE = frozenset((str, int, float, bool, type(None), *_HOLDERS))
DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32", "int16": "I16",
    "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL", "complex64": "C64",
    "complex128": "C128", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
         "U8": 1, "BOOL": 1, "C64": 8, "C128": 16, "F8_E4M3": 1, "F8_E5M2": 1}  # fmt: skip
FLAX_ARRAY, FLAX_COMPLEX, FLAX_SCALAR, TIME = 1, 2, 3, -1
CHUNKED = "__msgpack_chunked_array__"

_FIXED: dict[int, str] = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_STRUCTS = {byte: struct.Struct(form) for byte, form in _FIXED.items()}
_LENGTHS: dict[int, tuple[str, int]] = {
    0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4), 0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4),
    0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4), 0xDC: ("array", 2), 0xDD: ("array", 4), 0xDE: ("map", 2),
    0xDF: ("map", 4),
}  # fmt: skip
_FIXEXT = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


class Span(NamedTuple):
    """Bytes of a `bin` or `str`, which are not read unless asked for."""

    start: int
    length: int


class Array(NamedTuple):
    """A Flax array: its header, and where its bytes lie."""

    dtype: str
    shape: tuple[int, ...]
    span: Span


@dataclass(slots=True)
class _Work:
    source: Source
    budget: Budget
    window: bytes = b""
    base: int = 0
    items: int = 0
    flax: bool = False
    notes: Notes = field(default_factory=Notes)
    gaps: list[Gap] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    tensors: list[TensorRef] = field(default_factory=list)
    unlisted: str = ""

    def take(self, at: int, length: int, end: int) -> bytes:
        """`length` bytes, at most a window; raises `InputError` (`truncated`)."""
        if at + length > end:
            raise InputError("truncated", f"a value at byte {at} ends behind what holds it")
        low = at - self.base
        if low < 0 or low + length > len(self.window):
            self.window, self.base, low = self.source.read(at, max(WINDOW, length)), at, 0
            self.budget.spend_bytes(len(self.window))
        return self.window[low : low + length]

    def gap(self, message: str, at: int) -> None:
        if len(self.gaps) < 100:
            self.gaps.append(Gap(code="codec-unknown", message=message, offset=at))


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Decode the document. Raises `InputError` (`not-this-format`, or `bad-msgpack` where the name promises one)."""
    promised = name.lower().endswith(".msgpack")
    if source.size <= MAX_TABLE and _is_table(source.read(0, source.size), budget):
        return Reading(format="msgpack")
    work = _Work(source, budget)
    end = source.size
    try:
        _, end = _value(work, 0, source.size, (), 0)
    except InputError as error:
        if not promised and not work.flax:
            raise InputError("not-this-format", "no MessagePack") from None
        if error.code != "broken":
            work.notes.add("msgpack-size", error.message)
        work.gap("nothing behind the break is read", work.base)
    if end < source.size:
        if not promised and not work.flax:
            raise InputError("not-this-format", "no MessagePack: bytes are left")
        message = f"{source.size - end} bytes behind the end of the document"
        work.gaps.append(Gap(code="trailing-bytes", message=message, offset=end))
    return Reading(
        format="flax-msgpack" if work.flax else "msgpack",
        anomalies=work.notes.all(),
        gaps=tuple(work.gaps),
        parts=(*work.parts, *(hidden_programs(source, budget) if work.flax else ())),
        tensors=tuple(work.tensors) if work.flax and not work.unlisted and not work.gaps else None,
        tensors_unlisted=work.unlisted or ("the document could not be read whole" if work.gaps else ""),
    )


# -- tables of plain values ----------------------------------------------------------------------------------------


def _is_table(data: bytes, budget: Budget) -> bool:
    """Whether all of it is numbers, texts and bytes that no reader takes for more. False: it has to be looked at closely."""
    import msgspec

    if len(data) < WINDOW or _memory(data) > MAX_TABLE_MEMORY:
        return False
    budget.spend_bytes(len(data))
    try:
        value = msgspec.msgpack.decode(data)
        # A key that stands twice, or bytes that mean nothing, would be missing here.
        return msgspec.msgpack.encode(value) == data and _is_plain(value)
    except (msgspec.MsgspecError, RecursionError, OverflowError, TypeError, ValueError):
        return False


def _memory(data: bytes) -> int:
    """At most so many bytes of Python values come of it: every byte that may begin a map, an array or a text counts as one."""
    maps = len(data) - len(data.translate(None, bytes((*range(0x80, 0x90), 0xDE, 0xDF))))
    arrays = len(data) - len(data.translate(None, bytes((*range(0x90, 0xA0), 0xDC, 0xDD))))
    return maps * 240 + arrays * 80 + (len(data) - maps - arrays) * 12


def _is_plain(value: Any) -> bool:
    """Level by level: no extension, and nothing that is more than it seems."""
    level = [value]
    for _ in range(MAX_DEPTH // 4):
        if not all(map(_holds_plain, level)):
            return False
        holders = (one.values() if type(one) is dict else one for one in level if type(one) is not bytes)
        level = [inner for one in holders for inner in one if type(inner) in _HOLDERS]
        if not level:
            return True
    return False


def _holds_plain(one: Any) -> bool:
    """No key of a strange type, no array of NumPy or Flax, no bytes that an unpickler would take."""
    if type(one) is bytes:
        return not starts_like_pickle(one[:1024], len(one)) or looks_like_text(one[:1024])
    if type(one) is dict:
        array = CHUNKED in one or ("nd" in one and "kind" in one)
        return (
            not array and {str, int}.issuperset(map(type, one)) and _TABLE.issuperset(map(type, one.values()))
        )
    return type(one) is list and _TABLE.issuperset(map(type, one))


Path = tuple[str, ...]


def _plain(work: _Work, at: int, end: int) -> tuple[Any, int] | None:
    """A number or a short string that lies in the window, as nearly all values of a table do; None for all others."""
    window, low = work.window, at - work.base
    if at >= end or not 0 <= low < len(window) or work.items >= MAX_ITEMS:
        return None
    value: Any
    byte = window[low]
    if byte <= 0x7F or byte >= 0xE0:
        value, stop = (byte if byte <= 0x7F else byte - 0x100), at + 1
    elif 0xA0 <= byte <= 0xBF:
        value, stop = Span(at + 1, byte & 0x1F), at + 1 + (byte & 0x1F)
    elif (form := _STRUCTS.get(byte)) is not None and low + 1 + form.size <= len(window):
        value, stop = form.unpack_from(window, low + 1)[0], at + 1 + form.size
    else:
        return None
    if stop > end:
        return None
    work.items += 1
    return value, stop


def _value(work: _Work, at: int, end: int, path: Path, depth: int) -> tuple[Any, int]:
    """One value and where it ends: scalars as they are, bytes and strings as `Span`, maps as small dictionaries."""
    work.items += 1
    if work.items > MAX_ITEMS:
        raise LimitError("limit-members", f"stopped after {MAX_ITEMS} MessagePack values")
    if depth > MAX_DEPTH:
        work.notes.add("msgpack-deep", f"values are nested more than {MAX_DEPTH} deep", offset=at)
        raise InputError("broken", "nested too deep")
    byte = work.take(at, 1, end)[0]
    at += 1
    if byte <= 0x7F:
        return byte, at
    if byte >= 0xE0:
        return byte - 0x100, at
    if byte in _FIXED:
        form = _STRUCTS[byte]
        return form.unpack(work.take(at, form.size, end))[0], at + form.size
    if byte in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[byte], at
    kind, length, at = _header(work, byte, at, end)
    if kind == "ext":
        return _extension(work, at, length, end, path, depth)
    # Every item of an array takes a byte at least, every pair of a map two.
    least = length * 2 if kind == "map" else length
    if least > end - at:
        work.notes.add(
            "msgpack-size",
            f"{kind} of {length} where {end - at} bytes are left",
            offset=at,
            part="/".join(path),
        )
        raise InputError("broken", "a length that lies")
    if kind == "map":
        return _map(work, at, length, end, path, depth)
    if kind == "array":
        return _array(work, at, length, end, path, depth)
    if kind == "bin":
        _look_inside(work, Span(at, length), path)
    elif MIN_PROGRAM <= length <= KEY_LIMIT and _PROGRAM.match(work.take(at, length, end)):
        work.notes.add("msgpack-program", "a text is a program", offset=at, part="/".join(path))
    return Span(at, length), at + length


def _header(work: _Work, byte: int, at: int, end: int) -> tuple[str, int, int]:
    """Kind and length of what has one, and where its content begins."""
    if byte <= 0x8F:
        return "map", byte & 0x0F, at
    if byte <= 0x9F:
        return "array", byte & 0x0F, at
    if byte <= 0xBF:
        return "str", byte & 0x1F, at
    if byte in _FIXEXT:
        return "ext", _FIXEXT[byte], at
    if byte not in _LENGTHS:
        raise InputError("bad-msgpack", f"the byte 0x{byte:02x} at {at - 1} begins no value")
    kind, width = _LENGTHS[byte]
    return kind, int.from_bytes(work.take(at, width, end), "big"), at + width


def _array(work: _Work, at: int, count: int, end: int, path: Path, depth: int) -> tuple[Any, int]:
    kept: list[Any] = []
    for index in range(count):
        plain = _plain(work, at, end) if depth < MAX_DEPTH else None
        if plain is not None:
            value, at = plain
        else:
            value, at = _value(work, at, end, (*path, str(index)) if depth < 32 else path, depth + 1)
            _list(work, value, (*path, str(index)))
        if index < MAX_KEPT:
            kept.append(value)
    return tuple(kept), at


def _map(work: _Work, at: int, count: int, end: int, path: Path, depth: int) -> tuple[Any, int]:
    kept: dict[str, Any] = {}
    seen: set[str] = set()
    for _ in range(count):
        plain = _plain(work, at, end) if depth < MAX_DEPTH else None
        key, at = plain if plain is not None else _value(work, at, end, path, depth + 1)
        name = _key(work, key, end)
        if name is None:
            work.gap("a key that is neither a text nor a number", at)
            name = "?"
        elif name in seen:
            work.notes.add(
                "duplicate-key", f'the key "{visible(name, 100)}" stands twice in one map', offset=at
            )
        elif len(seen) < MAX_ITEMS // 10:
            seen.add(name)
        plain = _plain(work, at, end) if depth < MAX_DEPTH else None
        value, at = plain if plain is not None else _value(work, at, end, (*path, name), depth + 1)
        if len(kept) < MAX_KEPT:
            kept[name] = value
    chunked = kept.get(CHUNKED) is True
    if chunked:
        kept["chunked"] = _join_chunks(work, kept, path)
    elif "nd" in kept and "kind" in kept:
        _numpy_map(work, kept, path)
    for name, value in () if chunked else kept.items():
        _list(work, value, (*path, name))
    if not chunked and count > MAX_KEPT and work.flax:
        work.unlisted = work.unlisted or f"a map of {count} entries"
    return kept, at


def _key(work: _Work, key: Any, end: int) -> str | None:
    if isinstance(key, Span) and key.length <= KEY_LIMIT:
        return work.take(key.start, key.length, end).decode("utf-8", "surrogateescape")
    return str(key) if isinstance(key, int | float) else None


def _look_inside(work: _Work, span: Span, path: Path) -> None:
    """Bytes that an unpickler would take are a part of their own."""
    head = work.take(span.start, min(span.length, 1024), span.start + span.length) if span.length else b""
    if (
        head
        and len(work.parts) < 1000
        and starts_like_pickle(head, span.length)
        and not looks_like_text(head)
    ):
        part = Slice(work.source, span.start, span.length)
        work.parts.append(Part(name=visible("/".join(path)) or "bytes", source=part, kind="pickle"))


# -- extension types -----------------------------------------------------------------------------------------------


def _extension(work: _Work, at: int, length: int, end: int, path: Path, depth: int) -> tuple[Any, int]:
    number = int.from_bytes(work.take(at, 1, end), "big", signed=True)
    at += 1
    if length > end - at:
        work.notes.add("msgpack-size", f"extension of {length} bytes where {end - at} are left", offset=at)
        raise InputError("broken", "a length that lies")
    stop = at + length
    if number in (FLAX_ARRAY, FLAX_SCALAR):
        return _flax_array(work, at, stop, path, depth), stop
    if number == FLAX_COMPLEX:
        work.flax = True
        value, after = _value(work, at, stop, path, depth + 1)
        if after != stop or not isinstance(value, tuple) or len(value) != 2:
            work.notes.add(
                "msgpack-array", "a complex number that is no pair", offset=at, part="/".join(path)
            )
    elif number != TIME or length not in (4, 8, 12):
        work.gap(f"extension type {number}, which neither MessagePack nor Flax has", at)
        _look_inside(work, Span(at, length), path)
    return None, stop


def _flax_array(work: _Work, at: int, stop: int, path: Path, depth: int) -> Array | None:
    """(shape, dtype's name, bytes), packed as a document of its own."""
    start, parts = at, len(work.parts)
    value, after = _value(work, at, stop, path, depth + 1)
    del work.parts[parts:]  # the bytes of an array are numbers, whatever they look like
    where = "/".join(path)
    shape = value[0] if isinstance(value, tuple) and len(value) == 3 else None
    name = _key(work, value[1], stop) if shape is not None else None
    if after != stop or not isinstance(shape, tuple) or name is None or not isinstance(value[2], Span):
        work.notes.add(
            "msgpack-array", "an array that is not shape, type and bytes", offset=start, part=where
        )
        return None
    work.flax = True
    if not all(isinstance(size, int) and size >= 0 for size in shape) or len(shape) > 64:
        work.notes.add("msgpack-array", "an array of an impossible shape", offset=start, part=where)
        return None
    if _holds_objects(name):
        message = f'an array of type "{visible(name, 80)}", which holds Python objects'
        work.notes.add("msgpack-object", message, offset=start, part=where)
        _look_inside(work, value[2], path)
        return None
    dtype = DTYPES.get(name, "")
    if not dtype:
        work.unlisted = work.unlisted or f'"{visible(where)}" is of type {visible(name, 40)}'
        return None
    if prod(shape) * SIZES[dtype] != value[2].length:
        message = (
            f"{value[2].length} bytes for an array whose shape needs {min(prod(shape), 2**64) * SIZES[dtype]}"
        )
        work.notes.add("msgpack-size", message, offset=start, part=where)
        return None
    return Array(dtype, shape, value[2])


def _holds_objects(name: str) -> bool:
    return name.startswith("object") or any(word.strip("<>=|0123456789()") == "O" for word in name.split(","))


def _list(work: _Work, value: Any, path: Path) -> None:
    if isinstance(value, Array):
        _tensor(work, value.dtype, value.shape, (value.span,), path)
    elif isinstance(value, dict) and isinstance(value.get("chunked"), tuple):
        dtype, shape, spans = value["chunked"]
        _tensor(work, dtype, shape, spans, path)


def _tensor(work: _Work, dtype: str, shape: tuple[int, ...], spans: tuple[Span, ...], path: Path) -> None:
    if len(work.tensors) >= MAX_TENSORS:
        work.unlisted = work.unlisted or "too many arrays"
        return
    places = tuple((span.start, span.length) for span in spans if span.length)
    work.tensors.append(
        TensorRef(name="/".join(path), dtype=dtype, shape=shape, spans=places, itemsize=SIZES[dtype])
    )


def _join_chunks(
    work: _Work, kept: dict[str, Any], path: Path
) -> tuple[str, tuple[int, ...], tuple[Span, ...]] | None:
    """Flax's arrays of more than a gibibyte: flat pieces under "0", "1", …, and the shape as a map."""
    shape, chunks = kept.get("shape"), kept.get("chunks")
    if isinstance(shape, dict) and isinstance(chunks, dict):
        sizes = tuple(shape.get(str(index)) for index in range(len(shape)))
        pieces = [chunks.get(str(index)) for index in range(len(chunks))]
        arrays = [piece for piece in pieces if isinstance(piece, Array)]
        kinds = {piece.dtype for piece in arrays}
        whole = tuple(size for size in sizes if isinstance(size, int) and size >= 0)
        if len(arrays) == len(pieces) and len(kinds) == 1 and len(whole) == len(sizes):
            _forget(work, arrays)
            spans = tuple(piece.span for piece in arrays)
            if sum(span.length for span in spans) == prod(whole) * SIZES[arrays[0].dtype]:
                return arrays[0].dtype, whole, spans
    work.notes.add("msgpack-array", "the chunks of an array do not make one", part="/".join(path))
    return None


def _forget(work: _Work, arrays: list[Array]) -> None:
    """Chunks are no tensors of their own."""
    starts = {piece.span.start for piece in arrays}
    work.tensors = [one for one in work.tensors if not one.spans or one.spans[0][0] not in starts]


def _numpy_map(work: _Work, kept: dict[str, Any], path: Path) -> None:
    """msgpack-numpy: `kind` "O" makes its reader unpickle `data`."""
    kind, data = kept["kind"], kept.get("data")
    text = _key(work, kind, work.source.size) if isinstance(kind, Span) else ""
    if text == "O":
        work.notes.add(
            "msgpack-object", "an array of Python objects, which readers unpickle", part="/".join(path)
        )
        if isinstance(data, Span) and data.length:
            source = Slice(work.source, data.start, data.length)
            work.parts.append(Part(name=visible("/".join((*path, "data"))), source=source, kind="pickle"))
