"""Python source: what a module imports, names and calls, and when; parsed with `ast`, never compiled or imported.

Facts only. A *use* is a reference to something by its full dotted name, with aliases followed (`import os as o`,
`f = o.system`, `getattr(o, "sys" + "tem")`, `__import__("os")`) without regard to order, so that every binding that some
path could make is counted. Scopes tell when it happens: `""` when the module is imported (module and class bodies,
decorators, defaults), `__main__` when it is run as a script, else the name of the function whose body it stands in.
What cannot be followed has names that begin with `?` (some object) or `unbound.` (nobody binds the name).
"""

import ast
import builtins
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import field
from functools import lru_cache
from typing import NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.formats.python.fold import MAX_FOLDED, Names, argument, fold
from weighbridge.formats.reading import Anomaly, Gap, Reading
from weighbridge.formats.text import bidi_anomalies

MAX_SOURCE = 1024**2
MAX_BINDINGS = 32
"""Dotted names that one variable may stand for; values made by calls count to the smaller number below."""
MAX_VALUES = 4
MAX_NAME = 200
MAX_PASSES = 8
"""Rounds of following `a = b` until nothing new is bound."""
MAX_USES = 200_000
MAX_WALKED = 1_000_000
"""Steps inside arguments of calls inside arguments."""
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_CODECS = {"utf-8": "utf-8", "utf8": "utf-8", "ascii": "ascii", "us-ascii": "ascii"}
_CODECS |= dict.fromkeys(("latin-1", "latin1", "iso-8859-1", "iso-latin-1"), "latin-1")
_CODECS |= {
    name: name
    for name in (
        "cp1251",
        "cp1252",
        "cp949",
        "gbk",
        "gb2312",
        "gb18030",
        "big5",
        "euc-jp",
        "euc-kr",
        "shift-jis",
        "koi8-r",
    )
}
_CODECS |= {
    name: name for name in (f"iso-8859-{number}" for number in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16))
}
_HIDING = {
    "utf-7": "utf-7",
    "utf7": "utf-7",
    "u7": "utf-7",
    "unicode-escape": "unicode-escape",
    "unicodeescape": "unicode-escape",
}
_HIDING |= {"raw-unicode-escape": "raw-unicode-escape", "rawunicodeescape": "raw-unicode-escape"}
"""Encodings (PEP 263) in which a comment or text for people is code for Python; both are looked at."""
_BUILTINS = frozenset(dir(builtins))
_PARSING = threading.Lock()
"""`ast.parse` warns about odd literals through a process-wide filter, so that only one thread may change it."""


class Import(NamedTuple):
    """One imported module: `import module` or `from module import name`."""

    module: str
    """Dotted; relative imports keep their leading dots."""
    name: str
    """What is taken from it; "" for the module itself, `*` for all."""
    line: int
    scope: str


class Use(NamedTuple):
    """One reference to something by name."""

    name: str
    """`os.system`, `builtins.eval`, `torch.nn.Linear().weight`, `module.helper` for what this file defines itself."""
    line: int
    scope: str
    called: bool = False
    arguments: tuple[object, ...] = ()
    """The first arguments of a call where they fold to constants, else None; lists of words as one text, and what does
    not fold inside a text as `…`."""
    keywords: tuple[tuple[str, object], ...] = ()
    """Likewise; the name is `**` for an unpacked mapping."""
    inner: frozenset[str] = frozenset()
    """Names of everything called inside the arguments."""
    base: bool = False
    """True where a class statement only names it as a base."""
    kept: bool = False
    """True where it is only given a name that is followed, compared or caught."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PythonReading(Reading):
    """One module."""

    text: str
    imports: tuple[Import, ...] = ()
    uses: tuple[Use, ...] = ()
    functions: tuple[str, ...] = ()
    """Qualified names of the functions and methods that it defines."""
    classes: tuple[str, ...] = ()
    bases: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(class, names of its bases as written)."""
    metaclasses: tuple[str, ...] = ()
    """What class statements name as `metaclass=`, or under other keywords."""

    def source_line(self, line: int) -> str:
        """The text of a line, for messages."""
        lines = _split(self.text)
        return lines[line - 1].strip()[:160] if 0 < line <= len(lines) else ""


@lru_cache(maxsize=2)
def _split(text: str) -> list[str]:
    """The lines of the module that findings are being made of."""
    return text.splitlines()


