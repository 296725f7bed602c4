"""One look at the weights of one file: every tensor in turn, then the bytes between them.

The bytes come through the source that the file is examined through, so that they are those that the digest covers. Each
tensor is looked at by itself; only twins are seen over all of them.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import field

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.reading import TensorRef
from weighbridge.scan.weights.numbers import FLOATS, looks_usual, not_finite, plain, width
from weighbridge.scan.weights.payload import Payload, payloads, programs
from weighbridge.scan.weights.planes import low_bytes, packed, shifted, streams, usual_streams
from weighbridge.scan.weights.reading import (
    Constant,
    Hidden,
    Looked,
    NotFinite,
    Outside,
    Region,
    Twins,
    WeightsReading,
)
from weighbridge.scan.weights.regions import Stretch, stretches
from weighbridge.scan.weights.sample import PIECE, Content, has_numpy, pieces, ranges

DEEP = 8192
"""Numbers at a tensor's start whose bits are put together in every way."""
SHORT = 64
"""Bytes below which nothing is hidden in a tensor, and being constant or a twin says nothing."""
GAP = 64
"""Bytes between tensors below which no program fits."""
MAX_GAPS = 64 * 1024**2
"""Bytes between and behind tensors that are looked at, over one file."""
MAX_NOTES = 1000
"""Facts of one kind that are kept."""


def look_at_weights(
    source: Source,
    tensors: Sequence[TensorRef],
    budget: Budget,
    *,
    unlisted: str = "",
    formats: Collection[str] = (),
    whole: bool | None = None,
) -> WeightsReading:
    """Look at the tensors of one file, whole or (where numpy is missing) at samples of `sample.SAMPLE` bytes. `formats` are those that the file was read as.

    Raises what reading raises: `InputError` (`file-changed`), `LimitError` (`limit-seconds`).
    """
    look = _Look(source, budget, has_numpy() if whole is None else whole)
    for ref in tensors:
        look.tensor(ref)
    look.between(tensors)
    if unlisted:
        look.unseen.append(("", unlisted))
    unused = _unused(source, formats, budget)
    return look.reading(tuple(ref.name for ref in tensors), unused)


def _unused(source: Source, formats: Collection[str], budget: Budget) -> tuple[str, ...]:
    """Weights that no node takes, where the file itself states its graph; the format's reader has found it sound."""
    try:
        if "onnx" in formats:
            from weighbridge.formats.onnx import graph as onnxgraph

            return onnxgraph.read_graph(source, budget).unused
        if "tflite" in formats:
            from weighbridge.formats.tflite import graph as tflitegraph

            return tflitegraph.read_graph(source, budget).unused
    except InputError as error:
        if error.code == "file-changed":
            raise
    return ()


