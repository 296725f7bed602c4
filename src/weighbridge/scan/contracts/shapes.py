"""Shapes: what an abstract value must look like to be inside a contract.

A shape is a word, or words joined by `|`. Words are the keys of `WORDS`, or
`'text'` for exactly that string, `=module:name` for exactly that global, `@module:name` for an object of that class.
Values inside values need no shape: whatever makes them is judged on its own.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from math import prod

from weighbridge.core.value import dataclass
from weighbridge.formats.numpy import RECORDS, dtype_of_typestr, dtype_of_value
from weighbridge.formats.pickle import Blob, Call, Dict, FrozenSet, Global, List, Persistent, Set, Value
from weighbridge.scan.contracts.book import Contract, Signature, find, find_named


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One use of a contract: where it happens, on what."""

    index: int
    """The opcode's number: what is set on an argument later than this is not part of it."""
    args: tuple[Value, ...] = ()
    target: Value = None
    """The object that a state is set on."""
    lengths: tuple[int, ...] = ()
    """`Change.lengths` of that state."""


Word = Callable[[Value, Use], bool]


def fits(value: Value, shape: str, use: Use) -> bool:
    """Whether a value has a shape."""
    return any(word(value, use) for word in _words(shape))


def fits_signature(args: tuple[Value, ...], signature: Signature, use: Use) -> bool:
    """Whether arguments fit one signature."""
    shapes = list(signature)
    if shapes and shapes[-1].endswith("..."):
        rest = shapes.pop()[:-3]
        if not all(fits(value, rest, use) for value in args[len(shapes) :]):
            return False
        args = args[: len(shapes)]
    needed = sum(not shape.endswith("?") for shape in shapes)
    if not needed <= len(args) <= len(shapes):
        return False
    return all(fits(value, shape.removesuffix("?"), use) for value, shape in zip(args, shapes, strict=False))


@cache
def _words(shape: str) -> tuple[Word, ...]:
    return tuple(_word(part) for part in shape.split("|"))


def _word(text: str) -> Word:
    if text[0] == "'":
        return lambda value, _: type(value) is str and value == text[1:-1]
    if text[0] == "=":
        return lambda value, _: type(value) is Global and f"{value.module}:{value.qualname}" == text[1:]
    if text[0] == "@":
        return lambda value, _: type(value) is Call and class_of(value) == text[1:]
    return WORDS[text]


def class_of(call: Call) -> str:
    """`module:qualname` of the class that a call makes an object of; "" when it is not known."""
    target = call.callable
    for _ in range(3):
        if type(target) is not Global:
            return ""
        contract = find(target.module, target.qualname)
        if contract is None or call.how.startswith("NEWOBJ") or not contract.makes:
            return f"{target.module}:{target.qualname}"
        if not contract.makes.startswith("@"):
            return contract.makes
        position = int(contract.makes[1:])
        target = call.args[position] if type(call.args) is tuple and len(call.args) > position else None
        if type(target) is Global:
            return f"{target.module}:{target.qualname}"
    return ""


def contract_of(call: Call) -> Contract | None:
    """The contract of the class that a call makes an object of."""
    name = class_of(call)
    return find_named(name) if name else None


# ---- words

MAX_ITEMS = 10_000
"""Items of one container that a shape looks at; longer ones have no such shape."""


def _is(*kinds: type) -> Word:
    return lambda value, _: type(value) in kinds


def _each(kinds: tuple[type, ...], inner: Callable[[Value], bool]) -> Word:
    return lambda value, _: (
        type(value) in kinds and len(value) <= MAX_ITEMS and all(inner(item) for item in value)
    )


def _size(value: Value, _: Use | None = None) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _bytes(value: Value, _: Use) -> bool:
    return type(value) is bytes or type(value) is Blob or _bytearray(value)


def _bytearray(value: Value) -> bool:
    return type(value) is Call and class_of(value) == "builtins:bytearray" and not value.changes


def _dict(value: Value, _: Use) -> bool:
    return type(value) is Dict


def _attributes(value: Value, _: Use) -> bool:
    """A dict of plain attribute names: BUILD fills `__dict__` with it, or sets it attribute by attribute."""
    return type(value) is Dict and all(type(key) is str and not _reserved(key) for key in value[::2])


