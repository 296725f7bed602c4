"""What a call outside all contracts looks like, from its name and its arguments. Names harm, and finds nothing safe."""

import re

from weighbridge.core.pattern import late
from weighbridge.formats.pickle import Call, Dict, Global, Value
from weighbridge.scan.contracts.harm import harm_of, is_stdlib, looks_like_function, looks_like_maker
from weighbridge.scan.contracts.paths import GETTERS, UFUNCS
from weighbridge.scan.contracts.texts import Texts

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


def reads_state(target: Value) -> bool:
    """Whether what is said of a call hangs on the state that its result gets."""
    return type(target) is Global and target.qualname in _BESIDE


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


def looks(call: Call, name: str, texts: Texts) -> str:
    """What a call outside all contracts looks like, from its name and arguments; "" when it looks like nothing bad."""
    target = call.callable
    if type(target) is Global and target.module is None:
        return "calls a function whose name it computes"
    if call.how.startswith("NEWOBJ"):
        return _opens_another(call)
    if type(target) is Call and type(target.callable) is Global and target.callable.name in GETTERS:
        return "calls a method by the name that the file gives"
    if type(target) is Global and looks_like_function(target.qualname):
        top = (target.module or "").partition(".")[0]
        if is_stdlib(top):
            return f"calls {name}, a function of Python's own that builds no data"
        if top in _WELL_KNOWN and not looks_like_maker(target.qualname):
            return f"calls {name}, a function of {top} that builds no data"
        last = (target.qualname or "").rpartition(".")[2]
        if _COMMANDS.search(last) and texts.any(call.args):
            return f"calls {name}, whose name says that it runs what it is given"
        if _FETCHERS.search(last) and texts.any(call.args):
            return f"calls {name}, whose name says that it loads a model or data from elsewhere"
        if _OPENERS.search(last) and texts.place(call.args):
            return f"calls {name}, whose name says that it opens the path or address that it is given"
    if type(target) is Global and _STARTERS.search(target.qualname or "") and texts.any(call.args):
        return f"calls {name}, whose name says that it starts a program"
    library = type(target) is Global and (target.module or "").partition(".")[0] in _WELL_KNOWN
    return (
        f"calls {name} with what looks like a command" if texts.suspicious(call.args, places=library) else ""
    )


def outside(call: Call, name: str, looked: Texts, *, named_only: bool) -> str:
    """What arguments outside of a contract look like; "" when they look like nothing bad.

    `named_only`: no pickler calls this function, it is only ever named.
    """
    seen = looks(call, name, looked) if named_only else ""
    if seen:
        return seen
    args = call.args if type(call.args) is tuple else ()
    texts = [text for text in args if type(text) is str]
    if any(word.startswith("__") and word.endswith("__") for text in texts for word in text.split(".")):
        return f"calls {name} with one of the interpreter's own attributes"
    if name in UFUNCS and texts and is_stdlib(texts[0]):
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
