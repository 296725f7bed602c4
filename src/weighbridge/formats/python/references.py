"""What names stand for in a Python module: every binding that some path could make, without regard to order."""

import ast
import builtins
from collections import Counter
from collections.abc import Iterable, Iterator

from weighbridge.formats.python.fold import MAX_FOLDED, Names, fold

MAX_BINDINGS = 32
"""Dotted names that one variable may stand for; values made by calls count to the smaller number below."""
MAX_VALUES = 4
MAX_NAME = 200
MAX_PASSES = 8
"""Rounds of following `a = b` until nothing new is bound."""
_BUILTINS = frozenset(dir(builtins))
_SPECIAL = frozenset(
    (
        "builtins.__import__",
        "importlib.import_module",
        "importlib.__import__",
        "builtins.getattr",
        "builtins.vars",
    )
)


class References:
    """What names stand for, over the whole module and regardless of order."""

    def __init__(self, tree: ast.Module) -> None:
        self._bound: dict[str, set[str]] = {"__builtins__": {"builtins"}}
        self._values: list[tuple[str, ast.expr]] = []
        self._stores: Counter[str] = Counter()
        for node in ast.walk(tree):
            self._bind(node)
        self.constants = self._constants()
        for _ in range(MAX_PASSES):
            before = sum(map(len, self._bound.values()))
            for name, value in self._values:
                self._add(name, self.resolve(value))
            if sum(map(len, self._bound.values())) == before:
                break

    def _constants(self) -> Names:
        """Names that are bound once, to a constant: `a = "sys"`, `b = a + "tem"`."""
        once = [(name, value) for name, value in self._values if self._stores[name] == 1]
        names = Names()
        found = names.values
        for _ in range(MAX_PASSES):
            before = len(found)
            for name, value in once[:MAX_FOLDED]:
                if name not in found and (constant := fold(value, names)) is not None:
                    found[name] = constant
            if len(found) == before:
                break
        return names

    def _bind(self, node: ast.AST) -> None:
        match node:
            case ast.Import():
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    self._add(alias.asname or top, (alias.name if alias.asname else top,))
            case ast.ImportFrom():
                module = "." * node.level + (node.module or "")
                for alias in node.names:
                    self._add(alias.asname or alias.name, (f"{module}.{alias.name}",))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._add(node.name, (f"module.{node.name}",))
            case ast.Assign():
                for target in node.targets:
                    self._assign(target, node.value)
            case ast.AnnAssign() | ast.NamedExpr() if node.value is not None:
                self._assign(node.target, node.value)
            case ast.Name(ctx=ast.Store() | ast.Del()):
                self._stores[node.id] += 1
                self._bound.setdefault(node.id, set())
            case ast.arg():
                self._stores[node.arg] += 2
                self._bound.setdefault(node.arg, set())
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                self._bound.setdefault(name, set())

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self._bound.setdefault(target.id, set())
            self._values.append((target.id, value))
        elif isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
            for one, item in zip(target.elts, value.elts, strict=False):
                self._assign(one, item)

    def _add(self, name: str, references: Iterable[str]) -> None:
        bound = self._bound.setdefault(name, set())
        for reference in references:
            plain = reference[-1] not in ")]" and not reference.startswith(("?", "literal"))
            room = MAX_BINDINGS if plain else MAX_VALUES
            bound.add(reference if len(bound) < room else "?")

    def resolve(self, node: ast.AST) -> tuple[str, ...]:
        """Dotted names that an expression may stand for; never empty."""
        match node:
            case ast.Name():
                return self._name(node.id)
            case ast.Attribute():
                return tuple(f"{_short(base)}.{node.attr}" for base in self.resolve(node.value))
            case ast.Call():
                functions = self.resolve(node.func)
                return tuple(self.special(node, functions)) or tuple(
                    f"{_short(base)}()" for base in functions
                )
            case ast.Subscript():
                return self._item(node)
            case ast.IfExp():
                return _some((*self.resolve(node.body), *self.resolve(node.orelse)))
            case ast.BoolOp():
                return _some(name for value in node.values for name in self.resolve(value))
            case ast.NamedExpr() | ast.Await():
                return self.resolve(node.value)
            case ast.Constant() | ast.JoinedStr() | ast.List() | ast.Tuple() | ast.Dict() | ast.Set():
                return ("literal",)
            case _:
                return ("?",)

    def _name(self, name: str) -> tuple[str, ...]:
        bound = self._bound.get(name)
        if name in _BUILTINS:
            return (*sorted(bound or ()), *self._starred(name), f"builtins.{name}")
        if bound is None:
            return (*self._starred(name), f"unbound.{name}")
        return tuple(sorted(bound)) or ("?",)

    def _starred(self, name: str) -> tuple[str, ...]:
        """What a name is where nobody binds it and `from os import *` may have brought it."""
        modules = sorted(
            found.removesuffix(".*") for found in self._bound.get("*", ()) if found.endswith(".*")
        )
        return tuple(f"{module}.{name}" for module in modules if not module.startswith("."))

    def _item(self, node: ast.Subscript) -> tuple[str, ...]:
        """`sys.modules["os"]`, `builtins.__dict__["exec"]` and `globals()["f"]` are names too."""
        key = fold(node.slice, self.constants)
        found: list[str] = []
        for base in self.resolve(node.value):
            if isinstance(key, str) and base == "sys.modules":
                found.append(key)
            elif isinstance(key, str) and base in (
                "builtins.globals()",
                "builtins.locals()",
                "builtins.vars()",
            ):
                found += self._name(key)
            elif isinstance(key, str) and base.endswith((".__dict__", "builtins")):
                found.append(f"{base.removesuffix('.__dict__')}.{key}")
            else:
                found.append(f"{_short(base)}[]")
        return tuple(found)

    def special(self, node: ast.Call, functions: tuple[str, ...]) -> Iterator[str]:
        """Calls whose value is a name: `getattr(os, "system")`, `__import__("os")`, `vars(os)`."""
        if not node.args or not _SPECIAL.intersection(functions):
            return
        first = fold(node.args[0], self.constants)
        for name in functions:
            if name in ("builtins.__import__", "importlib.import_module", "importlib.__import__"):
                if isinstance(first, str) and first:
                    top = first.partition(".")[0] if name != "importlib.import_module" else first
                    yield top if not first.startswith(".") else f".{first}"
            elif name == "builtins.getattr" and len(node.args) > 1:
                attribute = fold(node.args[1], self.constants)
                for base in self.resolve(node.args[0]):
                    yield f"{base}.{attribute}" if isinstance(attribute, str) else f"{base}.?"
            elif name == "builtins.vars":
                yield from (f"{base}.__dict__" for base in self.resolve(node.args[0]))


def _short(name: str) -> str:
    """Names have an end: a chain of a thousand calls is some object."""
    return name if len(name) <= MAX_NAME else "?"


def _some(names: Iterable[str]) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(names))
    return unique if len(unique) <= MAX_BINDINGS else (*unique[:MAX_BINDINGS], "?")
