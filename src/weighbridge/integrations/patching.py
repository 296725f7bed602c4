"""Hooks in other people's modules: put in where they are, put in as they are imported, and taken out again.

A function that is replaced is replaced in every module that holds it, so that `from torch import load` made before the
guard is covered too. Methods of Python classes are replaced in the class. Not reached: copies in closures, default
arguments, class attributes and `functools.partial` objects that were made before.
"""

import importlib.abc
import importlib.machinery
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

Install = Callable[[ModuleType, "Patches"], None]
"""Puts the hooks of one module in."""

OURS = "weighbridge"


class Patches:
    """What was replaced, so that it can be put back."""

    def __init__(self) -> None:
        self._swapped: list[tuple[Any, Any]] = []
        self._methods: list[tuple[type, str, Any]] = []

    def function(self, module: ModuleType, name: str, make: Callable[[Any], Any]) -> None:
        """Replace `module.name`, wherever else it stands too. Once only, whatever names it has."""
        original = vars(module).get(name)
        if original is None or any(original is new for _, new in self._swapped):
            return
        replacement = next((new for old, new in self._swapped if old is original), None)
        if replacement is None:
            replacement = make(original)
            self._swapped.append((original, replacement))
        _sweep(original, replacement)

    def method(self, cls: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Replace a method in its class."""
        if not isinstance(cls, type) or name not in vars(cls):
            return
        original = vars(cls)[name]
        if any(done is cls and at == name for done, at, _ in self._methods):
            return
        self._methods.append((cls, name, original))
        setattr(cls, name, make(original))

    def undo(self) -> None:
        """Put everything back, in modules too that were imported meanwhile."""
        for original, replacement in self._swapped:
            _sweep(replacement, original)
        for cls, name, original in reversed(self._methods):
            setattr(cls, name, original)
        self._swapped, self._methods = [], []


def _sweep(old: Any, new: Any) -> None:
    """Put `new` in the place of `old` in every module; lazy modules are looked at without waking them."""
    for name, module in list(sys.modules.items()):
        names = getattr(module, "__dict__", None)  # not every entry is a module
        if type(names) is not dict or name.partition(".")[0] == OURS:
            continue
        for key in [key for key, value in list(names.items()) if value is old]:
            names[key] = new


class Watch(importlib.abc.MetaPathFinder):
    """Calls the installer of a module right after the module was imported."""

    def __init__(self, installers: dict[str, Install], patches: Patches) -> None:
        self._installers, self._patches = installers, patches
        self._looking = threading.local()

    def start(self) -> None:
        """Hook what is there, and watch for what comes."""
        sys.meta_path.insert(0, self)
        for name, install in self._installers.items():
            module = sys.modules.get(name)
            if module is not None:
                install(module, self._patches)

    def stop(self) -> None:
        """Take all hooks out."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        self._patches.undo()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of the finders behind us, with our step after the module's own code."""
        if fullname not in self._installers or fullname in getattr(self._looking, "names", ()):
            return None
        self._looking.names = (*getattr(self._looking, "names", ()), fullname)
        try:
            for finder in sys.meta_path:
                find = getattr(finder, "find_spec", None)
                spec = find(fullname, path, target) if find is not None and finder is not self else None
                if spec is not None:
                    if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                        spec.loader = _After(spec.loader, self._installers[fullname], self._patches)
                    return spec  # type: ignore[no-any-return]
        finally:
            self._looking.names = self._looking.names[:-1]
        return None


class _After:
    """A loader that runs one step more; everything else is the real loader's."""

    def __init__(self, loader: Any, install: Install, patches: Patches) -> None:
        self._loader, self._install, self._patches = loader, install, patches

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        """As the real loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then hook it."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._install(module, self._patches)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
