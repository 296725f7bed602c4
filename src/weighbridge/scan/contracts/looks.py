"""What a call outside all contracts looks like, from its name and its arguments. Names harm, and finds nothing safe."""

import re
from typing import NamedTuple

from weighbridge.core.pattern import late
from weighbridge.formats.pickle import Call, Dict, Global, Value
from weighbridge.scan.contracts.harm import harm_of, is_stdlib, looks_like_function, looks_like_maker
from weighbridge.scan.contracts.paths import GETTERS, UFUNCS
from weighbridge.scan.contracts.texts import NEVER, Texts

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


def opens_another(call: Call) -> str:
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


class Look(NamedTuple):
    """What the arguments of a callable are looked through for; texts are ends of "loading this file …"."""

    command: str
    """Where code or a command is among them."""
    library: bool = False
    """Whether a path or an address is as bad as a command."""
    text: str = ""
    """Where any text is among them."""
    place: str = ""
    """Where a path or an address is among them."""
    starts: str = ""
    """Where any text is among them; asked last of the three."""

    def of(self, args: Value, texts: Texts) -> str:
        """What a call with these arguments looks like; "" when it looks like nothing bad."""
        seen = texts.seen(args)
        if seen.text == NEVER:
            return ""  # a command and a place are texts
        if self.text:
            return self.text
        if self.place and seen.place < NEVER:
            return self.place
        if self.starts:
            return self.starts
        return self.command if seen.command < NEVER or (self.library and seen.place < NEVER) else ""


def always(target: Value, name: str) -> str:
    """What the name of a callable outside all contracts says of every call; "" when that hangs on the arguments."""
    if type(target) is not Global:
        getter = type(target) is Call and type(target.callable) is Global and target.callable.name in GETTERS
        return "calls a method by the name that the file gives" if getter else ""
    if target.module is None:
        return COMPUTED
    if not looks_like_function(target.qualname):
        return ""
    top = target.module.partition(".")[0]
    if is_stdlib(top):
        return f"calls {name}, a function of Python's own that builds no data"
    if top in _WELL_KNOWN and not looks_like_maker(target.qualname):
        return f"calls {name}, a function of {top} that builds no data"
    return ""


COMPUTED = "calls a function whose name it computes"


def look_of(target: Value, name: str) -> Look:
    """What the arguments of a callable are looked through for, of which `always` says nothing."""
    command = f"calls {name} with what looks like a command"
    if type(target) is not Global:
        return Look(command)
    qualname = target.qualname or ""
    library = (target.module or "").partition(".")[0] in _WELL_KNOWN
    starts = f"calls {name}, whose name says that it starts a program" if _STARTERS.search(qualname) else ""
    function = looks_like_function(qualname)
    text, place = _of_function(qualname.rpartition(".")[2], name) if function else ("", "")
    return Look(command, library, text, place, starts)


def _of_function(last: str, name: str) -> tuple[str, str]:
    """What the last word of a function's name says about a text, and about a place, among its arguments."""
    place = (
        f"calls {name}, whose name says that it opens the path or address that it is given"
        if _OPENERS.search(last)
        else ""
    )
    if _COMMANDS.search(last):
        return f"calls {name}, whose name says that it runs what it is given", place
    if _FETCHERS.search(last):
        return f"calls {name}, whose name says that it loads a model or data from elsewhere", place
    return "", place


def outside(call: Call, name: str, seen: str = "") -> str:
    """What arguments outside of a contract look like; "" when they look like nothing bad.

    `seen` is what `looks` says where no pickler calls this function, and it is only ever named.
    """
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
