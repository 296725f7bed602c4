"""Safetensors: eight bytes of header length, a JSON header, then the bytes of the tensors without hole or overlap.

Reads the header and nothing of the weights but the first bytes of each tensor (a program hidden in one is handed on
as a part). What the format's text forbids becomes an anomaly, so that a rule can say how bad it is; only bytes that
no safetensors loader would take are refused. Format text: https://github.com/huggingface/safetensors#format, with
the element types of safetensors 0.8.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from itertools import islice
from operator import le
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.source import MemorySource, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json_at
from weighbridge.formats.embedded import program_part, text_part
from weighbridge.formats.membernames import escapes
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef

MAX_HEADER = 100_000_000
"""Bytes; the limit of the reference implementation."""
MAX_ANOMALIES = 100
"""One file with a hundred thousand wrong tensors says so a hundred times, then gives the count."""
DTYPE_BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}
_ITEMSIZE = {dtype: max(1, bits // 8) for dtype, bits in DTYPE_BITS.items()}
REF_SIZE = 450
"""Bytes of memory that one listed tensor takes; the tensors of a file that has too many for the budget are not listed."""
MAX_PARTS = 1000
MAX_RANK = 64
"""Dimensions; NumPy's limit since 2.0, and more than torch's kernels take."""
ABSURD_RANK = 1024
OVERFLOW = 2**67
"""Bits; what no 64-bit count of bytes can say."""
_SURROGATE = late("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetensorsReading(Reading):
    """The header's contents."""

    metadata: tuple[tuple[str, str], ...] = ()
    """`__metadata__`, as far as it is strings."""
    header_size: int = 0


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read the header and check it against the file.

    Raises `InputError` (`not-this-format`) and `LimitError`; a header that its loader would choke on is a reading with
    an anomaly where the name promises the format, or where the header is whole.
    """
    try:
        header = _header(source, budget, name)
    except _BrokenError as error:
        return _broken(error.code, error.message, 0)
    start = 8 + len(header)
    check = _Check(source=source, budget=budget, start=start, room=source.size - start)
    check.framing(header)
    size = len(header)
    try:
        text = _text(header)
        del header
        check.tensors(_entries(text, budget))
    except InputError as error:
        if error.code == "duplicate-key":
            return _broken(error.code, error.message, size)
        if not name.lower().endswith(".safetensors"):
            raise
        return _broken("header-not-json", error.message, size)
    return check.reading(size)


def _text(header: bytes) -> str:
    try:
        return header.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("bad-json", f"safetensors header is not UTF-8: {error}") from None


class _BrokenError(Exception):
    """A header that cannot be read, in a file that promises one."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def _broken(code: str, message: str, size: int) -> "SafetensorsReading":
    return SafetensorsReading(
        format="safetensors",
        anomalies=(Anomaly(code=code, message=message, offset=8 if size else 0),),
        gaps=(Gap(code=code, message=f"{message}; no tensor was looked at"),),
        tensors_unlisted=message,
        header_size=size,
    )


def _header(source: Source, budget: Budget, name: str) -> bytes:
    length = int.from_bytes(source.read(0, 8), "little")
    start = source.read(8, 64)
    if source.size < 10 or length < 2 or start.lstrip()[:1] not in (b"{", b""):
        raise InputError("not-this-format", "no safetensors header")
    promised = name.lower().endswith(".safetensors") and start[:1] == b"{"
    if length > source.size - 8:
        message = f"the header of {length} bytes ends behind the file's {source.size}"
        if promised:
            raise _BrokenError("header-out-of-file", message)
        raise InputError("not-this-format", message)
    if length > MAX_HEADER:
        message = f"the header has {length} bytes, the format allows {MAX_HEADER}"
        if promised:
            raise _BrokenError("header-too-large", message)
        raise InputError("header-too-large", message)
    budget.need_memory(2 * length, "safetensors header")
    budget.spend_bytes(length + 8)
    return source.read(8, length)


Entry = tuple[str, "tuple[str, tuple[int, ...], int, int] | Any"]
"""A name, and either (dtype, shape, begin, end) or whatever JSON stands there instead."""

