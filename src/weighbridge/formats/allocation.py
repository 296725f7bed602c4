"""How many items an operator makes out of constants: a graph of a few bytes may ask for all memory there is.

For TensorFlow's and ONNX's graphs, which share most of these operators' names. Only shapes that stand in the file as
constants count; shapes that a graph computes are not inferred.
"""

from collections.abc import Sequence
from math import prod

MAX_ITEMS = 2**31 - 1
"""No model makes more out of constants: as numbers of four bytes they are eight gigabytes."""

_SHAPE_AT: dict[str, int] = {
    **dict.fromkeys(
        (
            "Fill", "Empty", "ConstantOfShape", "RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal",
            "StatelessRandomUniform", "StatelessRandomUniformV2", "StatelessRandomNormal", "StatelessRandomNormalV2",
        ),
        0,
    ),
    **dict.fromkeys(("BroadcastTo", "Expand", "Tile", "SparseToDense"), 1),
    "ScatterNd": 2,
}  # fmt: skip
"""Operator → which input is the shape of what it makes (or, of `Tile`, how often it repeats)."""
_COUNT_AT = {"OneHot": 1, "LinSpace": 2, "Eye": 0}
"""Operator → which input is a number of items."""


def allocates(op: str) -> bool:
    """Whether an input of this operator says how much it makes."""
    return op == "Range" or op in _SHAPE_AT or op in _COUNT_AT


def items(op: str, inputs: Sequence[tuple[int, ...]]) -> int:
    """Items of the result, as far as constants tell; 0 where they do not. `inputs`: the numbers of each, () if unknown."""
    if op == "Range" and len(inputs) > 2 and all(len(one) == 1 for one in inputs[:3]):
        (start,), (limit,), (step,) = inputs[:3]
        return max(0, -(-(limit - start) // step)) if step else 0
    at = _SHAPE_AT.get(op, _COUNT_AT.get(op, len(inputs)))
    given = inputs[at] if at < len(inputs) else ()
    return prod(abs(number) for number in given) if given else 0


def too_many(op: str, inputs: Sequence[tuple[int, ...]]) -> str:
    """In words, what is too large to be meant; "" for everything else."""
    made = items(op, inputs)
    return f"{op} makes {made} items out of a few numbers" if made >= MAX_ITEMS else ""
