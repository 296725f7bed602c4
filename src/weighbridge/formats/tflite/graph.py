"""The graph of a TensorFlow Lite model: operators of all subgraphs, and the tensors with data that none of them takes.

Options of built-in operators are numbered fields, since their names depend on the operator; custom options are a digest. Weights are not read: `weighbridge.formats.tflite` finds them, and says what is wrong with the file.
"""

import hashlib
from collections.abc import Iterator, Mapping

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.graph import Graph, Node
from weighbridge.core.source import Source
from weighbridge.formats.flatbuffer import Flatbuffer, Table
from weighbridge.formats.framework import ContradictionError
from weighbridge.formats.tflite.schema import BUILTINS, CUSTOM, OPTION_2_VECTORS, OPTION_VECTORS, PLACEHOLDER

MAGIC = b"TFL3"
OPTION_SLOTS = 32
"""Fields of an options table that are looked at; none has as many."""


def read_graph(source: Source, budget: Budget) -> Graph:
    """The graph. Raises `InputError` (`not-this-format`, `bad-flatbuffer`), `LimitError`."""
    if source.read(4, 4) != MAGIC:
        raise InputError("not-this-format", "no identifier of TensorFlow Lite")
    try:
        return _model(source, budget)
    except ContradictionError as error:
        raise InputError("bad-flatbuffer", error.message) from None


def _model(source: Source, budget: Budget) -> Graph:
    flat = Flatbuffer(source, budget)
    root = flat.root()
    codes = [_code(flat, table) for table in flat.tables(root, 1)]
    full = [
        flat.vector(table, 0, 1).items > 0 or flat.integer(table, 1, 8) > 1 for table in flat.tables(root, 4)
    ]
    found = [_subgraph(flat, budget, table, n, codes, full) for n, table in enumerate(flat.tables(root, 2))]
    return Graph(
        inputs=found[0].inputs if found else (),
        outputs=found[0].outputs if found else (),
        weights=tuple(name for graph in found for name in graph.weights),
        nodes=tuple(node for graph in found for node in graph.nodes),
        unused=tuple(name for graph in found for name in graph.unused),
    )


def _code(flat: Flatbuffer, table: Table) -> str:
    code = max(flat.integer(table, 0, 1), flat.integer(table, 3))
    if code == CUSTOM:
        return f"custom.{flat.text(table, 1)}"
    return BUILTINS[code] if 0 <= code < len(BUILTINS) and code != PLACEHOLDER else f"built-in {code}"


def _subgraph(
    flat: Flatbuffer, budget: Budget, table: Table, number: int, codes: list[str], full: list[bool]
) -> Graph:
    scope = f"subgraph {number}/" if number else ""
    names: list[str] = []
    weights: list[str] = []
    for index, tensor in enumerate(flat.tables(table, 0)):
        budget.spend_members()
        names.append(scope + (flat.text(tensor, 3) or f"tensor {index}"))
        buffer = flat.integer(tensor, 2, signed=False)
        if 0 < buffer < len(full) and full[buffer]:
            weights.append(names[-1])
    inputs, outputs = (_names(flat, table, slot, names) for slot in (1, 2))
    nodes = tuple(_node(flat, item, names, codes, scope) for item in flat.tables(table, 3))
    used = {*inputs, *outputs, *(value for node in nodes for value in node.inputs)}
    return Graph(
        inputs=inputs,
        outputs=outputs,
        weights=tuple(weights),
        nodes=nodes,
        unused=tuple(name for name in weights if name not in used),
    )


def _node(flat: Flatbuffer, table: Table, names: list[str], codes: list[str], scope: str) -> Node:
    code = flat.integer(table, 0, signed=False)
    if code >= len(codes):
        raise InputError("bad-flatbuffer", f"operator code {code} of {len(codes)} at byte {table.at}")
    return Node(
        op=codes[code],
        inputs=_names(flat, table, 1, names),
        outputs=_names(flat, table, 2, names),
        attributes=tuple(_attributes(flat, table)),
        scope=scope,
    )


def _names(flat: Flatbuffer, table: Table, slot: int, names: list[str]) -> tuple[str, ...]:
    return tuple(
        names[index] if 0 <= index < len(names) else ""
        for index in flat.integers(flat.vector(table, slot, 4))
    )


def _options(flat: Flatbuffer, options: Table, vectors: Mapping[int, int]) -> Iterator[tuple[int, str]]:
    """Fields of an options table: the items of vectors, and of all else the bytes up to the next field."""
    places = sorted(options.field(field) for field in range(len(options.slots)) if options.field(field))
    for field in range(min(OPTION_SLOTS, len(options.slots))):
        at = options.field(field)
        if field in vectors and at:
            yield field, str(flat.integers(flat.vector(options, field, vectors[field]), vectors[field]))
        elif at:
            following = next((place for place in places if place > at), at + 4 - at % 4)
            yield field, str(flat.integer(options, field, 2 ** (min(8, following - at).bit_length() - 1)))


def _attributes(flat: Flatbuffer, table: Table) -> list[tuple[str, str]]:
    """What an operator is set to, by slot, since names of fields depend on the operator."""
    found: list[tuple[str, str]] = []
    for slot, label in ((4, "option"), (12, "option of the second kind")):
        options = flat.inner(table, slot)
        if options is not None:
            kind = flat.integer(table, slot - 1, 1, signed=False)
            vectors = (OPTION_VECTORS if slot == 4 else OPTION_2_VECTORS).get(kind, {})
            found += [(f"{label} {field}", value) for field, value in _options(flat, options, vectors)]
    custom = flat.vector(table, 5, 1)
    if custom.items:
        raw = bytes(number & 0xFF for number in flat.integers(custom, 1))
        found.append(
            ("custom options", f"{len(raw)} bytes #{hashlib.blake2b(raw, digest_size=8).hexdigest()}")
        )
    return found
