"""What 7z archives are packed with: chains of Copy, LZMA, LZMA2, Deflate, BZip2, zstd, Delta and branch filters.

Unpacked by the standard library's decompressors. Encryption, PPMd, BCJ2 and coders of other programs are named and not
unpacked. Method numbers: Methods.txt of the LZMA SDK.
"""

import lzma
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.formats.unpacked import Bzip2, Codec, Deflate, Zstd

LZMA1, LZMA2, COPY, DELTA = b"\x03\x01\x01", b"\x21", b"\x00", b"\x03"
DEFLATE, BZIP2, AES = b"\x04\x01\x08", b"\x04\x02\x02", b"\x06\xf1\x07\x01"
ZSTD = b"\x04\xf7\x11\x01"
"""Of 7-Zip Zstandard and py7zr."""
BRANCHES: dict[bytes, int] = {
    b"\x04": lzma.FILTER_X86,
    b"\x05": lzma.FILTER_POWERPC,
    b"\x06": lzma.FILTER_IA64,
    b"\x07": lzma.FILTER_ARM,
    b"\x08": lzma.FILTER_ARMTHUMB,
    b"\x09": lzma.FILTER_SPARC,
    b"\x03\x03\x01\x03": lzma.FILTER_X86,
    b"\x03\x03\x02\x05": lzma.FILTER_POWERPC,
    b"\x03\x03\x04\x01": lzma.FILTER_IA64,
    b"\x03\x03\x05\x01": lzma.FILTER_ARM,
    b"\x03\x03\x07\x01": lzma.FILTER_ARMTHUMB,
    b"\x03\x03\x08\x05": lzma.FILTER_SPARC,
}
_EVEN = frozenset({COPY, DELTA, *BRANCHES})
"""Coders that make as many bytes as they take."""
NAMES = {
    AES: "AES",
    b"\x03\x04\x01": "PPMd",
    b"\x03\x03\x01\x1b": "BCJ2",
    b"\x04\x01\x09": "Deflate64",
    b"\x0a": "the ARM64 filter",
    b"\x0b": "the RISC-V filter",
    b"\x04\xf7\x11\x02": "brotli",
    b"\x04\xf7\x11\x04": "lz4",
}
"""Coders that are known and not unpacked."""


class Coder(NamedTuple):
    """One step of packing."""

    method: bytes
    inputs: int
    outputs: int
    properties: bytes


def decoder(
    coders: Sequence[Coder], binds: Sequence[tuple[int, int]], first: int, size: int, budget: Budget
) -> Callable[[], Codec]:
    """What makes the chain of decompressors of one folder; `first` is the input that takes the packed bytes.

    Raises `InputError` (`codec-unknown`) and `LimitError` (`limit-memory`).
    """
    order = _in_order(coders, binds, first)
    if sum(coder.method not in _EVEN for coder in order) > 1:
        raise InputError("codec-unknown", f"packed several times over, with {_named(order)}")
    return partial(_Chain, [_stage(budget, coder, size) for coder in order])


def _in_order(coders: Sequence[Coder], binds: Sequence[tuple[int, int]], first: int) -> list[Coder]:
    """Coders of one input and output each, in the order in which bytes run through them."""
    if any((coder.inputs, coder.outputs) != (1, 1) for coder in coders):
        raise InputError("codec-unknown", f"packed with {_named(coders)}")
    follows = {out: into for into, out in binds}
    order, at = list[int](), first
    while at not in order and 0 <= at < len(coders):
        order.append(at)
        at = follows.get(at, -1)
    if len(order) != len(coders):
        raise InputError("codec-unknown", "the coders of a 7z folder make no chain")
    return [coders[index] for index in order]


def _named(coders: Sequence[Coder]) -> str:
    return ", ".join(NAMES.get(coder.method, f"method {coder.method.hex()}") for coder in coders)


