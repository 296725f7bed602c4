"""What the texts in an exported program may say: operators, sizes with symbols, guards, and shapes of arguments.

`torch.export.load` looks every operator up by its dotted name, evaluates sizes with sympy (which evaluates Python), imports
modules that the description of arguments names, and makes a Python function of the guards. Each text is parsed here, never
evaluated, and must stay inside a small grammar; a text outside of it is named. Operators are those of `torchscript.toml`.
"""

import ast
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.scan.contracts import torchscript

MAX_TEXT = 4000
"""Characters of one expression; longer ones are not parsed."""
MAX_POWER = 64
MAX_DEPTH = 100

SYMBOL = late(r"(?:u?[sz]?\d+|[su]_?\d+|zuf\d+|u\d+)\Z")
_SPELLED_OUT = late(r"\bSymbol\('(\w{1,40})'(?:, [a-z_]{1,30}=(?:True|False))*\)")
"""A symbol as `sympy.srepr` writes it: its name, and what is assumed of it."""
FUNCTIONS = frozenset({
    "Max", "Min", "Mod", "PythonMod", "floor", "ceiling", "Abs", "sqrt", "FloorDiv", "CeilDiv", "CleanDiv", "ModularIndexing",
    "Where", "CeilToInt", "FloorToInt", "TruncToInt", "RoundToInt", "IntTrueDiv", "FloatTrueDiv", "ToFloat", "TruncToFloat",
    "RoundDecimal", "PowByNatural", "FloatPow", "LShift", "RShift", "BitwiseFn_bitwise_and", "BitwiseFn_bitwise_or", "Identity",
    "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "Integer", "Rational", "Float", "Piecewise", "ExprCondPair",
    "IsNonOverlappingAndDenseIndicator", "OpaqueUnaryFn_sqrt", "OpaqueUnaryFn_log2", "OpaqueUnaryFn_exp", "OpaqueUnaryFn_log",
    "max", "min", "abs", "Add", "Mul", "Pow",
})  # fmt: skip
"""Of sympy and of torch.utils._sympy.functions."""
CONSTANTS = frozenset({"oo", "int_oo", "zoo", "nan", "true", "false", "True", "False", "inf"})
METHODS = frozenset(
    {
        "size",
        "stride",
        "storage_offset",
        "dim",
        "numel",
        "item",
        "ndim",
        "shape",
        "dtype",
        "device",
        "is_contiguous",
    }
)
"""What a guard may ask of an argument."""
ARITHMETIC = frozenset({
    "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "neg", "pos", "abs", "eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "xor",
    "not_", "lshift", "rshift", "getitem", "matmul", "invert",
})  # fmt: skip
MATH = frozenset(
    {
        "ceil",
        "floor",
        "trunc",
        "sqrt",
        "log2",
        "log",
        "exp",
        "pow",
        "fabs",
        "sin",
        "cos",
        "tan",
        "atan",
        "round",
    }
)
SYMBOLIC = frozenset({
    "sym_int", "sym_float", "sym_max", "sym_min", "sym_not", "sym_ite", "sym_sum", "sym_sqrt", "_sym_sqrt", "sym_fresh_size",
})  # fmt: skip
HIGHER_ORDER = frozenset({
    "cond", "while_loop", "map_impl", "scan", "associative_scan", "wrap_with_set_grad_enabled", "wrap_with_autocast",
    "flex_attention", "invoke_subgraph", "checkpoint", "tag_activation_checkpoint", "strict_mode", "out_dtype", "with_effects",
})  # fmt: skip
HARMLESS_TYPES = frozenset({"builtins", "collections", "torch", "types", "immutable_collections"})
_ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Constant, ast.Load, ast.operator,
    ast.unaryop, ast.boolop, ast.cmpop, ast.Tuple,
)  # fmt: skip
_IN_GUARDS = (*_ALLOWED, ast.Subscript, ast.Attribute)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One text that is outside of its grammar."""

    what: str
    """The end of "the program …"."""
    harmful: bool
    where: str = ""


def troubles(value: Any) -> Iterator[Trouble]:
    """Everything in one graph that does more than compute, each text once."""
    seen: set[tuple[str, str]] = set()
    todo: list[tuple[str, Any]] = [("", value)]
    while todo:
        path, item = todo.pop()
        if type(item) is list:
            todo += [(path, inner) for inner in item]
        elif type(item) is dict:
            for key, inner in item.items():
                if type(inner) is str and key in CHECKS and (key, inner) not in seen:
                    seen.add((key, inner))
                    yield from CHECKS[key](inner)
                elif key == "guards_code" and type(inner) is list:
                    yield from _guards(inner)
                elif type(inner) in (list, dict):
                    todo.append((f"{path}.{key}"[-80:], inner))
                if key in ("as_custom_obj", "class_fqn"):
                    yield Trouble(
                        what="holds an object of a class that a library registers", harmful=False, where=path
                    )


def _guards(texts: list[Any]) -> Iterator[Trouble]:
    for text in texts:
        if type(text) is not str or not _is_inside(text, _IN_GUARDS, _guard_node):
            yield Trouble(
                what=f"makes a Python function of the text {_shown(text)}", harmful=True, where="guards_code"
            )


def _size(text: str) -> Iterator[Trouble]:
    if not _is_inside(_SPELLED_OUT.sub(r"\1", text), _ALLOWED, _size_node):
        yield Trouble(what=f"has sympy evaluate the text {_shown(text)}", harmful=True, where="expr_str")


def _operator(text: str) -> Iterator[Trouble]:
    """The name of an operator, as `deserialize_operator` looks it up."""
    words = text.split(".")
    head = words[0]
    if head == "torch" and words[1:2] == ["ops"]:
        yield from _torch_operator(words[2:], text)
    elif (head == "torch" and len(words) == 2 and words[1] in SYMBOLIC) or (
        head in ("_operator", "operator", "math")
        and len(words) == 2
        and words[1] in (MATH if head == "math" else ARITHMETIC)
    ):
        return
    elif text.startswith(("torch", "_operator", "operator", "math")):
        yield Trouble(what=f"calls {_shown(text)}, which is no operator", harmful=True, where="target")
    else:
        yield Trouble(what=f"names {_shown(text)} as an operator", harmful=False, where="target")


def _torch_operator(words: list[str], text: str) -> Iterator[Trouble]:
    namespace, name = [*words, "", ""][:2]
    listed = torchscript.book().get("prim" if namespace == "prims" else namespace, frozenset())
    if namespace == "higher_order" and name in HIGHER_ORDER:
        return
    if f"{namespace}::{name}" in torchscript.HARMFUL:
        yield Trouble(what=f"calls {namespace}::{name}", harmful=True, where="target")
    elif len(words) > 3 or any(word.startswith("__") and word.endswith("__") for word in words):
        yield Trouble(what=f"looks {_shown(text)} up, which is no operator", harmful=True, where="target")
    elif torchscript.is_foreign(f"{namespace}::{name}") and namespace != "prims":
        what = f"needs the native operator {visible(namespace, 40)}::{visible(name, 40)} of a library that nobody here knows"
        yield Trouble(what=what, harmful=True, where="target")
    elif name not in listed and namespace != "prims":
        yield Trouble(
            what=f"calls {namespace}::{visible(name, 60)}, which is not on the list",
            harmful=False,
            where="target",
        )


def _specification(text: str) -> Iterator[Trouble]:
    """A description of arguments: JSON that may name types, factories and enumerations to import."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield Trouble(what="describes arguments in a text that is no JSON", harmful=False, where="spec")
        return
    todo: list[Any] = [value]
    while todo:
        item = todo.pop()
        if type(item) is list:
            todo += item
        elif type(item) is str and item[:1] in "[{":
            try:
                todo.append(json.loads(item))
            except (ValueError, RecursionError):
                continue
        elif type(item) is dict:
            todo += item.values()
            yield from _imported(item)


