"""Calls inside of a contract: by its signatures, by `__new__` under another name, and whether the order counts."""

from functools import lru_cache

from weighbridge.formats.pickle import Call, Dict, Global, Value
from weighbridge.scan.contracts.book import Contract, find
from weighbridge.scan.contracts.shapes import TIMED, TIMED_CHECKS, Use, allowed, fits


def call_allowed(call: Call, contract: Contract) -> bool:
    """Whether a contract allows a call with its arguments."""
    if type(call.args) is not tuple:
        return False
    if call.how in ("NEWOBJ", "NEWOBJ_EX"):
        return _keywords(call, contract) and allowed(contract.new, call.args, contract, call.index)
    if call.how in ("INST", "OBJ") and not call.args and contract.new:
        return () in contract.new
    if allowed(contract.call, call.args, contract, call.index):
        return True
    return _reconstructs(call, contract)


def _keywords(call: Call, contract: Contract) -> bool:
    """Keyword arguments of NEWOBJ_EX: none, or (for a tuple subclass and the like) not followed."""
    return call.kwargs is None or (type(call.kwargs) is Dict and not call.kwargs)


def _reconstructs(call: Call, contract: Contract) -> bool:
    """`copyreg._reconstructor(cls, base, state)` and `copyreg.__newobj__(cls, …)`: `__new__` by another name."""
    if contract.name not in ("copyreg:_reconstructor", "copyreg:__newobj__") or not call.args:
        return False
    cls = call.args[0]
    inner = find(cls.module, cls.qualname) if type(cls) is Global else None
    if inner is None:
        return False
    if contract.name == "copyreg:__newobj__":
        return allowed(inner.new, call.args[1:], inner, call.index)
    return len(call.args) == 3 and _base_fits(call.args[1], call.args[2], call.index) and () in inner.new


_BASES = {
    "builtins:dict": "dict|@collections:OrderedDict",
    "builtins:list": "list",
    "builtins:tuple": "tuple",
    "builtins:set": "list|set",
    "builtins:int": "int",
    "builtins:float": "float",
    "builtins:str": "str",
    "builtins:bytes": "bytes",
}


def _base_fits(base: Value, state: Value, index: int) -> bool:
    """The base class and its state: `object, None`, or a plain container with what it holds."""
    name = f"{base.module}:{base.qualname}" if type(base) is Global else ""
    if name == "builtins:object":
        return state is None
    shape = _BASES.get(name)
    return shape is not None and fits(state, shape, Use(at=index))


@lru_cache(maxsize=8192)
def is_timed(module: str | None, qualname: str | None) -> bool:
    """Whether what a contract says of a call hangs on when it is made."""
    contract = find(module, qualname)
    if contract is None:
        return False
    if module == "copyreg" or TIMED_CHECKS.intersection(contract.checks):
        return True
    shapes = [shape for signature in (*contract.call, *contract.new) for shape in signature]
    return any(word.strip("?.") in TIMED for shape in shapes for word in shape.split("|"))
