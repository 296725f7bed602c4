"""GGUF versions 1 to 3, little and big endian: metadata, tensor table, then the tensors' bytes.

Every count, length, dimension, offset and size is checked against the file before it is used. Values of arrays are
stepped over, not kept; chat templates are handed on as parts. The weights are not read but for the first bytes of
each tensor (a program hidden in one is handed on too). Format text: docs/gguf.md of the ggml project; the limits are
those of llama.cpp (4 dimensions, 63 bytes of tensor name).

A number that cannot be right in any file of this size is an anomaly (`…-overflow`, `out-of-file`); bytes that merely
end too early raise `InputError` (`truncated`).
"""

import re
import struct
from dataclasses import field, replace
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Slice, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.embedded import HEAD, looks_packed, program_part, text_part
from weighbridge.formats.membernames import escapes
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef

NAME_ESCAPES = "the name is a path out of the folder, for whoever unpacks tensors to files"


class TensorType(NamedTuple):
    """One element type of ggml: `size` bytes hold `block` items."""

    name: str
    block: int
    size: int


TENSOR_TYPES: dict[int, TensorType] = {
    0: TensorType("F32", 1, 4),
    1: TensorType("F16", 1, 2),
    2: TensorType("Q4_0", 32, 18),
    3: TensorType("Q4_1", 32, 20),
    6: TensorType("Q5_0", 32, 22),
    7: TensorType("Q5_1", 32, 24),
    8: TensorType("Q8_0", 32, 34),
    9: TensorType(
        "Q8_1", 32, 36
    ),  # the gguf Python package says 40; the type is for work memory, not for files
    10: TensorType("Q2_K", 256, 84),
    11: TensorType("Q3_K", 256, 110),
    12: TensorType("Q4_K", 256, 144),
    13: TensorType("Q5_K", 256, 176),
    14: TensorType("Q6_K", 256, 210),
    15: TensorType("Q8_K", 256, 292),
    16: TensorType("IQ2_XXS", 256, 66),
    17: TensorType("IQ2_XS", 256, 74),
    18: TensorType("IQ3_XXS", 256, 98),
    19: TensorType("IQ1_S", 256, 50),
    20: TensorType("IQ4_NL", 32, 18),
    21: TensorType("IQ3_S", 256, 110),
    22: TensorType("IQ2_S", 256, 82),
    23: TensorType("IQ4_XS", 256, 136),
    24: TensorType("I8", 1, 1),
    25: TensorType("I16", 1, 2),
    26: TensorType("I32", 1, 4),
    27: TensorType("I64", 1, 8),
    28: TensorType("F64", 1, 8),
    29: TensorType("IQ1_M", 256, 56),
    30: TensorType("BF16", 1, 2),
    34: TensorType("TQ1_0", 256, 54),
    35: TensorType("TQ2_0", 256, 66),
    39: TensorType("MXFP4", 32, 17),
    40: TensorType("NVFP4", 64, 36),
    41: TensorType("Q1_0", 128, 18),
}
"""Numbers that are missing were withdrawn (4, 5, 31 to 33, 36 to 38) or are not given out yet."""

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
"""Metadata value type → `struct` code."""
UINT32, BOOL, STRING, ARRAY = 4, 7, 8, 9
FIRST_IMPOSSIBLE = 64
"""Types are given out one by one and loaders index a table with them; 41 is the last one so far."""
MAX_DIMS = 4
MAX_NAME = 63
MAX_NESTING = 4
MAX_KEPT = 4096
"""Bytes of a string value that is kept in the reading."""
MAX_KEY = 65_535
MAX_PARTS = 1000
PER_TOKEN = frozenset(("tokenizer.ggml.scores", "tokenizer.ggml.token_type"))
TOKEN_ID = re.compile(r"tokenizer\.ggml\.\w+_token_id\Z")
NO_TOKEN = frozenset((0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF))
"""What writers put where a model has no such token: -1 in a number without sign."""
COUNTS = (
    ".block_count",
    ".embedding_length",
    ".attention.head_count",
    ".feed_forward_length",
    ".expert_count",
    ".expert_used_count",
    ".attention.head_count_kv",
    ".attention.key_length",
    ".attention.value_length",
    ".rope.dimension_count",
    ".vocab_size",
)
MAX_COUNT = 2**28
MAX_TEMPLATES = 32
"""Templates in one array that are looked at."""
MAX_ALIGNMENT = 65_536
DEFAULT_ALIGNMENT = 32
MIN_HIDDEN = 64
ENTRY_COST = 640
"""Bytes of memory that one entry of the header costs here, with what may be wrong with it."""
CHUNK = 256 * 1024


