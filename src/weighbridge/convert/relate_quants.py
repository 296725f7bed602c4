"""Quantisations computed again: Q8_0 and Q4_0 as llama.cpp's reference makes them, and int8 by the largest magnitude.

A quantisation may be made in more ways than are known here (importance matrices, clipping, other roundings): where the
numbers are not those, that proves nothing against it, and it stays a claim. Nothing else of ggml is computed: the
k-quants search for scales, and what they find differs between compilers.
https://github.com/ggml-org/llama.cpp (ggml-quants.c, `quantize_row_q8_0_ref`, `quantize_row_q4_0_ref`)
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from weighbridge.convert.relate_casts import FLOATS, ITEMS, numbers
from weighbridge.convert.relate_sides import One, blocks, whole
from weighbridge.core.budget import Budget
from weighbridge.formats.gguf.types import TENSOR_TYPES

BLOCK = 32
"""Numbers of a Q8_0 or Q4_0 block."""
BITS = {
    **{kind.name: 8 * kind.size / kind.block for kind in TENSOR_TYPES.values()},
    **{name: float(layout.bits) for name, layout in FLOATS.items()},
    "F8_E4M3": 8.0, "F8_E5M2": 8.0, "F8_E8M0": 8.0, "F8_E4M3FNUZ": 8.0, "F8_E5M2FNUZ": 8.0,
    "U8": 8.0, "F4": 4.0, "F6_E2M3": 6.0, "F6_E3M2": 6.0,
}  # fmt: skip
"""Type → bits that a number takes. Packed types (U8, I32) may hold less."""
SHORT = frozenset(name for name, width in BITS.items() if width < 16)
"""Types that weights are quantised to."""
SCALES = ("{}_scale", "{}.scale", "{}_scales", "{}.scales", "{stem}.SCB", "{stem}.scale", "{stem}_scale")
"""How the scale of an int8 tensor is called."""


def is_block_quant(np: Any, parent: One, child: One, budget: Budget) -> bool:
    """Whether a Q8_0 or Q4_0 tensor is what the reference makes of the parent's numbers."""
    old, new = parent.entry.dtype, child.entry.dtype
    ways = _Q[new]
    kind = next(kind for kind in TENSOR_TYPES.values() if kind.name == new)
    left = set(range(len(ways)))
    both = zip(
        blocks(parent, ITEMS * FLOATS[old].bits // 8, budget),
        blocks(child, ITEMS // BLOCK * kind.size, budget),
        strict=True,
    )
    for before, after in both:
        values = numbers(np, before, old).astype("<f4").reshape(-1, BLOCK)
        there = np.frombuffer(after, dtype=np.uint8).reshape(-1, kind.size)
        if not np.isfinite(values).all():
            return False
        with np.errstate(all="ignore"):
            left = {way for way in left if np.array_equal(ways[way](np, values), there)}
        if not left:
            return False
    return True


def _q8_0(np: Any, values: Any) -> Any:
    scale = np.abs(values).max(axis=1, keepdims=True) / np.float32(127)
    quants = _away(np, values * _inverse(np, scale)).astype(np.int8)
    return np.concatenate([scale.astype("<f2").view(np.uint8), quants.view(np.uint8)], axis=1)


def _away(np: Any, values: Any) -> Any:
    """C's `roundf`: halves go away from zero."""
    size = np.abs(values)
    low = np.floor(size)
    return np.copysign(low + np.floor(2 * (size - low)), values)


def _inverse(np: Any, scale: Any) -> Any:
    return np.where(scale == 0, np.float32(0), np.float32(1) / np.where(scale == 0, np.float32(1), scale))


def _q4_0(step: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def made(np: Any, values: Any) -> Any:
        first = np.abs(values).argmax(axis=1, keepdims=True)
        scale = np.take_along_axis(values, first, axis=1) / np.float32(-8)
        quants = np.trunc(step(np, values, _inverse(np, scale))).astype(np.int8).clip(max=15).view(np.uint8)
        packed = quants[:, :16] | (quants[:, 16:] << np.uint8(4))
        return np.concatenate([scale.astype("<f2").view(np.uint8), packed], axis=1)

    return made


_Q: Mapping[str, tuple[Callable[[Any, Any], Any], ...]] = {
    "Q8_0": (_q8_0,),
    # x * id + 8.5: in two roundings, in one (a compiler that fuses them), and in gguf-py's double precision.
    "Q4_0": (
        _q4_0(lambda np, x, id_: x * id_ + np.float32(8.5)),
        _q4_0(lambda np, x, id_: (x.astype("<f8") * id_.astype("<f8") + 8.5).astype("<f4")),
        _q4_0(lambda np, x, id_: x.astype("<f8") * id_.astype("<f8") + 8.5),
    ),
}
BLOCKS = frozenset(_Q)
"""Block types that are computed."""


def scale_of(name: str, tensors: Mapping[str, One]) -> str:
    """The name of the scale that belongs to an int8 tensor; "" for none."""
    stem = name.rpartition(".")[0]
    names = (pattern.format(name, stem=stem) for pattern in SCALES)
    return next((one for one in names if one in tensors and tensors[one].entry.dtype in FLOATS), "")


def is_int8(np: Any, parent: One, child: One, scale: One, budget: Budget) -> bool:
    """Whether an I8 tensor is the parent's numbers over their largest magnitude, of the whole or of each row."""
    shape = parent.entry.shape
    rows = scale.items
    if not shape or rows not in (1, shape[0]) or not parent.items:
        return False
    width = parent.items // rows
    stated = numbers(np, whole(scale, budget), scale.entry.dtype)
    largest = np.zeros(rows, "<f4")
    for first, values in _values(np, parent, budget):
        if not np.isfinite(values).all():
            return False
        np.maximum.at(largest, (np.arange(len(values)) + first) // width, np.abs(values))
    with np.errstate(all="ignore"):
        tops = [top for top in (127.0, 127.5) if _says(np, stated, largest / np.float32(top), scale)]
        tops += [127.0] if _says(np, stated, largest, scale) else []
        left = {(top, way) for top in tops for way in range(3)}
        children = blocks(child, ITEMS, budget)
        for (first, values), after in zip(_values(np, parent, budget), children, strict=True):
            there = np.frombuffer(after, dtype=np.int8)
            row = (np.arange(len(values)) + first) // width
            left = {one for one in left if np.array_equal(_int8(np, values, largest[row], *one), there)}
            if not left:
                return False
    return bool(left)


def _values(np: Any, one: One, budget: Budget) -> Iterator[tuple[int, Any]]:
    """(index of the first, numbers as F32)."""
    size = FLOATS[one.entry.dtype].bits // 8
    for number, data in enumerate(blocks(one, ITEMS * size, budget)):
        yield number * ITEMS, numbers(np, data, one.entry.dtype).astype("<f4")


def _says(np: Any, stated: Any, computed: Any, scale: One) -> bool:
    """Whether the stored scales are the computed ones, rounded to the type that they are stored in."""
    if scale.entry.dtype == "BF16":
        wide = computed.view("<u4").astype("<u8")
        cut = ((wide + 0x7FFF + ((wide >> 16) & 1)) >> 16).astype("<u4") << 16
        return bool(np.array_equal(stated, cut.view("<f4")))
    return bool(np.array_equal(stated, computed.astype(stated.dtype)))


def _int8(np: Any, values: Any, largest: Any, top: float, way: int) -> Any:
    scale = largest / np.float32(top)
    if way == 0:
        raw = np.where(scale == 0, np.float32(0), values / np.where(scale == 0, np.float32(1), scale))
    elif way == 1:
        raw = values * _inverse(np, scale)
    else:
        raw = values * (np.float32(top) * _inverse(np, largest))
    return np.rint(raw).clip(-128, 127).astype(np.int8)