def _reserved(name: str) -> bool:
    """Names whose meaning is the interpreter's: `__class__`, `__reduce__`, …"""
    return name.startswith("__") and name.endswith("__") and name not in _ONLY_TEXT


_ONLY_TEXT = frozenset({"__doc__", "__name__", "__qualname__", "__module__", "__version__"})


def _slots(value: Value, use: Use) -> bool:
    """The pair of `__dict__` and slots; slots are set by `setattr`."""
    if type(value) is not tuple or len(value) != 2:
        return False
    return all(part is None or _attributes(part, use) for part in value)


def _class(value: Value, _: Use) -> bool:
    """A class whose objects may be made without arguments."""
    contract = find(value.module, value.qualname) if type(value) is Global else None
    return contract is not None and () in contract.new


def _maker(value: Value, _: Use) -> bool:
    """What may be called without arguments: a `defaultdict`'s factory."""
    contract = find(value.module, value.qualname) if type(value) is Global else None
    return contract is not None and (() in contract.new or () in contract.call)


def _public(value: Value, _: Use) -> bool:
    """A dotted name of attributes that are nobody's inner ones."""
    return type(value) is str and all(
        word.isidentifier() and not word.startswith("_") for word in value.split(".")
    )


def _name(value: Value, _: Use) -> bool:
    return type(value) is str and value.isidentifier() and not value.startswith("_")


def _plain(value: Value, _: Use) -> bool:
    return value is None or type(value) in (bool, int, float, str, bytes, Blob)


def _dtype(value: Value, use: Use) -> bool:
    return dtype_of_value(value, before=use.index) is not None


def _plain_dtype(value: Value, use: Use) -> bool:
    found = dtype_of_value(value, before=use.index)
    return found is not None and not found.objects


def _dtype_state(value: Value, use: Use) -> bool:
    """BUILD on a dtype: the whole object must be one that we can describe, and BUILD must stand once."""
    return dtype_of_value(use.target) is not None


def _array_state(value: Value, use: Use) -> bool:
    """(version, shape, dtype, fortran, data): bytes for plain items, for objects a list of exactly as many.

    numpy takes as many objects as the shape says without looking at the list's length.
    """
    if type(value) is not tuple or len(value) not in (4, 5):
        return False
    shape, dtype, fortran, data = value[-4:]
    found = dtype_of_value(dtype, before=use.index)
    if found is None or not _sizes(shape) or type(fortran) not in (bool, int):
        return False
    if type(use.target) is Call and len(use.target.changes) > 1:
        return False
    if not found.objects:
        return _bytes(data, use) or type(data) is str
    return (
        type(data) is List and len(use.lengths) >= len(value) and use.lengths[len(value) - 1] == prod(shape)
    )


def _sizes(value: Value) -> bool:
    return type(value) is tuple and len(value) <= 64 and all(_size(item) for item in value)


def _masked_state(value: Value, use: Use) -> bool:
    """The state of a masked array: version, shape, dtype, order, data, mask bytes, fill value."""
    return type(value) is tuple and len(value) == 7 and _array_state(value[:5], use) and _bytes(value[5], use)


_PARSERS = re.compile(
    r"\ndef _parse_args\(self, (?:\w+, )* ?loc=0(?:, scale=1)?\):\n    return \((?:\w+, )*\), loc, (?:scale|1)\n"
    r"\ndef _parse_args_rvs\(self, (?:\w+, )* ?loc=0(?:, scale=1)?, size=None\):\n"
    r"    return self\._argcheck_rvs\((?:\w+, )* ?loc, (?:scale|1), size=size\)\n"
    r"\ndef _parse_args_stats\(self, (?:\w+, )* ?loc=0(?:, scale=1)?, moments='mv'\):\n"
    r"    return \((?:\w+, )*\), loc, (?:scale|1), moments\n"
)
"""scipy.stats._distn_infrastructure.parse_arg_template, filled with names of shape parameters only."""


_DISTRIBUTION = frozenset(
    {"__doc__", "_ctor_param", "_parse_arg_template", "_random_state", "_stats_has_moments", "_support", "a", "b", "badvalue",
     "inc", "moment_tol", "moment_type", "name", "numargs", "shapes", "vecentropy", "xtol", "extradoc", "longname", "generic_moment"}
)  # fmt: skip


