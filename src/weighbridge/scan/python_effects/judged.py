"""What a name that code uses does: a word of `python_names`, a reason why it cannot be judged, or nothing.

Looks at the name, at how it is called and with which constants. When it runs is not asked here.
"""

import re
from functools import lru_cache

from weighbridge.core.budget import Budget
from weighbridge.core.pattern import late
from weighbridge.core.source import MemorySource
from weighbridge.formats.python import Use
from weighbridge.scan import python_names as known


@lru_cache(maxsize=16_384)
def canonical(name: str) -> str:
    """`torch.os.system` is `os.system`: modules hang in other modules' names, and never where a relative name begins."""
    parts = name.split(".")
    first = next((index for index, part in enumerate(parts) if part), 0)
    for index in range(len(parts) - 1, first, -1):
        if parts[index] in known.MODULES_NOT_TO_PASS_ON and parts[index] != parts[index - 1]:
            return ".".join(parts[index:])
    return name


_UPWARDS = late(r"__(base|bases|mro)__|\A(literal|\?)\.__class__|\Abuiltins\.object\.")
"""How code gets from any value to every class there is."""


@lru_cache(maxsize=16_384)
def danger(name: str, called: bool) -> str:
    """What a dotted name does, in a word; "" for nothing known."""
    if (
        name in known.SAFE
        or name.rpartition(".")[0] in known.SAFE
        or (name in known.CALLED_ONLY and not called)
        or (not called and known.CONSTANTS.match(name))
        or (called and known.OF_TEXT.match(name))
    ):
        return ""
    if called and name.rpartition(".")[2] in known.SHELLCODE:
        return known.RUNS
    if name in known.EXACT:
        return known.EXACT[name]
    if not called and name.startswith("ctypes.pythonapi.") and name.endswith((".argtypes", ".restype")):
        return known.TOUCHES
    if not name.endswith(")") and name.count("()") == name.count("get_ipython()") + name.count("Path()"):
        for prefix, what in known.PREFIX.get(name.partition(".")[0], ()):
            if name.startswith(prefix):
                return what
    base, _, attribute = name.rpartition(".")
    if attribute in ("exec_module", "load_module") and base:
        return known.EVALUATES
    if any(f".{frame}[" in name or f".{frame}." in name for frame in known.FRAMES):
        return known.EVALUATES
    if attribute in known.FRAMES:
        return known.EVALUATES if "__subclasses__" in name else known.REWIRES
    if "__subclasses__" in name and _UPWARDS.search(name):
        return known.EVALUATES
    if attribute in ("system", "popen") and not called:
        return ""
    followed = base and not base.startswith(("?", "unbound.", "literal", "module.")) and base[-1] not in ")]?"
    return "" if followed else known.ATTRIBUTES.get(attribute, "") if base else ""


def judge(use: Use, unsafe_loader: bool, *, at_import: bool) -> tuple[str, bool] | None:
    """(what a use does or why nobody can say, whether the name proves it); None for what is harmless."""
    name = canonical(use.name) if not use.name.startswith("org.python.") else use.name
    if ("trust_remote_code", True) in use.keywords:
        return known.REMOTE, True
    what = _by_argument(name, use) or danger(name, use.called)
    if what == known.EVALUATES and (softer := _softer(name, use)):
        return softer
    if what and not _excused(name, use, unsafe_loader):
        return (known.UNPICKLES if what == known.LOADS and _asks_for_pickle(use) else what), True
    if what:
        return None
    return _unproved(name, use, at_import=at_import)


def _softer(name: str, use: Use) -> tuple[str, bool] | None:
    """Code that stands there as a text and only computes, and expressions that somebody hands in: not judged, and no harm."""
    first = use.arguments[0] if use.called and use.arguments else None
    fixed = isinstance(first, str) and name in ("builtins.exec", "builtins.eval")
    if fixed and _only_defines(str(first), inside=bool(use.scope)):
        return "runs a text as code that only defines functions", False
    if (
        name in ("sympy.sympify", "sympy.parse_expr")
        and not isinstance(first, str)
        and not any(map(_brings_text, use.inner))
    ):
        return "evaluates an expression that it is given", False
    return None


def _brings_text(name: str) -> bool:
    """A function out of which a text comes that nobody sees here."""
    return bool(known.DECODERS.match(name) or danger(canonical(name), True)) or name.endswith(
        ("input", "read", "get", "decode", "join")
    )


@lru_cache(maxsize=256)
def _only_defines(code: str, *, inside: bool) -> bool:
    """Whether a fixed text only defines functions, which name nothing but what they bind and what computes."""
    from weighbridge.formats.python import read

    inner = read(MemorySource(code.encode("utf-8", "replace")), Budget(), "text.py")
    if any(gap.code == "python-syntax" for gap in inner.gaps):
        return inside or _old(code)  # Python refuses it, and runs nothing
    if inner.gaps or inner.imports or "…" in code or "__" in code:
        return False
    defines = bool(inner.functions) and all(use.scope for use in inner.uses)
    return defines and all(_computes(use) for use in inner.uses)


_PYTHON_2 = late(r"\braise \w+, \w+")


def _old(code: str) -> bool:
    """One function in the words of Python 2, as libraries for both keep it."""
    return code.startswith("def ") and bool(_PYTHON_2.search(code)) and "import" not in code