def _stage(budget: Budget, coder: Coder, size: int) -> Callable[[], Codec]:
    method, properties = coder.method, coder.properties
    if method == LZMA1 and len(properties) == 5 and properties[0] < 225:
        rest, lc = divmod(properties[0], 9)
        pb, lp = divmod(rest, 5)
        (wanted,) = struct.unpack("<L", properties[1:])
        return partial(
            _Raw, _filters(lzma.FILTER_LZMA1, _dictionary(budget, wanted, size), lc=lc, lp=lp, pb=pb)
        )
    if method == LZMA2 and len(properties) == 1 and properties[0] <= 40:
        wanted = (2 | properties[0] & 1) << (properties[0] // 2 + 11)
        return partial(_Raw, _filters(lzma.FILTER_LZMA2, _dictionary(budget, wanted, size)))
    if method == DELTA and len(properties) == 1:
        return partial(_Filter, {"id": lzma.FILTER_DELTA, "dist": properties[0] + 1})
    if method in BRANCHES and not properties:
        return partial(_Filter, {"id": BRANCHES[method]})
    plain: dict[bytes, Callable[[], Codec]] = {COPY: _Copy, DEFLATE: Deflate, BZIP2: Bzip2, ZSTD: Zstd}
    if method in plain:
        return plain[method]
    raise InputError("codec-unknown", f"packed with {_named([coder])}")


def _dictionary(budget: Budget, wanted: int, size: int) -> int:
    """No match reaches further back than to the start, so that a small content needs no large dictionary."""
    needed = max(4096, min(wanted, size))
    budget.need_memory(needed, "the dictionary of a 7z folder")
    return needed


def _filters(kind: int, dictionary: int, **more: int) -> list[dict[str, Any]]:
    return [{"id": kind, "dict_size": dictionary, **more}]


class _Copy:
    """Bytes as they are."""

    ended, spare = False, 0

    def unpack(self, packed: bytes, limit: int) -> bytes:
        return packed


class _Raw:
    """One LZMA or LZMA2 stream without a container."""

    def __init__(self, filters: list[dict[str, Any]]) -> None:
        self._run = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)

    @property
    def ended(self) -> bool:
        return self._run.eof

    @property
    def spare(self) -> int:
        return len(self._run.unused_data)

    def unpack(self, packed: bytes, limit: int) -> bytes:
        if self._run.eof:
            return b""
        try:
            return self._run.decompress(packed, limit)
        except (lzma.LZMAError, EOFError) as error:
            raise InputError("bad-stream", f"LZMA stream is broken: {error}") from None


class _Filter:
    """A branch filter or Delta alone: liblzma runs it over chunks that LZMA2 holds unpacked.

    The last bytes of a branch filter come only when the stream ends, hence `finish`.
    """

    ended, spare = False, 0

    def __init__(self, spec: dict[str, Any]) -> None:
        filters = [spec, {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]
        self._run = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
        self._first = True

    def unpack(self, packed: bytes, limit: int) -> bytes:
        framed = bytearray()
        for at in range(0, len(packed), 1 << 16):
            piece = packed[at : at + (1 << 16)]
            framed += (b"\x01" if self._first else b"\x02") + (len(piece) - 1).to_bytes(2, "big") + piece
            self._first = False
        return self._run.decompress(bytes(framed)) if framed and not self._run.eof else b""

    def finish(self) -> bytes:
        """What was held back."""
        return b"" if self._run.eof else self._run.decompress(b"\0")


class _Chain:
    """Several stages behind each other, of which one at most makes more bytes than it takes."""

    spare = 0

    def __init__(self, stages: Sequence[Callable[[], Codec]]) -> None:
        self._stages = [new() for new in stages]

    @property
    def ended(self) -> bool:
        return False

    def unpack(self, packed: bytes, limit: int) -> bytes:
        data, more = packed, bool(packed)
        for stage in self._stages:
            data = stage.unpack(data, limit)
            more = more or bool(data)
        return data if more else self._finished()

    def _finished(self) -> bytes:
        """Nothing goes in any more: what filters held back runs through those behind them."""
        data = b""
        for stage in self._stages:
            if isinstance(stage, _Filter):
                data = stage.unpack(data, 0) + stage.finish()
        return data