_SPACE = r"[ \t\n\r]*"
_COUNT = r"(0|[1-9][0-9]{0,18})"
_ENTRY = late(
    rf'''{_SPACE}"([^"\\\x00-\x1f]*)"{_SPACE}:{_SPACE}\{{{_SPACE}"dtype"{_SPACE}:{_SPACE}"(\w{{1,20}})"{_SPACE},'''
    rf'''{_SPACE}"shape"{_SPACE}:{_SPACE}\[([0-9, \t\n\r]*)\]{_SPACE},{_SPACE}"data_offsets"{_SPACE}:{_SPACE}'''
    rf"""\[{_SPACE}{_COUNT}{_SPACE},{_SPACE}{_COUNT}{_SPACE}\]{_SPACE}\}}""",
    re.ASCII,
)
"""An entry as every writer of the format writes it; all others are read as JSON, one by one."""
_SHAPE = late(rf"{_SPACE}(?:{_COUNT}{_SPACE}(?:,{_SPACE}(?:0|[1-9][0-9]{{0,18}}){_SPACE})*)?\Z")
_BLANKS = late(_SPACE)


def _entries(text: str, budget: Budget) -> Iterator[Entry]:
    """The header's entries, one at a time, so that a header of 100 MB needs little more memory than its text."""
    shapes: dict[str, tuple[int, ...]] = {}
    at = _behind(text, 0, "{")
    if text.startswith("}", at):
        _nothing_behind(text, at + 1)
        return
    while True:
        found = _ENTRY.match(text, at)
        if found is not None and (found[3] in shapes or _SHAPE.match(found[3])):
            shape = shapes.get(found[3])
            if shape is None:
                shape = shapes[found[3]] = tuple(map(int, found[3].split(","))) if found[3].strip() else ()
            yield found[1], (found[2], shape, int(found[4]), int(found[5]))
            at = found.end()
        else:
            name, at = read_json_at(text, _blank(text, at), budget, "safetensors header")
            if not isinstance(name, str):
                raise InputError("bad-json", "safetensors header has a key that is no string")
            at = _behind(text, at, ":")
            value, at = read_json_at(text, at, budget, "safetensors header")
            yield name, value
        at = _blank(text, at)
        if text.startswith("}", at):
            _nothing_behind(text, at + 1)
            return
        at = _behind(text, at, ",")


