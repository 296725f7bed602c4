"""What a Keras configuration may name, from `keras.toml`: reviewed data, exact names, no patterns."""

import sys
import tomllib
from functools import cache
from pathlib import Path

from weighbridge.core.value import dataclass
from weighbridge.formats.keras import KerasObject

HOME = frozenset({"keras", "tf_keras", "keras_core"})
"""Packages that are Keras itself under its several names."""
CARRIERS = frozenset({"Lambda", "__lambda__"})
"""Python bytecode in the configuration."""
FOREIGN = frozenset({"TFSMLayer", "TorchModuleWrapper", "FlaxLayer", "JaxLayer"})
"""Layers that load something else: a SavedModel by path, a pickled module, functions of another library."""
LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization", "VocabularyLookup"})
"""Layers that read a file where their vocabulary is a text."""
HARMFUL_MODULES = sys.stdlib_module_names - {"__future__"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasBook:
    """The lists of `keras.toml`."""

    classes: frozenset[str]
    functions: frozenset[str]
    dangerous: frozenset[str]


@cache
def book() -> KerasBook:
    """Read once."""
    data = tomllib.loads(Path(__file__).with_name("keras.toml").read_text("utf-8"))
    lists = {
        kind: frozenset(name for table in data[kind] for name in table["names"])
        for kind in ("classes", "functions", "dangerous")
    }
    return KerasBook(**lists)


def is_home(module: str | None) -> bool:
    """Whether a module is Keras' own; configurations of versions 1 and 2 name none."""
    if module is None:
        return True
    top, _, rest = module.partition(".")
    return top in HOME or (top == "tensorflow" and "keras" in rest.split("."))


def is_safe(item: KerasObject) -> bool:
    """Whether looking this name up and building it is known to do nothing else."""
    if item.class_name == "function":
        return item.name in book().functions and (is_home(item.module) or item.module == "builtins")
    registered = item.registered_name or item.class_name
    own = registered in (item.class_name, f"keras>{item.class_name}", f"Keras>{item.class_name}")
    return item.class_name in book().classes and is_home(item.module) and own


def reads_file(item: KerasObject) -> str:
    """The path or address that a lookup layer would read its vocabulary from; "" for none."""
    if item.class_name not in LOOKUPS or not isinstance(item.config, dict):
        return ""
    found = item.config.get("vocabulary")
    return found if isinstance(found, str) else ""


def is_harmful(item: KerasObject) -> bool:
    """Whether the name is Python's own machinery, or a function of Keras that reaches outside."""
    top = (item.module or "").partition(".")[0]
    if item.class_name == "function":
        reaches = item.name in book().dangerous and (is_home(item.module) or item.module == "builtins")
        return reaches or (top in HARMFUL_MODULES and top != "builtins")
    return top in HARMFUL_MODULES or (item.class_name in book().dangerous and is_home(item.module))
