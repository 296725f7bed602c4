"""Shapes: what an abstract value must look like to be inside a contract.

A shape is a word, or words joined by `|`. Words are the keys of `WORDS`, or
`'text'` for exactly that string, `=module:name` for exactly that global, `@module:name` for an object of that class.
Values inside values need no shape: whatever makes them is judged on its own.
"""

from collections.abc import Callable, Mapping
from functools import cache

from weighbridge.formats.numpy.dtypes import dtype_of_typestr
from weighbridge.formats.numpy.pickled import RECORDS, dtype_of_value
from weighbridge.formats.pickle import Blob, Call, Dict, FrozenSet, Global, List, Persistent, Set, Value
from weighbridge.scan.contracts import libraryshapes as library
from weighbridge.scan.contracts import memory
from weighbridge.scan.contracts.book import Contract, Signature, find
from weighbridge.scan.contracts.storages import (
    is_empty_ordered,
    is_storage,
    is_tensor,
    storage_of,
    tensor_in_storage,
    tuple_of,
)
from weighbridge.scan.contracts.values import (
    Use,
    Word,
    are_attributes,
    are_sizes,
    are_slots,
    class_of,
    contract_of,
    each_is,
    has_only,
    is_a,
    is_bytes,
    is_class,
    is_dict,
    is_maker,
    is_name,
    is_plain,
    is_public,
    is_size,
    of_library,
)

__all__ = [
    "CHECKS",
    "TIMED",
    "TIMED_CHECKS",
    "WORDS",
    "Use",
    "allowed",
    "class_of",
    "contract_of",
    "failed_check",
    "fits",
    "storage_of",
]


def fits(value: Value, shape: str, use: Use) -> bool:
    """Whether a value has a shape."""
    for word in _words(shape):  # noqa: SIM110 - twice as quick, and a stream may ask half a million times
        if word(value, use):
            return True
    return False


def fits_signature(args: tuple[Value, ...], signature: Signature, use: Use) -> bool:
    """Whether arguments fit one signature."""
    shapes, rest, needed = _taken_apart(signature)
    if len(args) < needed or (len(args) > len(shapes) and not rest):
        return False
    for value, shape in zip(args, shapes, strict=False):
        if not fits(value, shape, use):
            return False
    return all(fits(value, rest, use) for value in args[len(shapes) :])


@cache
def _taken_apart(signature: Signature) -> tuple[tuple[str, ...], str, int]:
    """(shapes, the shape of any number behind them or "", how many are needed)."""
    shapes, rest = list(signature), ""
    if shapes and shapes[-1].endswith("..."):
        rest = shapes.pop()[:-3]
    needed = sum(not shape.endswith("?") for shape in shapes)
    return tuple(shape.removesuffix("?") for shape in shapes), rest, needed


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


WORDS: Mapping[str, Word] = {
    "any": lambda value, _: True,
    "none": lambda value, _: value is None,
    "bool": is_a(bool),
    "int": is_a(int, bool),
    "size": is_size,
    "float": is_a(float),
    "number": is_a(int, float, bool),
    "str": is_a(str),
    "name": is_name,
    "dotted": is_public,
    "bytes": is_bytes,
    "text": lambda value, use: type(value) is str or is_bytes(value, use),
    "plain": is_plain,
    "tuple": is_a(tuple),
    "list": is_a(List),
    "dict": is_dict,
    "attributes": are_attributes,
    "slots": are_slots,
    "set": is_a(Set, FrozenSet),
    "sequence": is_a(tuple, List),
    "collection": is_a(tuple, List, Set, FrozenSet, Dict),
    "sizes": lambda value, _: are_sizes(value),
    "ints": each_is((tuple, List), lambda item: type(item) in (int, bool)),
    "numbers": each_is((tuple, List), lambda item: type(item) in (int, float, bool)),
    "bytelist": each_is((tuple, List), lambda item: type(item) is int and 0 <= item < 256),
    "strs": each_is((tuple, List), lambda item: type(item) is str),
    "global": is_a(Global),
    "class": is_class,
    "maker": is_maker,
    "object": is_a(Call),
    "dtype-name": lambda value, _: (
        (type(value) is str and dtype_of_typestr(value) is not None)
        or (type(value) is Global and value.name in RECORDS)
    ),
    "dtype": library.dtype,
    "plain-dtype": library.plain_dtype,
    "dtype-state": library.dtype_state,
    "array-state": library.array_state,
    "masked-state": library.masked_state,
    "distribution-state": library.distribution_state,
    "vectorized-state": library.vectorized_state,
    "wrapper-state": lambda value, _: has_only(value, library.WRAPPER),
    "booster-state": library.booster_state,
    "catboost-state": library.catboost_state,
    "buffer-state": library.buffer_state,
    "optimizer-state": library.optimizer_state,
    "model-data-state": library.model_data_state,
    "omegaconf-state": library.omegaconf_state,
    "predictor-state": library.predictor_state,
    "index-data": library.index_data,
    "frame-state": library.frame_state,
    "arrow-state": library.arrow_state,
    "layers-state": library.layers_state,
    "random-state": library.random_state,
    "data-state": memory.data_state,
    "tree-state": memory.tree_state,
    "blocks-state": memory.blocks_state,
    "arrow-parts": memory.arrow_parts,
    "pairs": lambda value, _: (
        type(value) in (tuple, List) and all(type(pair) in (tuple, List) and len(pair) == 2 for pair in value)
    ),
    "axes": lambda value, _: type(value) is List and all(map(of_library, value)),
    "array": library.array,
    "arrays": lambda value, use: (
        type(value) in (tuple, List) and all(library.array(item, use) for item in value)
    ),
    "nothing": lambda value, _: type(value) is tuple and value == (0,),
    "plain-repr": library.plain_repr,
    "storage": is_storage,
    "tensor": is_tensor,
    "no-hooks": is_empty_ordered,
}
"""Every word that a contract may use."""
TIMED = frozenset({"dtype", "plain-dtype", "dtype-state", "array-state", "masked-state"})
"""Words whose answer hangs on when it is asked, or on what else is done to the object: see `Use`."""
TIMED_CHECKS = frozenset({"scalar", "tree", "typed-rebuild"})
"""Checks of that kind."""


