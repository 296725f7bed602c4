"""The walk through all graphs of an ONNX model: graphs, nodes and attributes inside each other, functions, training.

Calls are counted, tensors handed to `formats.onnx.tensors`. What the nodes mean together is `formats.onnx.graph`.
"""

from collections import Counter

from weighbridge.core.text import visible
from weighbridge.formats.allocation import allocates
from weighbridge.formats.framework import Text
from weighbridge.formats.onnx.location import location_problem
from weighbridge.formats.onnx.schema import SCHEMA
from weighbridge.formats.onnx.tensors import read_sparse, read_tensor
from weighbridge.formats.onnx.work import MAX_PARTS, Key, Made, Work
from weighbridge.formats.protobuf import LENGTH, Field, signed

MAX_PATH = 4096
MIN_TEXT = 8
"""Bytes; no command is shorter."""
MAX_INPUTS = 16
"""Inputs of one node that are looked at for a shape."""


def read_opset(work: Work, item: Field) -> None:
    """One imported operator set."""
    domain, version = "", 0
    for part in work.each("OperatorSet", item.start, item.end, 1):
        if part.number == 1:
            domain = work.text(part)
        else:
            version = signed(part.value)
    work.opsets.append((_domain(domain), version))


def read_training(work: Work, item: Field) -> None:
    """Graphs that initialise and train."""
    for part in work.each("Training", item.start, item.end, 1):
        if part.number in (1, 2):
            read_graph(work, part, "training/", 2, None)
        else:
            work.check("Entry", part.start, part.end, 2)


def read_function(work: Work, item: Field) -> None:
    """A function of the model's own; its key is known only once all its fields are."""
    key = _function_key(work, item)
    work.functions.setdefault(key, Counter())
    for index, part in enumerate(work.each("Function", item.start, item.end, 1)):
        if part.number == 7:
            read_node(work, part, f"{key[0]}.{key[1]}/", index, 2, key)
        elif part.number == 11:
            read_attribute(work, part, f"{key[0]}.{key[1]}", 2, key)
        elif part.number in (9, 12, 14):
            work.check(SCHEMA["Function"][part.number], part.start, part.end, 2)


def _function_key(work: Work, item: Field) -> Key:
    found = {1: "", 10: "", 13: ""}
    for part in work.wire.fields(item.start, item.end):
        if part.number in found and part.wire == LENGTH:
            found[part.number] = work.text(part)
    return _domain(found[10]), found[1], found[13]


def read_graph(work: Work, item: Field, scope: str, depth: int, caller: Key | None) -> None:
    """One graph: its nodes and initial values; `scope` makes the names of inner tensors unique."""
    index = 0
    for part in work.each("Graph", item.start, item.end, depth):
        match part.number:
            case 1:
                read_node(work, part, scope, index, depth + 1, caller)
                index += 1
            case 5:
                read_tensor(work, part, scope, "", depth + 1)
            case 15:
                read_sparse(work, part, scope, "", depth + 1)
            case 11 | 12 | 13 | 14 | 16:
                work.check(SCHEMA["Graph"][part.number], part.start, part.end, depth + 1)


def read_node(work: Work, item: Field, scope: str, index: int, depth: int, caller: Key | None) -> None:
    """One call of an operator."""
    work.budget.spend_members()
    texts: dict[int, str] = {}
    attributes = []
    inputs: list[str] = []
    for part in work.each("Node", item.start, item.end, depth):
        if part.number == 1 and len(inputs) < MAX_INPUTS:
            inputs.append(work.text(part))
        elif part.number in (2, 3, 4, 7, 8):
            texts.setdefault(part.number, work.text(part))
        elif part.number == 5:
            attributes.append(part)
        elif part.number in (9, 10):
            work.check(SCHEMA["Node"][part.number], part.start, part.end, depth + 1)
    key = (_domain(texts.get(7, "")), texts.get(4, ""), texts.get(8, ""))
    _count(work, key, item, caller)
    label = scope + (texts.get(3) or texts.get(2) or f"{key[1]}[{index}]")
    for attribute in attributes:
        read_attribute(work, attribute, label, depth + 1, caller)
    if key[1] == "Constant" and (numbers := work.numbers.get(f"{label}/value")):
        work.numbers[scope + texts.get(2, "")] = numbers
    elif allocates(key[1]) and not key[0]:
        work.made.append(Made(key[1], inputs, scope, item.start))


def _count(work: Work, key: Key, item: Field, caller: Key | None) -> None:
    work.nodes[key] += 1
    work.first.setdefault(key, item.start)
    if caller is not None:
        work.functions[caller][key] += 1


def read_attribute(work: Work, item: Field, label: str, depth: int, caller: Key | None) -> None:
    """One attribute: a value, tensors, or whole graphs."""
    name, context, inner = "", "", []
    for part in work.each("Attribute", item.start, item.end, depth):
        if part.number == 1:
            name = work.text(part)
        elif part.number in (4, 9):
            _note_bytes(work, part, label, name)
            context = context or work.text(part) if part.end - part.start < MAX_PATH else context
        elif SCHEMA["Attribute"][part.number] in SCHEMA:
            inner.append(part)
    _note_context(work, item, label, name, context)
    for part in inner:
        _read_inner(work, part, label, name, depth + 1, caller)


def _note_bytes(work: Work, part: Field, label: str, name: str) -> None:
    """The value of an attribute: a program of some kind, or a text."""
    work.program(part.start, part.end - part.start, f"{label}/bytes")
    if MIN_TEXT < part.end - part.start < MAX_PATH and len(work.texts) < MAX_PARTS:
        work.texts.append(Text(work.text(part), f"{label}/{name}", part.start))


def _note_context(work: Work, item: Field, label: str, name: str, context: str) -> None:
    if name == "ep_cache_context" and location_problem(context) in ("absolute", "parent", "drive", "url"):
        message = (
            f'the compiled program is loaded from "{visible(context, 80)}", outside of the model\'s folder'
        )
        work.odd("context-outside", message, offset=item.start, part=label)


def _read_inner(work: Work, part: Field, label: str, name: str, depth: int, caller: Key | None) -> None:
    """What an attribute holds besides plain values."""
    match SCHEMA["Attribute"][part.number]:
        case "Tensor":
            read_tensor(work, part, "", f"{label}/{name}", depth)
        case "Graph":
            read_graph(work, part, f"{label}/{name}/", depth, caller)
        case "Sparse":
            read_sparse(work, part, "", f"{label}/{name}", depth)
        case kind:
            work.check(kind, part.start, part.end, depth)


def _domain(domain: str) -> str:
    """ONNX's own operators have no domain, whichever of its two spellings the file takes."""
    return "" if domain == "ai.onnx" else domain
