"""`dataclass`, made in a quarter of the time: what every value of ours is declared with.

The standard decorator compiles six methods from text for each frozen class, 1.3 ms on the machine of docs/benchmarks.md;
the values on the way of one `verify` would take a third of its time. Here the standard decorator makes the fields and
`__init__`, and the methods that only walk over the fields are shared. To the type checker it is the standard one, and
`dataclasses.replace` and `fields` work as usual.

Frozen means: an attribute is set once, by `__init__` or `__post_init__`, and never again.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from types import ModuleType
from typing import TYPE_CHECKING, Any


class _Inspect(ModuleType):
    """Stands for `inspect` in `dataclasses`, which wants it for texts that our classes do not need, until it is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("inspect"), name)


if "inspect" not in sys.modules and "dataclasses" not in sys.modules:
    sys.modules["inspect"] = _Inspect("inspect")
    import dataclasses

    del sys.modules["inspect"]
import dataclasses  # noqa: E402

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
else:
    field, replace = dataclasses.field, dataclasses.replace

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        """As `dataclasses.dataclass`; options that are not given are the standard ones."""
        return _made(cls, options) if cls is not None else lambda given: _made(given, options)


def _made(cls: type, options: dict[str, Any]) -> type:
    frozen = options.pop("frozen", False)
    equal, shown = options.pop("eq", True), options.pop("repr", True)
    own = set(vars(cls))
    cls.__doc__ = cls.__doc__ or cls.__name__  # else the standard decorator works out a signature for it
    made: Any = dataclasses.dataclass(cls, eq=False, repr=False, **options)
    methods: dict[str, Callable[..., Any]] = {"__repr__": _repr} if shown else {}
    if equal:
        methods |= _comparing([field.name for field in dataclasses.fields(made) if field.compare])
        if not frozen:
            methods["__hash__"] = None  # type: ignore[assignment] # as the standard one: what changes has no hash
    if frozen:
        methods |= {"__setattr__": _set_once, "__delattr__": _never_delete}
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]


def _comparing(names: list[str]) -> dict[str, Callable[..., Any]]:
    """Equality and hash over these fields, between values of the very same class."""
    content: Callable[[Any], Any] = attrgetter(*names) if names else lambda _: ()

    def __eq__(self: Any, other: object) -> Any:  # noqa: N807 - becomes the method
        return content(self) == content(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash((self.__class__, content(self)))

    return {"__eq__": __eq__, "__hash__": __hash__}


def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _set_once(self: Any, name: str, value: Any) -> None:
    if hasattr(self, name):
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _never_delete(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
