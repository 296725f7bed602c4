"""NumPy: `.npy` files, and what numpy's own descriptions of an array mean (`descr` strings, pickled dtypes).

The header's literal is read by a small grammar of its own (NEP 1: a dict of `descr`, `fortran_order`, `shape`), not
by `eval`-like means. An array of objects is a pickle behind the header: it becomes a part, and nothing is loaded.
Layout: numpy.lib.format, versions 1.0 to 3.0.
"""

import re
from math import prod
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import program_part
from weighbridge.formats.pickle.values import Call, Dict, Global, Value
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef
from weighbridge.formats.sniff import starts_like_pickle

MAGIC = b"\x93NUMPY"
MAX_HEADER = 1024**2
"""numpy refuses headers beyond 10,000 bytes unless told otherwise; structured dtypes may be longer."""
MAX_DEPTH = 32
"""Fields inside fields, and brackets inside brackets of a header."""

_CANONICAL = {
    "b1": "BOOL",
    "?1": "BOOL",
    "f2": "F16",
    "f4": "F32",
    "f8": "F64",
    "c8": "C64",
    "c16": "C128",
} | {f"{kind}{size}": f"{name}{size * 8}" for kind, name in (("i", "I"), ("u", "U")) for size in (1, 2, 4, 8)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DType:
    """What a dtype says of one item."""

    kind: str
    """numpy's letter: `f`, `i`, `U`, `V`, `O`, …"""
    itemsize: int
    big: bool = False
    """True for big-endian items."""
    objects: bool = False
    """True when items hold Python objects: such an array is a pickle, not bytes."""
    detail: str = ""
    """What else belongs to its name: a datetime's unit."""

    @property
    def name(self) -> str:
        """The canonical name (`F32`, `BOOL`), or numpy's own without byte order (`U20`, `V56`)."""
        return _CANONICAL.get(f"{self.kind}{self.itemsize}", f"{self.kind}{self.itemsize}{self.detail}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NpyReading(Reading):
    """A `.npy` file."""

    dtype: DType
    shape: tuple[int, ...]
    fortran_order: bool
    objects: bool
    """True when the items are a pickle behind the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NpyHeader:
    """The header of a `.npy` file, and where its data begins."""

    descr: Any
    dtype: DType
    shape: tuple[int, ...]
    fortran_order: bool
    start: int
    version: tuple[int, int]
    odd: tuple[str, ...] = ()
    """Codes of what no writer of numpy would do: `duplicate-key`, `unknown-key`."""

    @property
    def size(self) -> int:
        """Bytes of data that the header promises; 0 for objects."""
        return 0 if self.dtype.objects else prod(self.shape) * self.dtype.itemsize


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read one `.npy` file. Raises `InputError` (`not-this-format`, `bad-npy`)."""
    try:
        header = read_header(source, budget)
    except InputError as error:
        attack = _attack(source, error)
        if attack is None:
            raise
        return attack
    rest = source.size - header.start
    if header.size >= 2**63:
        return _unreadable("npy-shape-overflow", "an npy shape multiplies to more than 63 bits hold", ())
    anomalies = tuple(
        Anomaly(code=f"npy-{code}", message=f"npy header: {code.replace('-', ' ')}") for code in header.odd
    )
    if header.dtype.objects:
        part = Part(name="objects", source=Slice(source, header.start, rest), kind="pickle")
        return _reading(header, anomalies, (), (part,), None)
    gaps = []
    if rest < header.size:
        gaps.append(
            Gap(
                code="truncated",
                message=f"array data ends after {rest} of {header.size} bytes",
                offset=header.start,
            )
        )
    elif rest > header.size:
        end = header.start + header.size
        gaps.append(
            Gap(code="trailing-bytes", message=f"{rest - header.size} bytes behind the array", offset=end)
        )
    inside = program_part(source, header.start, min(rest, header.size), "array")
    parts = (inside,) if inside is not None else ()
    return _reading(header, anomalies, tuple(gaps), parts, None if gaps else (tensor(header, "array"),))


_CALL = late(r"\b[A-Za-z_]\w{0,40}\s{0,9}\(|\blambda\b|__\w{1,40}__")
_TOO_DEEP = "an npy header is nested too deep"
_NEGATIVE = late(r"'shape'\s*:\s*\([^)]{0,200}-\s*[0-9]")
_OBJECTS = late(r"['\"]\s*[|<>=]?O[0-9]{0,2}\s*['\"]|object")


def _attack(source: Source, error: InputError) -> Reading | None:
    """What an unreadable header is for, where that can be said; None for what is merely broken.

    Some readers of the format evaluate the header, unpickle what stands behind it, or allocate by its numbers.
    """
    if error.code != "bad-npy":
        return None
    version = source.read(6, 2)
    known, wide = version in (b"\x01\0", b"\x02\0", b"\x03\0"), 2 if version == b"\x01\0" else 4
    length = int.from_bytes(source.read(8, wide), "little")
    start = 8 + wide + length
    text = source.read(8 + wide, min(length, MAX_HEADER)).decode("latin-1")
    rest = Slice(source, start, source.size - start) if start < source.size else None
    parts: tuple[Part, ...] = ()
    if rest is not None and starts_like_pickle(rest.read(0, 4096), rest.size) and _OBJECTS.search(text):
        parts = (Part(name="behind the header", source=rest, kind="pickle"),)
    facts = (
        (
            "npy-header-length",
            known and length > MAX_HEADER,
            f"an npy header of {length} bytes, which readers allocate",
        ),
        ("npy-header-code", bool(_CALL.search(text)), "an npy header that calls something"),
        ("npy-shape-negative", bool(_NEGATIVE.search(text)), "an npy shape with a negative size"),
        (
            "npy-header-nested",
            error.message == _TOO_DEEP,
            "an npy header nested so deep that it exhausts readers",
        ),
    )
    found = next(((code, message) for code, holds, message in facts if holds), None)
    if found is not None:
        return _unreadable(*found, parts)
    return _unreadable("", error.message, parts) if parts else None


def _unreadable(code: str, message: str, parts: tuple[Part, ...]) -> Reading:
    return Reading(
        format="npy",
        anomalies=(Anomaly(code=code, message=message),) if code else (),
        gaps=(Gap(code="bad-npy", message=message),),
        parts=parts,
        tensors_unlisted=message,
    )


def _reading(
    header: NpyHeader,
    anomalies: tuple[Anomaly, ...],
    gaps: tuple[Gap, ...],
    parts: tuple[Part, ...],
    tensors: tuple[TensorRef, ...] | None,
) -> NpyReading:
    why = (
        ""
        if tensors
        else "an array of Python objects"
        if header.dtype.objects
        else "the array's bytes are not all there"
    )
    return NpyReading(
        format="npy",
        dtype=header.dtype,
        shape=header.shape,
        fortran_order=header.fortran_order,
        objects=header.dtype.objects,
        anomalies=anomalies,
        gaps=gaps,
        parts=parts,
        tensors=tensors,
        tensors_unlisted=why,
    )


def tensor(header: NpyHeader, name: str, source: Source | None = None) -> TensorRef:
    """The array as a tensor; `source` as in `TensorRef`."""
    return array_ref(
        name, header.dtype, header.shape, header.start, fortran=header.fortran_order, source=source
    )


def array_ref(
    name: str,
    dtype: DType,
    shape: tuple[int, ...],
    start: int,
    *,
    fortran: bool,
    source: Source | None = None,
) -> TensorRef:
    """Contiguous array bytes as a tensor: row-major, or column-major with strides."""
    strides = tuple(prod(shape[:axis]) for axis in range(len(shape))) if fortran and len(shape) > 1 else None
    return TensorRef(
        name=name,
        dtype=dtype.name,
        shape=shape,
        spans=((start, prod(shape) * dtype.itemsize),),
        source=source,
        itemsize=dtype.itemsize,
        strides=strides,
        swap=dtype.big,
    )


def read_header(source: Source, budget: Budget) -> NpyHeader:
    """The header alone. Raises `InputError` (`not-this-format`, `bad-npy`)."""
    head = source.read(0, 12)
    if head[:6] != MAGIC or len(head) < 10:
        raise InputError("not-this-format", "no npy magic")
    version = (head[6], head[7])
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise InputError("bad-npy", f"npy version {version[0]}.{version[1]} is unknown")
    wide = 2 if version == (1, 0) else 4
    length = int.from_bytes(head[8 : 8 + wide], "little")
    start = 8 + wide + length
    if start > source.size:
        raise InputError("bad-npy", f"an npy header of {length} bytes ends behind the file")
    if length > MAX_HEADER:
        raise InputError("bad-npy", f"an npy header of {length} bytes, limit {MAX_HEADER}")
    budget.need_memory(length, "an npy header")
    text = source.read(8 + wide, length).decode("utf-8" if version == (3, 0) else "latin-1", "replace")
    return _header(_Literal(text).document(), start, version)


def _header(document: list[tuple[Any, Any]], start: int, version: tuple[int, int]) -> NpyHeader:
    fields = {key: value for key, value in document if isinstance(key, str)}
    odd = []
    if len(fields) != len(document):
        odd.append("duplicate-key")
    if set(fields) != {"descr", "fortran_order", "shape"}:
        raise InputError("bad-npy", "an npy header has not the three keys that it must have")
    shape, order = fields["shape"], fields["fortran_order"]
    if (
        not isinstance(shape, tuple)
        or not all(type(n) is int and 0 <= n < 2**63 for n in shape)
        or len(shape) > 64
    ):
        raise InputError("bad-npy", "an npy shape is no tuple of sizes")
    if not isinstance(order, bool):
        raise InputError("bad-npy", "npy fortran_order is no bool")
    dtype = dtype_of_descr(fields["descr"])
    return NpyHeader(
        descr=fields["descr"],
        dtype=dtype,
        shape=shape,
        fortran_order=order,
        start=start,
        version=version,
        odd=tuple(odd),
    )


# ---- dtypes

_TYPESTR = late(r"([<>|=]?)([biufcmMOSUVaG?])([0-9]{0,18})(\[[0-9A-Za-z /]{1,20}\])?\Z")
_FIXED = {"?": 1, "O": 8, "b": 1}


def dtype_of_descr(descr: Any, depth: int = 0) -> DType:
    """The dtype of an npy header's `descr`. Raises `InputError` (`bad-npy`)."""
    if depth > MAX_DEPTH:
        raise InputError("bad-npy", "npy fields are nested too deep")
    if isinstance(descr, str):
        found = dtype_of_typestr(descr)
        if found is None:
            raise InputError("bad-npy", f'npy type "{visible(descr, 40)}" is unknown')
        return found
    if isinstance(descr, tuple) and len(descr) == 2:
        return _subarray(dtype_of_descr(descr[0], depth + 1), descr[1])
    if isinstance(descr, list):
        return _record([_field(item, depth) for item in descr])
    raise InputError("bad-npy", "npy descr is neither a type nor a list of fields")


def _field(item: Any, depth: int) -> DType:
    if not isinstance(item, tuple) or len(item) not in (2, 3):
        raise InputError("bad-npy", "an npy field is no pair of name and type")
    found = dtype_of_descr(item[1], depth + 1)
    return _subarray(found, item[2]) if len(item) == 3 else found


def _subarray(item: DType, shape: Any) -> DType:
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not all(type(n) is int and 0 <= n < 2**31 for n in sizes):
        raise InputError("bad-npy", "an npy field's shape is no tuple of sizes")
    return DType(kind="V", itemsize=item.itemsize * prod(sizes), objects=item.objects)


def _record(fields: list[DType]) -> DType:
    return DType(kind="V", itemsize=sum(f.itemsize for f in fields), objects=any(f.objects for f in fields))


def dtype_of_typestr(text: str) -> DType | None:
    """The dtype of `<f8`, `|S5`, `O`, `M8[ns]`; None where it is none of numpy's own forms."""
    match = _TYPESTR.match(text)
    if match is None:
        return None
    order, kind, digits, unit = match.groups()
    if not digits and kind not in _FIXED and kind not in "SUV":
        return None
    size = int(digits) if digits else _FIXED.get(kind, 0)
    kind = {"a": "S"}.get(kind, kind)
    itemsize = size * 4 if kind == "U" else 8 if kind == "O" else size
    return DType(
        kind=kind,
        itemsize=itemsize,
        big=order == ">" and itemsize > 1,
        objects=kind == "O",
        detail=unit or "",
    )


def dtype_of_value(value: Value, before: int | None = None) -> DType | None:
    """The dtype that a pickled `numpy.dtype(…)` with its BUILD state is; None where it is not proved to be one.

    `before`: the number of the opcode that uses it; state that is set later would change an array behind its back.
    Contradictions between flags, fields and sizes would let numpy take bytes for pointers, so they prove nothing.
    """
    return _Pickled(before).dtype(value, 0)


class _Pickled:
    """One look at pickled dtypes; shared ones are looked at once."""

    def __init__(self, before: int | None) -> None:
        self._before = before
        self._seen: dict[int, DType | None] = {}

    def dtype(self, value: Value, depth: int) -> DType | None:
        if type(value) is not Call or depth > MAX_DEPTH:
            return None
        if id(value) not in self._seen:
            self._seen[id(value)] = None
            self._seen[id(value)] = self._dtype(value, depth)
        return self._seen[id(value)]

    def _dtype(self, call: Call, depth: int) -> DType | None:
        if type(call.callable) is not Global or call.callable.name != "numpy.dtype" or call.how != "REDUCE":
            return None
        args = call.args
        if (
            type(args) is not tuple
            or not 1 <= len(args) <= 3
            or any(type(a) not in (bool, int) for a in args[1:])
        ):
            return None
        base = _base(args[0], call.state())
        if base is None or len(call.changes) > 1:
            return None
        if not call.changes:
            return base if base.kind != "V" else None
        change = call.changes[0]
        if change.how != "BUILD" or (self._before is not None and change.index > self._before):
            return None
        return self._with_state(base, change.value, depth)

    def _with_state(self, base: DType, state: Value, depth: int) -> DType | None:
        if (
            type(state) is not tuple
            or len(state) not in (8, 9)
            or state[0] not in (3, 4)
            or type(state[0]) is not int
        ):
            return None
        _, order, sub, names, fields, size, alignment, flags = state[:8]
        if type(order) is not str or order not in ("<", ">", "|", "=") or type(flags) is not int:
            return None
        if not all(type(n) is int and -1 <= n < 2**31 for n in (size, alignment)):
            return None
        big = order == ">" and base.itemsize > 1
        if base.kind in "SUV" and size not in (-1, base.itemsize):
            return None
        if sub is None and names is None and fields is None:
            plain = base.kind != "V" or not flags & 1
            detail = _unit(state[8]) if len(state) == 9 and base.kind in "mM" else ""
            return (
                DType(kind=base.kind, itemsize=base.itemsize, big=big, objects=base.objects, detail=detail)
                if plain
                else None
            )
        return self._compound(base, sub, names, fields, flags, depth) if base.kind == "V" else None

    def _compound(
        self, base: DType, sub: Value, names: Value, fields: Value, flags: int, depth: int
    ) -> DType | None:
        if sub is not None:
            inner = self._sub(base, sub, depth) if names is None and fields is None else None
            objects = inner is not None and inner.objects
        else:
            found = self._fields(base, names, fields, depth)
            inner = base if found is not None else None
            objects = bool(found)
        if inner is None or bool(flags & 1) != objects:
            return None
        return DType(kind="V", itemsize=base.itemsize, objects=objects)

    def _sub(self, base: DType, sub: Value, depth: int) -> DType | None:
        if type(sub) is not tuple or len(sub) != 2:
            return None
        inner = self.dtype(sub[0], depth + 1)
        shape = sub[1] if type(sub[1]) is tuple else (sub[1],)
        if inner is None or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
            return None
        return inner if inner.itemsize * prod(shape) == base.itemsize else None

    def _fields(self, base: DType, names: Value, fields: Value, depth: int) -> bool | None:
        """Whether any field holds objects; None where the fields do not fit."""
        if type(names) is not tuple or type(fields) is not Dict or len(fields) != 2 * len(names):
            return None
        objects = False
        for name, entry in fields.pairs():
            if type(name) is not str or type(entry) is not tuple or len(entry) not in (2, 3):
                return None
            inner = self.dtype(entry[0], depth + 1)
            at = entry[1]
            if inner is None or type(at) is not int or not 0 <= at <= base.itemsize - inner.itemsize:
                return None
            objects = objects or inner.objects
        return objects


RECORDS = frozenset(
    {"numpy.record", "numpy.rec.record", "numpy.core.records.record", "numpy._core.records.record"}
)


def _base(first: Value, state: Value) -> DType | None:
    """What `numpy.dtype(first)` is before its state; a record's size stands in the state alone."""
    if type(first) is str:
        return dtype_of_typestr(first)
    if type(first) is Global and first.name in RECORDS and type(state) is tuple and len(state) > 5:
        size = state[5]
        return DType(kind="V", itemsize=size) if type(size) is int and 0 <= size < 2**31 else None
    return None


def _unit(metadata: Value) -> str:
    """`[ns]` of a pickled datetime's metadata."""
    if type(metadata) is tuple and len(metadata) == 2 and type(metadata[1]) is tuple and metadata[1]:
        unit = metadata[1][0]
        text = unit.decode("latin-1") if type(unit) is bytes else unit
        if type(text) is str and text.isalnum() and len(text) < 10:
            return f"[{text}]"
    return ""


# ---- the header's literal

_TOKEN = late(
    r"\s*(?:([\[\](){},:])|(True|False)|(-?[0-9]{1,20})L?|'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")"
)


class _Literal:
    """Tuples, lists, one dict, strings, integers and bools; nothing else stands in an npy header."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> list[tuple[Any, Any]]:
        """The outermost dict as pairs, so that a key that stands twice is seen."""
        value = self._value(0)
        if self._text[self._at :].strip(" \t\r\n\0") or not isinstance(value, _Pairs):
            raise InputError("bad-npy", "an npy header is no dict")
        return value.pairs

    def _token(self) -> re.Match[str]:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise InputError("bad-npy", f"an npy header is no literal from character {self._at} on")
        self._at = match.end()
        return match

    def _peek(self) -> str:
        match = _TOKEN.match(self._text, self._at)
        return match.group(1) or "" if match else ""

    def _value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise InputError("bad-npy", _TOO_DEEP)
        bracket, word, number, single, double = self._token().groups()
        if word:
            return word == "True"
        if number:
            return int(number)
        if bracket == "{":
            return _Pairs([(i[0], i[1]) for i in self._items("}", depth, pairs=True)])
        if bracket == "[":
            return self._items("]", depth)
        if bracket == "(":
            return self._tuple(depth)
        if bracket:
            raise InputError("bad-npy", f'an npy header has "{bracket}" where a value must stand')
        return _unescaped(single if single is not None else double)

    def _tuple(self, depth: int) -> Any:
        before = self._at
        items = self._items(")", depth)
        comma = self._text[before : self._at - 1].rstrip().endswith(",")
        return items[0] if len(items) == 1 and not comma else tuple(items)

    def _items(self, end: str, depth: int, *, pairs: bool = False) -> list[Any]:
        items: list[Any] = []
        while self._peek() != end:
            if items and self._token().group(1) != ",":
                raise InputError("bad-npy", "an npy header lacks a comma")
            if self._peek() == end:
                break
            key = self._value(depth + 1)
            if pairs:
                if self._token().group(1) != ":":
                    raise InputError("bad-npy", "an npy header lacks a colon")
                key = (key, self._value(depth + 1))
            items.append(key)
        self._token()
        return items


@dataclass(frozen=True, slots=True)
class _Pairs:
    pairs: list[tuple[Any, Any]]


_ESCAPES = late(r"(?:[^\\]|\\(?:[\\'\"abfnrtv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}))*")
"""Those that every Python reads alike, without a warning."""


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    if not text.isascii() or not _ESCAPES.fullmatch(text):
        raise InputError("bad-npy", "an npy header has an escape that is not followed")
    try:
        return text.encode("ascii").decode("unicode_escape")
    except UnicodeDecodeError:
        raise InputError("bad-npy", "an npy header has a broken escape") from None
