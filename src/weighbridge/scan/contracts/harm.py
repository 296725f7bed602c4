"""What a call would do to whoever loads the file, in words. Used to name harm, never to find something safe.

Names are resolved as far as constants go (`getattr(import_module("os"), "system")` is `os.system`), because a
finding that says what happens is worth more than one that says "unproved".
"""

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache

from weighbridge.core.pattern import late
from weighbridge.formats.pickle import Call, Dict, Global, List, Value
from weighbridge.formats.pickle.helpers import is_cloudpickle
from weighbridge.scan.contracts.compiled import document

MAX_STEPS = 32
"""Calls inside calls that are followed to find a name."""


def does(value: Value, path: str) -> str:
    """What calling the value does, as the end of "loading this file …"; "" when the list has nothing on it.

    `path` is what `resolved` says of it.
    """
    if makes_code(value):
        return "runs Python code that the file carries"
    if _gets_internals(value):
        return INTERNALS
    return harm_of(path) if path else ""


def grave(does: str) -> bool:
    """Whether handing on a callable that does this is as bad as calling it."""
    return does not in _lists()[2]


def harm_of(path: str) -> str:
    """What `module.name` does, however it is spelled: also as the tail of a longer dotted path."""
    words = path.split(".")
    exact, modules, _ = _lists()
    for start in reversed(range(min(len(words), MAX_STEPS))):
        if start and words[start] not in _TOPS:
            continue
        tail = words[start:]
        found = exact.get(".".join(tail)) or _of_module(tail, modules)
        if found:
            return found
    return INTERNALS if any(map(_is_internal, words[1:])) else ""


INTERNALS = "reaches into the interpreter's own attributes"


def _is_internal(word: str) -> bool:
    return word.startswith("__") and word.endswith("__") and word not in _HARMLESS


_HARMLESS = frozenset({"__main__", "__init__", "__new__", "__newobj__", "__newobj_ex__", "__mp_main__"})


def _of_module(words: list[str], modules: dict[str, str]) -> str:
    """By a whole module. Classes of libraries are left out: making an object of one is what real pickles do."""
    if not is_stdlib(words[0]) and (not looks_like_function(words[-1]) or looks_like_maker(words[-1])):
        return ""
    for end in range(len(words) - 1, 0, -1):
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


_TOPS = frozenset(
    {"os", "sys", "subprocess", "builtins", "posix", "nt", "shutil", "socket", "ctypes", "importlib", "pickle", "runpy", "pty",
     "code", "commands", "webbrowser", "urllib", "requests", "marshal", "platform", "tempfile", "pkgutil", "multiprocessing"}
)  # fmt: skip
"""Modules that other modules import and that can thus be reached through them: `shutil` → `os.system`."""


# ---- names behind values


def resolved(value: Value) -> str:
    """The dotted path that a value stands for, as far as constants say; "" when they do not."""
    words: list[str] = []
    for _ in range(MAX_STEPS):
        if type(value) is Global:
            head = f"{value.module}.{value.qualname}" if value.module is not None else ""
            return _plain(".".join([head, *reversed(words)])) if head else ""
        if type(value) is not Call or type(value.args) is not tuple:
            return ""
        module = _module(value)
        if module:
            return _plain(".".join([module, *reversed(words)]))
        step = _step(value)
        if step is None:
            return ""
        value, name = step
        words += list(reversed(name.split("."))) if name else []
    return ""


def _plain(path: str) -> str:
    return ".".join(word for word in path.split(".") if word not in ("__dict__", "__call__", ""))


_IMPORTS = frozenset(
    {"builtins.__import__", "importlib.import_module", "importlib.__import__", "importlib._bootstrap._gcd_import", "pkgutil.resolve_name", "pydoc.locate",
     "pydoc.safeimport", "__builtin__.__import__"}
)  # fmt: skip


