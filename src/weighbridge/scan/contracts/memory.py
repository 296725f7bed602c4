"""Shapes of states that native code believes: every index, offset and size is held against what it points into.

Three loaders follow such numbers while they load: scipy's k-d tree links its nodes, pandas' block manager writes down which
block holds which column, and Arrow takes a length for its buffers. Numbers that lead outside make them read or write
memory that is not theirs. What cannot be read here has no such shape and stays unproved.
"""

import struct
from itertools import pairwise
from typing import NamedTuple

from weighbridge.formats.numpy.pickled import dtype_of_value
from weighbridge.formats.pickle import Blob, Call, Dict, Global, List, Value
from weighbridge.scan.contracts.values import (
    Use,
    are_sizes,
    class_of,
    is_bytes,
    is_plain,
    is_size,
    of_library,
)

MAX_BYTES = 64 * 1024**2
"""Bytes of one table that are looked at."""


class Array(NamedTuple):
    """A pickled numpy array whose bytes are at hand."""

    kind: str
    itemsize: int
    shape: tuple[int, ...]
    data: bytes


def array_of(value: Value) -> Array | None:
    """The dtype, shape and bytes of an array that is set once; None for any other value."""
    if type(value) is not Call or type(value.callable) is not Global or type(value.args) is not tuple:
        return None
    if value.callable.qualname == "_frombuffer" and len(value.args) > 2 and not value.changes:
        data, dtype, shape = value.args[:3]
    elif len(value.changes) == 1 and type(value.changes[0].value) is tuple:
        state = value.changes[0].value
        if len(state) not in (4, 5):
            return None
        shape, dtype, _, data = state[-4:]
    else:
        return None
    found, content = dtype_of_value(dtype), bytes_of(data)
    if found is None or content is None or found.big or not are_sizes(shape):
        return None
    return Array(found.kind, found.itemsize, shape, content)


def bytes_of(value: Value) -> bytes | None:
    """The content of bytes, a bytearray, or of bytes left in the file, where they are not too many."""
    if type(value) is Call and class_of(value) == "builtins:bytearray" and not value.changes:
        return bytes_of(value.args[0]) if type(value.args) is tuple and len(value.args) == 1 else b""
    if type(value) is Blob:
        return value.read() if value.size <= MAX_BYTES else None
    return value if type(value) is bytes and len(value) <= MAX_BYTES else None


# ---- scipy's k-d tree

NODE = struct.Struct("<qqdqqqqqq")
"""`ckdtreenode`: dimension, children, split, first and last item, two pointers, two numbers of nodes."""


METRICS = frozenset(
    {"sklearn.metrics._dist_metrics", "sklearn.neighbors._dist_metrics", "sklearn.neighbors.dist_metrics"}
)


def tree_state(value: Value, _: Use) -> bool:
    """The state of a `cKDTree`, whose `__setstate__` turns the numbers of child nodes into pointers."""
    if type(value) is not tuple or not 5 <= len(value) <= 16:
        return False
    return _are_data(value[1:]) and links(value) == ""


def broken_tree(value: Value) -> bool:
    """Whether nodes are certainly linked to memory outside of their table."""
    return type(value) is tuple and len(value) >= 2 and bool(links(value))


def links(value: tuple[Value, ...]) -> str | None:
    """What is wrong with the nodes; "" where all lie inside, None where nobody can say."""
    nodes, points = array_of(value[0]), value[1]
    if nodes is None or len(nodes.data) % NODE.size:
        return None
    held = _rows(points)
    count = len(nodes.data) // NODE.size
    for number, node in enumerate(NODE.iter_unpack(nodes.data)):
        dimension, _, _, start, end, _, _, less, greater = node
        if dimension != -1 and not (number < less < count and number < greater < count):
            return "a node is linked to what is no node"
        if not 0 <= start <= end or (held is not None and end > held):
            return "a node holds items that are not there"
    return ""


def _rows(value: Value) -> int | None:
    found = array_of(value)
    return found.shape[0] if found is not None and found.shape else None


def _are_data(values: tuple[Value, ...]) -> bool:
    return all(is_plain(item, Use(at=0)) or of_library(item) or _is_metric(item) for item in values)


def _is_metric(value: Value) -> bool:
    """A distance that a search tree holds."""
    return type(value) is Call and class_of(value).partition(":")[0] in METRICS


def data_state(value: Value, _: Use) -> bool:
    """A tuple of constants and of objects of known libraries: methods of theirs are called."""
    return type(value) is tuple and _are_data(value)


# ---- pandas' block manager


def blocks_state(value: Value, _: Use) -> bool:
    """(…, {"0.14.1": {"axes", "blocks"}}): each block's places lie among the items of the first axis."""
    return outside_blocks(value) is False


