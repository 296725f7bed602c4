"""joblib: a pickle with the raw bytes of its arrays between the opcodes.

joblib's loader is a subclass of `pickle.py`'s: when BUILD has filled a `NumpyArrayWrapper`, it reads the array from
the file behind the current frame (padding byte, padding, then the items; for arrays of objects a whole pickle) and
puts it on the stack in the wrapper's place. The hook here does the same symbolically. Layout: joblib.numpy_pickle,
0.10 to 1.6; the older layout opens further files and is not followed.
"""

from math import prod

from weighbridge.core.errors import InputError
from weighbridge.formats.numpy.dtypes import DType, array_ref
from weighbridge.formats.numpy.pickled import dtype_of_value
from weighbridge.formats.pickle.fold import NOTHING
from weighbridge.formats.pickle.machine import BreakError, Machine
from weighbridge.formats.pickle.opcodes import run
from weighbridge.formats.pickle.program import PickleProgram, RawArray
from weighbridge.formats.pickle.values import Call, Dict, Global, List, Value, is_constant
from weighbridge.formats.reading import TensorRef

WRAPPERS = frozenset(
    {"joblib.numpy_pickle.NumpyArrayWrapper", "sklearn.externals.joblib.numpy_pickle.NumpyArrayWrapper"}
)
_MAKERS = frozenset({"copyreg._reconstructor", "copyreg.__newobj__"})


def hook(machine: Machine, call: Call) -> Value:
    """Read an array's raw bytes where the real loader would; NOTHING for any other object."""
    if not is_wrapper(call):
        return NOTHING
    state = _state(call)
    dtype = dtype_of_value(state.get("dtype"), before=machine.stream.index)
    shape = state.get("shape")
    if dtype is None or type(shape) is not tuple or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise BreakError("the length of an array between the opcodes is not known")
    if dtype.objects:
        return _objects(machine)
    start = _padded(machine, state.get("numpy_array_alignment_bytes"))
    size = prod(shape) * dtype.itemsize
    machine.raw_done(start + size)
    machine.arrays.append(
        RawArray(
            wrapper=call,
            offset=start,
            size=size,
            dtype=state.get("dtype"),
            shape=shape,
            order=str(state.get("order")),
        )
    )
    return NOTHING


def is_wrapper(call: Call) -> bool:
    """Whether the object is an array's place-holder."""
    target = call.callable
    if type(target) is Global and target.helps and target.name in _MAKERS and call.args:
        target = call.args[0] if type(call.args) is tuple else None
    return type(target) is Global and target.qualname == "NumpyArrayWrapper" and target.name in WRAPPERS


def _state(call: Call) -> dict[str, Value]:
    """The wrapper's attributes; later BUILDs win, as `__dict__` is filled."""
    found: dict[str, Value] = {}
    for change in call.changes:
        if change.how != "BUILD" or type(change.value) is not Dict:
            raise BreakError("an array between the opcodes has no plain description")
        found.update((key, value) for key, value in change.value.pairs() if type(key) is str)
    return found


def _padded(machine: Machine, alignment: Value) -> int:
    """Where the items start: newer files put a count of padding bytes and the padding first."""
    start = machine.raw_position()
    if alignment is None:
        return start
    count = machine.stream.source.read(start, 1)
    if not count:
        raise BreakError("the stream ends before an array")
    return start + 1 + count[0]


def _objects(machine: Machine) -> Value:
    """An array of objects is a whole pickle of its own, read by a fresh loader."""
    with machine.budget.deeper():
        inner = run(
            machine.stream.source, machine.budget, offset=machine.raw_position(), registry=machine.registry
        )
    machine.nested.append(inner)
    if inner.broken is not None:
        raise BreakError(f"the pickle of an array of objects breaks: {inner.broken.why}")
    machine.raw_done(inner.end)
    return inner.value


def tensors(program: PickleProgram) -> tuple[TensorRef, ...]:
    """The arrays between the opcodes, named by the attributes and keys that lead to them."""
    names = names_of(program) if program.arrays else {}
    found = []
    for number, array in enumerate(program.arrays):
        dtype = dtype_of_value(array.dtype)
        if dtype is None:
            raise InputError("bad-dtype", "an array's dtype changes after its use")
        name = names.get(id(array.wrapper)) or f"array-{number}"
        found.append(_ref(array, dtype, name))
    return _unique(found)


def _ref(array: RawArray, dtype: DType, name: str) -> TensorRef:
    return array_ref(name, dtype, array.shape, array.offset, fortran=array.order == "F")


def _unique(refs: list[TensorRef]) -> tuple[TensorRef, ...]:
    """Two arrays of one name would make the set ambiguous: later ones get a number."""
    seen: dict[str, int] = {}
    found = []
    for ref in refs:
        count = seen[ref.name] = seen.get(ref.name, 0) + 1
        found.append(ref if count == 1 else ref._replace(name=f"{ref.name}~{count}"))
    return tuple(found)


MAX_NAME = 200


def names_of(program: PickleProgram) -> dict[int, str]:
    """id of a node → the first path of keys that leads to it, as in `steps.1.coef_`."""
    names: dict[int, str] = {}
    todo: list[tuple[Value, str]] = [] if is_constant(program.value) else [(program.value, "")]
    while todo:
        value, path = todo.pop()
        if id(value) in names:
            continue
        names[id(value)] = path
        todo += [(child, _joined(path, key)) for key, child in reversed(_steps(value))]
    return names


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}"[-MAX_NAME:] if path and key else path or key


def _steps(value: Value) -> list[tuple[str, Value]]:
    """Named ways from a value into those of its contents that are no constants."""
    if type(value) is Dict:
        return [
            (key if type(key) is str else str(key) if type(key) is int else "", item)
            for key, item in value.pairs()
            if not is_constant(item)
        ]
    if type(value) in (tuple, List):
        return [(str(number), item) for number, item in enumerate(value) if not is_constant(item)]
    if type(value) is Call:
        inner = [("", change.value) for change in value.changes if not is_constant(change.value)]
        return inner if is_constant(value.args) else [*inner, ("", value.args)]
    return []