def _module(call: Call) -> str:
    """The module or object that an import call gives."""
    name = call.callable.name if type(call.callable) is Global else ""
    if name in _IMPORTS and call.args and type(call.args[0]) is str:
        return call.args[0].replace(":", ".")
    if name in _UFUNCS and len(call.args) == 2 and all(type(word) is str for word in call.args):
        return ".".join(call.args)
    return ""


_UFUNCS = frozenset({"numpy.core._ufunc_reconstruct", "numpy._core._ufunc_reconstruct"})
"""Imports the module and gives the name that it is told."""


_GETS = frozenset(
    {"builtins.getattr", "builtins.object.__getattribute__", "inspect.getattr_static", "operator.getitem", "_operator.getitem", "builtins.dict.get", "builtins.dict.__getitem__",
     "builtins.type.__getattribute__"}
)  # fmt: skip
_GETTERS = frozenset(
    {
        "operator.attrgetter",
        "_operator.attrgetter",
        "operator.itemgetter",
        "_operator.itemgetter",
        "operator.methodcaller",
        "_operator.methodcaller",
    }
)


def _gets_internals(value: Value) -> bool:
    """`methodcaller("__getattribute__", "__code__")`, which takes apart whatever it is applied to."""
    if type(value) is not Call or type(value.callable) is not Global or value.callable.name not in _GETTERS:
        return False
    return any(_is_internal(word) for text in _strings(value.args) for word in text.split("."))


_WRAPS = frozenset({"functools.partial", "_functools.partial", "builtins.vars", "types.MethodType", "builtins.staticmethod", "builtins.classmethod", "functools.lru_cache",
                    "builtins.id", "copy.copy", "copy.deepcopy"})  # fmt: skip


def _step(call: Call) -> tuple[Value, str] | None:
    """One step from what a call gives to the value that it takes it from, and the name it takes."""
    target, args = call.callable, call.args
    name = target.name if type(target) is Global else ""
    if name in _GETS and len(args) >= 2 and type(args[1]) is str:
        return args[0], args[1]
    if name in _WRAPS and args:
        return args[0], ""
    if name == "functools.reduce" and len(args) == 3 and type(args[1]) in (tuple, List):
        return args[2], ".".join(word for word in args[1] if type(word) is str)
    if type(target) is Call and type(target.callable) is Global and target.callable.name in _GETTERS and args:
        first = target.args[0] if type(target.args) is tuple and target.args else None
        return (args[0], first) if type(first) is str else None
    return None


_FUNCTION_MAKERS = {
    "dill._dill": frozenset({"_create_function"}),
    "cloudpickle": frozenset({"_make_function", "_make_skel_func", "_fill_function"}),
    "types": frozenset({"FunctionType", "LambdaType"}),
}
_CODE_MAKERS = {
    "dill._dill": frozenset({"_create_code", "_create_type", "_create_cell", "_unmarshal", "_import_module"}),
    "cloudpickle": frozenset({
        "subimport", "dynamic_subimport", "_make_skeleton_class", "_make_skeleton_enum", "_rehydrate_skeleton_class",
        "_make_empty_cell", "_make_cell", "_cell_set", "_class_setstate", "_function_setstate", "instance",
    }),
    "types": frozenset({"CodeType", "ModuleType", "CellType"}),
}  # fmt: skip
"""Functions of dill and cloudpickle, and types of Python's own, that rebuild functions, code, classes and modules."""


def makes_code(value: Value) -> bool:
    """Whether a value is a function made of code that stands in the stream."""
    return type(value) is Call and type(value.callable) is Global and _is_in(value.callable, _FUNCTION_MAKERS)


def carries_code(target: Global) -> bool:
    """Whether a callable rebuilds functions, classes or modules out of the stream."""
    return _is_in(target, _FUNCTION_MAKERS) or _is_in(target, _CODE_MAKERS)


def _is_in(target: Global, names: Mapping[str, frozenset[str]]) -> bool:
    module = "cloudpickle" if is_cloudpickle(target.module) else target.module or ""
    return target.qualname in names.get(module, ())


