"""Safetensors: eight bytes of header length, a JSON header, then the bytes of the tensors without hole or overlap.

Reads the header and nothing of the weights but the first bytes of each tensor (a program hidden in one is handed on
as a part). What the format's text forbids becomes an anomaly, so that a rule can say how bad it is; only bytes that
no safetensors loader would take are refused. Format text: https://github.com/huggingface/safetensors#format, with
the element types of safetensors 0.8.
"""

import re
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import MemorySource, Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json
from weighbridge.formats.embedded import program_part
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
OVERFLOW = 2**67
"""Bits; what no 64-bit count of bytes can say."""
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetensorsReading(Reading):
    """The header's contents."""

    metadata: tuple[tuple[str, str], ...] = ()
    """`__metadata__`, as far as it is strings."""
    header_size: int = 0


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read the header and check it against the file. `InputError`: `not-this-format`, `truncated`, `bad-json`, …"""
    header = _header(source, budget, name)
    start = 8 + len(header)
    check = _Check(source=source, start=start, room=source.size - start)
    check.framing(header)
    try:
        document = read_json(header, "safetensors header", limit=MAX_HEADER)
    except InputError as error:
        if error.code != "duplicate-key":
            raise
        check.odd("duplicate-key", error.message, offset=8)
        check.gaps.append(
            Gap(code="duplicate-key", message="which of the two is meant depends on the reader")
        )
        return check.reading(len(header), unlisted="the header names something twice")
    if not isinstance(document, dict):
        raise InputError("bad-json", "safetensors header is not a JSON object")
    budget.spend_members(len(document))
    check.metadata(document.pop("__metadata__", {}))
    check.tensors(document)
    return check.reading(len(header))


def _header(source: Source, budget: Budget, name: str) -> bytes:
    length = int.from_bytes(source.read(0, 8), "little")
    start = source.read(8, 64)
    if source.size < 10 or length < 2 or start.lstrip()[:1] not in (b"{", b""):
        raise InputError("not-this-format", "no safetensors header")
    if length > source.size - 8:
        ours = name.lower().endswith(".safetensors") and length <= MAX_HEADER and start[:1] == b"{"
        code = "truncated" if ours else "not-this-format"
        raise InputError(code, f"the header of {length} bytes ends behind the file's {source.size}")
    if length > MAX_HEADER:
        raise InputError("header-too-large", f"the header has {length} bytes, the format allows {MAX_HEADER}")
    budget.need_memory(length, "safetensors header")
    budget.spend_bytes(length + 8)
    header = source.read(8, length)
    _ask_memory(header, budget)
    return header


def _ask_memory(header: bytes, budget: Budget) -> None:
    """JSON costs memory by the item: count what makes one before parsing."""
    items = header.count(b"{") + header.count(b"[") + header.count(b",") + header.count(b":")
    budget.need_memory(2 * len(header) + 60 * items, "safetensors header, parsed,")


@dataclass(slots=True, kw_only=True)
class _Check:
    """Collects what the header says and where that differs from the format's text."""

    source: Source
    start: int
    """Where the tensors' bytes begin; offsets in the header count from here."""
    room: int
    """How many bytes follow."""
    anomalies: list[Anomaly] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    refs: list[TensorRef] = field(default_factory=list)
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
            if looks_like_template(key, value):
                text = MemorySource(value.encode("utf-8", "surrogatepass"))
                self.parts.append(Part(name=f"__metadata__ {visible(key, 80)}", source=text, kind="template"))

    def tensors(self, entries: dict[str, Any]) -> None:
        """Check each entry by itself, then all spans against each other and the end of the file."""
        spans = []
        for name, entry in entries.items():
            span = self._tensor(name, entry)
            if span is not None:
                spans.append((*span, name))
        spans.sort()
        self._layout(spans)
        self.parts += self._programs()

    def _tensor(self, name: str, entry: Any) -> tuple[int, int] | None:
        try:
            dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            bits = _bits(dtype, shape)
        except (KeyError, TypeError, ValueError):
            self.odd("entry-malformed", "no dtype, shape and pair of offsets", part=visible(name, 80))
            return None
        if type(begin) is not int or type(end) is not int or not 0 <= begin <= end <= self.room:
            self.odd("out-of-file", f"bytes {begin} to {end} of {self.room}", part=visible(name, 80))
            return None
        length = end - begin
        if bits != length * 8 or len(entry) != 3 or dtype not in DTYPE_BITS or not name.isascii():
            self._odd_entry(name, entry, bits, length)
        self.refs.append(
            TensorRef(
                name, dtype, tuple(shape), ((self.start + begin, length),), None, _ITEMSIZE.get(dtype, 1)
            )
        )
        return begin, end

    def _odd_entry(self, name: str, entry: dict[str, Any], bits: int, length: int) -> None:
        part = visible(name, 80)
        if len(entry) != 3:
            self.odd("entry-extra-key", "more than dtype, shape and offsets", part=part)
        if _SURROGATE.search(name):
            self.odd("name-not-text", "the name holds half of a surrogate pair", part=part)
        if entry["dtype"] not in DTYPE_BITS:
            self.odd("dtype-unknown", f'no such dtype: "{visible(entry["dtype"], 40)}"', part=part)
        elif bits >= OVERFLOW:
            self.odd("shape-overflow", "the shape multiplies to more than 64 bits hold", part=part)
        elif bits != length * 8:
            what = f"{entry['dtype']} {entry['shape'][:8]}"
            self.odd("size-mismatch", f"{what} needs {-(-bits // 8)} bytes, its span has {length}", part=part)

    def _layout(self, spans: list[tuple[int, int, str]]) -> None:
        reached = 0
        for begin, end, name in spans:
            if begin < reached:
                code = "overlap" if end > begin else "empty-misplaced"
                message = f"begins {reached - begin} bytes before the end of another tensor"
                self.odd(code, message, offset=self.start + begin, part=visible(name, 80))
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

    def _programs(self) -> Iterator[Part]:
        for ref in self.refs:
            ((offset, length),) = ref.spans
            part = program_part(self.source, offset, length, ref.name)
            if part is not None:
                yield part

    def reading(self, header_size: int, *, unlisted: str = "") -> SafetensorsReading:
        """What was found; tensors are listed only where their spans can be trusted."""
        if self.more:
            self.anomalies.append(Anomaly(code="more", message=f"{self.more} more like these"))
        bad = [a for a in self.anomalies if a.code in UNTRUSTED_SPANS]
        unlisted = unlisted or (f"{bad[0].code} in the header" if bad else "")
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


def _bits(dtype: Any, shape: Any) -> int:
    """Bits of the whole tensor, cut at `OVERFLOW`; 0 for an unknown dtype. `TypeError` for what are no sizes."""
    if type(dtype) is not str or type(shape) is not list:
        raise TypeError
    bits = DTYPE_BITS.get(dtype, 0)
    for size in shape:
        if type(size) is not int or size < 0:  # `True` is no size
            raise TypeError
        bits *= size
        if bits >= OVERFLOW:
            return OVERFLOW
    return bits
