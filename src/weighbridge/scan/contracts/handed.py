"""Names that a program hands on: in arguments and in state, where somebody else may call them."""

from weighbridge.formats.pickle import Call, Global, Persistent, PickleProgram, Value
from weighbridge.formats.pickle.helpers import array_call
from weighbridge.formats.pickle.values import CONTAINERS
from weighbridge.scan.contracts.book import find


def handed_on(program: PickleProgram) -> set[int]:
    """Names that stand in arguments or in state, at any depth; being called is not being handed on.

    Arguments and states of objects inside are arguments and states of the program too, so that only containers are entered.
    """
    todo: list[Value] = [change.value for change in program.changes]
    todo += [found.pid for found in program.persistents]
    for call in program.calls:
        todo += _arguments(call)
    names: set[int] = set()
    seen: set[int] = set()
    while todo:
        value = todo.pop()
        kind = type(value)
        if kind is Global:
            names.add(id(value))
        elif kind in CONTAINERS:
            if value and id(value) not in seen:
                seen.add(id(value))
                todo += value
        elif kind is Persistent:
            todo.append(value.pid)
    return names


def _arguments(call: Call) -> tuple[Value, ...]:
    """What a call hands on: not the function or class that a known maker takes as its first argument and is judged with."""
    if array_call(call) is not None:
        return tuple(call.args[1:3])
    target = call.callable
    contract = find(target.module, target.qualname) if type(target) is Global else None
    takes = contract is not None and (contract.makes == "@0" or "typed-rebuild" in contract.checks)
    first = call.args[0] if takes and type(call.args) is tuple and call.args else None
    known = type(first) is Global and find(first.module, first.qualname) is not None
    return (call.args[1:] if known else call.args, call.kwargs)
