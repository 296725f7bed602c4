"""When a use runs: at import, where a class is made, when a model is loaded, or only when somebody calls it.

Follows calls by name through the module's own functions, methods, base classes and metaclasses. A name that may mean
several functions means all of them.
"""

from collections.abc import Mapping, Set
from dataclasses import field

from weighbridge.core.pattern import late
from weighbridge.core.value import dataclass
from weighbridge.formats.python import PythonReading, Use
from weighbridge.scan.python_effects.effect import Setting

MAX_GENERATIONS = 32
"""Classes made of classes; each round doubles what is reached."""
_IMPLICIT = ("__init_subclass__", "__set_name__", "__class_getitem__", "__prepare__", "__mro_entries__")
_OF_CLASSES = late(r"(?i)meta\Z|meta(class|type)|\btype\Z|Type\Z|\)\Z|\?|\A(literal|unbound)")
"""Names of what makes classes, and of what nobody can name."""
_HOOKS = frozenset(("find_spec", "find_module", "create_module", "exec_module", "load_module"))
"""Methods that every later import calls, once their object stands in `sys.meta_path`."""
_MAKES = frozenset(("__init__", "__new__", "__post_init__", "__call__"))
"""Methods that run when somebody makes an instance of a class, or decorates with one."""
_CONSTRUCTS = late(
    r"\.(__init__|__new__|__post_init__|__setstate__|__call__|_init_weights|from_pretrained|initialize)$"
)


@dataclass(slots=True)
class Reach:
    """Which functions run when the module is imported, and which when a model is loaded through it."""

    reading: PythonReading
    setting: Setting
    imported: set[str] = field(init=False)
    entered: set[str] = field(init=False)
    constructed: set[str] = field(init=False)
    called: dict[str, set[str]] = field(default_factory=dict)
    families: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        called = self.called
        for use in self.reading.uses:
            if use.called or (use.name.startswith("module.") and not (use.kept or use.base)):
                called.setdefault(use.scope, set()).add(use.name)
        functions = self.reading.functions
        start = {f for f in functions if f == "__getattr__" or f.rpartition(".")[2] in _IMPLICIT}
        if any(use.name.startswith(("sys.meta_path", "sys.path_hooks")) for use in self.reading.uses):
            start |= {f for f in functions if f.rpartition(".")[2] in _HOOKS}
        above = _ancestors(self.reading)
        for names in called.values():
            names |= {base for name in names for base in above.get(name, ())}
        at_import = {use.name for use in self.reading.uses if not use.scope and use.called}
        at_import |= {base for name in at_import for base in above.get(name, ())}
        start |= _functions_named(at_import, functions, methods=False)
        metaclasses = _metaclasses(self.reading)
        start |= {f for f in _functions_named(metaclasses, functions, methods=True) if ".__" in f}
        families = self.families = _families(self.reading)
        self.imported = _closure({*start, ""}, called, functions, families)
        named = {f"module.{name}" for name in self.setting.entry}
        named |= {base for name in named for base in above.get(name, ())}
        entry = (
            set(functions) if "*" in self.setting.entry else _functions_named(named, functions, methods=True)
        )
        self.entered = _closure(entry, called, functions, families)
        constructing = {f for f in entry if _CONSTRUCTS.search(f)}
        self.constructed = _closure(constructing, called, functions, families)

    def from_name(self, name: str) -> set[str]:
        """Everything that runs when a function or class of this module is called."""
        start = _functions_named({f"module.{name}"}, self.reading.functions, methods=False)
        return _closure(start, self.called, self.reading.functions, self.families)

    def when(self, use: Use) -> str:
        """`import`, `construct`, `load` or `call`; see `Effect.when`."""
        if self.setting.cell or use.scope == "__main__":
            return "call"
        if not use.scope or use.scope in self.imported:
            return "import"
        if use.scope in self.constructed:
            return "construct"
        return "load" if use.scope in self.entered else "call"


