"""What a Python module can do, and when: facts of the reader held against the reviewed names.

The statement behind a pass: the module imports only known packages and files that stand beside it; nowhere, at import
or inside any function, does it name anything that runs programs, evaluates text, loads native code, unpickles, connects,
deletes or rewires; and it looks nothing up by a computed name in a module where such things live. Known packages are
trusted to be what they are, and what their other functions do is not asked. Nothing here is executed.
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import field
from functools import lru_cache
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.finding import Place
from weighbridge.core.source import MemorySource
from weighbridge.core.value import dataclass
from weighbridge.formats.python import PythonReading, Use
from weighbridge.scan import python_names as known
from weighbridge.scan.rule import Folder

CONVENTIONAL = re.compile(
    r"(^|/)(__init__|hubconf|handler|pipeline|generate|model|service|predict|inference|sitecustomize|usercustomize|conftest|setup|code/\w+"
    r"|(modeling|modelling|configuration|tokenization|processing|preprocessing|image_processing|image_preprocessing"
    r"|video_processing|feature_extraction|pipeline)_\w+)\.pyw?$"
)
"""Names that loaders, hubs and installers import without being told by a config."""
ALL_ENTRY = re.compile(r"(^|/)(hubconf|handler|pipeline|generate)\.py$")
"""Files whose functions a hub calls by name."""
_CODE = re.compile(
    r"__code__|\bexec\b|\beval\b|FunctionType|CodeType|\bcompile\b|getattr|globals|__dict__|import_module|__import__"
)
"""Without one of these, nothing makes a function of a code object."""
_CELL = re.compile(r"cell \d+\Z")
MAX_GENERATIONS = 32
"""Classes made of classes; each round doubles what is reached."""
_IMPLICIT = ("__init_subclass__", "__set_name__", "__class_getitem__", "__prepare__", "__mro_entries__")
_OF_CLASSES = re.compile(r"(?i)meta\Z|meta(class|type)|\btype\Z|Type\Z|\)\Z|\?|\A(literal|unbound)")
"""Names of what makes classes, and of what nobody can name."""
_HOOKS = frozenset(("find_spec", "find_module", "create_module", "exec_module", "load_module"))
"""Methods that every later import calls, once their object stands in `sys.meta_path`."""
_MAKES = frozenset(("__init__", "__new__", "__post_init__", "__call__"))
"""Methods that run when somebody makes an instance of a class, or decorates with one."""
_CONSTRUCTS = re.compile(
    r"\.(__init__|__new__|__post_init__|__setstate__|__call__|_init_weights|from_pretrained|initialize)$"
)


class Effect(NamedTuple):
    """One use that is not known to be harmless."""

    use: Use
    what: str
    """One of the words of `python_names`, or a reason why it cannot be judged."""
    proved: bool
    """True where the name itself says what happens; False where it only cannot be followed."""
    when: str
    """`import`, `load` (inside a class that a config names), or `call` (some function, or run as a script)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What stands around a module."""

    entry: Set[str] = frozenset()
    """Classes and functions that a config names; `*` for all."""
    siblings: Set[str] = frozenset()
    """Top-level module names that stand in the same artifact."""
    present: Set[str] | None = None
    """Paths of the artifact, to check relative imports; None where unknown."""
    path: str = ""
    loaded: bool = True
    """False for a script that nothing imports when the model is loaded."""
    cell: bool = False
    """True for a notebook's cell: opening the notebook does not run it."""
    shared: bool = False
    """True where another file of the artifact imports it, so that the names it gives are used elsewhere."""
    helpers: Mapping[str, str] = field(default_factory=dict)
    """`module.name` of functions and classes in files beside it → what calling them does."""


SEVERE = frozenset(
    (known.RUNS, known.EVALUATES, known.CONNECTS, known.NATIVE, known.UNPICKLES, known.DELETES)
)
SEVERE_WHEN_LOADED = SEVERE | {known.FETCHES, known.UNPICKLES_FILE, known.REMOTE, known.COMPILES}
SEVERE_IN_METHODS = frozenset((known.RUNS, known.EVALUATES, known.CONNECTS, known.NATIVE))


def is_error(effect: Effect, setting: Setting) -> bool:
    """Whether an effect happens to everybody who loads the model, and not only to who calls some function."""
    if not effect.proved or effect.when == "call" or effect.use.base:
        return False
    if effect.use.kept and not (setting.shared and effect.what in (known.RUNS, known.EVALUATES)):
        return False
    if effect.when == "import":
        return effect.what in (SEVERE_WHEN_LOADED if setting.loaded else SEVERE)
    return effect.what in (SEVERE if effect.when == "construct" else SEVERE_IN_METHODS)