class Pair(NamedTuple):
    """One metadata entry. `value` is None for arrays and for templates and long strings; `length` tells their size."""

    key: str
    kind: int
    value: Any
    length: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufReading(Reading):
    """Metadata and layout."""

    version: int
    big_endian: bool
    alignment: int
    metadata: tuple[Pair, ...] = ()
    data_offset: int = 0

    @property
    def shards(self) -> int:
        """How many files the model is split into, by what this one says; 0 for a whole model."""
        count = next((p.value for p in self.metadata if p.key == "split.count"), 0)
        return count if isinstance(count, int) and count > 1 else 0


class _Info(NamedTuple):
    """One line of the tensor table as it stands there; `dims` innermost first."""

    name: str
    dims: tuple[int, ...]
    kind: int
    offset: int
    at: int


class _UnusableError(Exception):
    """The rest cannot be read, for the reason that the last anomaly gives."""


class _TooLongError(Exception):
    """A string that is longer than the whole file."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read metadata and tensor table. `InputError`: `not-this-format`, `version-unknown`, `truncated`."""
    if source.read(0, 4) != b"GGUF" or source.size < 8:
        raise InputError("not-this-format", "no GGUF header")
    version = source.read(4, 4)
    big = version[:2] == b"\0\0"
    number = int.from_bytes(version, "big" if big else "little")
    if number not in (1, 2, 3):
        raise InputError("version-unknown", f"GGUF version {number} is not known (1 to 3 are)")
    cursor = _Cursor(source, budget, ">" if big else "<", wide=number > 1)
    return _File(cursor=cursor, source=source, budget=budget, version=number, big=big).reading()


class _Cursor:
    """Steps through the header with one chunk of it in memory."""

    def __init__(self, source: Source, budget: Budget, order: str, *, wide: bool) -> None:
        self.at = 8
        self._source, self._budget = source, budget
        self._chunk, self._base = b"", 0
        self._u32 = struct.Struct(f"{order}I")
        self._u64 = struct.Struct(f"{order}Q")
        self._count = self._u64 if wide else self._u32
        self._codes = {kind: struct.Struct(order + code) for kind, code in SCALARS.items()}

    def take(self, length: int) -> bytes:
        """The next bytes. `InputError` (`truncated`)."""
        if self.at + length > self._source.size:
            raise InputError("truncated", f"the header ends behind the file's {self._source.size} bytes")
        start = self.at - self._base
        if start < 0 or start + length > len(self._chunk):
            self._chunk, self._base = self._source.read(self.at, max(CHUNK, length)), self.at
            self._budget.spend_bytes(len(self._chunk))
            start = 0
        self.at += length
        return self._chunk[start : start + length]

    def skip(self, length: int) -> None:
        """Step over bytes that are in the file. `InputError` (`truncated`)."""
        if self.at + length > self._source.size:
            raise InputError("truncated", f"the header ends behind the file's {self._source.size} bytes")
        self.at += length

    def u32(self) -> int:
        """The next four bytes."""
        number: int = self._u32.unpack(self.take(4))[0]
        return number

    def u64(self) -> int:
        """The next eight bytes."""
        number: int = self._u64.unpack(self.take(8))[0]
        return number

    def count(self) -> int:
        """A count or length: four bytes in version 1, eight since."""
        number: int = self._count.unpack(self.take(self._count.size))[0]
        return number

    def scalar(self, kind: int) -> Any:
        """One number or boolean."""
        return self._codes[kind].unpack(self.take(self._codes[kind].size))[0]

    def width(self, kind: int) -> int:
        """Bytes of one number or boolean."""
        return self._codes[kind].size

    @property
    def count_size(self) -> int:
        """Bytes that `count` takes."""
        return self._count.size

    def skip_strings(self, count: int) -> None:
        """Step over strings: a vocabulary has hundreds of thousands, so whole chunks are walked at once."""
        unpack, width = self._count.unpack_from, self._count.size
        while count:
            self.take(width)
            chunk, at, end, length = self._chunk, self.at - width - self._base, len(self._chunk) - width, 0
            while count and at <= end:
                (length,) = unpack(chunk, at)
                at += width + length
                count -= 1
            if length > self._source.size:
                raise _TooLongError(length)
            self.at = self._base + at
            self.skip(0)


