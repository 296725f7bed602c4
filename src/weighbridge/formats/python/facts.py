"""The walk over the tree of a Python module: its imports, uses and definitions, each with the scope it happens in."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import field

from weighbridge.core.value import dataclass
from weighbridge.formats.python.fold import argument
from weighbridge.formats.python.reading import Import, Use
from weighbridge.formats.python.references import References

MAX_USES = 200_000
MAX_WALKED = 1_000_000
"""Steps inside arguments of calls inside arguments."""


class TooMuchError(Exception):
    """More names than a module of this size has for good reasons."""


@dataclass(slots=True)
class Facts:
    """The walk over one module."""

    tree: ast.Module
    imports: list[Import] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    bases: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    metaclasses: list[str] = field(default_factory=list)
    names: References = field(init=False)
    walked: int = 0

    def __post_init__(self) -> None:
        self.names = References(self.tree)
        self._visit_all(self.tree.body, "", "")

    def _visit_all(self, nodes: Iterable[ast.AST | None], scope: str, owner: str) -> None:
        for node in nodes:
            if node is not None:
                self._visit(node, scope, owner)

    def _visit(self, node: ast.AST, scope: str, owner: str) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node, scope, owner)
            case ast.ClassDef():
                self._class(node, scope, owner)
            case ast.If() if not scope and _is_main(node.test):
                self._visit_all(node.body, "__main__", owner)
                self._visit_all(node.orelse, scope, owner)
            case ast.Import():
                self.imports += [Import(alias.name, "", node.lineno, scope) for alias in node.names]
            case ast.ImportFrom():
                module = "." * node.level + (node.module or "")
                self.imports += [Import(module, alias.name, node.lineno, scope) for alias in node.names]
            case ast.Call():
                self._call(node, scope, owner)
            case ast.AnnAssign():
                self._annotations((node.annotation,), scope, owner)
                self._visit_all((node.target,), scope, owner)
                if isinstance(node.target, ast.Name) and isinstance(node.value, ast.Name) and scope == owner:
                    self._reference(node.value, scope, owner, called=False, kept=True)
                else:
                    self._visit_all((node.value,), scope, owner)
            case ast.Assign(targets=[ast.Name()], value=ast.Attribute() | ast.Name()) if scope == owner:
                self._reference(node.value, scope, owner, called=False, kept=True)
            case ast.Assign(
                targets=[ast.Name()],
                value=ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant()]) as found,
            ) if scope == owner:
                self._call(found, scope, owner, kept=True)
            case ast.Raise(exc=ast.Attribute() | ast.Name() as raised):
                self._reference(raised, scope, owner, called=True)
                self._visit_all((node.cause,), scope, owner)
            case ast.Compare():
                for part in (node.left, *node.comparators):
                    self._kept(part, scope, owner)
            case ast.ExceptHandler():
                self._kept(node.type, scope, owner)
                self._visit_all(node.body, scope, owner)
            case ast.Name(ctx=ast.Store() | ast.Del()):
                pass
            case ast.Attribute() | ast.Name() | ast.Subscript():
                self._reference(node, scope, owner, called=False)
            case _:
                self._visit_all(ast.iter_child_nodes(node), scope, owner)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: str, owner: str) -> None:
        self._decorators(node.decorator_list, scope, owner)
        arguments = node.args
        self._visit_all((*arguments.defaults, *arguments.kw_defaults), scope, owner)
        every = (
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        )
        self._annotations((node.returns, *(one.annotation for one in every if one)), scope, owner)
        name = f"{owner}.{node.name}" if owner else node.name
        self.functions.append(name)
        self._visit_all(node.body, name, name)

    def _class(self, node: ast.ClassDef, scope: str, owner: str) -> None:
        self._decorators(node.decorator_list, scope, owner)
        for base in node.bases:
            if isinstance(base, ast.Name | ast.Attribute):
                for reference in self.names.resolve(base):
                    self._note(Use(reference, node.lineno, scope, base=True))
            elif isinstance(base, ast.Subscript):
                for reference in self.names.resolve(base.value):
                    self._note(Use(reference, node.lineno, scope, base=True))
                self._below(base, scope, owner)
            else:
                self._visit(base, scope, owner)
        self._visit_all(node.keywords, scope, owner)
        name = f"{owner}.{node.name}" if owner else node.name
        self.classes.append(name)
        bases = (*node.bases, *(keyword.value for keyword in node.keywords))
        self.bases.append((name, tuple(ref for base in bases for ref in self.names.resolve(base))))
        self.metaclasses += [ref for key in node.keywords for ref in self.names.resolve(key.value)]
        self._visit_all(node.body, scope, name)

    def _annotations(self, nodes: Iterable[ast.AST | None], scope: str, owner: str) -> None:
        """Only calls in annotations do anything; the names that stand in them are not used."""
        for node in nodes:
            for inner in ast.walk(node) if node is not None else ():
                if isinstance(inner, ast.Call | ast.NamedExpr | ast.Await):
                    self._visit(inner, scope, owner)

    def _decorators(self, decorators: list[ast.expr], scope: str, owner: str) -> None:
        """A decorator is called with what it decorates."""
        for node in decorators:
            if isinstance(node, ast.Call):
                self._call(node, scope, owner)
            else:
                self._reference(node, scope, owner, called=True)

    def _call(self, node: ast.Call, scope: str, owner: str, *, kept: bool = False) -> None:
        known = self.names.constants
        arguments = tuple(argument(item, known) for item in node.args[:4])
        keywords = tuple((k.arg or "**", argument(k.value, known)) for k in node.keywords[:16])
        inner = frozenset(self._called_inside(node))
        functions = self.names.resolve(node.func)
        for name in functions:
            self._note(Use(name, node.lineno, scope, True, arguments, keywords, inner))
        for name in self.names.special(node, functions):
            self._note(Use(name, node.lineno, scope, kept=kept))
        self._below(node.func, scope, owner)
        looked_into = functions in (("builtins.getattr",), ("builtins.hasattr",))
        if looked_into and node.args and isinstance(node.args[0], ast.Name):
            self._visit_all(node.args[1:], scope, owner)
        else:
            self._visit_all(node.args, scope, owner)
        self._visit_all(node.keywords, scope, owner)

    def _note(self, use: Use) -> None:
        self.uses.append(use)
        if len(self.uses) > MAX_USES:
            raise TooMuchError(f"more than {MAX_USES} references")

    def _called_inside(self, node: ast.Call) -> Iterator[str]:
        """Calls inside the arguments, not those inside further functions; wide arguments are data."""
        below = [*node.args, *(keyword.value for keyword in node.keywords)]
        if len(below) > 8 or all(isinstance(item, ast.Constant) for item in below):
            return
        for part in below:
            for inner in ast.walk(part):
                self.walked += 1
                if self.walked > MAX_WALKED:
                    raise TooMuchError("calls inside calls without end")
                if isinstance(inner, ast.Call):
                    yield from self.names.resolve(inner.func)
                elif isinstance(inner, ast.Name):
                    yield from (name for name in self.names.resolve(inner) if "()" in name)

    def _kept(self, node: ast.expr | None, scope: str, owner: str) -> None:
        """Operands of comparisons and classes of exceptions: named, and never called."""
        if isinstance(node, ast.Set | ast.Tuple | ast.List):
            for item in node.elts:
                self._kept(item, scope, owner)
        elif isinstance(node, ast.Attribute | ast.Name):
            self._reference(node, scope, owner, called=False, kept=True)
        elif node is not None:
            self._visit(node, scope, owner)

    def _reference(self, node: ast.AST, scope: str, owner: str, *, called: bool, kept: bool = False) -> None:
        for name in self.names.resolve(node):
            self._note(Use(name, getattr(node, "lineno", 0), scope, called, kept=kept))
        self._below(node, scope, owner)

    def _below(self, node: ast.AST, scope: str, owner: str) -> None:
        """Visit what a chain of attributes hangs on, and what stands between its brackets."""
        while isinstance(node, ast.Attribute | ast.Subscript):
            if isinstance(node, ast.Subscript):
                self._visit(node.slice, scope, owner)
            node = node.value
        if not isinstance(node, ast.Name):
            self._visit(node, scope, owner)


def _is_main(test: ast.expr) -> bool:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(_is_main(part) for part in test.values)
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and len(test.ops) == 1
        and isinstance(test.ops[0], ast.Eq)
        and isinstance(test.comparators[0], ast.Constant)
        and test.comparators[0].value == "__main__"
    )