# ---- checks over all arguments


def _scalar(use: Use) -> bool:
    """`scalar(dtype, bytes)`: as many bytes as one item has."""
    found = dtype_of_value(use.args[0], before=use.at)
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
    return allowed(contract.call, args, contract, use.at)


def allowed(
    signatures: tuple[Signature, ...], args: tuple[Value, ...], contract: Contract, index: int
) -> bool:
    """Whether arguments fit one of the signatures and all checks of a contract."""
    if not args and not contract.checks:
        return any(not signature or _may_be_empty(signature) for signature in signatures)
    use = Use(at=index, args=args)
    if not any(fits_signature(args, signature, use) for signature in signatures):
        return False
    return all(CHECKS[check](use) for check in contract.checks)


@cache
def _may_be_empty(signature: Signature) -> bool:
    return all(shape.endswith(("?", "...")) for shape in signature)


REACHES_OUTSIDE = {"tensor-in-storage": "makes a tensor that reaches outside its storage (CVE-2026-24747)"}
"""What it means that a check fails although every argument has its shape."""


def failed_check(
    signatures: tuple[Signature, ...], args: tuple[Value, ...], contract: Contract, index: int
) -> str:
    """The harm of arguments that fit a signature and fail a check; "" for all others."""
    use = Use(at=index, args=args)
    if not any(fits_signature(args, signature, use) for signature in signatures):
        return ""
    return next((REACHES_OUTSIDE.get(check, "") for check in contract.checks if not CHECKS[check](use)), "")


def _sparse(use: Use) -> bool:
    """(layout, parts): tensors of indices and values, then sizes and perhaps a flag.

    Only in torch files, whose readers hold the indices against the size.
    """
    parts = use.args[1]
    if type(parts) is not tuple or not 3 <= len(parts) <= 4:
        return False
    tensors = [part for part in parts if is_tensor(part, use)]
    if not all(type(part.args) is tuple and type(part.args[0]) is Persistent for part in tensors):
        return False
    sizes = [part for part in parts if are_sizes(tuple_of(part))]
    flags = [part for part in parts if part is None or type(part) is bool]
    return len(tensors) in (2, 3) and len(sizes) == 1 and len(tensors) + len(flags) + 1 == len(parts)


def _known_attribute(use: Use) -> bool:
    """`getattr(x, name)`: a member of an enumeration, a name that has a contract, a distribution's own method."""
    owner, name = use.args
    if type(owner) is Call:
        return library.is_distribution(owner)
    contract = find(owner.module, owner.qualname)
    if contract is not None and contract.enum:
        return is_name(name, use)
    return find(owner.module, f"{owner.qualname}.{name}") is not None


def _tree(use: Use) -> bool:
    """`Tree(features, classes, outputs)`: the array has an item for each output, which is not checked there."""
    return shape_of_array(use.args[1], use.at) == (use.args[2],)


def shape_of_array(value: Value, before: int) -> tuple[int, ...] | None:
    """The shape that an array has before an opcode; None where it is not known."""
    if type(value) is not Call or type(value.callable) is not Global or type(value.args) is not tuple:
        return None
    if value.callable.qualname == "_frombuffer" and len(value.args) > 2:
        return value.args[2] if are_sizes(value.args[2]) else None
    states = [change for change in value.changes if change.how == "BUILD"]
    if len(states) != 1 or states[0].index > before:
        return None
    state = states[0].value
    if type(state) is tuple and len(state) > 3:
        return state[-4] if are_sizes(state[-4]) else None
    if type(state) is Dict and class_of(value) == "joblib.numpy_pickle:NumpyArrayWrapper":
        shapes = [item for key, item in state.pairs() if key == "shape"]
        return shapes[-1] if shapes and are_sizes(shapes[-1]) else None
    return None


CHECKS: Mapping[str, Callable[[Use], bool]] = {
    "tree": _tree,
    "known-attribute": _known_attribute,
    "tensor-in-storage": tensor_in_storage,
    "scalar": _scalar,
    "distribution-method": library.distribution_method,
    "typed-rebuild": _typed_rebuild,
    "sparse": _sparse,
}
