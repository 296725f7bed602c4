"""What calling a name does to whoever loads the file, in words. Used to name harm, never to find something safe.

The lists stand in `harm.toml`. What a name is resolved from is in `paths`, what a call looks like in `looks`.
"""

import sys
from functools import cache

from weighbridge.scan.contracts.compiled import document

MAX_STEPS = 32
"""Words of a path that harm is looked for behind."""


def grave(does: str) -> bool:
    """Whether handing on a callable that does this is as bad as calling it."""
    return does not in _lists()[2]


def harm_of(path: str) -> str:
    """What `module.name` does, however it is spelled: also as the tail of a longer dotted path."""
    words = path.split(".")
    exact, modules, _ = _lists()
    reached = not _TOPS.isdisjoint(words[1:MAX_STEPS])
    for start in reversed(range(min(len(words), MAX_STEPS))) if reached else (0,):
        if start and words[start] not in _TOPS:
            continue
        tail = words[start:]
        found = exact.get(".".join(tail) if start else path) or _of_module(tail, modules)
        if found:
            return found
    return INTERNALS if "__" in path and any(map(is_internal, words[1:])) else ""


INTERNALS = "reaches into the interpreter's own attributes"


def is_internal(word: str) -> bool:
    """Whether an attribute is the interpreter's own."""
    return word.startswith("__") and word.endswith("__") and word not in _HARMLESS


_HARMLESS = frozenset({"__main__", "__init__", "__new__", "__newobj__", "__newobj_ex__", "__mp_main__"})


def _of_module(words: list[str], modules: dict[str, str]) -> str:
    """By a whole module. Classes of libraries are left out: making an object of one is what real pickles do."""
    if words[0] not in _tops():
        return ""
    if not is_stdlib(words[0]) and (not looks_like_function(words[-1]) or looks_like_maker(words[-1])):
        return ""
    for end in range(min(len(words) - 1, _deepest()), 0, -1):
        found = modules.get(".".join(words[:end]))
        if found:
            return found
    return ""


@cache
def _lists() -> tuple[dict[str, str], dict[str, str], frozenset[str]]:
    exact: dict[str, str] = {}
    modules: dict[str, str] = {}
    for entry in document("harm")["harm"]:
        for name in entry["names"]:
            module, _, qualname = name.partition(":")
            if qualname == "*":
                modules.setdefault(module, entry["does"])
            else:
                exact.setdefault(f"{module}.{qualname}", entry["does"])
    return exact, modules, frozenset(e["does"] for e in document("harm")["harm"] if not e.get("grave", True))


@cache
def _deepest() -> int:
    """Words of the longest module on the list."""
    return max(module.count(".") + 1 for module in _lists()[1])


@cache
def _tops() -> frozenset[str]:
    """The first words of the modules on the list."""
    return frozenset(module.partition(".")[0] for module in _lists()[1])


_TOPS = frozenset(
    {"os", "sys", "subprocess", "builtins", "posix", "nt", "shutil", "socket", "ctypes", "importlib", "pickle", "runpy", "pty",
     "code", "commands", "webbrowser", "urllib", "requests", "marshal", "platform", "tempfile", "pkgutil", "multiprocessing"}
)  # fmt: skip
"""Modules that other modules import and that can thus be reached through them: `shutil` → `os.system`."""


def is_stdlib(module: str | None) -> bool:
    """Whether a module is Python's own."""
    return module is not None and module.partition(".")[0] in _STDLIB


_STDLIB = sys.stdlib_module_names | {
    "__builtin__",
    "commands",
    "popen2",
    "imp",
    "asyncore",
    "distutils",
    "test",
}


def looks_like_function(qualname: str | None) -> bool:
    """A name in lower case: in Python's own modules and well-kept libraries these are functions, not classes."""
    last = (qualname or "").rpartition(".")[2].lstrip("_")
    return last[:1].islower()


def looks_like_maker(qualname: str | None) -> bool:
    """A name that libraries give to what `__reduce__` names: `_rebuild_tensor`, `__pyx_unpickle_Enum`."""
    last = (qualname or "").rpartition(".")[2].lstrip("_").lower()
    return last.startswith(_MAKERS)


_MAKERS = (
    "rebuild",
    "reconstruct",
    "unpickle",
    "pyx_unpickle",
    "restore",
    "from_",
    "make_",
    "new",
    "create_",
    "deserialize",
    "build",
)