# ---- what arguments look like

_SUSPICIOUS = late(
    r"""__import__|\bimport\s+\w+|\b(?:os|subprocess|socket|shutil|sys|builtins)\.\w+|\b(?:exec|eval|compile|open|system|getattr)\s*\(
    |/bin/|\b(?:ba|z|da)?sh\s+-c\b|\bcurl\s|\bwget\s|\bpowershell\b|\bcmd(?:\.exe)?\s+/c|\bnc\s+-|/etc/passwd|/dev/tcp|\brm\s+-|\bchmod\s
    |\blambda\b.*:|[;&|]\s*\w+\s|\$\(|`\w+""",
    re.VERBOSE,
)
_PLACES = late(r"(?:https?|ftp|file|s3|gs|smb)://|^[/~]|\.\./|^[A-Za-z]:\\|\\\\")
MAX_LOOKED = 200
"""Values inside arguments that are looked at."""


def suspicious(args: Value, *, places: bool = False) -> str:
    """The first string among arguments that looks like code or a command (or, with `places`, a path or address)."""
    for text in _strings(args):
        piece = text[:4096]
        if _SUSPICIOUS.search(piece) or (places and _PLACES.search(piece)):
            return text
    return ""


_PRINTABLE = bytes(c for c in range(256) if 32 <= c < 127 or c in b"\t\r\n")
"""Bytes of other kinds are numbers, and numbers look like anything."""


def _strings(args: Value) -> Iterator[str]:
    todo, looked = [args], 0
    while todo and looked < MAX_LOOKED:
        value = todo.pop()
        looked += 1
        if type(value) is str:
            yield value
        elif type(value) is bytes and not value[:4096].translate(None, _PRINTABLE):
            yield value[:4096].decode("latin-1")
        elif type(value) is tuple or isinstance(value, list):
            todo += reversed(value[:MAX_LOOKED])


_WELL_KNOWN = frozenset(
    {
        "numpy",
        "scipy",
        "sklearn",
        "joblib",
        "pandas",
        "torch",
        "torchvision",
        "tensorflow",
        "keras",
        "transformers",
    }
)
"""Libraries whose makers of data are known well enough that any other function of theirs is out of place."""
_BESIDE = frozenset({"NDArrayWrapper", "ZNDArrayWrapper"})
"""Of joblib before 0.10: each array stands in a file of its own, which the loader opens by the name in the pickle."""


def _opens_another(call: Call) -> str:
    """A wrapper of joblib's whose array is read from a place outside of the model's folder."""
    target, state = call.callable, call.state()
    known = type(target) is Global and target.qualname in _BESIDE and "joblib" in (target.module or "")
    names = (
        [item for key, item in state.pairs() if key == "filename"] if known and type(state) is Dict else []
    )
    outside = [name for name in names if type(name) is str and re.search(r"[/\\\\]|^[A-Za-z]:", name)]
    return f"opens the file {outside[0]!r}, outside of its own folder" if outside else ""


_COMMANDS = late(
    r"(?:^|_)(?:run|runs|exec|execute|system|shell|spawn|popen|eval|cmd|command|subprocess|getoutput|urlopen|download)(?:_|$)|Popen"
)


_OPENERS = late(
    r"(?:^|_)(?:open|load|loads|loader|read|write|save|dump|fetch|restore|connect|clone|parse|unpickle|include|import|upload"
    r"|imread|imopen|savefig|retrieve|urlretrieve|extractall|touch|unlink|mkdir|rmtree)(?:_|$)|from_(?:file|url|path)(?:_|$)"
)
_FETCHERS = late(
    r"from_(?:pretrained|hub|checkpoint)(?:_|$)|^(?:load_dataset|load_from_checkpoint|restore_from)$"
)
_STARTERS = late(r"(?:Popen|[Ss]ub[Pp]rocess)$")


def _place(args: Value) -> bool:
    """Whether a path or an address is among the arguments."""
    return any(_PLACES.search(text[:4096]) for text in _strings(args))


