"""State that is set on what a program makes: inside of a contract, or what it does where that has a name."""

from collections.abc import Iterator

from weighbridge.formats.pickle import Call, Change, Dict, Value
from weighbridge.scan.contracts.book import Contract
from weighbridge.scan.contracts.libraryshapes import executes_text
from weighbridge.scan.contracts.memory import broken_tree, outside_blocks
from weighbridge.scan.contracts.shapes import TIMED, Use, fits
from weighbridge.scan.contracts.texts import Texts
from weighbridge.scan.contracts.values import reserved


def change_allowed(change: Change, target: Call, contract: Contract) -> bool:
    """Whether a contract allows what is set on an object of its class."""
    if change.how == "BUILD":
        use = Use(at=change.index, target=target, lengths=change.lengths)
        return not _sets(change.value, contract.never) and any(
            fits(change.value, s, use) for s in contract.state
        )
    kind = _FILLED[change.how]
    if kind == "dict" and "members" in contract.items:
        return all(type(key) is str and not reserved(key) for key in change.value[::2])
    return kind in contract.items


def hangs_on_order(contract: Contract) -> bool:
    """Whether the same state is inside of a contract at one opcode and outside at another, or on one object only."""
    return any(word in TIMED for shape in contract.state for word in shape.split("|"))


IN_PLACE = frozenset({"array-state", "masked-state"})
"""Shapes that hang on when the state is set: on what its dtype was then."""
ALONE = IN_PLACE | {"dtype-state"}
"""Shapes that no state has where anything else is set on the same object."""
_FILLED = {"APPEND": "list", "APPENDS": "list", "SETITEMS": "dict", "ADDITEMS": "set"}
"""How something is filled → like what."""


def harm_of_state(change: Change, contract: Contract) -> str:
    """What state outside of a contract does, where that has a name."""
    if "members" in contract.items or change.how == "BUILD":
        names = change.value[::2] if change.how == "SETITEMS" else _attributes(change.value)
        found = next((name for name in names if type(name) is str and name in HOOKS), "")
        if found:
            return f"sets {found}, which the interpreter or numpy calls"
    if change.how == "BUILD" and _sets(change.value, contract.never):
        return f"replaces what {contract.name.replace(':', '.')} itself calls while it is loaded"
    if contract.otherwise and not contract.state:
        return contract.otherwise
    if not contract.otherwise:
        return ""
    attacks = _executes(change.value) or broken_tree(change.value) or outside_blocks(change.value)
    return contract.otherwise if attacks else ""


HOOKS = frozenset({
    "__setstate__", "__reduce__", "__reduce_ex__", "__class__", "__call__", "__del__", "__init__", "__new__", "__getattr__",
    "__getattribute__", "__setattr__", "__array__", "__array_interface__", "__array_struct__", "__globals__", "__code__",
})  # fmt: skip
"""Names that are looked up on an object while it, or what holds it, is loaded."""


def _attributes(state: Value) -> Iterator[Value]:
    """Names that BUILD sets."""
    for part in state if type(state) is tuple else (state,):
        if type(part) is Dict:
            yield from part[::2]


def _executes(state: Value) -> bool:
    """Whether a state holds a text that the class would execute, and that is not the library's own."""
    if executes_text(state):
        return True
    return type(state) is Dict and any(
        key == "formula" and Texts().suspicious((item,)) for key, item in state.pairs()
    )


def _sets(state: Value, names: tuple[str, ...]) -> bool:
    """Whether a state sets one of these attributes."""
    if not names:
        return False
    return any(type(key) is str and key in names for key in _attributes(state))