def effects(reading: PythonReading, setting: Setting) -> Iterator[Effect]:
    """Every use that is not known to be harmless, in source order, once per line and name."""
    seen: set[tuple[str, int, bool]] = set()
    reach = _Reach(reading, setting)
    unsafe_loader = any(
        use.name in ("yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader") for use in reading.uses
    )
    for use in reading.uses:
        found = _judge(use, unsafe_loader, at_import=not use.scope) or _helper(use, setting)
        if (
            found
            and use.scope
            and use.name in ("marshal.load", "marshal.loads")
            and not _CODE.search(reading.text)
        ):
            found = "reads values that only Python reads", True
        if found and (use.name, use.line, use.kept) not in seen:
            seen.add((use.name, use.line, use.kept))
            yield Effect(use, found[0], found[1], reach.when(use))
    if not setting.cell:
        yield from _imports(reading, setting, reach)


def _judge(use: Use, unsafe_loader: bool, *, at_import: bool) -> tuple[str, bool] | None:
    name = canonical(use.name) if not use.name.startswith("org.python.") else use.name
    if ("trust_remote_code", True) in use.keywords:
        return known.REMOTE, True
    what = _by_argument(name, use) or danger(name, use.called)
    if what == known.EVALUATES and (softer := _softer(name, use)):
        return softer
    if what and not _excused(name, use, unsafe_loader):
        return (known.UNPICKLES if what == known.LOADS and _asks_for_pickle(use) else what), True
    if what:
        return None
    return _unproved(name, use, at_import=at_import)


def _softer(name: str, use: Use) -> tuple[str, bool] | None:
    """Code that stands there as a text and only computes, and expressions that somebody hands in: not judged, and no harm."""
    first = use.arguments[0] if use.called and use.arguments else None
    fixed = isinstance(first, str) and name in ("builtins.exec", "builtins.eval")
    if fixed and _only_defines(str(first), inside=bool(use.scope)):
        return "runs a text as code that only defines functions", False
    if name in ("sympy.sympify", "sympy.parse_expr") and not isinstance(first, str) and not use.inner:
        return "evaluates an expression that it is given", False
    return None


@lru_cache(maxsize=256)
def _only_defines(code: str, *, inside: bool) -> bool:
    """Whether a fixed text only defines functions, which name nothing but what they bind and what computes."""
    from weighbridge.formats.python import read

    inner = read(MemorySource(code.encode("utf-8", "replace")), Budget(), "text.py")
    if any(gap.code == "python-syntax" for gap in inner.gaps):
        return inside  # Python refuses it, and runs nothing
    if inner.gaps or inner.imports or "…" in code or "__" in code:
        return False
    defines = bool(inner.functions) and all(use.scope for use in inner.uses)
    return defines and all(_computes(use) for use in inner.uses)


def _computes(use: Use) -> bool:
    if use.name.startswith("builtins."):
        return not danger(use.name, True)
    return use.name.startswith("module.") or (not use.called and use.name.startswith(("?", "unbound.")))


def _helper(use: Use, setting: Setting) -> tuple[str, bool] | None:
    """What a function or class of a file beside this one does when it is called here."""
    if not use.called or not setting.helpers:
        return None
    name = ".".join(use.name.partition("()")[0].lstrip(".").split(".")[-2:])
    what = setting.helpers.get(name)
    return (what, True) if what else None


def harmful_names(reading: PythonReading) -> Iterator[tuple[str, str]]:
    """(name, what it does) of the module's own functions and classes that do harm whenever they are called."""
    reach = _Reach(reading, Setting())
    scopes = {
        effect.use.scope: effect.what
        for effect in effects(reading, Setting())
        if effect.proved and effect.what in SEVERE_IN_METHODS and not effect.use.base
    }
    if not scopes:
        return
    for name in (*reading.functions, *reading.classes):
        if "." in name:
            continue
        for scope in reach.from_name(name):
            if scope in scopes:
                yield name, scopes[scope]
                break


@lru_cache(maxsize=16_384)
def canonical(name: str) -> str:
    """`torch.os.system` is `os.system`: modules hang in other modules' names, and never where a relative name begins."""
    parts = name.split(".")
    first = next((index for index, part in enumerate(parts) if part), 0)
    for index in range(len(parts) - 1, first, -1):
        if parts[index] in known.MODULES_NOT_TO_PASS_ON and parts[index] != parts[index - 1]:
            return ".".join(parts[index:])
    return name