def _distribution_state(value: Value, use: Use) -> bool:
    """scipy executes the attribute `_parse_arg_template` when it sets this state: it must be scipy's own template."""
    return _only(value, _DISTRIBUTION) and not executes_text(value)


def executes_text(value: Value) -> bool:
    """Whether a distribution's state holds a text to execute that is not scipy's own."""
    if type(value) is not Dict:
        return False
    texts = [item for key, item in value.pairs() if key == "_parse_arg_template"]
    return not all(type(text) is str and len(text) < 4096 and _PARSERS.fullmatch(text) for text in texts)


def _only(value: Value, names: frozenset[str]) -> bool:
    """A dict of no other attributes than these."""
    return type(value) is Dict and all(type(key) is str and key in names for key in value[::2])


_WRAPPER = frozenset({"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"})
"""Any other attribute could take the place of a method that joblib calls while it loads."""


def _booster_state(value: Value, use: Use) -> bool:
    """The model as text or bytes: its `encode` is called."""
    if not _attributes(value, use):
        return False
    handles = [item for key, item in value.pairs() if key in ("handle", "_handle")]
    return all(item is None or type(item) is str or _bytes(item, use) for item in handles)


def _buffer_state(value: Value, _: Use) -> bool:
    """Content, (line ends,) position, attributes: none of them, since collecting the object calls its `close`."""
    return type(value) is tuple and len(value) in (3, 4) and (value[-1] is None or value[-1] == Dict())


def _predictor_state(value: Value, use: Use) -> bool:
    """The attribute `nodes` is an array: its `astype` is called."""
    return _attributes(value, use) and all(_array(item, use) for key, item in value.pairs() if key == "nodes")


_ARRAYS = frozenset(
    {"numpy:ndarray", "numpy:recarray", "numpy.rec:recarray", "numpy:matrix", "joblib.numpy_pickle:NumpyArrayWrapper", "pandas:Categorical"}
)  # fmt: skip


def _array(value: Value, _: Use) -> bool:
    """An array of numpy or pandas, also as joblib writes it."""
    name = class_of(value) if type(value) is Call else ""
    return name in _ARRAYS or name.startswith(("pandas.arrays:", "pandas.core.arrays."))


def _index_data(value: Value, use: Use) -> bool:
    """Arguments of an index: methods of theirs are called, so that each is a plain value or of a known library."""
    if type(value) is not Dict:
        return False
    return all(type(key) is str and (_plain(item, use) or _of_library(item)) for key, item in value.pairs())


def _of_library(value: Value) -> bool:
    if type(value) in (tuple, List):
        return all(_of_library(item) or _plain(item, Use(index=0)) for item in value[:MAX_ITEMS])
    if type(value) is not Call:
        return type(value) is Global
    top = class_of(value).partition(":")[0].partition(".")[0]
    return top in ("numpy", "pandas", "datetime", "builtins", "joblib", "zoneinfo")


def _storage(value: Value, _: Use) -> bool:
    return storage_of(value) is not None


def _tensor(value: Value, _: Use) -> bool:
    return type(value) is Call and class_of(value) in ("torch:Tensor", "torch.nn.parameter:Parameter")


def _ordered(value: Value, _: Use) -> bool:
    """An empty `OrderedDict`: the backward hooks of a tensor that has none."""
    if type(value) is not Call or class_of(value) != "collections:OrderedDict":
        return type(value) is Dict and not value
    return value.args == () and not value.changes