def outside_blocks(value: Value) -> bool | None:
    """Whether a block stands outside of the first axis; None where nobody can say."""
    inner = _entry(value[3], "0.14.1") if type(value) is tuple and len(value) >= 4 else None
    axes, blocks = _entry(inner, "axes"), _entry(inner, "blocks")
    if type(axes) is not List or not axes or type(blocks) is not List or not all(map(of_library, axes)):
        return None
    count = length_of(axes[0])
    if count is None:
        return None
    places = [_places(_entry(block, "mgr_locs")) for block in blocks]
    if any(place is not None and not 0 <= place[0] <= place[1] <= count for place in places):
        return True
    sound = all(of_library(_entry(block, "values")) for block in blocks)
    return False if sound and None not in places else None


def _entry(value: Value, key: str) -> Value:
    found = [item for name, item in value.pairs() if name == key] if type(value) is Dict else []
    return found[0] if len(found) == 1 else None


def _places(value: Value) -> tuple[int, int] | None:
    """The first place, and the one behind the last."""
    if type(value) is Call and class_of(value) == "builtins:slice" and type(value.args) is tuple:
        ends = value.args[:2] if len(value.args) == 3 and value.args[2] in (1, None) else ()
        return ends if len(ends) == 2 and all(type(n) is int for n in ends) else None
    found = array_of(value)
    if found is None or found.kind != "i" or found.itemsize != 8:
        return None
    numbers = [number for (number,) in struct.iter_unpack("<q", found.data[: len(found.data) // 8 * 8])]
    return (min(numbers), max(numbers) + 1) if numbers else (0, 0)


def length_of(index: Value) -> int | None:
    """Items of a pickled index of pandas."""
    if type(index) is not Call or class_of(index) != "pandas:Index" or type(index.args) is not tuple:
        return None
    data = index.args[1] if len(index.args) == 2 else None
    if all(type(_entry(data, key)) is int for key in ("start", "stop", "step")):
        step = _entry(data, "step")
        return len(range(_entry(data, "start"), _entry(data, "stop"), step)) if step else None
    content = _entry(data, "data")
    text = _entry(data, "levels") is None and type(content) is Call and _arrow_length(content)
    return text if type(text) is int else _rows(content)


def _arrow_length(value: Call) -> int | None:
    state = value.state()
    restored = _entry(state, "_pa_array") if type(state) is Dict else None
    parts = (
        restored.args[0]
        if type(restored) is Call and type(restored.args) is tuple and restored.args
        else None
    )
    return parts[1] if type(parts) is tuple and len(parts) == 7 and is_size(parts[1]) else None


# ---- Arrow

WIDTHS = {
    "int8": 8, "int16": 16, "int32": 32, "int64": 64, "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64, "float": 32, "double": 64,
    "halffloat": 16, "float16": 16, "float32": 32, "float64": 64, "bool": 1, "bool_": 1, "date32": 32, "date64": 64,
}  # fmt: skip
"""Bits of one item."""
OFFSETS = {"string": 4, "utf8": 4, "binary": 4, "large_string": 8, "large_utf8": 8, "large_binary": 8}
"""Bytes of one offset of the types whose items differ in length."""


def arrow_parts(value: Value, _: Use) -> bool:
    """(type, length, nulls, offset, buffers, children, dictionary) of `_restore_array`: the buffers hold as many items."""
    if type(value) is not tuple or len(value) != 7 or not (is_size(value[1]) and is_size(value[3])):
        return False
    kind, count, buffers = _alias(value[0]), value[1] + value[3], value[4]
    if type(buffers) is not List or (value[5] != () and not _is_empty(value[5])) or value[6] is not None:
        return False
    held = [b"" if item is None else _buffer(item) for item in buffers]
    if None in held or len(held) < 2 or (buffers[0] is not None and len(held[0] or b"") * 8 < count):
        return False
    if kind in WIDTHS:
        return len(held) == 2 and len(held[1] or b"") * 8 >= count * WIDTHS[kind]
    return (
        kind in OFFSETS
        and len(held) == 3
        and _offsets_fit(held[1] or b"", held[2] or b"", count, OFFSETS[kind])
    )


def _offsets_fit(table: bytes, text: bytes, count: int, size: int) -> bool:
    if count == 0:
        return True
    if len(table) < (count + 1) * size:
        return False
    offsets = [n for (n,) in struct.iter_unpack("<q" if size == 8 else "<i", table[: (count + 1) * size])]
    return (
        offsets[0] >= 0 and offsets[-1] <= len(text) and all(low <= high for low, high in pairwise(offsets))
    )


def _alias(value: Value) -> str:
    """`type_for_alias("large_string")`."""
    if type(value) is not Call or type(value.callable) is not Global or type(value.args) is not tuple:
        return ""
    known = value.callable.name == "pyarrow.lib.type_for_alias" and len(value.args) == 1
    return value.args[0] if known and type(value.args[0]) is str else ""


def _buffer(value: Value) -> bytes | None:
    if (
        type(value) is not Call
        or type(value.callable) is not Global
        or value.callable.name != "pyarrow.lib.py_buffer"
    ):
        return None
    fits = type(value.args) is tuple and len(value.args) == 1 and is_bytes(value.args[0], Use(at=0))
    return bytes_of(value.args[0]) if fits else None


def _is_empty(value: Value) -> bool:
    return type(value) is List and not value