@dataclass(slots=True, kw_only=True)
class _File:
    """The steps through one file, and what was seen on the way."""

    cursor: _Cursor
    source: Source
    budget: Budget
    version: int
    big: bool
    anomalies: list[Anomaly] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    infos: list[_Info] = field(default_factory=list)
    refs: list[TensorRef] = field(default_factory=list)
    unlisted: str = ""

    def reading(self) -> GgufReading:
        """Header, metadata, tensor table, layout: in the order of the file."""
        data = 0
        try:
            tensors, pairs = self.cursor.count(), self.cursor.count()
            self._fits("tensor count", tensors, self.cursor.count_size + 16)
            self._fits("metadata count", pairs, self.cursor.count_size + 5)
            self.budget.spend_members(tensors + pairs)
            self.budget.need_memory(ENTRY_COST * (tensors + pairs), "the metadata and the tensor table")
            self._metadata(pairs)
            self._numbers()
            self._table(tensors)
            data = self._aligned(self.cursor.at)
            self._layout(data)
        except _UnusableError:
            last = self.anomalies[-1]
            self.unlisted = last.message
            self.gaps.append(Gap(code=last.code, message="what follows was not read", offset=last.offset))
        reading = GgufReading(
            format="gguf",
            anomalies=tuple(self.anomalies),
            gaps=tuple(self.gaps),
            parts=tuple(self.parts),
            tensors=None if self.unlisted else tuple(self.refs),
            tensors_unlisted=self.unlisted,
            version=self.version,
            big_endian=self.big,
            alignment=self.alignment,
            metadata=tuple(self.pairs),
            data_offset=data,
        )
        return replace(reading, keep=True) if reading.shards else reading

    def odd(self, code: str, message: str, *, offset: int | None = None, part: str = "") -> None:
        """Note one anomaly."""
        self.anomalies.append(Anomaly(code=code, message=message, offset=offset, part=visible(part, 80)))

    def _give_up(self, code: str, message: str, *, offset: int | None = None, part: str = "") -> None:
        self.odd(code, message, offset=self.cursor.at if offset is None else offset, part=part)
        raise _UnusableError

    def _fits(self, what: str, count: int, each: int) -> None:
        """A number of things of at least `each` bytes must fit into a file of this size."""
        if count * each > self.source.size:
            self._give_up("count-overflow", f"{what} {count} cannot fit into {self.source.size} bytes")

    # -- metadata

    def _metadata(self, count: int) -> None:
        seen: set[str] = set()
        for _ in range(count):
            at = self.cursor.at
            key = self._string("key", MAX_KEY)
            if not key:
                self.odd(
                    "key-empty",
                    "a metadata key without a name, which llama.cpp's own check ends on",
                    offset=at,
                )
            if key in seen:
                self.odd("duplicate-key", f'metadata key "{visible(key, 80)}" stands twice', offset=at)
            seen.add(key)
            self._pair(key, at)

    def _numbers(self) -> None:
        """Numbers that loaders multiply, allocate and index by, and lists that must be as long as the vocabulary."""
        tokens = next(
            (p.length for p in self.pairs if p.key == "tokenizer.ggml.tokens" and p.kind == ARRAY), None
        )
        self._split()
        for pair in self.pairs:
            if TOKEN_ID.match(pair.key) and tokens is not None:
                self._token(pair, tokens)
            elif (
                pair.key in PER_TOKEN and pair.kind == ARRAY and tokens is not None and pair.length != tokens
            ):
                message = f"{pair.length} entries for {tokens} tokens: loaders read behind the shorter list"
                self.odd("list-length", message, offset=pair.offset, part=pair.key)
            elif (
                pair.key.endswith(COUNTS)
                and isinstance(pair.value, int)
                and not _least(pair.key) <= pair.value < MAX_COUNT
            ):
                message = f"{pair.value} is no number of layers, heads or features of a model"
                self.odd("number-absurd", message, offset=pair.offset, part=pair.key)

    def _split(self) -> None:
        """The numbers of a shard: its own below their count, and no count below nothing."""
        numbers = {p.key: p for p in self.pairs if p.key.startswith("split.") and isinstance(p.value, int)}
        own, count = numbers.get("split.no"), numbers.get("split.count")
        if own is not None and own.value >= (max(1, count.value) if count else 1):
            message = (
                f"shard {own.value} of {count.value if count else 1}: loaders name its siblings by these"
            )
            self.odd("split-number", message, offset=own.offset, part=own.key)
        for pair in numbers.values():
            if pair.value < 0:
                self.odd("split-number", f"{pair.value} is no count", offset=pair.offset, part=pair.key)

    def _token(self, pair: Pair, tokens: int) -> None:
        """A special token that the vocabulary does not have; just behind its end it is a known slip of converters."""
        if not isinstance(pair.value, int) or pair.value in NO_TOKEN or -1 <= pair.value < tokens:
            return
        far = pair.value < 0 or pair.value >= 2 * max(tokens, 64)
        message = f"token {pair.value} of a vocabulary of {tokens}: loaders look it up without asking"
        self.odd("token-absurd" if far else "token-beyond", message, offset=pair.offset, part=pair.key)

    def _pair(self, key: str, at: int) -> None:
        kind = self.cursor.u32()
        if kind == STRING:
            length = self._length("string value")
            self._text(key, length, at)
        elif kind == ARRAY:
            count = self._array(key, 0)
            self.pairs.append(Pair(key, kind, None, count, at))
        elif kind in SCALARS:
            value = self.cursor.scalar(kind)
            if kind == BOOL and value > 1:
                self.odd("bool-invalid", f"a boolean has the value {value}", offset=at, part=key)
            self.pairs.append(Pair(key, kind, value, 1, at))
        else:
            self._give_up("value-type", f"metadata value type {kind} does not exist", part=key)

    def _text(self, key: str, length: int, at: int) -> None:
        start = self.cursor.at
        if "template" in key:
            self.cursor.skip(length)
            self.parts.append(
                Part(name=visible(key, 80), source=Slice(self.source, start, length), kind="template")
            )
            self.pairs.append(Pair(key, STRING, None, length, at))
        elif length > MAX_KEPT:
            self.cursor.skip(length)
            self._runs(key, start, length)
            self.pairs.append(Pair(key, STRING, None, length, at))
        else:
            raw = self.cursor.take(length)
            part = text_part(raw, visible(key, 80))
            self.parts += [part] if part is not None and len(self.parts) < MAX_PARTS else []
            self.pairs.append(Pair(key, STRING, raw.decode("utf-8", "surrogateescape"), length, at))

    def _runs(self, key: str, start: int, length: int) -> None:
        """A long text that is, or is base64 of, something that runs."""
        head = self.source.read(start, min(length, HEAD))
        if len(self.parts) < MAX_PARTS and (text_part(head, key) is not None or looks_packed(head)):
            self.budget.need_memory(length, "a text of the model")
            part = text_part(self.source.read(start, length), visible(key, 80))
            self.parts += [part] if part is not None else []

    def _array(self, key: str, depth: int) -> int:
        if depth >= MAX_NESTING:
            self._give_up("array-nesting", f"arrays nested deeper than {MAX_NESTING}", part=key)
        kind, count = self.cursor.u32(), self.cursor.count()
        if kind == STRING:
            self._fits(f"array of {key[:40]}", count, self.cursor.count_size)
            looked = min(count, MAX_TEMPLATES) if "template" in key else 0
            self._templates(key, looked)
            if 0 < looked < count:
                message = f"{count} templates, of which {looked} were looked at"
                self.gaps.append(Gap(code="not-read", message=message, offset=self.cursor.at))
            self._strings(key, count - looked)
        elif kind == ARRAY:
            self.odd(
                "array-nesting",
                "an array of arrays, which llama.cpp refuses",
                offset=self.cursor.at,
                part=key,
            )
            self._fits(f"array of {key[:40]}", count, self.cursor.count_size + 4)
            self.budget.spend_members(count)
            for _ in range(count):
                self._array(key, depth + 1)
        elif kind in SCALARS:
            self._fits(f"array of {key[:40]}", count, self.cursor.width(kind))
            self.cursor.skip(count * self.cursor.width(kind))
        else:
            self._give_up("value-type", f"array item type {kind} does not exist", part=key)
        return count

    def _templates(self, key: str, count: int) -> None:
        """A list of templates is rendered like a single one."""
        for index in range(count):
            length = self._length("string value")
            start = self.cursor.at
            self.cursor.skip(length)
            name = f"{visible(key, 80)}[{index}]"
            self.parts.append(Part(name=name, source=Slice(self.source, start, length), kind="template"))

    def _strings(self, key: str, count: int) -> None:
        try:
            self.cursor.skip_strings(count)
        except _TooLongError as error:
            message = f"a string of {error} bytes in a file of {self.source.size}"
            self._give_up("length-overflow", message, part=key)

    def _length(self, what: str) -> int:
        length = self.cursor.count()
        if length > self.source.size:
            self._give_up("length-overflow", f"{what} of {length} bytes in a file of {self.source.size}")
        return length

    def _string(self, what: str, limit: int) -> str:
        length = self._length(what)
        if length > limit:
            self._give_up("length-overflow", f"{what} of {length} bytes, at most {limit} are allowed")
        return self.cursor.take(length).decode("utf-8", "surrogateescape")

    # -- tensor table

    def _table(self, count: int) -> None:
        seen: set[str] = set()
        for _ in range(count):
            info = self._info()
            if info.name in seen:
                self.odd("duplicate-tensor", "two tensors have this name", offset=info.at, part=info.name)
            seen.add(info.name)
            self.infos.append(info)

    def _info(self) -> _Info:
        at = self.cursor.at
        name = self._string("tensor name", MAX_KEY)
        if len(name.encode("utf-8", "surrogateescape")) > MAX_NAME:
            self.odd("name-too-long", f"a tensor name of more than {MAX_NAME} bytes", offset=at, part=name)
        if "../" in name and escapes(name):
            self.odd("name-escapes", NAME_ESCAPES, offset=at, part=name)
        if "\0" in name:
            self.odd("name-nul", "a tensor name that ends at its NUL for some readers", offset=at, part=name)
        count = self.cursor.u32()
        if count > MAX_DIMS:
            self._give_up(
                "too-many-dims", f"{count} dimensions, at most {MAX_DIMS} are allowed", offset=at, part=name
            )
        dims = tuple(self.cursor.count() for _ in range(count))
        return _Info(name, dims, self.cursor.u32(), self.cursor.u64(), at)

    # -- layout

    @property
    def alignment(self) -> int:
        """`general.alignment`, or 32."""
        found = [pair for pair in self.pairs if pair.key == "general.alignment"]
        value = found[0].value if found and found[0].kind == UINT32 else DEFAULT_ALIGNMENT
        return int(value)

    def _aligned(self, offset: int) -> int:
        kinds = {pair.kind for pair in self.pairs if pair.key == "general.alignment"}
        if kinds - {UINT32}:
            self._give_up("alignment-invalid", "general.alignment is not an unsigned 32-bit number")
        alignment = self.alignment
        if alignment == 0 or alignment & (alignment - 1):
            self._give_up("alignment-invalid", f"alignment {alignment} is not a power of two")
        return _padded(offset, alignment)

    def _layout(self, data: int) -> None:
        """Every tensor inside the file, at an aligned offset, none over another, nothing between or behind."""
        if self.alignment > MAX_ALIGNMENT:
            self.odd(
                "alignment-large", f"alignment {self.alignment} leaves room for bytes that nothing names"
            )
        self._padding(self.cursor.at, min(data, self.source.size))
        spans = sorted(span for info in self.infos if (span := self._span(info, data)) is not None)
        reached = data
        for begin, end, name in spans:
            if begin < reached and end > begin:
                message = f"begins {reached - begin} bytes before the end of another tensor"
                self.odd("overlap", message, offset=begin, part=name)
            elif begin > _padded(reached, self.alignment, data):
                self._unused("hole", reached, begin)
            else:
                self._padding(reached, begin)
            reached = max(reached, end)
        behind = max(data, _padded(reached, self.alignment, data))
        padding = (
            self.source.read(reached, max(0, min(behind, self.source.size) - reached))
            if behind - reached < MIN_HIDDEN
            else b""
        )
        if padding.strip(b"\0"):
            self._unused("trailing-bytes", reached, self.source.size)
        elif self.source.size > behind:
            self._unused("trailing-bytes", behind, self.source.size)

    def _padding(self, begin: int, end: int) -> None:
        """Padding is zeros; it is looked at where it is long enough to hide something."""
        for at in range(begin, end if end - begin >= MIN_HIDDEN else begin, CHUNK):
            self.budget.spend_bytes(min(CHUNK, end - at))
            if self.source.read(at, min(CHUNK, end - at)).strip(b"\0"):
                self._unused("padding-not-zero", begin, end)
                return

    def _span(self, info: _Info, data: int) -> tuple[int, int, str] | None:
        kind = TENSOR_TYPES.get(info.kind)
        if kind is None:
            code = "type-unknown" if info.kind < FIRST_IMPOSSIBLE else "type-invalid"
            self._unlist(code, f"tensor type {info.kind} is not known", info)
            return None
        size = self._size(info, kind)
        if size is None:
            return None
        begin, end = data + info.offset, data + info.offset + size
        if end > self.source.size:
            message = f"bytes {begin} to {end} of a file of {self.source.size}"
            self._unlist("out-of-file", message, info)
            return None
        if info.offset % self.alignment:
            self.odd(
                "offset-unaligned", f"offset {info.offset} is no multiple of {self.alignment}", part=info.name
            )
        self._list(info, kind, begin, size)
        return begin, end, info.name

    def _size(self, info: _Info, kind: TensorType) -> int | None:
        items = 1
        for dim in info.dims:
            items *= dim
            if dim >= 2**63 or items >= 2**63:
                self._unlist(
                    "shape-overflow", f"dimensions {info.dims} multiply to more than 63 bits hold", info
                )
                return None
        if info.dims and info.dims[0] % kind.block:
            message = f"rows of {info.dims[0]} items do not divide into {kind.name} blocks of {kind.block}"
            self._unlist("block-misfit", message, info)
            return None
        if not info.dims and kind.block > 1:
            self._unlist("block-misfit", f"one item does not fill a {kind.name} block of {kind.block}", info)
            return None
        if not items:
            message = f"dimensions {info.dims} hold nothing, and loaders divide by each"
            self.odd("shape-empty", message, part=info.name)
        return items // kind.block * kind.size

    def _list(self, info: _Info, kind: TensorType, begin: int, size: int) -> None:
        part = program_part(self.source, begin, size, info.name)
        if part is not None:
            self.parts.append(part)
        if self.big and kind.block > 1:
            self.unlisted = self.unlisted or f"big-endian {kind.name} blocks have no canonical bytes"
        shape = tuple(reversed(info.dims))
        width = kind.size if kind.block == 1 else 1
        self.refs.append(
            TensorRef(info.name, kind.name, shape, ((begin, size),), None, width, None, self.big)
        )

    def _unlist(self, code: str, message: str, info: _Info) -> None:
        self.odd(code, message, offset=info.at, part=info.name)
        self.unlisted = self.unlisted or message

    def _unused(self, code: str, begin: int, end: int) -> None:
        message = f"{end - begin} bytes that belong to no tensor"
        self.odd(code, message, offset=begin)
        self.gaps.append(Gap(code=code, message=message, offset=begin))


def _least(key: str) -> int:
    """The smallest number that loaders take: they divide by that of the blocks (CVE-2024-8063)."""
    return 1 if key.endswith(".block_count") else 0


def _padded(offset: int, alignment: int, base: int = 0) -> int:
    """The next multiple of `alignment` from `base`, at or behind `offset`."""
    return base + (offset - base + alignment - 1) // alignment * alignment