WORDS: Mapping[str, Word] = {
    "any": lambda value, _: True,
    "none": lambda value, _: value is None,
    "bool": _is(bool),
    "int": _is(int, bool),
    "size": _size,
    "float": _is(float),
    "number": _is(int, float, bool),
    "str": _is(str),
    "name": _name,
    "dotted": _public,
    "bytes": _bytes,
    "text": lambda value, use: type(value) is str or _bytes(value, use),
    "plain": _plain,
    "tuple": _is(tuple),
    "list": _is(List),
    "dict": _dict,
    "attributes": _attributes,
    "slots": _slots,
    "set": _is(Set, FrozenSet),
    "sequence": _is(tuple, List),
    "collection": _is(tuple, List, Set, FrozenSet, Dict),
    "sizes": lambda value, _: _sizes(value),
    "ints": _each((tuple, List), lambda item: type(item) in (int, bool)),
    "numbers": _each((tuple, List), lambda item: type(item) in (int, float, bool)),
    "bytelist": _each((tuple, List), lambda item: type(item) is int and 0 <= item < 256),
    "strs": _each((tuple, List), lambda item: type(item) is str),
    "global": _is(Global),
    "class": _class,
    "maker": _maker,
    "object": _is(Call),
    "dtype-name": lambda value, _: (
        (type(value) is str and dtype_of_typestr(value) is not None)
        or (type(value) is Global and value.name in RECORDS)
    ),
    "dtype": _dtype,
    "plain-dtype": _plain_dtype,
    "dtype-state": _dtype_state,
    "array-state": _array_state,
    "masked-state": _masked_state,
    "distribution-state": _distribution_state,
    "wrapper-state": lambda value, _: _only(value, _WRAPPER),
    "booster-state": _booster_state,
    "buffer-state": _buffer_state,
    "predictor-state": _predictor_state,
    "index-data": _index_data,
    "array": _array,
    "arrays": lambda value, use: type(value) in (tuple, List) and all(_array(item, use) for item in value),
    "nothing": lambda value, _: type(value) is tuple and value == (0,),
    "storage": _storage,
    "tensor": _tensor,
    "no-hooks": _ordered,
}
"""Every word that a contract may use."""


# ---- checks over all arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What a torch persistent id says of a storage."""

    kind: str
    """`FloatStorage`, `UntypedStorage`, …"""
    key: str
    elements: int


def storage_of(value: Value) -> Storage | None:
    """The storage that a persistent id names, as `torch.save` writes it; None for every other id."""
    pid = value.pid if type(value) is Persistent else None
    if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage":
        return None
    kind, key, location, elements = pid[1:5]
    if (
        type(kind) is not Global
        or find(kind.module, kind.qualname) is None
        or not str(kind.qualname).endswith("Storage")
    ):
        return None
    if type(key) not in (str, int) or type(location) is not str or not _size(elements):
        return None
    if len(pid) == 6 and not (pid[5] is None or type(pid[5]) is tuple):
        return None
    return Storage(kind=str(kind.qualname), key=str(key), elements=elements)


_ITEMSIZE = {
    "float64": 8, "double": 8, "float32": 4, "float": 4, "float16": 2, "half": 2, "bfloat16": 2, "int64": 8, "long": 8,
    "int32": 4, "int": 4, "int16": 2, "short": 2, "int8": 1, "uint8": 1, "bool": 1, "complex64": 8, "cfloat": 8,
    "complex128": 16, "cdouble": 16, "complex32": 4, "uint16": 2, "uint32": 4, "uint64": 8,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
    "float4_e2m1fn_x2": 1, "quint8": 1, "qint8": 1, "qint32": 4, "quint4x2": 1, "quint2x4": 1, "bits8": 1, "bits16": 2,
    "bits1x8": 1, "bits2x4": 1, "bits4x2": 1, **{f"{sign}int{bits}": 1 for sign in ("", "u") for bits in range(1, 8)},
}  # fmt: skip


def _tensor_in_storage(use: Use) -> bool:
    """(storage, offset, size, stride, …, dtype?): the last item that the strides reach lies inside (CVE-2026-24747)."""
    storage = storage_of(use.args[0])
    offset, size, stride = use.args[1:4]
    if storage is None or not _size(offset) or not _sizes(_tuple_of(size)) or not _sizes(_tuple_of(stride)):
        return False
    size, stride = _tuple_of(size), _tuple_of(stride)
    if len(size) != len(stride):
        return False
    if 0 in size:
        return bool(offset <= storage.elements)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    return bool((last + 1) * _width(use, storage) <= storage.elements)


def _tuple_of(value: Value) -> Value:
    """A tuple, or the tuple inside `torch.Size(…)`."""
    if (
        type(value) is Call
        and class_of(value) == "torch:Size"
        and type(value.args) is tuple
        and len(value.args) == 1
    ):
        return value.args[0]
    return value


