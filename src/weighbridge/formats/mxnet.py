"""MXNet: parameter files (`.params`: the NDArray list of mxnet 1.x, all four generations), and operators of its symbols.

Every dimension, length and name is checked against the file; tensors are listed, sparse ones by their stored part. A
symbol (`-symbol.json`) is JSON: `symbol_calls` and `symbol_texts` say which operators it names, subgraphs included, and
what stands in its attributes.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.formats.embedded import program_part
from weighbridge.formats.framework import (
    Call,
    ContradictionError,
    Cursor,
    FrameworkReading,
    Text,
    product,
    trailing,
)
from weighbridge.formats.reading import Anomaly, Gap, Part, Reading, TensorRef

MAGIC = b"\x12\x01\0\0\0\0\0\0"
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
DENSE, ROW_SPARSE, CSR = 0, 1, 2
AUXILIARY = {DENSE: 0, ROW_SPARSE: 1, CSR: 2}
MAX_DIMS = 32
DTYPES: dict[int, tuple[str, int]] = {
    0: ("F32", 4), 1: ("F64", 8), 2: ("F16", 2), 3: ("U8", 1), 4: ("I32", 4), 5: ("I8", 1), 6: ("I64", 8),
    7: ("BOOL", 1), 8: ("I16", 2), 9: ("U16", 2), 10: ("U32", 4), 11: ("U64", 8), 12: ("BF16", 2),
}  # fmt: skip
MIN_ARRAY = 8


class _Array(NamedTuple):
    dtype: str
    width: int
    shape: tuple[int, ...]
    span: tuple[int, int]


def read(source: Source, budget: Budget, name: str) -> Reading:
    """List the arrays. `InputError`: `not-this-format`."""
    if source.read(0, 8) != MAGIC or source.size < 24:
        raise InputError("not-this-format", "no MXNet array list")
    cursor = Cursor(source, budget, at=16)
    arrays: list[_Array] = []
    names: list[str] = []
    anomalies: list[Anomaly] = []
    gaps: tuple[Gap, ...] = ()
    try:
        for _ in range(cursor.count("Q", MIN_ARRAY, "number of arrays")):
            budget.spend_members()
            arrays.append(_array(cursor))
        count = cursor.count("Q", 8, "number of names")
        names = [cursor.text("Q", "a name") for _ in range(count)]
        anomalies += _names(names, len(arrays))
        gaps = trailing(cursor.at, source.size)
    except ContradictionError as error:
        anomalies.append(error.anomaly())
        gaps = (error.gap(),)
    tensors = tuple(_refs(arrays, names))
    return FrameworkReading(
        format="mxnet-params",
        anomalies=tuple(anomalies),
        gaps=gaps,
        parts=tuple(_programs(source, tensors)),
        tensors=None if anomalies else tensors,
        tensors_unlisted=anomalies[0].message if anomalies else "",
    )


def _array(cursor: Cursor) -> _Array:
    at, magic = cursor.at, cursor.number("I", "an array's magic")
    kind, wide = DENSE, magic in (V1, V2, V3)
    stored: tuple[int, ...] = ()
    if magic in (V2, V3):
        kind = cursor.number("i", "a storage type")
        if kind not in AUXILIARY:
            raise ContradictionError("type-invalid", f"storage type {kind} does not exist", at)
        stored = _shape(cursor, cursor.number("i"), "q") if AUXILIARY[kind] else ()
    shape = _shape(cursor, cursor.number("i") if wide else magic, "q" if wide else "I")
    if (magic != V3 and not shape) or shape is _NONE:
        return _Array("F32", 4, (0,), (cursor.at, 0))
    cursor.skip(8, "a device")
    dtype, width = _dtype(cursor)
    auxiliary = [(_dtype(cursor)[1], _shape(cursor, cursor.number("i"), "q")) for _ in range(AUXILIARY[kind])]
    held = stored if AUXILIARY[kind] else shape
    size = product(held, offset=at) * width
    span = (cursor.skip(size, "an array"), size)
    for each, dims in auxiliary:
        cursor.skip(product(dims, offset=at) * each, "an index")
    return _Array(dtype, width, held, span)


_NONE: tuple[int, ...] = (-1,)


def _shape(cursor: Cursor, dims: int, code: str) -> tuple[int, ...]:
    if dims == -1:
        return _NONE
    if not 0 <= dims <= MAX_DIMS:
        raise ContradictionError("too-many-dims", f"{dims} dimensions", cursor.at)
    shape = tuple(cursor.number(code, "a dimension") for _ in range(dims))
    product(shape, offset=cursor.at)
    return shape


def _dtype(cursor: Cursor) -> tuple[str, int]:
    at, flag = cursor.at, cursor.number("i", "a data type")
    if flag not in DTYPES:
        raise ContradictionError("type-invalid", f"data type {flag} does not exist", at)
    return DTYPES[flag]


def _names(names: list[str], arrays: int) -> Iterator[Anomaly]:
    if names and len(names) != arrays:
        yield Anomaly(code="size-mismatch", message=f"{len(names)} names for {arrays} arrays")
    if len(set(names)) != len(names):
        yield Anomaly(code="duplicate-tensor", message="two arrays have one name")


def _refs(arrays: list[_Array], names: list[str]) -> Iterator[TensorRef]:
    for index, array in enumerate(arrays):
        name = names[index] if index < len(names) else f"array {index}"
        yield TensorRef(name, array.dtype, array.shape, (array.span,), None, array.width)


def _programs(source: Source, tensors: tuple[TensorRef, ...]) -> Iterator[Part]:
    for tensor in tensors:
        part = program_part(source, *tensor.spans[0], tensor.name)
        if part is not None:
            yield part


# -- symbols


def is_symbol(value: Any) -> bool:
    """Whether a JSON document is a symbol: nodes that name operators and their inputs, or heads."""
    nodes = value.get("nodes") if isinstance(value, dict) else None
    if not isinstance(nodes, list):
        return False
    return "heads" in value or "arg_nodes" in value or any(_is_node(node) for node in nodes)


def _is_node(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("op"), str) and isinstance(node.get("inputs"), list)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    stack = [value]
    while stack:
        graph = stack.pop()
        nodes = graph.get("nodes") if isinstance(graph, dict) else None
        for node in nodes if isinstance(nodes, list) else ():
            if isinstance(node, dict):
                yield node
                stack += node["subgraphs"] if isinstance(node.get("subgraphs"), list) else ()


def symbol_calls(value: Any) -> Iterator[Call]:
    """The operators that a symbol names."""
    for node in _nodes(value):
        op = node.get("op")
        name = op if isinstance(op, str) else ""
        yield Call(name, f"node {visible(str(node.get('name', '')), 80)}")


def symbol_texts(value: Any) -> Iterator[Text]:
    """Strings in attributes of nodes and of the graph."""
    for node in _nodes(value):
        where = f"node {visible(str(node.get('name', '')), 80)}"
        for key in ("attrs", "attr", "param"):
            found = node.get(key)
            for text in found.values() if isinstance(found, dict) else ():
                if isinstance(text, str):
                    yield Text(text, where)


def symbol_edges(value: Any) -> Iterator[str]:
    """What is wrong with inputs and heads: an index that leads to no earlier node."""
    nodes = value.get("nodes")
    count = len(nodes) if isinstance(nodes, list) else 0
    for index, node in enumerate(nodes if isinstance(nodes, list) else ()):
        inputs = node.get("inputs") if isinstance(node, dict) else None
        if any(not _within(entry, index) for entry in (inputs if isinstance(inputs, list) else ())):
            yield f"node {index} takes its input from a node that does not stand before it"
    heads, arguments = value.get("heads"), value.get("arg_nodes")
    if any(not _within(entry, count) for entry in (heads if isinstance(heads, list) else ())):
        yield f"a head leads to none of the {count} nodes"
    if any(not _within([entry], count) for entry in (arguments if isinstance(arguments, list) else ())):
        yield f"an argument is none of the {count} nodes"


def _within(entry: Any, count: int) -> bool:
    return isinstance(entry, list) and bool(entry) and type(entry[0]) is int and 0 <= entry[0] < count