def _blank(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found is not None else at


def _behind(text: str, at: int, mark: str) -> int:
    """The position behind `mark` and the white space around it."""
    at = _blank(text, at)
    if not text.startswith(mark, at):
        raise InputError("bad-json", f'safetensors header is not strict JSON: no "{mark}" at character {at}')
    return _blank(text, at + 1)


def _nothing_behind(text: str, at: int) -> None:
    if _blank(text, at) < len(text):
        raise InputError("bad-json", f"safetensors header is not strict JSON: extra data at character {at}")


@dataclass(slots=True, kw_only=True)
class _Check:
    """Collects what the header says and where that differs from the format's text."""

    source: Source
    budget: Budget
    start: int
    """Where the tensors' bytes begin; offsets in the header count from here."""
    room: int
    """How many bytes follow."""
    anomalies: list[Anomaly] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    refs: list[TensorRef] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    begins: "array[int]" = field(default_factory=lambda: array("Q"))
    ends: "array[int]" = field(default_factory=lambda: array("Q"))
    """Of every tensor whose span lies in the file; in the order of the header, as `names`."""
    pairs: list[tuple[str, str]] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    more: int = 0

    def odd(self, code: str, message: str, *, offset: int | None = None, part: str = "") -> None:
        """Note one anomaly; beyond the limit only count it."""
        if len(self.anomalies) < MAX_ANOMALIES:
            self.anomalies.append(Anomaly(code=code, message=message, offset=offset, part=part))
        else:
            self.more += 1

    def framing(self, header: bytes) -> None:
        """The header begins with `{`; behind its `}` only spaces may stand."""
        if header[:1] != b"{":
            self.odd("header-start", "the header begins with white space, which the format forbids", offset=8)
        if header.rstrip(b" ")[-1:] != b"}":
            self.odd("header-padding", "the header is padded with something other than spaces", offset=8)

    def metadata(self, metadata: Any) -> None:
        """Strings to strings; a chat template among them is handed on as a part."""
        pairs = metadata.items() if isinstance(metadata, dict) else ()
        self.pairs = [(key, value) for key, value in pairs if isinstance(value, str)]
        if not isinstance(metadata, dict) or len(self.pairs) != len(metadata):
            self.odd(
                "metadata-not-strings", "__metadata__ holds something other than strings", part="__metadata__"
            )
        for key, value in self.pairs:
            runs = text_part(value.encode("utf-8", "surrogatepass"), f"__metadata__ {visible(key, 80)}")
            if runs is not None and len(self.parts) < MAX_PARTS:
                self.parts.append(runs)
            if looks_like_template(key, value):
                text = MemorySource(value.encode("utf-8", "surrogatepass"))
                self.parts.append(Part(name=f"__metadata__ {visible(key, 80)}", source=text, kind="template"))

    def tensors(self, entries: Iterable[Entry]) -> None:
        """Check each entry by itself, then all spans against each other and the end of the file."""
        seen: set[str] = set()
        for name, entry in entries:
            self.budget.spend_members()
            if name in seen:
                raise InputError(
                    "duplicate-key", f'safetensors header has the key "{visible(name, 100)}" twice'
                )
            seen.add(name)
            if name == "__metadata__":
                self.metadata(entry)
            elif not isinstance(entry, tuple):
                self._json_entry(name, entry)
            else:
                self._tensor(name, *entry)
        order = self._order()
        self._layout(order)
        self._programs(order)

    def _json_entry(self, name: str, entry: Any) -> None:
        """An entry that is written otherwise than all writers do."""
        try:
            dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            _refuse_no_sizes(dtype, shape)
        except (KeyError, TypeError, ValueError):
            self.odd("entry-malformed", "no dtype, shape and pair of offsets", part=visible(name, 80))
            return
        if type(begin) is not int or type(end) is not int:
            self.odd("out-of-file", f"bytes {begin} to {end} of {self.room}", part=visible(name, 80))
            return
        if len(entry) != 3:
            more = visible(", ".join(sorted(set(entry) - {"dtype", "shape", "data_offsets"})), 80)
            self.odd("entry-extra-key", f"more than dtype, shape and offsets: {more}", part=visible(name, 80))
        self._tensor(name, dtype, tuple(shape), begin, end)

    def _tensor(self, name: str, dtype: str, shape: tuple[int, ...], begin: int, end: int) -> None:
        if not 0 <= begin <= end <= self.room:
            self.odd("out-of-file", f"bytes {begin} to {end} of {self.room}", part=visible(name, 80))
            return
        length = end - begin
        bits = _bits(dtype, shape)
        if "../" in name and escapes(name):
            self.odd(
                "name-escapes",
                "the name is a path out of the folder, for whoever unpacks tensors to files",
                part=visible(name, 80),
            )
        if bits != length * 8 or dtype not in DTYPE_BITS or not name.isascii():
            self._odd_entry(name, dtype, shape, bits, length)
        if len(shape) > MAX_RANK:
            code = "rank-absurd" if len(shape) > ABSURD_RANK else "rank-large"
            self.odd(code, f"a tensor of {len(shape)} dimensions", part=visible(name, 80))
        self.names.append(name)
        self.begins.append(begin)
        self.ends.append(end)
        if len(self.names) * REF_SIZE <= self.budget.limits.memory:
            spans = ((self.start + begin, length),)
            self.refs.append(TensorRef(name, dtype, shape, spans, None, _ITEMSIZE.get(dtype, 1)))

    def _order(self) -> Sequence[int]:
        """The tensors in the order of their bytes."""
        begins, ends, everyone = self.begins, self.ends, range(len(self.names))
        if all(map(le, begins, islice(begins, 1, None))) and all(map(le, ends, islice(begins, 1, None))):
            return everyone
        return sorted(everyone, key=lambda index: (begins[index], ends[index]))

    def _odd_entry(self, name: str, dtype: str, shape: tuple[int, ...], bits: int, length: int) -> None:
        part = visible(name, 80)
        if _SURROGATE.search(name):
            self.odd("name-not-text", "the name holds half of a surrogate pair", part=part)
        if dtype not in DTYPE_BITS:
            self.odd("dtype-unknown", f'no such dtype: "{visible(dtype, 40)}"', part=part)
        elif bits >= OVERFLOW:
            self.odd("shape-overflow", "the shape multiplies to more than 64 bits hold", part=part)
        elif bits != length * 8:
            what = f"{dtype} {list(shape[:8])}"
            self.odd("size-mismatch", f"{what} needs {-(-bits // 8)} bytes, its span has {length}", part=part)

    def _layout(self, order: Sequence[int]) -> None:
        reached = 0
        for index in order:
            begin, end = self.begins[index], self.ends[index]
            if begin < reached:
                code = "overlap" if end > begin else "empty-misplaced"
                message = f"begins {reached - begin} bytes before the end of another tensor"
                self.odd(code, message, offset=self.start + begin, part=visible(self.names[index], 80))
            elif begin > reached:
                self._unused("hole", reached, begin)
            reached = max(reached, end)
        if reached < self.room:
            self._unused("trailing-bytes", reached, self.room)

    def _unused(self, code: str, begin: int, end: int) -> None:
        message = f"{end - begin} bytes that belong to no tensor"
        self.odd(code, message, offset=self.start + begin)
        if len(self.gaps) < MAX_ANOMALIES:
            self.gaps.append(Gap(code=code, message=message, offset=self.start + begin))

    def _programs(self, order: Sequence[int]) -> None:
        """Read in the order of the file: the source may be one that is hashed while it is read."""
        for index in order:
            begin, end = self.begins[index], self.ends[index]
            part = program_part(self.source, self.start + begin, end - begin, self.names[index])
            if part is not None and len(self.parts) < MAX_PARTS:
                self.parts.append(part)

    def reading(self, header_size: int) -> SafetensorsReading:
        """What was found; tensors are listed only where their spans can be trusted."""
        if self.more:
            self.anomalies.append(Anomaly(code="more", message=f"{self.more} more like these"))
        bad = [a for a in self.anomalies if a.code in UNTRUSTED_SPANS]
        unlisted = f"{bad[0].code} in the header" if bad else ""
        if len(self.refs) < len(self.names):
            unlisted = unlisted or f"{len(self.names)} tensors are too many to list"
        return SafetensorsReading(
            format="safetensors",
            anomalies=tuple(self.anomalies),
            gaps=tuple(self.gaps),
            parts=tuple(self.parts),
            tensors=None if unlisted else tuple(self.refs),
            tensors_unlisted=unlisted,
            metadata=tuple(self.pairs),
            header_size=header_size,
        )


UNTRUSTED_SPANS = {
    "entry-malformed",
    "name-not-text",
    "out-of-file",
    "size-mismatch",
    "shape-overflow",
    "overlap",
    "dtype-unknown",
}


def looks_like_template(key: str, value: str) -> bool:
    """Whether some loader would render `value` with Jinja: its key says so, or a statement block stands in it."""
    marked = "{%" in value or "{{" in value
    return marked and (
        "template" in key.lower() or ("{%" in value and "%}" in value) or not _json_like(value)
    )


def _json_like(value: str) -> bool:
    return value.lstrip()[:1] in ("{", "[") and not value.lstrip().startswith(("{{", "{%"))


def _refuse_no_sizes(dtype: Any, shape: Any) -> None:
    """`TypeError` for what is no dtype or no shape; `True` is no size."""
    if type(dtype) is not str or type(shape) is not list:
        raise TypeError
    if any(type(size) is not int or size < 0 for size in shape):
        raise TypeError


def _bits(dtype: str, shape: tuple[int, ...]) -> int:
    """Bits of the whole tensor, cut at `OVERFLOW`; 0 for an unknown dtype."""
    bits = DTYPE_BITS.get(dtype, 0)
    for size in shape:
        bits *= size
        if bits >= OVERFLOW:
            return OVERFLOW
    return bits