def _width(use: Use, storage: Storage) -> int:
    """Bytes of an item where the storage counts bytes."""
    if storage.kind != "UntypedStorage":
        return 1
    dtypes = [str(a.qualname) for a in use.args if type(a) is Global and a.module == "torch"]
    return max((_ITEMSIZE.get(name, 16) for name in dtypes), default=16)


def _scalar(use: Use) -> bool:
    """`scalar(dtype, bytes)`: as many bytes as one item has."""
    found = dtype_of_value(use.args[0], before=use.index)
    data = use.args[1]
    if found is None or found.objects:
        return False
    size = data.size if type(data) is Blob else len(data) if type(data) in (bytes, str) else -1
    return size == found.itemsize


def _typed_rebuild(use: Use) -> bool:
    """`_rebuild_from_type_v2(function, type, args, state)`: the inner call must be inside its own contract."""
    function, kind, args = use.args[:3]
    contract = find(function.module, function.qualname) if type(function) is Global else None
    if contract is None or type(args) is not tuple or type(kind) is not Global:
        return False
    if f"{kind.module}:{kind.qualname}" not in (
        "torch:Tensor",
        "torch.nn.parameter:Parameter",
        "torch.nn.parameter:Buffer",
    ):
        return False
    return allowed(contract.call, args, contract, use.index)


def allowed(
    signatures: tuple[Signature, ...], args: tuple[Value, ...], contract: Contract, index: int
) -> bool:
    """Whether arguments fit one of the signatures and all checks of a contract."""
    use = Use(index=index, args=args)
    if not any(fits_signature(args, signature, use) for signature in signatures):
        return False
    return all(CHECKS[check](use) for check in contract.checks)


REACHES_OUTSIDE = {"tensor-in-storage": "makes a tensor that reaches outside its storage (CVE-2026-24747)"}
"""What it means that a check fails although every argument has its shape."""


def failed_check(
    signatures: tuple[Signature, ...], args: tuple[Value, ...], contract: Contract, index: int
) -> str:
    """The harm of arguments that fit a signature and fail a check; "" for all others."""
    use = Use(index=index, args=args)
    if not any(fits_signature(args, signature, use) for signature in signatures):
        return ""
    return next((REACHES_OUTSIDE.get(check, "") for check in contract.checks if not CHECKS[check](use)), "")


def _known_attribute(use: Use) -> bool:
    """`getattr(x, name)`: a member of an enumeration, or a name that has a contract of its own."""
    owner, name = use.args
    contract = find(owner.module, owner.qualname)
    if contract is not None and contract.enum:
        return _name(name, use)
    return find(owner.module, f"{owner.qualname}.{name}") is not None


def _tree(use: Use) -> bool:
    """`Tree(features, classes, outputs)`: the array has an item for each output, which is not checked there."""
    return shape_of_array(use.args[1], use.index) == (use.args[2],)


def shape_of_array(value: Value, before: int) -> tuple[int, ...] | None:
    """The shape that an array has before an opcode; None where it is not known."""
    if type(value) is not Call or type(value.callable) is not Global or type(value.args) is not tuple:
        return None
    if value.callable.qualname == "_frombuffer" and len(value.args) > 2:
        return value.args[2] if _sizes(value.args[2]) else None
    states = [change for change in value.changes if change.how == "BUILD"]
    if len(states) != 1 or states[0].index > before:
        return None
    state = states[0].value
    if type(state) is tuple and len(state) > 3:
        return state[-4] if _sizes(state[-4]) else None
    if type(state) is Dict and class_of(value) == "joblib.numpy_pickle:NumpyArrayWrapper":
        shapes = [item for key, item in state.pairs() if key == "shape"]
        return shapes[-1] if shapes and _sizes(shapes[-1]) else None
    return None


CHECKS: Mapping[str, Callable[[Use], bool]] = {
    "tree": _tree,
    "known-attribute": _known_attribute,
    "tensor-in-storage": _tensor_in_storage,
    "scalar": _scalar,
    "typed-rebuild": _typed_rebuild,
}