def read(source: Source, budget: Budget, name: str) -> PythonReading:
    """Parse the module. Never raises for odd code: what Python cannot parse is a gap (`python-syntax`)."""
    if source.size > MAX_SOURCE:
        return _unread("", "limit-python", f"source of {source.size} bytes, limit {MAX_SOURCE}")
    data = source.read(0, source.size)
    codec, declared = _codec(data)
    if codec is None:
        message = f"the encoding that the file declares, {declared}, is not read here"
        return _unread(data.decode("latin-1"), "python-encoding", message)
    try:
        text = data.decode(codec).removeprefix("\ufeff")
        budget.tick()
        tree = parse(text.replace("\0", ""))
        facts = _Facts(tree)
    except UnicodeDecodeError as error:
        return _unread("", "python-encoding", f"not {codec}: {error.reason}")
    except _TooMuchError as error:
        return _unread(text, "limit-python", str(error))
    except (SyntaxError, ValueError) as error:
        return _unread(text, "python-syntax", f"Python cannot parse it: {error}"[:200])
    except (RecursionError, MemoryError):
        return _unread(text, "limit-depth", "nested deeper than can be followed")
    return PythonReading(
        format="python",
        text=text,
        imports=tuple(facts.imports),
        uses=tuple(facts.uses),
        functions=tuple(facts.functions),
        classes=tuple(facts.classes),
        bases=tuple(facts.bases),
        metaclasses=tuple(facts.metaclasses),
        anomalies=(*_hiding(codec), *bidi_anomalies(text)),
        gaps=(Gap(code="python-syntax", message="NUL bytes stand in it"),) if "\0" in text else (),
        keep=True,
    )


class _TooMuchError(Exception):
    """More names than a module of this size has for good reasons."""


def parse(text: str) -> ast.Module:
    """`ast.parse` without its warnings."""
    with _PARSING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _unread(text: str, code: str, message: str) -> PythonReading:
    return PythonReading(format="python", text=text, gaps=(Gap(code=code, message=message),), keep=True)


def _codec(data: bytes) -> tuple[str | None, str]:
    """The codec of the declared encoding (PEP 263) where it can be followed, and the encoding as declared."""
    for line in data[:4096].splitlines()[:2]:
        cookie = _COOKIE.match(line)
        if cookie:
            name = cookie[1].decode("ascii").lower().replace("_", "-")
            return _CODECS.get(name) or _HIDING.get(name), name[:40]
    return "utf-8", "utf-8"


def _hiding(codec: str) -> Iterator[Anomaly]:
    if codec in _HIDING.values():
        yield Anomaly(
            code="hiding-encoding", message=f"is written in {codec}, in which code looks like a comment"
        )


@dataclass(slots=True)
class _Facts:
    """The walk over one module."""

    tree: ast.Module
    imports: list[Import] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    bases: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    metaclasses: list[str] = field(default_factory=list)
    names: "_Names" = field(init=False)
    walked: int = 0

    def __post_init__(self) -> None:
        self.names = _Names(self.tree)
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

    def _call(self, node: ast.Call, scope: str, owner: str) -> None:
        known = self.names.constants
        arguments = tuple(argument(item, known) for item in node.args[:4])
        keywords = tuple((k.arg or "**", argument(k.value, known)) for k in node.keywords[:16])
        inner = frozenset(self._called_inside(node))
        functions = self.names.resolve(node.func)
        for name in functions:
            self._note(Use(name, node.lineno, scope, True, arguments, keywords, inner))
        for name in self.names.special(node, functions):
            self._note(Use(name, node.lineno, scope))
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
            raise _TooMuchError(f"more than {MAX_USES} references")

    def _called_inside(self, node: ast.Call) -> Iterator[str]:
        """Calls inside the arguments, not those inside further functions; wide arguments are data."""
        below = [*node.args, *(keyword.value for keyword in node.keywords)]
        if len(below) > 8 or all(isinstance(item, ast.Constant) for item in below):
            return
        for part in below:
            for inner in ast.walk(part):
                self.walked += 1
                if self.walked > MAX_WALKED:
                    raise _TooMuchError("calls inside calls without end")
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


class _Names:
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


_SPECIAL = frozenset(
    (
        "builtins.__import__",
        "importlib.import_module",
        "importlib.__import__",
        "builtins.getattr",
        "builtins.vars",
    )
)


def _short(name: str) -> str:
    """Names have an end: a chain of a thousand calls is some object."""
    return name if len(name) <= MAX_NAME else "?"


def _some(names: Iterable[str]) -> tuple[str, ...]:
    unique = tuple(dict.fromkeys(names))
    return unique if len(unique) <= MAX_BINDINGS else (*unique[:MAX_BINDINGS], "?")
