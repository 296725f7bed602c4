"""Shapes of states that one library's classes take: each says what its `__setstate__` calls, executes or reads."""

import re
from math import prod

from weighbridge.core.pattern import late
from weighbridge.formats.numpy.pickled import dtype_of_value
from weighbridge.formats.pickle import Call, Dict, Global, List, Persistent, Value, pairs_of
from weighbridge.scan.contracts.book import find
from weighbridge.scan.contracts.values import (
    Use,
    are_attributes,
    are_sizes,
    class_of,
    contract_of,
    has_only,
    is_bytes,
    is_plain,
    of_library,
)


def dtype(value: Value, use: Use) -> bool:
    """A dtype that is known."""
    return dtype_of_value(value, before=use.at) is not None


def plain_dtype(value: Value, use: Use) -> bool:
    """A dtype without objects in it."""
    found = dtype_of_value(value, before=use.at)
    return found is not None and not found.objects


def dtype_state(value: Value, use: Use) -> bool:
    """BUILD on a dtype: the whole object must be one that we can describe, and BUILD must stand once."""
    return dtype_of_value(use.target) is not None


def array_state(value: Value, use: Use) -> bool:
    """(version, shape, dtype, fortran, data): bytes for plain items, for objects a list of exactly as many.

    numpy takes as many objects as the shape says without looking at the list's length.
    """
    if type(value) is not tuple or len(value) not in (4, 5):
        return False
    shape, dtype, fortran, data = value[-4:]
    found = dtype_of_value(dtype, before=use.at)
    if found is None or not are_sizes(shape) or type(fortran) not in (bool, int):
        return False
    if type(use.target) is Call and len(use.target.changes) > 1:
        return False
    if not found.objects:
        return is_bytes(data, use) or type(data) is str
    return (
        type(data) is List and len(use.lengths) >= len(value) and use.lengths[len(value) - 1] == prod(shape)
    )


def masked_state(value: Value, use: Use) -> bool:
    """The state of a masked array: version, shape, dtype, order, data, mask bytes, fill value."""
    return (
        type(value) is tuple and len(value) == 7 and array_state(value[:5], use) and is_bytes(value[5], use)
    )


