"""Helpers of dill and cloudpickle that make a call or a look-up by another name, taken apart into what they do.

`dill._dill._create_array(f, args, state)` calls `f` and sets state on the result; `_load_type("PartialType")` and
cloudpickle's `_builtin_type` give a type of Python's own by name. The machine records what happens inside, so that it
is judged by the contracts of the names that are really called. Follows dill 0.3 to 0.4 and cloudpickle 1.2 to 3.1.
"""

import builtins
import types

from weighbridge.formats.pickle.values import Call, Global, Value

_TYPES = frozenset(name for name in vars(types) if name.endswith("Type") or name == "SimpleNamespace")
_BUILTINS = frozenset(name for name, value in vars(builtins).items() if isinstance(value, type))
_OTHERS = {
    "PartialType": ("functools", "partial"),
    "ItemGetterType": ("operator", "itemgetter"),
    "AttrGetterType": ("operator", "attrgetter"),
    "FileType": ("_io", "FileIO"),
    "ExitType": ("_sitebuiltins", "Quitter"),
    "SuperType": ("builtins", "super"),
}


def is_helper(module: str, qualname: str) -> bool:
    """Whether `named_type` or `array_call` may know a call of this name."""
    return module == "dill._dill" or (qualname == "_builtin_type" and is_cloudpickle(module))


def named_type(call: Call) -> tuple[str, str] | None:
    """(module, name) of the type that a helper gives for a name; None for any other call, and for unknown names."""
    target = call.callable
    if type(target) is not Global or type(call.args) is not tuple or len(call.args) != 1:
        return None
    name = call.args[0]
    if type(name) is not str or call.how.startswith("NEWOBJ"):
        return None
    if is_cloudpickle(target.module) and target.qualname == "_builtin_type":
        return ("builtins", "type") if name == "ClassType" else ("types", name)
    if target.module == "dill._dill" and target.qualname == "_load_type":
        return _of_dill(name)
    return None


def _of_dill(name: str) -> tuple[str, str] | None:
    if name in _OTHERS:
        return _OTHERS[name]
    if name in _TYPES:
        return "types", name
    return ("builtins", name) if name in _BUILTINS else None


def array_call(call: Call) -> tuple[Value, Value, Value] | None:
    """(function, arguments, state) of dill's helper for arrays; None for any other call."""
    target, args = call.callable, call.args
    if type(target) is not Global or target.qualname != "_create_array" or target.module != "dill._dill":
        return None
    if type(args) is not tuple or len(args) not in (3, 4) or type(args[1]) is not tuple:
        return None
    return None if len(args) == 4 and args[3] is not None else (args[0], args[1], args[2])


def is_cloudpickle(module: str | None) -> bool:
    """cloudpickle itself, in any release, and the copies of it that joblib, Spark, Ray and others carry."""
    words = (module or "").split(".")
    return words[-1] in ("cloudpickle", "cloudpickle_fast")