def _computes(use: Use) -> bool:
    if use.name.startswith("builtins."):
        return not danger(use.name, True)
    return (
        use.name == "literal"
        or use.name.startswith("module.")
        or (not use.called and use.name.startswith(("?", "unbound.")))
    )


def _by_argument(name: str, use: Use) -> str:
    """Functions that look up what their argument names."""
    if not use.called or not use.arguments or not isinstance(use.arguments[0], str):
        return ""
    first = use.arguments[0]
    if name in ("operator.attrgetter", "operator.methodcaller"):
        return known.ATTRIBUTES.get(first.rpartition(".")[2], "")
    if name in ("pkgutil.resolve_name", "pydoc.locate", "hydra.utils.get_method", "hydra.utils.get_class"):
        return danger(first.replace(":", "."), True)
    if name == "importlib.import_module" and first.partition(".")[0] in known.EVALUATING_MODULES:
        return known.EVALUATES
    return ""


def _asks_for_pickle(use: Use) -> bool:
    """`weights_only=False` and `allow_pickle=True`: whoever writes that wants the pickle to run."""
    keywords = dict(use.keywords)
    return keywords.get("weights_only") is False or keywords.get("allow_pickle") is True


def _excused(name: str, use: Use, unsafe_loader: bool) -> bool:
    """Calls whose arguments make them harmless."""
    keywords = dict(use.keywords)
    if name in ("torch.load", "torch.serialization.load", "torch.hub.load_state_dict_from_url"):
        return keywords.get("weights_only") is True
    if name == "numpy.load":
        return use.called and keywords.get("allow_pickle", False) is False and "**" not in keywords
    if name == "jinja2.Template":
        return bool(use.arguments) and isinstance(use.arguments[0], str) and "__" not in use.arguments[0]
    if name.endswith(".f_globals.get"):
        return bool(use.arguments) and use.arguments[0] in ("__name__", "__file__", "__package__")
    if name in ("yaml.load", "yaml.load_all"):
        return "Loader" in keywords and not unsafe_loader
    return False


def _unproved(name: str, use: Use, *, at_import: bool) -> tuple[str, bool] | None:
    if name in known.MODULES_NOT_TO_PASS_ON and not use.called:
        return f"hands the module {name} on as a value", False
    if name in ("builtins.__import__", "importlib.import_module", "importlib.__import__"):
        return _import_call(name, use)
    top, _, rest = name.partition(".")
    allowed = known.GUARDED.get(top)
    first = re.split(r"[.(\[]", rest, maxsplit=1)[0]
    if allowed is not None and rest and first not in allowed and first not in _HARMLESS_DUNDERS:
        return "uses something that is not known to be harmless", False
    if name.endswith(".?") and _looks_up_danger(name, use.called):
        return "looks something up by a computed name", False
    if name == "builtins.compile" and use.called:
        return "compiles code from text", False
    if not at_import:
        return None
    if name.startswith(known.AT_IMPORT):
        return "changes the process when it is imported", False
    if name == "builtins.open" and use.called and known.WRITES.search(str(_mode(use))):
        return "writes a file when it is imported", False
    if name.startswith("unbound.") and use.called:
        return "calls something that this file does not bind", False
    return None


def _looks_up_danger(name: str, called: bool) -> bool:
    """`getattr(os, name)`; `getattr(torch, name)` only where the result is called, since dtypes are found so."""
    base = name.removesuffix(".?")
    top = base.partition(".")[0]
    if base in known.GUARDED or base in known.MODULES_NOT_TO_PASS_ON:
        return True
    if base.endswith(".?"):
        return top in known.STDLIB
    return called and (base in _PARENTS or (top in known.STDLIB and base.islower() and "(" not in base))


_PARENTS = frozenset(name.rpartition(".")[0] for name in known.EXACT) | frozenset(
    prefix.rpartition(".")[0] for prefixes in known.PREFIX.values() for prefix, _ in prefixes
)
"""Modules in which something dangerous stands."""
_HARMLESS_DUNDERS = frozenset(("", "__name__", "__version__", "__file__", "__doc__", "__all__"))


def _import_call(name: str, use: Use) -> tuple[str, bool] | None:
    target = use.arguments[0] if use.arguments else None
    if not use.called:
        return "hands on the function that imports modules", False
    if not isinstance(target, str):
        computed = bool(use.inner) and name != "importlib.import_module"
        return (known.EVALUATES if computed else "imports a module with a computed name"), computed
    return (
        None
        if target.startswith(".") or known_module(target)
        else (f"imports {target}, which is not known", False)
    )


def _mode(use: Use) -> object:
    keywords = dict(use.keywords)
    if "mode" in keywords:
        return keywords["mode"] or "w"
    return (use.arguments[1] or "w") if len(use.arguments) > 1 else "r"


_COVERED = frozenset(pattern.partition(".")[0] for pattern in (*known.EXACT, *known.PREFIX))


def known_module(module: str) -> bool:
    """Whether a module belongs to a package that is known, or to Python."""
    top = module.partition(".")[0]
    return top in known.PACKAGES or top in known.STDLIB or top in known.GUARDED or top in _COVERED