def looks(call: Call, name: str) -> str:
    """What a call outside all contracts looks like, from its name and arguments; "" when it looks like nothing bad."""
    target = call.callable
    if type(target) is Global and target.module is None:
        return "calls a function whose name it computes"
    if call.how.startswith("NEWOBJ"):
        return _opens_another(call)
    if type(target) is Call and type(target.callable) is Global and target.callable.name in _GETTERS:
        return "calls a method by the name that the file gives"
    if type(target) is Global and looks_like_function(target.qualname):
        top = (target.module or "").partition(".")[0]
        if is_stdlib(top):
            return f"calls {name}, a function of Python's own that builds no data"
        if top in _WELL_KNOWN and not looks_like_maker(target.qualname):
            return f"calls {name}, a function of {top} that builds no data"
        last = (target.qualname or "").rpartition(".")[2]
        if _COMMANDS.search(last) and any(_strings(call.args)):
            return f"calls {name}, whose name says that it runs what it is given"
        if _FETCHERS.search(last) and any(_strings(call.args)):
            return f"calls {name}, whose name says that it loads a model or data from elsewhere"
        if _OPENERS.search(last) and _place(call.args):
            return f"calls {name}, whose name says that it opens the path or address that it is given"
    if type(target) is Global and _STARTERS.search(target.qualname or "") and any(_strings(call.args)):
        return f"calls {name}, whose name says that it starts a program"
    library = type(target) is Global and (target.module or "").partition(".")[0] in _WELL_KNOWN
    return f"calls {name} with what looks like a command" if suspicious(call.args, places=library) else ""


def outside(call: Call, name: str, *, named_only: bool) -> str:
    """What arguments outside of a contract look like; "" when they look like nothing bad.

    `named_only`: no pickler calls this function, it is only ever named.
    """
    if named_only and looks(call, name):
        return looks(call, name)
    args = call.args if type(call.args) is tuple else ()
    texts = [text for text in args if type(text) is str]
    if any(word.startswith("__") and word.endswith("__") for text in texts for word in text.split(".")):
        return f"calls {name} with one of the interpreter's own attributes"
    if name in _UFUNCS and texts and is_stdlib(texts[0]):
        return f"looks {'.'.join(texts)} up by its name"
    if name == "builtins.type" and len(args) == 3:
        return "makes a class out of what the file carries"
    if name in _ALLOCATORS and len(args) == 1 and type(args[0]) is int and args[0] > MAX_ALLOCATED:
        return f"has {name} allocate {args[0]} bytes for a file that does not hold them"
    return ""


_ALLOCATORS = frozenset({"builtins.bytes", "builtins.bytearray"})
MAX_ALLOCATED = 256 * 1024**2


def takes_a_member(call: Call) -> bool:
    """`getattr(their.Class, "MEMBER")`: how Python 3.11 writes members of an enumeration; nobody knows the class."""
    target, args = call.callable, call.args
    if (
        type(target) is not Global
        or target.name != "builtins.getattr"
        or type(args) is not tuple
        or len(args) != 2
    ):
        return False
    owner, member = args
    if type(member) is not str or not member.isidentifier() or member.startswith("__"):
        return False
    if type(owner) is Call and owner.how.startswith("NEWOBJ") and type(owner.callable) is Global:
        return _is_bound_method(owner.callable, member)
    if type(owner) is not Global or member.startswith("_"):
        return False
    top = (owner.module or "").partition(".")[0]
    known = is_stdlib(top) or top in _WELL_KNOWN or looks_like_function(owner.qualname)
    return not known and not harm_of(f"{owner.name}.{member}")


def _is_bound_method(cls: Global, member: str) -> bool:
    """`getattr(object, "method")`: how pickle writes a method of an object; nobody knows the class."""
    known = is_stdlib(cls.module) or looks_like_function(cls.qualname)
    return not known and not harm_of(f"{cls.name}.{member}")


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