_UPWARDS = re.compile(r"__(base|bases|mro)__|\A(literal|\?)\.__class__|\Abuiltins\.object\.")
"""How code gets from any value to every class there is."""


@lru_cache(maxsize=16_384)
def danger(name: str, called: bool) -> str:
    """What a dotted name does, in a word; "" for nothing known."""
    if (
        name in known.SAFE
        or name.rpartition(".")[0] in known.SAFE
        or (name in known.CALLED_ONLY and not called)
        or (not called and known.CONSTANTS.match(name))
    ):
        return ""
    if called and name.rpartition(".")[2] in known.SHELLCODE:
        return known.RUNS
    if name in known.EXACT:
        return known.EXACT[name]
    if not called and name.startswith("ctypes.pythonapi.") and name.endswith((".argtypes", ".restype")):
        return known.TOUCHES
    if not name.endswith(")") and name.count("()") == name.count("get_ipython()") + name.count("Path()"):
        for prefix, what in known.PREFIX.get(name.partition(".")[0], ()):
            if name.startswith(prefix):
                return what
    base, _, attribute = name.rpartition(".")
    if attribute in ("exec_module", "load_module") and base:
        return known.EVALUATES
    if any(f".{frame}[" in name or f".{frame}." in name for frame in known.FRAMES):
        return known.EVALUATES
    if attribute in known.FRAMES:
        return known.EVALUATES if "__subclasses__" in name else known.REWIRES
    if "__subclasses__" in name and _UPWARDS.search(name):
        return known.EVALUATES
    if attribute in ("system", "popen") and not called:
        return ""
    followed = base and not base.startswith(("?", "unbound.", "literal", "module.")) and base[-1] not in ")]?"
    return "" if followed else known.ATTRIBUTES.get(attribute, "") if base else ""


def _by_argument(name: str, use: Use) -> str:
    """Functions that look up what their argument names."""
    if not use.called or not use.arguments or not isinstance(use.arguments[0], str):
        return ""
    first = use.arguments[0]
    if name in ("operator.attrgetter", "operator.methodcaller"):
        return known.ATTRIBUTES.get(first.rpartition(".")[2], "")
    if name in ("pkgutil.resolve_name", "pydoc.locate", "hydra.utils.get_method", "hydra.utils.get_class"):
        return danger(first.replace(":", "."), True)
    if name == "importlib.import_module" and first.partition(".")[0] in known.EVALUATING_MODULES:
        return known.EVALUATES
    return ""


def _asks_for_pickle(use: Use) -> bool:
    """`weights_only=False` and `allow_pickle=True`: whoever writes that wants the pickle to run."""
    keywords = dict(use.keywords)
    return keywords.get("weights_only") is False or keywords.get("allow_pickle") is True


def _excused(name: str, use: Use, unsafe_loader: bool) -> bool:
    """Calls whose arguments make them harmless."""
    keywords = dict(use.keywords)
    if name in ("torch.load", "torch.serialization.load", "torch.hub.load_state_dict_from_url"):
        return keywords.get("weights_only") is True
    if name == "numpy.load":
        return use.called and keywords.get("allow_pickle", False) is False and "**" not in keywords
    if name == "jinja2.Template":
        return bool(use.arguments) and isinstance(use.arguments[0], str) and "__" not in use.arguments[0]
    if name.endswith(".f_globals.get"):
        return bool(use.arguments) and use.arguments[0] in ("__name__", "__file__", "__package__")
    if name in ("yaml.load", "yaml.load_all"):
        return "Loader" in keywords and not unsafe_loader
    return False


def _unproved(name: str, use: Use, *, at_import: bool) -> tuple[str, bool] | None:
    if name in known.MODULES_NOT_TO_PASS_ON and not use.called:
        return f"hands the module {name} on as a value", False
    if name in ("builtins.__import__", "importlib.import_module", "importlib.__import__"):
        return _import_call(name, use)
    top, _, rest = name.partition(".")
    allowed = known.GUARDED.get(top)
    first = re.split(r"[.(\[]", rest, maxsplit=1)[0]
    if allowed is not None and rest and first not in allowed and first not in _HARMLESS_DUNDERS:
        return "uses something that is not known to be harmless", False
    if name.endswith(".?") and _looks_up_danger(name, use.called):
        return "looks something up by a computed name", False
    if name == "builtins.compile" and use.called:
        return "compiles code from text", False
    if not at_import:
        return None
    if name.startswith(known.AT_IMPORT):
        return "changes the process when it is imported", False
    if name == "builtins.open" and use.called and known.WRITES.search(str(_mode(use))):
        return "writes a file when it is imported", False
    if name.startswith("unbound.") and use.called:
        return "calls something that this file does not bind", False
    return None


