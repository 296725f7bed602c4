"""numpy arrays of plain pickles as tensors: found in the executed program, with their bytes.

Two ways of writing them: `_reconstruct` with a state (protocols 0 to 4) and `_frombuffer` (protocol 5). Names are the keys and
attributes that lead to an array, as for joblib. Arrays of objects hold no numbers and are left out. Where one array cannot
be placed, none is listed, and the reason is said.
"""

from collections.abc import Iterable, Sequence
from math import prod

from weighbridge.core.source import MemorySource, Source
from weighbridge.core.text import visible
from weighbridge.formats.numpy.dtypes import DType, array_ref
from weighbridge.formats.numpy.pickled import dtype_of_value
from weighbridge.formats.pickle.program import PickleProgram
from weighbridge.formats.pickle.values import Blob, Call, Global, Value
from weighbridge.formats.reading import TensorRef

ARRAYS = frozenset({
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.core.numeric._frombuffer",
    "numpy._core.numeric._frombuffer",
})  # fmt: skip
MASKED = frozenset({"numpy.ma.core._mareconstruct", "numpy.ma._core._mareconstruct"})
OTHERS = frozenset({"torch._utils._rebuild_tensor_v2", "torch.storage._load_from_bytes"})
"""Tensors of torch, which are not placed here."""


def listed(
    programs: Sequence[PickleProgram], names: dict[int, str], before: Iterable[TensorRef] = ()
) -> tuple[tuple[TensorRef, ...] | None, str]:
    """The arrays behind those found `before`, or None and the reason; `names` are the paths to the objects of the load."""
    if any(found.name in OTHERS for program in programs for found in program.globals):
        return None, "tensors of torch inside a plain pickle are not listed"
    found = {ref.name: ref for ref in before}
    for call in (call for program in programs for call in program.calls):
        kind = call.callable.name if type(call.callable) is Global else ""
        if (kind not in ARRAYS and kind not in MASKED) or id(call) not in names:
            continue
        name = names[id(call)] or "array"
        parts = _parts(call)
        if parts is None:
            return None, f'the array "{visible(name, 60)}" is not described by constants'
        dtype, shape, fortran, data = parts
        if dtype.objects:
            continue
        source, start, size = _bytes(data)
        if size != prod(shape) * dtype.itemsize:
            return None, f'the array "{visible(name, 60)}" has {size} bytes for a shape of {prod(shape)}'
        unique = name if name not in found else f"{name}~{len(found) + 1}"
        found[unique] = array_ref(unique, dtype, shape, start, fortran=fortran, source=source)
        if kind in MASKED:
            mask = _mask(call, shape)
            if mask is None:
                return None, f'the mask of the array "{visible(name, 60)}" does not fit its shape'
            found[f"{unique}.mask"] = mask._replace(name=f"{unique}.mask")
    return tuple(found.values()), ""


Described = tuple[DType, tuple[int, ...], bool, Value]


def _parts(call: Call) -> Described | None:
    """dtype, shape, order and bytes of an array; None where they are not constants."""
    if type(call.args) is not tuple:
        return None
    if call.callable.qualname == "_frombuffer":
        if len(call.args) != 4 or call.changes:
            return None
        data, dtype, shape, order = call.args
        return _described(dtype, shape, order in ("F", "f"), data, call.index)
    states = [change for change in call.changes if change.how == "BUILD"]
    if len(states) != 1 or type(states[0].value) is not tuple or len(states[0].value) not in (4, 5, 7):
        return None
    state = states[0].value
    shape, dtype, fortran, data = state[1:5] if len(state) == 7 else state[-4:]
    return _described(dtype, shape, bool(fortran), data, states[0].index)


def _described(dtype: Value, shape: Value, fortran: bool, data: Value, index: int) -> Described | None:
    known = dtype_of_value(dtype, before=index)
    if known is None or type(shape) is not tuple or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        return None
    if not known.objects and not (type(data) in (bytes, str, Blob) or _is_bytearray(data)):
        return None
    return known, shape, fortran, data


def _mask(call: Call, shape: tuple[int, ...]) -> TensorRef | None:
    """The mask of a masked array: a byte for each item, as its state has it."""
    state = call.state()
    raw = state[5] if type(state) is tuple and len(state) == 7 else None
    if not (type(raw) in (bytes, str, Blob) or _is_bytearray(raw)):
        return None
    source, start, size = _bytes(raw)
    if size != prod(shape):
        return None
    spans = ((start, size),) if size else ()
    return TensorRef(name="mask", dtype="BOOL", shape=shape, spans=spans, source=source)


def _is_bytearray(value: Value) -> bool:
    return (
        type(value) is Call
        and type(value.args) is tuple
        and len(value.args) == 1
        and type(value.args[0]) in (bytes, Blob)
    )


def _bytes(value: Value) -> tuple[Source | None, int, int]:
    """(source, start, length); None for the file that was read."""
    if type(value) is Call:
        value = value.args[0]
    if type(value) is Blob:
        return value.source, value.offset, value.size
    data = value.encode("latin-1") if type(value) is str else value
    return MemorySource(data), 0, len(data)
