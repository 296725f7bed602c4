"""Every stable code that can reach a person, read from the source.

The syntax tree is walked, not the text: a code is whatever is handed to an error, or to a value that has a field
`code: str` (Evidence, Unread, Gap, …): directly, through a constant, a table, a local variable, what a function of the
same file returns, or a helper with a parameter called `code`. Codes of an `Anomaly` are facts between a reader and a
rule; they count only where something else uses them too. What cannot be followed is named, so that a test can list it.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ERROR = re.compile(r"(Usage|Input|Limit|Trust|Unavailable|Broken|Weighbridge)Error")
INTERNAL = frozenset({"Anomaly", "Fact", "Problem"})

Function = ast.FunctionDef
Sinks = dict[tuple[str, str], int]
"""(module or "" for everywhere, callable) → position of its code."""


@dataclass
class Module:
    name: str
    tree: ast.Module
    constants: dict[str, list[ast.expr]] = field(default_factory=dict)
    """Name → what is assigned to it at the top or in a class."""
    functions: dict[str, list[Function]] = field(default_factory=dict)
    rooms: dict[str, "Module"] = field(default_factory=dict)
    """Modules of ours that it imports, by the name that they have in it."""
    imported: dict[str, list[Function]] = field(default_factory=dict)
    """Functions of ours that it imports, likewise."""


@dataclass
class Codes:
    used: dict[str, list[str]] = field(default_factory=dict)
    """Code → places."""
    unclear: list[str] = field(default_factory=list)
    """Expressions that could not be followed, as `file: expression`."""


def collect(source: Path) -> Codes:
    """All codes of a source tree."""
    by_path = {path: read_module(path.name, path.read_text("utf-8")) for path in sorted(source.rglob("*.py"))}
    modules = list(by_path.values())
    for module in modules:
        _link(module, {_dotted(path.relative_to(source)): other for path, other in by_path.items()})
    sinks = find_sinks(modules)
    found = Codes()
    for module in modules:
        for scope, call in _calls(module.tree):
            for expression in _handed(module, call, sinks):
                for value in _values(module, scope, expression):
                    _note(found, module, expression, value)
        for expression in _written_out(module.tree):
            _note(found, module, expression, expression.value)
    return found


def _written_out(tree: ast.Module) -> Iterator[ast.Constant]:
    """The strings behind a key `"code"` of a dict, which become keyword arguments or JSON."""
    for node in ast.walk(tree):
        for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
            if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant):
                yield value


def _note(found: Codes, module: Module, expression: ast.expr, value: Any) -> None:
    if isinstance(value, ast.expr):
        found.unclear.append(f"{module.name}: {ast.unparse(value)}")
    elif value:
        found.used.setdefault(value, []).append(f"{module.name}:{expression.lineno}")


def read_module(name: str, text: str) -> Module:
    """A module's tree, with the names that a code may be kept under."""
    module = Module(name=name, tree=ast.parse(text))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            for bound, value in _assigned(node.body):
                module.constants.setdefault(bound, []).append(value)
        if isinstance(node, Function):
            module.functions.setdefault(node.name, []).append(node)
    return module


def _dotted(path: Path) -> str:
    return ".".join(part for part in path.with_suffix("").parts if part != "__init__")


def _link(module: Module, others: dict[str, Module]) -> None:
    """Constants and modules of ours that it imports."""
    for node in ast.walk(module.tree):
        for alias in node.names if isinstance(node, ast.ImportFrom) and node.module else ():
            name, home = alias.asname or alias.name, others.get(node.module or "")
            if (room := others.get(f"{node.module}.{alias.name}")) is not None:
                module.rooms[name] = room
            elif home is not None and alias.name in home.functions:
                module.imported[name] = home.functions[alias.name]
            elif home is not None and alias.name.lstrip("_").isupper() and alias.name in home.constants:
                module.constants.setdefault(name, home.constants[alias.name])


# Where codes are handed over


def find_sinks(modules: list[Module]) -> Sinks:
    """Errors, values with a field `code: str`, and the helpers that hand their parameter `code` on to one of them."""
    sinks: Sinks = {}
    helpers: list[tuple[Module, str, int, Function]] = []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                sinks |= _class(module, node)
            helpers += [(module, name, at, function) for name, at, function in _helpers(node)]
    while True:
        more = {
            (_reach(module, name), name): at
            for module, name, at, function in helpers
            if (_reach(module, name), name) not in sinks and _hands_on(module, function, sinks)
        }
        if not more:
            return sinks
        sinks |= more


def _reach(module: Module, name: str) -> str:
    """A private helper is known in its own file only."""
    return module.name if name.startswith("_") else ""


def _class(module: Module, node: ast.ClassDef) -> Sinks:
    if ERROR.fullmatch(node.name):
        return {("", node.name): 0}
    fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    named = [(n.target.id, ast.unparse(n.annotation)) for n in fields if isinstance(n.target, ast.Name)]
    if node.name in INTERNAL or ("code", "str") not in named:
        return {}
    return {(_reach(module, node.name), node.name): named.index(("code", "str"))}


