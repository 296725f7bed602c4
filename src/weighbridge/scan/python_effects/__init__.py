"""What a Python module can do, and when: facts of the reader held against the reviewed names.

The statement behind a pass: the module imports only known packages and files that stand beside it; nowhere, at import
or inside any function, does it name anything that runs programs, evaluates text, loads native code, unpickles, connects,
deletes or rewires; and it looks nothing up by a computed name in a module where such things live. Known packages are
trusted to be what they are, and what their other functions do is not asked. Nothing here is executed.
"""

from collections.abc import Iterator

from weighbridge.core.pattern import late
from weighbridge.formats.python import PythonReading, Use
from weighbridge.scan.python_effects.effect import SEVERE_IN_METHODS, Effect, Setting, is_error
from weighbridge.scan.python_effects.judged import canonical, danger, judge, known_module
from weighbridge.scan.python_effects.reach import Reach

__all__ = ["Effect", "Setting", "canonical", "danger", "effects", "harmful_names", "is_error"]

MAX_LINE = 20_000
_CODE = late(
    r"__code__|\bexec\b|\beval\b|FunctionType|CodeType|\bcompile\b|getattr|globals|__dict__|import_module|__import__"
)
"""Without one of these, nothing makes a function of a code object."""


def effects(reading: PythonReading, setting: Setting) -> Iterator[Effect]:
    """Every use that is not known to be harmless, in source order, once per line and name."""
    seen: set[tuple[str, int, bool]] = set()
    reach = Reach(reading, setting)
    unsafe_loader = any(
        use.name in ("yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader") for use in reading.uses
    )
    for use in reading.uses:
        found = judge(use, unsafe_loader, at_import=not use.scope) or _helper(use, setting)
        if (
            found
            and use.scope
            and use.name in ("marshal.load", "marshal.loads")
            and not _CODE.search(reading.text)
        ):
            found = "reads values that only Python reads", True
        if found and use.name.endswith(".f_globals[]") and _only_asks_for_a_name(reading, use):
            found = "asks what its caller is called", False
        if found and _is_own_method(use, reading):
            found = "calls a method of its own class that is named like an import", False
        if found and (use.name, use.line, use.kept) not in seen:
            seen.add((use.name, use.line, use.kept))
            yield Effect(use, found[0], found[1], reach.when(use))
    if not setting.cell:
        yield from _imports(reading, setting, reach)


_ASKED = late(r"\.f_globals\[['\"]__(name|file)__['\"]\]")


def _only_asks_for_a_name(reading: PythonReading, use: Use) -> bool:
    """`sys._getframe(1).f_globals["__name__"]`: nothing else stands between brackets on the line."""
    line = reading.text.split("\n", use.line)[use.line - 1] if 0 < use.line <= MAX_LINE else ""
    return _ASKED.search(line) is not None and line.count(".f_globals") == 1


def _is_own_method(use: Use, reading: PythonReading) -> bool:
    """`self.load_module(x)` in a class that defines it: what it does is judged where it is defined."""
    name = use.name.removeprefix("?.")
    return (
        name in ("load_module", "exec_module")
        and f"{use.scope.rpartition('.')[0]}.{name}" in reading.functions
    )


def _helper(use: Use, setting: Setting) -> tuple[str, bool] | None:
    """What a function or class of a file beside this one does when it is called here."""
    if not use.called or not setting.helpers:
        return None
    name = ".".join(use.name.partition("()")[0].lstrip(".").split(".")[-2:])
    what = setting.helpers.get(name)
    return (what, True) if what else None


def harmful_names(reading: PythonReading) -> Iterator[tuple[str, str]]:
    """(name, what it does) of the module's own functions and classes that do harm whenever they are called."""
    reach = Reach(reading, Setting())
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


def _imports(reading: PythonReading, setting: Setting, reach: Reach) -> Iterator[Effect]:
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
        elif not known_module(item.module) and top not in setting.siblings and top not in told:
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