def _functions_named(names: Set[str], functions: tuple[str, ...], *, methods: bool) -> set[str]:
    """Functions and methods that calling these names runs; with `methods`, all methods of a class."""
    found: set[str] = set()
    for name in names:
        if not name.startswith("module."):
            continue
        local = name.removeprefix("module.").partition("()")[0]
        for function in functions:
            own = function.rpartition(".")[2]
            if function == local or (function.startswith(f"{local}.") and (methods or own.startswith("__"))):
                found.add(function)
    return found


def _meant(
    name: str, owner: str, by_last: Mapping[str, list[str]], families: Mapping[str, Set[str]]
) -> list[str]:
    """The functions that a call may mean: in a method, `self.name()` means its own class and those it is made of."""
    last = name.rpartition(".")[2]
    every = by_last.get(last, [])
    if owner not in families or name != f"?.{last}":
        return every
    return [one for one in every if one.rpartition(".")[0] in families[owner]]


def _named(name: str, caller: str, meant: list[str], classes: Mapping[str, object]) -> list[str]:
    """Without the methods, where a function names something by one word: a word alone is no method there."""
    if not caller or not name.startswith("module.") or name.count(".") > 1:
        return meant
    return [one for one in meant if one.rpartition(".")[0] not in classes]


def _metaclasses(reading: PythonReading) -> set[str]:
    """Classes of this module that make classes: named as such, or made of `type` or of another one."""
    found = set(reading.metaclasses)
    own = {f"module.{name}" for name in reading.classes}
    while True:
        more = {
            f"module.{name}"
            for name, bases in reading.bases
            if any(base in found or (base not in own and _OF_CLASSES.search(base)) for base in bases)
        }
        if more <= found:
            break
        found |= more
    every = {base for _, bases in reading.bases for base in bases}
    return found | {base for base in every if base not in own}


def _ancestors(reading: PythonReading) -> dict[str, set[str]]:
    """For every class of this module, those of its bases, near and far, that stand in it too."""
    own = {f"module.{name}" for name in reading.classes}
    above = {f"module.{name}": {base for base in bases if base in own} for name, bases in reading.bases}
    for _ in range(MAX_GENERATIONS):
        before = sum(map(len, above.values()))
        for found in above.values():
            found |= {far for near in tuple(found) for far in above.get(near, ())}
        if sum(map(len, above.values())) == before:
            break
    return above


def _families(reading: PythonReading) -> dict[str, set[str]]:
    """Every class with its bases and the classes made of it, as far as they stand in this module."""
    related: dict[str, set[str]] = {name: {name} for name in reading.classes}
    for name, bases in reading.bases:
        for base in bases:
            base_name = base.removeprefix("module.")
            if base_name in related:
                family = related[name] | related[base_name]
                for member in family:
                    related[member] = family
    return related


def _closure(
    start: set[str],
    called: Mapping[str, Set[str]],
    functions: tuple[str, ...],
    families: Mapping[str, Set[str]] | None = None,
) -> set[str]:
    """`start` and every function of this module that they call by name, as a method or otherwise."""
    by_last: dict[str, list[str]] = {}
    by_class: dict[str, list[str]] = {}
    for function in functions:
        owner, _, own = function.rpartition(".")
        by_last.setdefault(own, []).append(function)
        if own in _MAKES:
            by_class.setdefault(owner, []).append(function)
    families = families or {}
    reached: set[str] = set()
    todo = list(start)
    while todo:
        function = todo.pop()
        if function in reached:
            continue
        reached.add(function)
        if function:
            todo += [
                inner for inner in functions if inner.startswith(f"{function}.") and inner not in reached
            ]
        owner = function.rpartition(".")[0]
        for name in called.get(function, ()):
            if name.startswith(("?", "module.")):
                todo += _named(name, function, _meant(name, owner, by_last, families), families)
            if name.startswith("module.") and name.count(".") == 1:
                todo += by_class.get(name.removeprefix("module."), ())
    return reached
