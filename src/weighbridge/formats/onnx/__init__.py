"""ONNX: one walk over a ModelProto with all graphs, subgraphs, functions, training graphs and tensors in it.

Steps over weights without reading them; says which operators are called, where external data lies, and where every
tensor's bytes are. External paths are judged as text here; whether they exist, or are links, only the whole artifact
shows. Schema: onnx.proto of onnx 1.23 (IR version 13); a field that is not in it is an anomaly, since nobody knows
what a loader makes of it. The depth limit is that of the protobuf libraries.
"""

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.formats.onnx.calls import note_allocations, note_function_calls, operators
from weighbridge.formats.onnx.location import normal
from weighbridge.formats.onnx.reading import OnnxReading
from weighbridge.formats.onnx.schema import SCHEMA
from weighbridge.formats.onnx.walk import read_function, read_graph, read_opset, read_training
from weighbridge.formats.onnx.work import Work
from weighbridge.formats.protobuf import Field, Wire, signed
from weighbridge.formats.reading import Anomaly, Reading

MAX_TOP = 200_000


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Walk the model. `InputError`: `not-this-format`, or with the name `*.onnx` `bad-protobuf`."""
    ours = name.lower().endswith(".onnx")
    work = Work(source=source, budget=budget, wire=Wire(source, budget))
    try:
        _read_model(work, _top(work, source.size))
    except InputError as error:
        if error.code != "bad-protobuf" or ours:
            raise
        raise InputError("not-this-format", error.message) from None
    return _reading(work)


def _top(work: Work, size: int) -> list[Field]:
    """The model's own fields. Bytes behind the graph that are no protobuf are left to a gap."""
    found: list[Field] = []
    try:
        for item in work.each("Model", 0, size, 0):
            found.append(item)
            if len(found) > MAX_TOP:
                raise LimitError("limit-members", f"more than {MAX_TOP} fields in the model")
    except InputError as error:
        if error.code != "bad-protobuf" or not any(item.number == 7 for item in found):
            raise
        work.unused("trailing-bytes", found[-1].end, size)
    numbers = {item.number for item in found}
    if not {1, 7} <= numbers:
        raise InputError("not-this-format", "no IR version and graph of an ONNX model")
    return found


def _read_model(work: Work, top: list[Field]) -> None:
    """The model, field by field in the order of the file."""
    for item in top:
        match item.number:
            case 1:
                work.ir_version = signed(item.value)
            case 2:
                work.producer = work.text(item)
            case 6:
                work.text_field(item, "doc_string")
            case 7:
                read_graph(work, item, "", 1, None)
            case 8:
                read_opset(work, item)
            case 14 | 26:
                work.check(SCHEMA["Model"][item.number], item.start, item.end, 1)
            case 20:
                read_training(work, item)
            case 25:
                read_function(work, item)
    note_function_calls(work)
    note_allocations(work)
    _note_opsets(work)
    strange = any(a.code in ("unknown-field", "wire-type") for a in work.anomalies)
    if strange and not (work.opsets or work.nodes or work.names):
        raise InputError("not-this-format", "protobuf of another kind")


def _note_opsets(work: Work) -> None:
    """Operators whose meaning is open, since no operator set is imported for them."""
    if not work.opsets and work.ir_version >= 3:
        work.odd("opset-missing", "no operator set is imported, so what the operators mean is open")
    for domain in sorted(_not_imported(work)):
        name = visible(domain, 80) or "ai.onnx"
        message = f"operators of {name} are called, which no operator set is imported for"
        work.odd("opset-not-imported", message)


def _not_imported(work: Work) -> set[str]:
    """Domains of called operators without an import; functions have imports of their own."""
    if not work.opsets or work.functions:
        return set()
    return {domain for domain, _, _ in work.nodes} - {domain for domain, _ in work.opsets}


def _reading(work: Work) -> OnnxReading:
    """What was found."""
    if work.more:
        work.anomalies.append(Anomaly(code="more", message=f"{work.more} more like these"))
    externals = {normal(data.location): None for data in work.external if not data.problem}
    return OnnxReading(
        format="onnx",
        anomalies=tuple(work.anomalies),
        gaps=tuple(work.gaps),
        parts=tuple(work.parts),
        tensors=None if work.unlisted else tuple(work.refs),
        tensors_unlisted=work.unlisted,
        externals=tuple(externals),
        keep=bool(externals),
        ir_version=work.ir_version,
        producer=work.producer,
        opsets=tuple(work.opsets),
        operators=tuple(operators(work)),
        external=tuple(work.external),
        texts=tuple(work.texts),
    )