def _looks_up_danger(name: str, called: bool) -> bool:
    """`getattr(os, name)`; `getattr(torch, name)` only where the result is called, since dtypes are found so."""
    base = name.removesuffix(".?")
    top = base.partition(".")[0]
    if base in known.GUARDED or base in known.MODULES_NOT_TO_PASS_ON:
        return True
    if base.endswith(".?"):
        return top in known.STDLIB
    return called and (base in _PARENTS or (top in known.STDLIB and base.islower() and "(" not in base))


_PARENTS = frozenset(name.rpartition(".")[0] for name in known.EXACT) | frozenset(
    prefix.rpartition(".")[0] for prefixes in known.PREFIX.values() for prefix, _ in prefixes
)
"""Modules in which something dangerous stands."""
_HARMLESS_DUNDERS = frozenset(("", "__name__", "__version__", "__file__", "__doc__", "__all__"))


def _import_call(name: str, use: Use) -> tuple[str, bool] | None:
    target = use.arguments[0] if use.arguments else None
    if not use.called:
        return "hands on the function that imports modules", False
    if not isinstance(target, str):
        computed = bool(use.inner) and name != "importlib.import_module"
        return (known.EVALUATES if computed else "imports a module with a computed name"), computed
    return (
        None
        if target.startswith(".") or _known_module(target)
        else (f"imports {target}, which is not known", False)
    )


def _mode(use: Use) -> object:
    keywords = dict(use.keywords)
    if "mode" in keywords:
        return keywords["mode"] or "w"
    return (use.arguments[1] or "w") if len(use.arguments) > 1 else "r"


_COVERED = frozenset(pattern.partition(".")[0] for pattern in (*known.EXACT, *known.PREFIX))


def _known_module(module: str) -> bool:
    top = module.partition(".")[0]
    return top in known.PACKAGES or top in known.STDLIB or top in known.GUARDED or top in _COVERED


def _imports(reading: PythonReading, setting: Setting, reach: "_Reach") -> Iterator[Effect]:
    told: set[str] = set()
    for item in reading.imports:
        use = Use(item.module, item.line, item.scope)
        top = item.module.partition(".")[0]
        if item.module.startswith("."):
            target = item.module
            if target.strip(".") == "" and not _has_init(target, setting):
                target = f"{target}{item.name}"
            if not _stands_beside(target, setting):
                yield Effect(use, f"imports {target}, which is not here", False, reach.when(use))
        elif not _known_module(item.module) and top not in setting.siblings and top not in told:
            told.add(top)
            yield Effect(use, f"imports {top}, which is not a known package", False, reach.when(use))


def _has_init(dots: str, setting: Setting) -> bool:
    """Whether the package that `from . import x` means has an `__init__.py` that may bind x."""
    folder = setting.path.split("/")[: -len(dots)]
    return setting.present is None or "/".join((*folder, "__init__.py")) in setting.present


def _stands_beside(module: str, setting: Setting) -> bool:
    """Whether a relative import finds its file; the hub's loader knows no other."""
    if setting.present is None:
        return True
    level = len(module) - len(module.lstrip("."))
    rest = module.lstrip(".")
    folder = setting.path.split("/")[:-1]
    if level - 1 > len(folder):
        return False
    base = folder[: len(folder) - (level - 1)]
    if not rest:
        return True
    target = "/".join((*base, *rest.split(".")))
    return f"{target}.py" in setting.present or any(path.startswith(f"{target}/") for path in setting.present)


@dataclass(slots=True)
class _Reach:
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


def inner_setting(place: Place) -> Setting | None:
    """The setting of a module inside another file (an archive's member, a notebook's cell); None for a file itself."""
    if not place.parts:
        return None
    outer = place.parts[-2] if len(place.parts) > 1 else place.path
    cell = bool(_CELL.match(place.parts[-1])) and outer.lower().endswith(".ipynb")
    return Setting(cell=cell, loaded=not cell, path=place.parts[-1])


