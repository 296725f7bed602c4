"""Tensors of an ONNX model whose bytes lie in another file: where they say so, and whether that can be meant."""

from weighbridge.core.text import visible
from weighbridge.formats.onnx.location import location_problem, normal
from weighbridge.formats.onnx.reading import ExternalData
from weighbridge.formats.onnx.schema import DATA_TYPES
from weighbridge.formats.onnx.tensor import Tensor, length_of, unlist
from weighbridge.formats.onnx.work import Work
from weighbridge.formats.reading import TensorRef


def read_external(work: Work, tensor: Tensor) -> None:
    """Every `location` counts, since loaders differ in which of two they take."""
    needed = length_of(work, tensor)
    values = dict(tensor.entries)
    _note_keys(work, tensor, values)
    offset = _number(work, tensor, values.get("offset", "0"))
    length = _number(work, tensor, values.get("length", str(needed or 0)))
    if needed is not None and tensor.kind in DATA_TYPES and "length" in values and length != needed:
        message = f"its shape needs {needed} bytes, its external length is {length}"
        unlist(work, "size-mismatch", message, tensor)
    locations = [value for key, value in tensor.entries if key == "location"] or [""]
    for location in locations:
        work.external.append(
            ExternalData(
                tensor=tensor.name,
                location=location,
                offset=offset,
                length=length,
                at=tensor.at,
                problem=location_problem(location),
            )
        )
    _list_external(work, tensor, work.external[-1])


def _note_keys(work: Work, tensor: Tensor, values: dict[str, str]) -> None:
    if len(values) != len(tensor.entries):
        work.odd("field-repeated", "an external_data key stands twice", offset=tensor.at, part=tensor.name)
    if tensor.entries and not tensor.external:
        work.odd(
            "external-unmarked", "external_data without data_location", offset=tensor.at, part=tensor.name
        )
    for key in values:
        if key == "basepath" or key.startswith("__"):
            message = f'the key "{visible(key, 40)}" of external_data sets an attribute of the loader'
            work.odd("external-key", message, offset=tensor.at, part=tensor.name)


def _number(work: Work, tensor: Tensor, text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    unlist(work, "external-number", f'"{visible(text, 40)}" is no offset or length', tensor)
    return 0


def _list_external(work: Work, tensor: Tensor, data: ExternalData) -> None:
    kind = DATA_TYPES.get(tensor.kind)
    if kind is None or data.problem:
        work.unlisted = work.unlisted or "external data that cannot be resolved"
        return
    span = ((data.offset, data.length),)
    work.refs.append(
        TensorRef(
            name=tensor.name,
            dtype=kind.name,
            shape=tuple(tensor.dims),
            spans=span,
            itemsize=max(1, kind.bits // 8),
            external=normal(data.location),
        )
    )