_PARSERS = late(
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


def distribution_state(value: Value, use: Use) -> bool:
    """scipy executes the attribute `_parse_arg_template` when it sets this state: it must be scipy's own template."""
    return has_only(value, _DISTRIBUTION) and not executes_text(value)


def is_distribution(value: Call) -> bool:
    """A distribution of scipy's: no state that it takes hides one of its methods."""
    contract = contract_of(value)
    return contract is not None and contract.state == ("distribution-state",)


def vectorized_state(value: Value, use: Use) -> bool:
    """A function over arrays whose function is a method of a distribution, as discrete ones keep it."""
    if not are_attributes(value, use):
        return False
    wrapped = [item for key, item in value.pairs() if key == "pyfunc"]
    return bool(wrapped) and all(_is_method(item) for item in wrapped)


def _is_method(value: Value) -> bool:
    """`getattr(distribution, name)` or `MethodType(function, distribution)`; the call itself is judged by its own contract."""
    if type(value) is not Call or type(value.callable) is not Global or type(value.args) is not tuple:
        return False
    place = _OWNERS.get(value.callable.name, len(value.args))
    owner = value.args[place] if place < len(value.args) else None
    return type(owner) is Call and is_distribution(owner)


_OWNERS = {"builtins.getattr": 0, "types.MethodType": 1}
"""What makes a method of an object → which argument the object is."""


def distribution_method(use: Use) -> bool:
    """`MethodType(function, object)`: a function of scipy's distributions, and one of them."""
    function, owner = use.args
    return (
        find(function.module, function.qualname) is not None
        and function.name.startswith("scipy.stats.")
        and is_distribution(owner)
    )


def executes_text(value: Value) -> bool:
    """Whether a distribution's state holds a text to execute that is not scipy's own."""
    if type(value) is not Dict:
        return False
    texts = [item for key, item in value.pairs() if key == "_parse_arg_template"]
    return not all(type(text) is str and len(text) < 4096 and _PARSERS.fullmatch(text) for text in texts)


WRAPPER = frozenset({"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"})
"""Any other attribute could take the place of a method that joblib calls while it loads."""


def booster_state(value: Value, use: Use) -> bool:
    """The model as text or bytes: its `encode` is called."""
    if not are_attributes(value, use):
        return False
    handles = [item for key, item in value.pairs() if key in ("handle", "_handle")]
    return all(item is None or type(item) is str or is_bytes(item, use) for item in handles)


def catboost_state(value: Value, use: Use) -> bool:
    """Settings, and the model in CatBoost's own binary form; settings go into a dict and replace no attribute."""
    if not are_attributes(value, use):
        return False
    for key, item in value.pairs():
        if key == "__model" and not (
            is_bytes(item, use) and (type(item) is not bytes or item[:4] == b"CBM1")
        ):
            return False
        if key in ("_test_eval", "_test_evals") and type(item) is not List:
            return False
    return True


_OPTIMIZER = frozenset({"defaults", "state", "param_groups"})


def optimizer_state(value: Value, use: Use) -> bool:
    """Plain containers only: `setdefault`, `get` and `values` of theirs are called. No attribute may hide a method."""
    if not has_only(value, _OPTIMIZER):
        return False
    for key, item in value.pairs():
        inner = item[1::2] if type(item) is Dict else item
        if key == "param_groups" and not (type(item) is List and all(map(_is_group, item))):
            return False
        if key == "state" and not (mapping(item) and all(type(state) is Dict for state in values(item))):
            return False
        if key == "defaults" and (type(item) is not Dict or any(type(v) is Persistent for v in inner)):
            return False
    return True


def _is_group(value: Value) -> bool:
    """A dict whose parameters are a list: older optimizers go through them."""
    return type(value) is Dict and all(type(item) is List for key, item in value.pairs() if key == "params")


def mapping(value: Value) -> bool:
    """A dict, or a `defaultdict` whose factory is a plain container."""
    if type(value) is Dict:
        return True
    return type(value) is Call and class_of(value) == "collections:defaultdict"


def values(value: Value) -> list[Value]:
    """The values of a mapping."""
    return [item for _, item in pairs_of(value)]


def omegaconf_state(value: Value, use: Use) -> bool:
    """The attribute `_metadata` is of omegaconf's own: its attributes are read and set."""
    if not are_attributes(value, use):
        return False
    found = [item for key, item in value.pairs() if key == "_metadata"]
    return bool(found) and all(
        type(i) is Call and class_of(i) == "omegaconf.base:ContainerMetadata" for i in found
    )


def model_data_state(value: Value, use: Use) -> bool:
    """statsmodels evaluates the attribute `formula` where an attribute `restore_…` stands beside it."""
    return are_attributes(value, use) and not any(str(key).startswith("restore_") for key in value[::2])


def buffer_state(value: Value, _: Use) -> bool:
    """Content, (line ends,) position, attributes: none of them, since collecting the object calls its `close`."""
    return type(value) is tuple and len(value) in (3, 4) and (value[-1] is None or value[-1] == Dict())


_FRAME = frozenset(
    {"_mgr", "_data", "_typ", "_metadata", "attrs", "_attrs", "_flags", "_name", "name", "_subtyp"}
)
_MANAGERS = frozenset(
    f"{module}:{name}"
    for module in ("pandas.core.internals.managers", "pandas.core.internals")
    for name in ("BlockManager", "SingleBlockManager")
)


def frame_state(value: Value, use: Use) -> bool:
    """Blocks of pandas' own, a kind, and names: any other attribute could be a setter, or take a method's place."""
    if not has_only(value, _FRAME):
        return False
    found = dict(value.pairs())
    managers = [found[key] for key in ("_mgr", "_data") if key in found]
    names = found.get("_metadata")
    return all(type(item) is Call and class_of(item) in _MANAGERS for item in managers) and (
        names is None or (type(names) is List and all(type(name) is str for name in names))
    )


def arrow_state(value: Value, _: Use) -> bool:
    """An array of Arrow's, a dtype, and nothing in the cache."""
    if not has_only(value, frozenset({"_pa_array", "_data", "_dtype", "_cache", "_readonly"})):
        return False
    for key, item in value.pairs():
        if key in ("_pa_array", "_data") and not (type(item) is Call and class_of(item) in _ARROW):
            return False
        if key == "_dtype" and not (type(item) is Call and class_of(item).startswith("pandas")):
            return False
        if key == "_cache" and not (type(item) is Dict and not item):
            return False
    return True


_ARROW = frozenset({"pyarrow.lib:_restore_array", "pyarrow.lib:chunked_array"})


MAX_LAYERS = 10_000


def layers_state(value: Value, use: Use) -> bool:
    """Attributes, with a number of layers that a loop over them ends with."""
    return are_attributes(value, use) and all(
        type(item) is int and 0 <= item <= MAX_LAYERS for key, item in value.pairs() if key == "num_layers"
    )


def random_state(value: Value, _: Use) -> bool:
    """(version, tuple of 625 integers, a number or None): the second version goes through whatever stands there."""
    if type(value) is not tuple or len(value) != 3 or type(value[1]) is not tuple:
        return False
    return (
        value[0] in (2, 3) and all(type(n) is int for n in value[1]) and type(value[2]) in (float, type(None))
    )


def predictor_state(value: Value, use: Use) -> bool:
    """The attribute `nodes` is an array: its `astype` is called."""
    return are_attributes(value, use) and all(
        array(item, use) for key, item in value.pairs() if key == "nodes"
    )


_ARRAYS = frozenset(
    {"numpy:ndarray", "numpy:recarray", "numpy.rec:recarray", "numpy:matrix", "joblib.numpy_pickle:NumpyArrayWrapper", "pandas:Categorical"}
)  # fmt: skip


def array(value: Value, _: Use) -> bool:
    """An array of numpy or pandas, also as joblib writes it."""
    name = class_of(value) if type(value) is Call else ""
    return name in _ARRAYS or name.startswith(("pandas.arrays:", "pandas.core.arrays."))


def index_data(value: Value, use: Use) -> bool:
    """Arguments of an index: methods of theirs are called, so that each is a plain value or of a known library."""
    if type(value) is not Dict:
        return False
    return all(type(key) is str and (is_plain(item, use) or of_library(item)) for key, item in value.pairs())


_PLAIN_REPR = late(
    r"range\(-?\d{1,18}, -?\d{1,18}(?:, -?\d{1,18})?\)|slice\((?:(?:None|-?\d{1,18})(?:, (?!\))|(?=\)))){3}\)|Ellipsis|NotImplemented|None",
    re.ASCII,
)
"""What dill evaluates for ranges and constants."""


def plain_repr(value: Value, _: Use) -> bool:
    """A text that dill evaluates and that is a plain constant."""
    return type(value) is str and _PLAIN_REPR.fullmatch(value) is not None