@dataclass(slots=True)
class _Look:
    source: Source
    budget: Budget
    whole: bool
    not_finite: list[NotFinite] = field(default_factory=list)
    constant: list[Constant] = field(default_factory=list)
    hidden: list[Hidden] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    outside: list[Outside] = field(default_factory=list)
    unseen: list[tuple[str, str]] = field(default_factory=list)
    seen: dict[object, bytes | None] = field(default_factory=dict)
    """Place of each tensor: tied weights are looked at once."""
    equal: dict[tuple[str, int, bytes], list[str]] = field(default_factory=dict)
    firsts: dict[tuple[str, int, bytes], Looked] = field(default_factory=dict)

    def tensor(self, ref: TensorRef) -> None:
        """One tensor."""
        self.budget.tick()
        if ref.external:
            self.unseen.append((ref.name, "its bytes lie in another file"))
            return
        place = (id(ref.source), ref.spans, ref.dtype)
        if place in self.seen:
            return
        self.seen[place] = None
        content = Content(ref, ref.source or self.source)
        read = sum(end - begin for begin, end in ranges(content.size, content.width, whole=self.whole))
        looked = Looked(name=ref.name, dtype=ref.dtype, read=read, size=content.size)
        if content.size >= content.width and self._fits(ref):
            self._look(looked, content)

    def _fits(self, ref: TensorRef) -> bool:
        size = (ref.source or self.source).size
        return all(offset >= 0 and length >= 0 and offset + length <= size for offset, length in ref.spans)

    def _look(self, looked: Looked, content: Content) -> None:
        nans = infinities = 0
        usual = same = True
        first, digest, zero = b"", hashlib.blake2b(digest_size=16), True
        for at, data in pieces(content, self.budget, whole=self.whole):
            first = first or data[: content.width]
            digest.update(data)
            constant = data == first * (len(data) // len(first))
            same, zero = same and constant, zero and not any(first)
            found = not_finite(looked.dtype, data)
            nans, infinities = nans + found[0], infinities + found[1]
            usual = usual and (not found[1] or looks_usual(looked.dtype, data))
            if looked.size >= SHORT and not constant:
                self._bits(looked, at, data)
        if nans or infinities:
            self.not_finite.append(
                NotFinite(tensor=looked, nans=nans, infinities=infinities, usual=usual and not nans)
            )
        if looked.size < SHORT or looked.size < 2 * content.width:
            return
        if same:
            self.constant.append(Constant(tensor=looked, zero=zero))
            return
        key = (looked.dtype, looked.size, digest.digest())
        self.firsts.setdefault(key, looked)
        self.equal.setdefault(key, []).append(looked.name)

    def _bits(self, looked: Looked, at: int, data: bytes) -> None:
        """What the bytes of one piece spell as they stand, what their bits do, and where these are odd."""
        for found in programs(data):
            self._hide(looked, found, "", at + found.at)
        if not at:
            self._deep(looked, data[: DEEP * width(looked.dtype)])
        for stream in usual_streams(plain(looked.dtype), data):
            for found in payloads(stream.data, texts=False):
                self._hide(looked, found, stream.how, at + int(found.at * stream.stride))
        if plain(looked.dtype) in FLOATS:
            for stretch in stretches(plain(looked.dtype), data):
                self._stretch(looked, at, stretch, data)

    def _deep(self, looked: Looked, data: bytes, at: int = 0) -> bool:
        before = len(self.hidden)
        for stream in streams(plain(looked.dtype), data):
            for found in payloads(stream.data):
                self._hide(looked, found, stream.how, at + int(found.at * stream.stride))
                if found.kind != "text":
                    break
        return len(self.hidden) > before

    def _stretch(self, looked: Looked, at: int, stretch: Stretch, data: bytes) -> None:
        """An odd stretch: what it spells if that can be told, else the oddity itself."""
        step = 4096
        begin = max(0, stretch.begin - 4 * step) // 16 * 16
        inside = data[begin : min(stretch.end + 4 * step, begin + PIECE // 4)]
        if self._deep(looked, inside, at + begin) or self._unaligned(looked, inside, at + begin):
            return
        if len(self.regions) < MAX_NOTES:
            self.regions.append(
                Region(tensor=looked, begin=at + stretch.begin, end=at + stretch.end, why=stretch.why)
            )

    def _unaligned(self, looked: Looked, data: bytes, at: int) -> bool:
        """The same for low bits that do not begin with a whole byte."""
        before = len(self.hidden)
        low = low_bytes(plain(looked.dtype), data)
        for bits in (1, 2, 4):
            stream = packed(low, bits)
            for shift in range(bits, 8, bits):
                how = (
                    f"the low {bits} bits of every {looked.dtype}"
                    if bits > 1
                    else f"bit 0 of every {looked.dtype}"
                )
                for found in payloads(shifted(stream, shift)):
                    self._hide(looked, found, how, at + found.at * 8 * (len(data) // len(low)) // bits)
        return len(self.hidden) > before

    def _hide(self, looked: Looked, found: Payload, how: str, at: int) -> None:
        known = any(h.tensor.name == looked.name and h.what == found.what for h in self.hidden[-50:])
        if not known and len(self.hidden) < MAX_NOTES:
            self.hidden.append(
                Hidden(tensor=looked, kind=found.kind, what=found.what, how=how, at=at, excerpt=found.excerpt)
            )

    # -- bytes that belong to no tensor

    def between(self, tensors: Sequence[TensorRef]) -> None:
        """Programs before, between and behind tensors that lie in the file itself."""
        spans = sorted(
            span
            for ref in tensors
            if ref.source is None and not ref.external
            for span in ref.spans
            if span[1]
        )
        left = MAX_GAPS
        for begin, end in _gaps(spans, self.source.size):
            for at in range(begin, min(end, begin + left), PIECE):
                self.budget.tick()
                data = self.source.read(at, min(PIECE + GAP, end - at))
                for found in programs(data):
                    behind = not spans or at >= spans[-1][0] + spans[-1][1]
                    self.outside.append(Outside(what=found.what, at=at + found.at, behind=behind))
            left -= min(left, end - begin)
        if not left:
            self.unseen.append(
                ("", f"more than {MAX_GAPS} bytes belong to no tensor; the rest was not looked at")
            )

    def reading(self, names: tuple[str, ...], unused: tuple[str, ...]) -> WeightsReading:
        """What was found."""
        twins = (
            Twins(names=tuple(found), tensor=self.firsts[key])
            for key, found in self.equal.items()
            if len(found) > 1
        )
        return WeightsReading(
            format="weights",
            keep=True,
            names=names,
            not_finite=tuple(self.not_finite),
            constant=tuple(self.constant),
            twins=tuple(twins),
            hidden=tuple(self.hidden),
            regions=tuple(self.regions),
            outside=tuple(self.outside),
            unused=unused,
            unseen=tuple(self.unseen),
        )


def _gaps(spans: Sequence[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    at = 0
    for begin, length in spans:
        if begin - at >= GAP:
            yield at, begin
        at = max(at, begin + length)
    if spans and size - at >= GAP:
        yield at, size
