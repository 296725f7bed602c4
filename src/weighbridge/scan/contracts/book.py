"""The book of contracts: reviewed data in `*.toml`, one file an ecosystem, read when a name of it is met.

A contract says of one exact (module, qualified name) with which arguments calling it at load time only builds data.
`[[contract]]` tables give calls, states and items; `[[family]]` tables list many classes with one contract. Every
table says why. Names that are in no file are unproved; there is no pattern, prefix or wildcard.
"""

import sys
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from weighbridge.core.value import dataclass
from weighbridge.scan.contracts.compiled import document

Signature = tuple[str, ...]
"""One shape per argument; the last may end in `...` for any number, and any may end in `?` to be left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What may be done with one name at load time. A name without `call` and `new` may only be looked up."""

    name: str
    """`module:qualname`."""
    why: str
    call: tuple[Signature, ...] = ()
    """Arguments with which it may be called."""
    new: tuple[Signature, ...] = ()
    """Arguments with which its `__new__` may be called; only classes have this."""
    state: tuple[str, ...] = ()
    """Shapes that BUILD may set on what it makes."""
    items: tuple[str, ...] = ()
    """Which of `list`, `dict` and `set` it may be filled like: `extend`, `__setitem__`, `add`; `members` is a dict whose
    keys are found as attributes too."""
    makes: str = ""
    """The class of the result: "" for itself, `@0` for the class given as the first argument, or a name."""
    checks: tuple[str, ...] = ()
    """Further checks over all arguments (`shapes.CHECKS`)."""
    never: tuple[str, ...] = ()
    """Attributes that a state may not set: methods that the class calls while it is filled."""
    only_called: bool = False
    """True when the name is safe only with the arguments seen here: it may not be handed on to be called later."""
    otherwise: str = ""
    """What setting any other state does, where that is harm with a name: the end of "loading this file …"."""
    enum: bool = False
    """True for an enumeration: `getattr` may take a member of it."""


ECOSYSTEMS: Mapping[str, str] = {
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "sklearn",
    "imblearn": "estimators",
    "category_encoders": "estimators",
    "hmmlearn": "estimators",
    "joblib": "joblib",
    "pandas": "pandas",
    "torch": "torch",
    "pyarrow": "pandas",
    "torchvision": "torch",
    "statsmodels": "statsmodels",
    "dill": "dill",
    "cloudpickle": "dill",
    "lightgbm": "boosting",
    "xgboost": "boosting",
    "catboost": "boosting",
    "transformers": "training",
    "accelerate": "training",
    "pytorch_lightning": "training",
    "lightning": "training",
    "lightning_fabric": "training",
    "omegaconf": "training",
}
"""Top-level package → file. The standard library's modules are all in `python.toml`."""


def find(module: str | None, qualname: str | None) -> Contract | None:
    """The contract of an exact name, or None."""
    if module is None or qualname is None:
        return None
    top = module.partition(".")[0]
    file = ECOSYSTEMS.get(top) or ("python" if top in sys.stdlib_module_names else "")
    return _found(file, module, qualname) if file else None


def find_named(name: str) -> Contract | None:
    """The contract of `module:qualname`."""
    module, _, qualname = name.partition(":")
    return find(module, qualname)


@lru_cache(maxsize=8192)
def _found(file: str, module: str, qualname: str) -> Contract | None:
    name = f"{module}:{qualname}"
    table = _tables(file).get(name)
    return _made(file, name) if table is not None else None


@cache
def _made(file: str, name: str) -> Contract:
    return _contract(name, _tables(file)[name])


@cache
def _tables(file: str) -> Mapping[str, Mapping[str, Any]]:
    """Name → the table that it stands in; contracts are made of them when they are asked for."""
    return dict(_all(document(file)))


def page(file: str) -> Mapping[str, Contract]:
    """All contracts of one file, by name. Raises `ValueError` where a name stands twice."""
    found: dict[str, Contract] = {}
    for name, table in _all(document(file)):
        if name in found:
            raise ValueError(f"{name} stands twice in the contracts")
        found[name] = _contract(name, table)
    return found


def _all(source: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for table in source.get("contract", ()):
        yield from ((name, table) for name in table["names"])
    for table in source.get("family", ()):
        for module, names in table["modules"].items():
            yield from ((f"{module}:{qualname}", table) for qualname in names)


_KEYS = {
    "names", "modules", "why", "call", "new", "state", "items", "makes", "checks", "enum", "never", "only_called", "otherwise",
}  # fmt: skip


def _contract(name: str, table: Mapping[str, Any]) -> Contract:
    unknown = set(table) - _KEYS
    if unknown or not table.get("why"):
        raise ValueError(f"contract of {name}: unknown keys {sorted(unknown)}, or no reason")
    return Contract(
        name=name,
        why=table["why"],
        call=tuple(tuple(signature) for signature in table.get("call", ())),
        new=tuple(tuple(signature) for signature in table.get("new", ())),
        state=tuple(table.get("state", ())),
        items=tuple(table.get("items", ())),
        makes=table.get("makes", ""),
        checks=tuple(table.get("checks", ())),
        never=tuple(table.get("never", ())),
        only_called=table.get("only_called", False),
        otherwise=table.get("otherwise", ""),
        enum=table.get("enum", False),
    )


def files() -> tuple[str, ...]:
    """Names of all contract files."""
    return tuple(sorted({"python", *ECOSYSTEMS.values()}))
