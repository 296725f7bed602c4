"""Reading: what a reader says of some bytes. Facts only; rules in `weighbridge.scan` judge them."""

from typing import NamedTuple

from weighbridge.core.source import Source
from weighbridge.core.value import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Bytes inside the bytes that some loader would open on their own: a zip member, a nested pickle, a template."""

    name: str
    source: Source
    kind: str = ""
    """A candidate to read it as, whatever it looks like (`template` for a chat template); "" to sniff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A fact that the format's text forbids, or about which two plausible readers disagree."""

    code: str
    """Kebab-case: `zip-names-differ`, `trailing-bytes`, `duplicate-member`, `crc-wrong`, …"""
    message: str
    offset: int | None = None
    part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Bytes that this reader did not understand; the file cannot pass while one is left."""

    code: str
    """`trailing-bytes`, `encrypted`, `codec-unknown`, `limit-memory`, …"""
    message: str
    offset: int | None = None
    part: str = ""


class TensorRef(NamedTuple):
    """Where one tensor lies. `source` is what `spans` index: the file itself or a decompressed member.

    A named tuple for the reason given in `core.artifact`: one header may hold a hundred thousand of them. Write its
    fields by name.
    """

    name: str
    dtype: str
    """Canonical name: safetensors' spelling (`F32`, `BF16`, `I64`, `BOOL`, …) or GGUF's type name (`Q4_K`)."""
    shape: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    """(offset, length) in `source`, in the order that makes the row-major little-endian content."""
    source: Source | None = None
    """None when the spans index the file that was read (the engine then shares the hashing read)."""
    itemsize: int = 1
    """Bytes of one item; used with `strides` and `swap`."""
    strides: tuple[int, ...] | None = None
    """Item strides when the spans are not already row-major; the engine then copies item by item."""
    swap: bool = False
    """True for big-endian items."""
    external: str = ""
    """The sibling file that the spans index, relative to the folder of the file that was read; also in `externals`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The base of every format's reading; each format adds its own fields."""

    format: str
    """The format's name as people know it: `safetensors`, `pytorch-zip`, `keras`, `gguf`, …"""
    anomalies: tuple[Anomaly, ...] = ()
    gaps: tuple[Gap, ...] = ()
    parts: tuple[Part, ...] = ()
    tensors: tuple[TensorRef, ...] | None = None
    """The tensors in it; None where this format holds none, or they could not be listed (see `tensors_unlisted`)."""
    tensors_unlisted: str = ""
    """Why a format that does hold tensors could not list them; "" otherwise."""
    tensors_found: tuple[TensorRef, ...] = ()
    """Those that were found where not all could be listed: for whoever takes a part, by name."""
    tensors_left: tuple[tuple[str, str], ...] = ()
    """(name, why) of the tensors that could not be listed, as far as they have names."""
    externals: tuple[str, ...] = ()
    """Sibling files of raw data that this one refers to (ONNX external data), relative to its own folder."""
    keep: bool = False
    """True for small documents that rules over the whole artifact want to see again."""
