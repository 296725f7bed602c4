"""What a Keras configuration may name, from `keras.toml`: reviewed data, exact names, no patterns."""

import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from weighbridge.core.pattern import late
from weighbridge.core.value import dataclass
from weighbridge.formats.keras import KerasObject
from weighbridge.scan.contracts import harm

HOME = frozenset({"keras", "tf_keras", "keras_core"})
"""Packages that are Keras itself under its several names."""
CARRIERS = frozenset({"Lambda", "__lambda__"})
"""Python bytecode in the configuration."""
FOREIGN = {
    "TFSMLayer": "loads another model, from outside of this file",
    "TorchModuleWrapper": "unpickles a module that stands in the configuration",
}
"""Layers that load something else, and what they do."""
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


VOCABULARIES = (
    "vocabulary",
    "vocab",
    "vocabulary_file",
    "vocab_file",
    "merges",
    "merges_file",
    "proto",
    "idf_weights",
)
"""Keys under which a layer or tokenizer takes a file's path."""
_OUTSIDE = late(r"[A-Za-z][A-Za-z0-9+.-]*://|/|~|\\\\|[A-Za-z]:[\\/]|(?:.*[\\/])?\.\.[\\/]")
_RISKY = frozenset(
    {
        "IPython", "_pytest", "cloudpickle", "dask", "dill", "distutils", "fabric", "fsspec", "huggingface_hub",
        "invoke", "joblib", "jsonpickle", "mlflow", "nltk", "numpy", "pandas", "paramiko", "pexpect", "pip",
        "plumbum", "psutil", "pytest", "ray", "requests", "scipy", "setuptools", "sh", "sklearn", "tensorflow",
        "torch", "transformers", "urllib3", "yaml",
    }
)  # fmt: skip
"""Packages beside Keras that are often there, and have functions that reach the system."""
_TENSORFLOW = frozenset(
    {
        "read_file", "write_file", "ReadFile", "WriteFile", "save_v2", "SaveV2", "restore_v2", "RestoreV2",
        "py_func", "PyFunc", "eager_py_func", "numpy_function", "load_library", "load_op_library",
        "load_file_system_library", "load_pluggable_device_library", "load", "FixedLengthRecordReader",
        "matching_files", "MatchingFiles", "print_v2", "PrintV2", "debug_identity_v2",
        "experimental_connect_to_cluster",
    }
)  # fmt: skip
"""Functions of TensorFlow that open files, call back into Python, or load libraries."""


def is_foreign(item: KerasObject) -> bool:
    """Whether it is one of Keras' layers that load something else."""
    return item.class_name in FOREIGN and is_home(item.module)


def names_keras(items: Iterable[KerasObject]) -> bool:
    """Whether these are a configuration of Keras: other programs use the words `class_name` and `config` too."""
    known = CARRIERS | FOREIGN.keys()
    return any(not item.path or is_safe(item) or item.class_name in known for item in items)


def reads_file(item: KerasObject) -> str:
    """The path or address that a layer or tokenizer would read its vocabulary from; "" for none."""
    if not isinstance(item.config, dict):
        return ""
    for key in VOCABULARIES:
        found = item.config.get(key)
        if isinstance(found, str) and found and (item.class_name in LOOKUPS or _OUTSIDE.match(found)):
            return found
    return ""


def is_harmful(item: KerasObject) -> bool:
    """Whether the name is Python's own machinery, or a function of Keras or another package that reaches outside."""
    top = (item.module or "").partition(".")[0]
    registered = (item.registered_name or "").replace(">", ".")
    if names_harm(f"{item.module}.{item.name}" if item.module else item.name) or names_harm(registered):
        return True
    if item.class_name == "function":
        return item.name in book().dangerous and (is_home(item.module) or item.module == "builtins")
    return top in HARMFUL_MODULES or (item.name in book().dangerous and is_home(item.module))


def names_harm(path: str) -> bool:
    """Whether a dotted name is a function or class of Python's own modules, or one elsewhere that is known to do harm."""
    top, dot, rest = path.partition(".")
    if not dot:
        return False
    if top == "builtins":
        return bool(harm.harm_of(path)) or rest in book().dangerous
    if top in HARMFUL_MODULES:
        return True
    if (
        top == "tensorflow"
        and not is_home(path.rpartition(".")[0])
        and path.rpartition(".")[2] in _TENSORFLOW
    ):
        return True
    return top in _RISKY and bool(harm.harm_of(path))
