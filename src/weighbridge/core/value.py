"""`dataclass`, made in a quarter of the time: what every value of ours is declared with.

The standard decorator compiles six methods from text for each frozen class, 1.3 ms on the machine of docs/benchmarks.md;
the values on the way of one `verify` would take a third of its time. Here the standard decorator makes the fields, the
methods that only walk over the fields are shared, and `__init__` is compiled when a class makes its fifth value, which
most classes never do in one run. To the type checker it is the standard one, and `dataclasses.replace` and `fields` work
as usual.

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
    made: Any = dataclasses.dataclass(cls, init=False, eq=False, repr=False, **options)
    methods: dict[str, Callable[..., Any]] = {"__init__": _late_init(made, frozen)}
    if shown:
        methods["__repr__"] = _repr
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


FEW = 4
"""Values that a class makes before it is worth to compile its `__init__`."""


def _late_init(cls: Any, frozen: bool) -> Callable[..., None]:
    """The `__init__` of a class that has made few values yet."""
    made = 0

    def __init__(self: Any, *args: Any, **values: Any) -> None:  # noqa: N807 - becomes the method
        nonlocal made
        made += 1
        if made <= FEW and not args and _set_by_name(self, cls, values):
            return
        if cls.__init__ is __init__:
            cls.__init__ = _compiled_init(cls, frozen)
        cls.__init__(self, *args, **values)

    return __init__


def _set_by_name(self: Any, cls: Any, values: dict[str, Any]) -> bool:
    """Set all fields; False, and nothing is set, where the arguments do not fit: the compiled one then says why."""
    found: dict[str, Any] = {}
    fields = dataclasses.fields(cls)
    for f in fields:
        if f.init and f.name in values:
            found[f.name] = values[f.name]
        elif f.default is not dataclasses.MISSING:
            found[f.name] = f.default
        elif f.default_factory is not dataclasses.MISSING:
            found[f.name] = f.default_factory()
        elif f.init:
            return False
    if not values.keys() <= {f.name for f in fields if f.init}:
        return False
    for name, value in found.items():
        object.__setattr__(self, name, value)
    if hasattr(cls, "__post_init__"):
        self.__post_init__()
    return True


def _compiled_init(cls: Any, frozen: bool) -> Callable[..., None]:
    """The `__init__` that the standard decorator would have made."""
    names: dict[str, Any] = {"_new": object()}
    positional: list[str] = []
    keyword: list[str] = []
    body: list[str] = []
    for f in dataclasses.fields(cls):
        default, value = "", f.name
        if f.default_factory is not dataclasses.MISSING:
            names[f"_make_{f.name}"] = f.default_factory
            value = f"_make_{f.name}() if {f.name} is _new else {f.name}" if f.init else f"_make_{f.name}()"
            default = "=_new"
        elif f.default is not dataclasses.MISSING:
            names[f"_default_{f.name}"] = f.default
            value = value if f.init else f"_default_{f.name}"
            default = f"=_default_{f.name}"
        elif not f.init:
            continue  # `__post_init__` sets it
        if f.init:
            (keyword if f.kw_only else positional).append(f.name + default)
        names[f"_set_{f.name}"] = getattr(cls, f.name).__set__ if frozen else None
        body.append(f"_set_{f.name}(self, {value})" if frozen else f"self.{f.name} = {value}")
    body += ["self.__post_init__()"] if hasattr(cls, "__post_init__") else []
    parameters = ", ".join(["self", *positional, *(["*", *keyword] if keyword else [])])
    exec(f"def __init__({parameters}):\n " + "\n ".join(body or ["pass"]), names)  # noqa: S102 - names of fields only
    made: Callable[..., None] = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


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
