"""The names behind values: what a callable that the stream computes would be, as far as constants say.

`getattr(import_module("os"), "system")` is `os.system`: a finding that says what happens is worth more than one that says
"unproved". Also which callables make code out of what the file carries.
"""

from collections.abc import Mapping

from weighbridge.formats.pickle import Call, Global, List, Value
from weighbridge.formats.pickle.helpers import is_cloudpickle
from weighbridge.scan.contracts.harm import INTERNALS, harm_of, is_internal
from weighbridge.scan.contracts.texts import texts_in

MAX_STEPS = 32
"""Calls inside calls that are followed to find a name."""


def does(value: Value, path: str) -> str:
    """What calling the value does, as the end of "loading this file …"; "" when the list has nothing on it.

    `path` is what `resolved` says of it.
    """
    if makes_code(value):
        return "runs Python code that the file carries"
    if _gets_internals(value):
        return INTERNALS
    return harm_of(path) if path else ""


def resolved(value: Value) -> str:
    """The dotted path that a value stands for, as far as constants say; "" when they do not."""
    words: list[str] = []
    for _ in range(MAX_STEPS):
        if type(value) is Global:
            head = f"{value.module}.{value.qualname}" if value.module is not None else ""
            path = ".".join([head, *reversed(words)]) if words else head
            return _plain(path) if head else ""
        if type(value) is not Call or type(value.args) is not tuple:
            return ""
        module = _module(value)
        if module:
            return _plain(".".join([module, *reversed(words)]))
        step = _step(value)
        if step is None:
            return ""
        value, name = step
        words += list(reversed(name.split("."))) if name else []
    return ""


def _plain(path: str) -> str:
    if "__" not in path and ".." not in path and not path.endswith("."):
        return path.removeprefix(".")
    return ".".join(word for word in path.split(".") if word not in ("__dict__", "__call__", ""))


_IMPORTS = frozenset(
    {"builtins.__import__", "importlib.import_module", "importlib.__import__", "importlib._bootstrap._gcd_import", "pkgutil.resolve_name", "pydoc.locate",
     "pydoc.safeimport", "__builtin__.__import__"}
)  # fmt: skip


def _module(call: Call) -> str:
    """The module or object that an import call gives."""
    name = call.callable.name if type(call.callable) is Global else ""
    if name in _IMPORTS and call.args and type(call.args[0]) is str:
        return call.args[0].replace(":", ".")
    if name in UFUNCS and len(call.args) == 2 and all(type(word) is str for word in call.args):
        return ".".join(call.args)
    return ""


UFUNCS = frozenset({"numpy.core._ufunc_reconstruct", "numpy._core._ufunc_reconstruct"})
"""Imports the module and gives the name that it is told."""


_GETS = frozenset(
    {"builtins.getattr", "builtins.object.__getattribute__", "inspect.getattr_static", "operator.getitem", "_operator.getitem", "builtins.dict.get", "builtins.dict.__getitem__",
     "builtins.type.__getattribute__"}
)  # fmt: skip
GETTERS = frozenset(
    {
        "operator.attrgetter",
        "_operator.attrgetter",
        "operator.itemgetter",
        "_operator.itemgetter",
        "operator.methodcaller",
        "_operator.methodcaller",
    }
)


def _gets_internals(value: Value) -> bool:
    """`methodcaller("__getattribute__", "__code__")`, which takes apart whatever it is applied to."""
    if type(value) is not Call or type(value.callable) is not Global or value.callable.name not in GETTERS:
        return False
    return any(is_internal(word) for text in texts_in(value.args) for word in text.split("."))


_WRAPS = frozenset({"functools.partial", "_functools.partial", "builtins.vars", "types.MethodType", "builtins.staticmethod", "builtins.classmethod", "functools.lru_cache",
                    "builtins.id", "copy.copy", "copy.deepcopy"})  # fmt: skip


def _step(call: Call) -> tuple[Value, str] | None:
    """One step from what a call gives to the value that it takes it from, and the name it takes."""
    target, args = call.callable, call.args
    name = target.name if type(target) is Global else ""
    if name in _GETS and len(args) >= 2 and type(args[1]) is str:
        return args[0], args[1]
    if name in _WRAPS and args:
        return args[0], ""
    if name == "functools.reduce" and len(args) == 3 and type(args[1]) in (tuple, List):
        return args[2], ".".join(word for word in args[1] if type(word) is str)
    if type(target) is Call and type(target.callable) is Global and target.callable.name in GETTERS and args:
        first = target.args[0] if type(target.args) is tuple and target.args else None
        return (args[0], first) if type(first) is str else None
    return None


_FUNCTION_MAKERS = {
    "dill._dill": frozenset({"_create_function"}),
    "cloudpickle": frozenset({"_make_function", "_make_skel_func", "_fill_function"}),
    "types": frozenset({"FunctionType", "LambdaType"}),
}
_CODE_MAKERS = {
    "dill._dill": frozenset({"_create_code", "_create_type", "_create_cell", "_unmarshal", "_import_module"}),
    "cloudpickle": frozenset({
        "subimport", "dynamic_subimport", "_make_skeleton_class", "_make_skeleton_enum", "_rehydrate_skeleton_class",
        "_make_empty_cell", "_make_cell", "_cell_set", "_class_setstate", "_function_setstate", "instance",
    }),
    "types": frozenset({"CodeType", "ModuleType", "CellType"}),
}  # fmt: skip
"""Functions of dill and cloudpickle, and types of Python's own, that rebuild functions, code, classes and modules."""


_MAKERS = frozenset().union(*_FUNCTION_MAKERS.values(), *_CODE_MAKERS.values())


def is_getattr(value: Value) -> bool:
    """Whether a value is what `getattr` gives."""
    return (
        type(value) is Call and type(value.callable) is Global and value.callable.name == "builtins.getattr"
    )


def makes_code(value: Value) -> bool:
    """Whether a value is a function made of code that stands in the stream."""
    return type(value) is Call and type(value.callable) is Global and _is_in(value.callable, _FUNCTION_MAKERS)


def carries_code(target: Global) -> bool:
    """Whether a callable rebuilds functions, classes or modules out of the stream."""
    if target.qualname not in _MAKERS:
        return False
    return _is_in(target, _FUNCTION_MAKERS) or _is_in(target, _CODE_MAKERS)


def _is_in(target: Global, names: Mapping[str, frozenset[str]]) -> bool:
    module = "cloudpickle" if is_cloudpickle(target.module) else target.module or ""
    return target.qualname in names.get(module, ())
