"""Bytecode of PyTorch's mobile interpreter (`bytecode.pkl` of `.ptl` files): which operators it calls, what it indexes.

Follows `torch/csrc/jit/mobile/import.cpp` and `runtime/instruction.h`: for each function a tuple of instructions (name, X, N),
operators, constants, types, and the number of registers. The interpreter takes the numbers as they are, so that each is held
against what it points into, and the operands of a construction against what can lie on the stack at all. The exact depth of
the stack and the slots of objects are not followed.
"""

from collections.abc import Iterator

from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.pickle.values import List, Value

MAX_PROBLEMS = 20
REGISTER = frozenset({"LOAD", "MOVE", "STORE", "DROPR", "STOREN"})
OPERATOR = frozenset({"OP", "OPN"})
JUMP = frozenset({"JF", "JMP", "LOOP"})
CONSTANT = frozenset({"LOADC", "INTERFACE_CALL"})
TYPE = frozenset({"NAMED_TUPLE_CONSTRUCT", "LIST_CONSTRUCT", "DICT_CONSTRUCT", "CREATE_OBJECT", "ISINSTANCE"})
OTHERS = frozenset({
    "DROP", "RET", "CALL", "GET_ATTR", "SET_ATTR", "LIST_UNPACK", "TUPLE_CONSTRUCT", "TUPLE_SLICE", "TUPLE_INDEX", "RAISE_EXCEPTION",
    "DICT_INDEX", "UNCHECKED_CAST", "__IS__", "UN_INITIALIZED", "__ISNOT__", "FORMAT", "DEVICE", "DTYPE", "DIM", "__NOT__", "TO_LIST",
    "NUM_TO_TENSOR", "IS_CUDA", "WARN", "ENTER", "EXIT", "__CONTAINS__",
})  # fmt: skip
OPERANDS = {
    "TUPLE_CONSTRUCT": 1,
    "FORMAT": 1,
    "NAMED_TUPLE_CONSTRUCT": 2,
    "LIST_CONSTRUCT": 2,
    "DICT_CONSTRUCT": 2,
}
"""Which number of these instructions is how much they take from the stack."""
RETURNS = 256
"""Values that one instruction puts on the stack at most; those of `LIST_UNPACK` are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytecode:
    """What the functions of one archive do."""

    operators: tuple[str, ...] = ()
    """`aten::linear`, …"""
    problems: tuple[str, ...] = ()
    """Numbers that lead outside of what they point into."""


def bytecode(value: Value) -> Bytecode:
    """Read what `bytecode.pkl` gives."""
    operators: dict[str, None] = {}
    problems: list[str] = []
    for function in value if type(value) in (tuple, List) else ():
        if type(function) is not tuple or len(function) < 2:
            continue
        name = visible(str(function[0]), 60) if type(function[0]) is str else "?"
        tables = _tables(function[1])
        for operator in _items(tables.get("operators")):
            if type(operator) is tuple and operator and type(operator[0]) is str:
                operators[operator[0]] = None
        problems += (f"{name}: {what}" for what in _problems(tables))
    return Bytecode(operators=tuple(operators), problems=tuple(problems[:MAX_PROBLEMS]))


def _tables(value: Value) -> dict[str, Value]:
    """The tables of a function: pairs of name and content."""
    pairs = [pair for pair in _items(value) if type(pair) is tuple and len(pair) == 2]
    return {name: content for name, content in pairs if type(name) is str}


def _items(value: Value) -> Value:
    return value if type(value) in (tuple, List) else ()


def _problems(tables: dict[str, Value]) -> Iterator[str]:
    code = _items(tables.get("instructions"))
    registers = tables.get("register_size")
    if type(registers) is not int or not 0 <= registers < 2**31:
        yield "the number of registers is no number"
        return
    sizes = {name: len(_items(tables.get(name))) for name in ("operators", "constants", "types")}
    stack = RETURNS
    for at, instruction in enumerate(code):
        if not _is_instruction(instruction):
            yield f"instruction {at} is none"
            continue
        name, x, n = instruction
        limit = _limit(name, at, n, len(code), sizes, registers)
        if limit is None:
            yield f"instruction {at} is {visible(name, 30)}, which the interpreter does not have"
        elif not limit[0] <= x < limit[1]:
            yield f"instruction {at} ({name}) uses {x}, outside of {limit[0]} to {limit[1] - 1}"
        elif name in OPERANDS and not 0 <= instruction[OPERANDS[name]] <= stack:
            yield f"instruction {at} ({name}) takes {instruction[OPERANDS[name]]} values from a stack of fewer"
        stack += max(x, RETURNS) if name == "LIST_UNPACK" else RETURNS


def _is_instruction(value: Value) -> bool:
    return (
        type(value) is tuple
        and len(value) == 3
        and type(value[0]) is str
        and type(value[1]) is type(value[2]) is int
    )


def _limit(
    name: str, at: int, n: int, length: int, sizes: dict[str, int], registers: int
) -> tuple[int, int] | None:
    """Lowest X, and the first that is too high; None for an instruction that there is not."""
    if name in REGISTER:
        return 1, registers + 2 - (max(n, 1) if name == "STOREN" else 1)
    if name in OPERATOR:
        return 0, sizes["operators"]
    if name in CONSTANT:
        return 0, sizes["constants"]
    if name in TYPE:
        return 0, sizes["types"]
    if name in JUMP:
        return -at, length - at
    return (0, 2**31) if name in OTHERS else None