def _imported(item: dict[str, Any]) -> Iterator[Trouble]:
    names = []
    if "__enum__" in item:
        names.append(str(item.get("fqn")).partition(":")[0])
    if "default_factory_module" in item:
        names.append(str(item["default_factory_module"]))
        if names[-1] == "builtins" and item.get("default_factory_name") not in _FACTORIES:
            yield Trouble(
                what=f"takes builtins.{_shown(item.get('default_factory_name'))} for a factory",
                harmful=True,
                where="spec",
            )
    for name in names:
        if name.partition(".")[0] not in HARMLESS_TYPES:
            yield Trouble(what=f"imports the module {_shown(name)}", harmful=True, where="spec")


_FACTORIES = frozenset({"list", "dict", "set", "tuple", "int", "float", "str", "bool", "frozenset"})

CHECKS: dict[str, Callable[[str], Iterator[Trouble]]] = {
    "target": _operator,
    "as_operator": _operator,
    "expr_str": _size,
    "in_spec": _specification,
    "out_spec": _specification,
    "treespec": _specification,
}
"""Keys of the format whose texts the loader interprets."""


# ---- expressions


@cache
def _parsed(text: str) -> ast.Expression | None:
    if len(text) > MAX_TEXT or text.count("(") + text.count("[") > MAX_DEPTH or text.count("**") > 8:
        return None
    try:
        return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_inside(text: str, kinds: tuple[type, ...], allowed: Callable[[ast.AST], bool]) -> bool:
    tree = _parsed(text)
    return tree is not None and all(isinstance(node, kinds) and allowed(node) for node in ast.walk(tree))


def _size_node(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in FUNCTIONS or node.id in CONSTANTS or SYMBOL.match(node.id) is not None
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float, bool)
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS or node.keywords:
            return False
        return node.func.id != "Pow" or (len(node.args) == 2 and _is_small(node.args[1]))
    return _small_power(node)


def _small_power(node: ast.AST) -> bool:
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Pow, ast.LShift)):
        return True
    return _is_small(node.right)


def _is_small(power: ast.expr) -> bool:
    """Whether a power is a small constant, also as `Integer(-1)`."""
    if isinstance(power, ast.Call) and isinstance(power.func, ast.Name) and power.func.id == "Integer":
        power = power.args[0] if len(power.args) == 1 else power
    power = power.operand if isinstance(power, ast.UnaryOp) else power
    return isinstance(power, ast.Constant) and type(power.value) is int and power.value <= MAX_POWER


def _guard_node(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in ("L", "args", "kwargs", "torch", "None", "math") or _size_node(node)
    if isinstance(node, ast.Attribute):
        return node.attr in METHODS or (
            isinstance(node.value, ast.Name) and node.value.id == "math" and node.attr in MATH
        )
    if isinstance(node, ast.Constant):
        return node.value is None or type(node.value) in (int, float, bool, str)
    if isinstance(node, ast.Call):
        return not node.keywords and (isinstance(node.func, ast.Attribute) or _size_node(node))
    return _small_power(node)


def _shown(text: object) -> str:
    return f'"{visible(str(text), 80)}"'