def python_files(folder: Folder) -> Iterator[tuple[str, PythonReading, Setting]]:
    """Every Python file of an artifact with its setting."""
    files = {
        path: reading
        for path, readings in folder.readings.items()
        for reading in readings
        if isinstance(reading, PythonReading)
    }
    entry = entry_points(folder)
    present = frozenset(member.path for member in folder.artifact.members)
    siblings = frozenset(part.removesuffix(".py") for path in files for part in path.split("/"))
    loaded = _loaded(files, entry, single=len(folder.artifact.members) == 1)
    shared = _imported_by_others(files)
    helpers = {
        f"{path.rpartition('/')[2].removesuffix('.py')}.{name}": what
        for path in shared
        for name, what in harmful_names(files[path])
    }
    for path, reading in files.items():
        every = ALL_ENTRY.search(path) or _is_builder(reading) or _is_served(reading)
        names = frozenset("*") if every else entry.get(path, frozenset())
        yield (
            path,
            reading,
            Setting(
                entry=names,
                siblings=siblings,
                present=present,
                path=path,
                loaded=path in loaded,
                shared=path in shared,
                helpers=helpers,
            ),
        )


def _imported_by_others(files: Mapping[str, PythonReading]) -> set[str]:
    """Files whose module name stands in some other file's imports."""
    named: dict[str, list[str]] = {}
    for path in files:
        named.setdefault(path.rpartition("/")[2].removesuffix(".py"), []).append(path)
    return {
        path
        for other, reading in files.items()
        for item in reading.imports
        for part in (*item.module.split("."), item.name)
        for path in named.get(part, ())
        if path != other
    }


def _is_served(reading: PythonReading) -> bool:
    """A class that a server of models makes and calls by its name."""
    if "TritonPythonModel" in reading.classes:
        return True
    return any(base.startswith("ts.torch_handler.") for _, bases in reading.bases for base in bases)


def _is_builder(reading: PythonReading) -> bool:
    """A data set's script: `load_dataset` imports it and calls its builder's methods."""
    return any(
        base.startswith("datasets.") and base.endswith(("Builder", "BuilderConfig"))
        for _, bases in reading.bases
        for base in bases
    )


def _loaded(files: Mapping[str, PythonReading], entry: Mapping[str, Set[str]], *, single: bool) -> set[str]:
    """Files that are imported when the model is: named by a config or by custom, and what those import."""
    loaded: set[str] = set()
    todo = [path for path in files if single or path in entry or CONVENTIONAL.search(path)]
    todo += [path for path, reading in files.items() if _is_builder(reading)]
    while todo:
        path = todo.pop()
        if path in loaded:
            continue
        loaded.add(path)
        base = path.rpartition("/")[0]
        for item in files[path].imports:
            for part in (*item.module.split("."), item.name):
                todo += [
                    p
                    for p in (f"{base}/{part}.py".lstrip("/"), f"{part}.py")
                    if p in files and p not in loaded
                ]
    return loaded


def entry_points(folder: Folder) -> dict[str, set[str]]:
    """Path of a Python file → classes that some config of the artifact names in it."""
    found: dict[str, set[str]] = {}
    for path, readings in folder.readings.items():
        base = path.rpartition("/")[0]
        for reading in readings:
            for module, name in named_classes(getattr(reading, "value", None)):
                target = f"{base}/{module.replace('.', '/')}.py".lstrip("/")
                found.setdefault(target, set()).add(name)
    return found


def named_classes(value: Any) -> Iterator[tuple[str, str]]:
    """(module, class) pairs that `auto_map` and `custom_pipelines` of a config name, without other repositories."""
    if not isinstance(value, dict):
        return
    yield from _mlflow_code(value)
    maps = [value.get("auto_map")]
    custom = value.get("custom_pipelines")
    if isinstance(custom, dict):
        maps += [{"impl": one.get("impl")} for one in custom.values() if isinstance(one, dict)]
    for mapping in maps:
        references = list(mapping.values()) if isinstance(mapping, dict) else [mapping]
        for reference in references:
            for text in reference if isinstance(reference, list) else [reference]:
                if isinstance(text, str) and "--" not in text and "." in text:
                    module, _, name = text.rpartition(".")
                    yield module, name


def _mlflow_code(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Files that MLflow imports, and then calls, because an `MLmodel` says so."""
    flavors = value.get("flavors")
    for flavor in flavors.values() if isinstance(flavors, dict) else ():
        if not isinstance(flavor, dict):
            continue
        script, loader, code = flavor.get("model_code_path"), flavor.get("loader_module"), flavor.get("code")
        if isinstance(script, str) and script.endswith(".py"):
            yield script.removesuffix(".py").replace("/", "."), "*"
        if isinstance(loader, str) and not loader.startswith("mlflow."):
            yield (f"{code}.{loader}" if isinstance(code, str) else loader), "_load_pyfunc"