def _helpers(node: ast.AST) -> Iterator[tuple[str, int, Function]]:
    """Functions with a parameter `code`; an `__init__` answers to the name of its class."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function) and "code" in (names := _parameters(child)):
            at = names.index("code") - (names[0] in ("self", "cls"))
            yield (
                (node.name if isinstance(node, ast.ClassDef) and child.name == "__init__" else child.name),
                at,
                child,
            )


def _parameters(function: Function) -> list[str]:
    arguments = function.args
    return [a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]


def _hands_on(module: Module, function: Function, sinks: Sinks) -> bool:
    if function.name == "__init__":
        return True
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    handed = (e for call in calls for e in _handed(module, call, sinks))
    return any(isinstance(e, ast.Name) and e.id == "code" for e in handed)


def _calls(tree: ast.Module) -> Iterator[tuple[Function | None, ast.Call]]:
    """Every call, with the function around it."""

    def walk(node: ast.AST, scope: Function | None) -> Iterator[tuple[Function | None, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                yield scope, child
            yield from walk(child, child if isinstance(child, Function) else scope)

    yield from walk(tree, None)


def _handed(module: Module, call: ast.Call, sinks: Sinks) -> Iterator[ast.expr]:
    """The expressions that a call hands over as a code."""
    name = _called(call)
    at = sinks.get((module.name, name), sinks.get(("", name)))
    own = module.functions.get(name)
    if own and not any("code" in _parameters(function) for function in own):
        at = None  # a namesake of this file's own
    if at is not None or name == "replace":
        yield from (keyword.value for keyword in call.keywords if keyword.arg == "code")
    if at is not None and at < len(call.args):
        yield call.args[at]


def _called(call: ast.Call) -> str:
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


# What an expression can be


def _values(
    module: Module, scope: Function | None, node: ast.expr, depth: int = 0
) -> Iterator[str | ast.expr]:
    """The strings that an expression can be; the expression itself where that cannot be said."""

    def again(*nodes: ast.expr) -> Iterator[str | ast.expr]:
        for one in nodes:
            yield from _values(module, scope, one, depth + 1)

    match node:
        case _ if depth > 8:
            yield node
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from again(one, other)
        case ast.BoolOp(values=values):
            yield from again(*values)
        case ast.Attribute(attr="code"):
            return  # handed on from a value that was made somewhere
        case ast.Attribute(value=ast.Name(id=room), attr=name) if (
            room in module.rooms and name in module.rooms[room].constants
        ):
            yield from again(*module.rooms[room].constants[name])
        case ast.Name(id="code") if scope and "code" in _parameters(scope):
            return
        case ast.Name(id=name):
            assigned = _local(scope, name) or module.constants.get(name, [])
            yield from again(*assigned) if assigned else [node]
        case ast.Call() if returned := [e for f in _functions(module, _called(node)) for e in _returned(f)]:
            yield from again(*returned)
        case ast.Subscript(value=whole, slice=ast.Constant(value=int(index))):
            parts = list(_parts(module, scope, whole, index))
            yield from again(*parts) if parts else [node]
        case _:
            yield node


def _parts(module: Module, scope: Function | None, whole: ast.expr, index: int) -> Iterator[ast.expr]:
    """The element `index` of what an expression can be: a tuple, the items of a table, what a function returns."""
    match whole:
        case ast.Tuple(elts=elements) if index < len(elements):
            yield elements[index]
        case ast.IfExp(body=one, orelse=other):
            yield from _parts(module, scope, one, index)
            yield from _parts(module, scope, other, index)
        case ast.Call(func=ast.Attribute(attr="items", value=ast.Name(id=table))):
            dicts = [d for d in module.constants.get(table, []) if isinstance(d, ast.Dict)]
            yield from (k for d in dicts for k in (d.keys if index == 0 else d.values) if k)
        case ast.Call():
            for function in module.functions.get(_called(whole), []):
                for returned in _returned(function):
                    yield from _parts(module, function, returned, index)


def _functions(module: Module, name: str) -> list[Function]:
    return module.functions.get(name) or module.imported.get(name, [])


def _returned(function: Function) -> list[ast.expr]:
    return [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]


def _local(scope: Function | None, name: str) -> list[ast.expr]:
    """What a function assigns to a name of its own."""
    found: list[ast.expr] = []
    for node in ast.walk(scope) if scope else ():
        if isinstance(node, ast.stmt):
            found += [value for bound, value in _assigned([node]) if bound == name]
    return found


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Names, and what is assigned to them."""
    for node in body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _bound(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value:
            yield from _bound(node.target, node.value)
        elif isinstance(node, ast.For):
            yield from _bound(node.target, node.iter)


def _bound(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple):
        for index, name in enumerate(target.elts):
            yield from _bound(
                name, ast.copy_location(ast.Subscript(value, ast.Constant(index), ast.Load()), value)
            )
