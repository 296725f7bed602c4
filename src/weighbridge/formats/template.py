"""Jinja chat and prompt templates: what one would reach, call, load and write, from its syntax tree. Never rendered.

Jinja's own lexer and parser make the tree (with the tags that chat templates add: `break`, `continue`, `do`,
`generation`). Strings that are put together from constants are computed, so that `'__cla' ~ 'ss__'` reads as what it
is; all possible values of a name are followed, not only the last. What depends on data stays unknown and is reported
as such where it chooses an attribute. Judging is left to the rules.
"""

import itertools
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading

MAX_TEMPLATE = 1024**2
MAX_VALUES = 64
"""Values that one expression may have before it counts as unknown."""
MAX_STRING = 4096
"""Characters of a computed string."""


class Fact(NamedTuple):
    """One thing that the template does: `name` is what, `how` in which way."""

    name: str
    how: str
    line: int


class Text(NamedTuple):
    """One piece of constant text that the template may write."""

    text: str
    line: int
    guard: str
    """The words, date or chance on which it depends; "" when it depends on none."""
    continues: bool
    """True when data follows without a gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateReading(Reading):
    """What the template does, in the order of its text."""

    problem: str = ""
    """Why it could not be parsed; all that follows is then empty."""
    line: int = 0
    reaches: tuple[Fact, ...] = ()
    """Attributes and items by name."""
    unknown: tuple[Fact, ...] = ()
    """Attributes and items whose name is put together from data."""
    calls: tuple[Fact, ...] = ()
    """What is called, other than the template's own macros."""
    filters: tuple[Fact, ...] = ()
    tests: tuple[Fact, ...] = ()
    names: tuple[Fact, ...] = ()
    """Names that the template reads and does not set."""
    loads: tuple[Fact, ...] = ()
    """Other templates."""
    sizes: tuple[Fact, ...] = ()
    """Constant amounts of work (`loop`) and of output (`string`, `number`); `name` is the amount."""
    doublings: tuple[Fact, ...] = ()
    """Assignments that double a value; `how` is `loop` inside a loop."""
    texts: tuple[Text, ...] = ()
    hidden: tuple[Fact, ...] = ()
    """Characters that a reader of the template does not see; `name` is their code points."""


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Parse and walk the template. Raises `InputError` (`not-text`) and `LimitError` (`limit-template`)."""
    if source.size > MAX_TEMPLATE:
        raise LimitError("limit-template", f"a template of {source.size} bytes, limit {MAX_TEMPLATE}")
    budget.spend_bytes(source.size)
    try:
        text = source.read(0, source.size).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("not-text", f"a template that is not UTF-8 at byte {error.start}") from None
    return read_text(text)


def read_text(text: str) -> TemplateReading:
    """The reading of a template that stands in memory."""
    from jinja2.exceptions import TemplateSyntaxError

    hidden = tuple(_hidden_in(text))
    try:
        walk = _Walk(_environment().parse(text))
        walk.run()
    except TemplateSyntaxError as error:
        problem = visible(error.message or "syntax error", 200)
        return TemplateReading(format="template", problem=problem, line=error.lineno, hidden=hidden)
    except RecursionError:
        return TemplateReading(format="template", problem="nested too deeply to follow", hidden=hidden)
    return walk.reading(hidden)


@cache
def _environment() -> Any:
    """Jinja as chat template loaders set it up; only its parser is used."""
    from jinja2 import Environment, nodes
    from jinja2.ext import Extension
    from jinja2.parser import Parser

    class Generation(Extension):
        """`{% generation %}…{% endgeneration %}` marks what the assistant says."""

        tags = {"generation"}  # noqa: RUF012 - as the base class has it

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    extensions: list[str | type[Extension]] = ["jinja2.ext.loopcontrols", "jinja2.ext.do", Generation]
    return Environment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)  # noqa: S701 - nothing is rendered


# -- characters that are not seen

_HIDDEN = {0x00AD: "zero-width", 0x180E: "zero-width", 0xFEFF: "zero-width"}
_JOINERS = {0x200C, 0x200D}


def _hidden_kind(code: int) -> str:
    if 0xE0000 <= code <= 0xE007F:
        return "tag"
    if 0xE0100 <= code <= 0xE01EF:
        return "variation"
    if 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069:
        return "bidi"
    if 0x200B <= code <= 0x200F or 0x2060 <= code <= 0x2064:
        return "zero-width"
    return _HIDDEN.get(code, "")


def _hidden_in(text: str) -> Iterator[Fact]:
    """One fact for each kind on each line."""
    if text.isascii():
        return
    for line, content in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        yield from _hidden_line(content, line)


def _hidden_line(content: str, line: int) -> Iterator[Fact]:
    found: dict[str, list[str]] = {}
    for at, char in enumerate(content):
        kind = _hidden_kind(ord(char)) if ord(char) > 0x7F else ""
        if kind and not (ord(char) in _JOINERS and _joins(content, at)):
            found.setdefault(kind, []).append(f"U+{ord(char):04X}")
    for kind, codes in found.items():
        yield Fact(" ".join(codes[:8]) + (" …" if len(codes) > 8 else ""), kind, line)


def _joins(content: str, at: int) -> bool:
    """Whether a joiner stands where scripts and emoji need one: between two characters beyond ASCII."""
    around = content[max(0, at - 1) : at] + content[at + 1 : at + 2]
    return len(around) == 2 and all(ord(c) > 0x2FF and unicodedata.category(c)[0] in "LMS" for c in around)


# -- constant values

_ATTRIBUTE_ARGUMENT = {
    "groupby": 0, "selectattr": 0, "rejectattr": 0, "sum": 0, "join": 1, "min": 1, "max": 1, "unique": 1, "sort": 2,
}  # fmt: skip
"""Filters that take an attribute's name, and at which position (also as `attribute=`)."""

Values = frozenset[Any] | None
"""All values that an expression can have; None when they are not known."""

_STRING_STEPS: dict[str, Callable[[str], Any]] = {
    "lower": str.lower,
    "upper": str.upper,
    "capitalize": str.capitalize,
    "title": str.title,
    "trim": str.strip,
    "strip": str.strip,
    "lstrip": str.lstrip,
    "rstrip": str.rstrip,
    "string": str,
    "safe": str,
    "escape": str,
    "e": str,
    "reverse": lambda text: text[::-1],
    "first": lambda text: text[:1],
    "last": lambda text: text[-1:],
    "list": tuple,
    "int": lambda text: int(text) if text.isascii() and text.isdigit() else 0,
    "length": len,
    "count": len,
}
"""Filters and methods without arguments that the folding follows, on strings."""

_BUILDERS = frozenset(
    [
        "attr",
        "batch",
        "capitalize",
        "e",
        "escape",
        "first",
        "format",
        "int",
        "join",
        "last",
        "list",
        "lower",
        "map",
        "random",
        "replace",
        "reverse",
        "rstrip",
        "lstrip",
        "strip",
        "slice",
        "string",
        "title",
        "trim",
        "upper",
        "urlencode",
        "items",
        "dictsort",
        "center",
        "format_map",
        "zfill",
        "rjust",
        "ljust",
        "encode",
        "decode",
    ]
)
"""Filters and methods that can put a name together."""


@dataclass(slots=True)
class _Fold:
    """Computes constants. `sources` holds every expression that may become a name's value."""

    sources: dict[str, list[Any]]
    memo: dict[int, Values] = field(default_factory=dict)

    def values(self, node: Any) -> Values:
        """All values of an expression, or None."""
        key = id(node)
        if key not in self.memo:
            self.memo[key] = None  # while it is being computed: a name that depends on itself is unknown
            self.memo[key] = self._values(node)
        return self.memo[key]

    def _values(self, node: Any) -> Values:
        step = getattr(self, f"_{type(node).__name__.lower()}", None)
        return step(node) if step else None

    def _const(self, node: Any) -> Values:
        return (
            frozenset([node.value]) if isinstance(node.value, (str, int, float, bool, type(None))) else None
        )

    def _templatedata(self, node: Any) -> Values:
        return frozenset([node.data])

    def _name(self, node: Any) -> Values:
        return self._union(self.sources.get(node.name, ()))

    def _union(self, nodes: Sequence[Any]) -> Values:
        found = [self.values(node) for node in nodes]
        if not found or any(values is None for values in found):
            return None
        return _few(itertools.chain.from_iterable(values for values in found if values is not None))

    def _condexpr(self, node: Any) -> Values:
        return self._union([node.expr1, *([node.expr2] if node.expr2 is not None else [])])

    def _list(self, node: Any) -> Values:
        return self._product(node.items, lambda *items: tuple(items))

    _tuple = _list

    def _concat(self, node: Any) -> Values:
        return self._product(node.nodes, lambda *items: "".join(map(str, items)))

    def _add(self, node: Any) -> Values:
        return self._product((node.left, node.right), lambda a, b: a + b)

    def _mod(self, node: Any) -> Values:
        return self._product((node.left, node.right), _percent)

    def _mul(self, node: Any) -> Values:
        return self._product((node.left, node.right), _times)

    def _sub(self, node: Any) -> Values:
        return self._product((node.left, node.right), lambda a, b: a - b)

    def _neg(self, node: Any) -> Values:
        return self._product((node.node,), lambda a: -a)

    def _pow(self, node: Any) -> Values:
        return self._product(
            (node.left, node.right), lambda a, b: a**b if abs(a) <= 1024 and 0 <= b <= 8 else None
        )

    def _getattr(self, node: Any) -> Values:
        if type(node.node).__name__ == "Name":
            return self._union(self.sources.get(f"{node.node.name}.{node.attr}", ()))
        return None

    def _getitem(self, node: Any) -> Values:
        if type(node.arg).__name__ == "Slice":
            bounds = [node.arg.start, node.arg.stop, node.arg.step]
            given = [bound for bound in bounds if bound is not None]
            return self._product(
                (node.node, *given), lambda text, *rest: text[_slice([b is not None for b in bounds], rest)]
            )
        return self._product((node.node, node.arg), lambda holder, at: holder[at])

    def _call(self, node: Any) -> Values:
        if type(node.node).__name__ != "Getattr" or node.kwargs or node.dyn_args or node.dyn_kwargs:
            return None
        return self._product(
            (node.node.node, *node.args), lambda on, *args: _method(node.node.attr, on, args)
        )

    def _filter(self, node: Any) -> Values:
        if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs:
            return None
        return self._product((node.node, *node.args), lambda on, *args: _filtered(node.name, on, args))

    def _product(self, nodes: Sequence[Any], step: Callable[..., Any]) -> Values:
        """`step` over every combination of the parts' values; None where it fails, gives None or grows too large."""
        parts = [self.values(node) for node in nodes]
        if any(values is None for values in parts):
            return None
        combinations = itertools.product(*(values for values in parts if values is not None))
        found = []
        for combination in itertools.islice(combinations, MAX_VALUES + 1):
            try:
                value = step(*combination)
            except (TypeError, ValueError, IndexError, KeyError, OverflowError, ZeroDivisionError):
                return None
            if value is None or (isinstance(value, (str, tuple)) and len(value) > MAX_STRING):
                return None
            found.append(value)
        return _few(found)


def _few(values: Iterable[Any]) -> Values:
    found = frozenset(itertools.islice(values, MAX_VALUES * 4))
    return found if len(found) <= MAX_VALUES else None


def _percent(left: Any, right: Any) -> Any:
    """`%` on strings, with widths refused: `'%1000000000d'` is a string of a billion characters."""
    if isinstance(left, str) and re.search(r"%[^a-zA-Z%]*\d{3}|\*", left):
        return None
    return left % right


def _times(left: Any, right: Any) -> Any:
    sizes = [len(v) for v in (left, right) if isinstance(v, (str, tuple))]
    counts = [abs(v) for v in (left, right) if isinstance(v, (int, float))]
    if sizes and counts and sizes[0] * counts[0] > MAX_STRING:
        return None
    return left * right if all(count < 2**64 for count in counts) else None


def _slice(given: list[bool], values: Sequence[Any]) -> slice:
    rest = iter(values)
    return slice(*(next(rest) if there else None for there in given))


def _method(name: str, on: Any, args: Sequence[Any]) -> Any:
    if isinstance(on, str) and not args and name in _STRING_STEPS and name not in ("first", "last", "list"):
        return _STRING_STEPS[name](on)
    if isinstance(on, str) and name == "join" and len(args) == 1:
        return on.join(map(str, args[0]))
    if isinstance(on, str) and name == "replace" and len(args) == 2 and args[0]:
        return on.replace(*args) if len(on) * len(args[1]) <= MAX_STRING else None
    if isinstance(on, str) and name == "split" and len(args) == 1:
        return tuple(on.split(args[0]))
    if isinstance(on, str) and name == "format":
        return _formatted(on, args)
    return None


def _filtered(name: str, on: Any, args: Sequence[Any]) -> Any:
    if name == "join":
        return (str(args[0]) if args else "").join(map(str, on))
    if name in ("first", "last") and isinstance(on, tuple):
        return on[0 if name == "first" else -1]
    if name == "reverse" and isinstance(on, tuple):
        return on[::-1]
    if name == "format" and isinstance(on, str):
        return _percent(on, tuple(args))
    if name == "replace":
        return _method("replace", str(on), args)
    if name in ("length", "count", "list") and isinstance(on, tuple):
        return len(on) if name != "list" else on
    if not args and name in _STRING_STEPS and isinstance(on, (str, int, float)):
        return _STRING_STEPS[name](str(on))
    return None


def _formatted(pattern: str, args: Sequence[Any]) -> Any:
    """`str.format` for plain `{}` and `{0}` alone."""
    if any(
        fmt or conversion or (not (name or "").isdigit() and name)
        for _, name, fmt, conversion in _fields(pattern)
    ):
        return None
    return pattern.format(*args)


def _fields(pattern: str) -> list[tuple[str, str | None, str | None, str | None]]:
    return list(string.Formatter().parse(pattern))


# -- the walk

_QUIET_CALLS = {"raise_exception"}
_URL_END = re.compile(r"https?://[^\s<>\"']*\Z", re.IGNORECASE)
_WORDS = re.compile(r"[\w\s'’.,!?$&@#%:;=+-]*[^\W_][\w\s'’.,!?$&@#%:;=+-]*", re.ASCII)
_CONTENT = {"content", "text"}


@dataclass(slots=True)
class _Context:
    """Where the walk stands."""

    loops: int = 1
    """Constant repetitions around this place, multiplied."""
    inside_loop: bool = False
    guard: str = ""
    quiet: bool = False
    """True where a string is compared or used as a key, and so not written."""

    def within(self, **changes: Any) -> "_Context":
        """This place with some things changed."""
        old = {"loops": self.loops, "inside_loop": self.inside_loop, "guard": self.guard, "quiet": self.quiet}
        return _Context(**{**old, **changes})


class _Walk:
    """One walk over a syntax tree."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree
        self._facts: dict[str, list[Fact]] = {}
        self._texts: list[Text] = []
        self._tail = ""
        self._macros: set[str] = set()
        self._set: set[str] = set()
        self._sources: dict[str, list[Any]] = {}
        for node in _all(tree):
            self._define(node)
        self._fold = _Fold(self._sources)

    def run(self) -> None:
        """Visit everything, in the order of the text."""
        self._visit(self._tree, _Context())

    def reading(self, hidden: tuple[Fact, ...]) -> TemplateReading:
        """What was seen."""
        seen = {kind: tuple(dict.fromkeys(facts)) for kind, facts in self._facts.items()}
        hidden = tuple(dict.fromkeys((*hidden, *seen.pop("hidden", ()))))
        return TemplateReading(format="template", texts=tuple(self._texts), hidden=hidden, **seen)

    # -- names

    def _define(self, node: Any) -> None:
        match type(node).__name__:
            case "Macro":
                self._macros.add(node.name)
                self._set.update(arg.name for arg in node.args)
                self._arguments(node)
            case "CallBlock":
                self._set.update(arg.name for arg in node.args)
            case "Assign":
                self._assign(node.target, node.node)
            case "AssignBlock":
                self._assign(node.target, None)
            case "For":
                self._loop_target(node)
            case "With":
                for target, value in zip(node.targets, node.values, strict=True):
                    self._assign(target, value)
            case "Import":
                self._set.add(node.target)
            case "FromImport":
                self._set.update(name if isinstance(name, str) else name[1] for name in node.names)

    def _arguments(self, macro: Any) -> None:
        """What a macro is called with is unknown, so its parameters are."""
        for argument in macro.args:
            self._sources.setdefault(argument.name, []).append(None)

    def _assign(self, target: Any, value: Any) -> None:
        match type(target).__name__:
            case "Name":
                self._set.add(target.name)
                self._sources.setdefault(target.name, []).append(value)
                self._namespace(target.name, value)
            case "NSRef":
                self._sources.setdefault(f"{target.name}.{target.attr}", []).append(value)
            case "Tuple":
                values = value.items if type(value).__name__ in ("Tuple", "List") else []
                exact = len(values) == len(target.items)
                for index, item in enumerate(target.items):
                    self._assign(item, values[index] if exact else None)

    def _namespace(self, name: str, value: Any) -> None:
        """`namespace(a=1)` sets `name.a`."""
        if type(value).__name__ == "Call" and getattr(value.node, "name", "") == "namespace":
            for keyword in value.kwargs:
                self._sources.setdefault(f"{name}.{keyword.key}", []).append(keyword.value)

    def _loop_target(self, node: Any) -> None:
        items = node.iter.items if type(node.iter).__name__ in ("List", "Tuple") else [None]
        for item in items:
            self._assign(node.target, item)

    # -- nodes

    def _note(self, kind: str, name: object, how: str, node: Any) -> None:
        self._facts.setdefault(kind, []).append(Fact(visible(str(name), 200), how, node.lineno))

    def _visit(self, node: Any, context: _Context) -> None:
        step = getattr(self, f"_visit_{type(node).__name__.lower()}", None)
        if step is None:
            self._children(node, context)
        else:
            step(node, context)

    def _children(self, node: Any, context: _Context) -> None:
        for child in node.iter_child_nodes():
            self._visit(child, context)

    def _visit_name(self, node: Any, context: _Context) -> None:
        if node.ctx == "load" and node.name not in self._set and node.name not in self._macros:
            self._note("names", node.name, "name", node)

    def _visit_const(self, node: Any, context: _Context) -> None:
        if isinstance(node.value, str):
            self._constant(node.value, node)
            if not context.quiet:
                self._texts.append(Text(node.value, node.lineno, context.guard, False))

    def _constant(self, value: str, node: Any) -> None:
        """A name like `__class__` as a whole string, and characters that were written as escapes."""
        if len(value) > 4 and value.startswith("__") and value.endswith("__") and value.isidentifier():
            self._note("reaches", value, "string", node)
        for fact in _hidden_in(value):
            self._note("hidden", fact.name, fact.how, node)

    # -- reaching

    def _visit_getattr(self, node: Any, context: _Context) -> None:
        self._note("reaches", node.attr, "attribute", node)
        self._visit(node.node, context)

    def _visit_getitem(self, node: Any, context: _Context) -> None:
        if type(node.arg).__name__ != "Slice":
            self._key(node.arg, "item", node)
        self._visit(node.node, context)
        self._visit(node.arg, context.within(quiet=True))

    def _key(self, key: Any, how: str, node: Any) -> None:
        """What a computed name reaches."""
        values = self._fold.values(key)
        if values is None and (how != "item" or self._builds(key, set())):
            self._note("unknown", _summary(key), how, node)
        for value in sorted(values or (), key=str):
            if isinstance(value, str):
                for part in value.split(".") if how == "filter" else (value,):
                    self._note("reaches", part, how, node)

    def _builds(self, node: Any, seen: set[str]) -> bool:
        """Whether an unknown key is put together here and not simply taken from data."""
        for part in _all(node):
            kind = type(part).__name__
            if kind in ("Concat", "Mod") or (kind == "Add" and not self._counts(part)):
                return True
            if kind == "Filter" and part.name in _BUILDERS:
                return True
            if kind == "Call" and getattr(part.node, "attr", "") in _BUILDERS:
                return True
            if kind == "Name" and part.name not in seen:
                seen.add(part.name)
                sources = [source for source in self._sources.get(part.name, ()) if source is not None]
                if any(self._builds(source, seen) for source in sources):
                    return True
        return False

    def _counts(self, node: Any) -> bool:
        """Whether an addition is one of numbers: one side is a number, or a loop's index."""
        for side in (node.left, node.right):
            values = self._fold.values(side)
            if values is not None and all(isinstance(value, (int, float)) for value in values):
                return True
            if getattr(side, "attr", "") in ("index", "index0", "revindex", "revindex0", "length"):
                return True
        return False

    # -- filters, tests, calls

    def _visit_filter(self, node: Any, context: _Context) -> None:
        self._note("filters", node.name, "filter", node)
        arguments = {keyword.key: keyword.value for keyword in node.kwargs}
        if node.name == "attr":
            self._key(_at(node.args, 0) or arguments.get("name") or node, "attr filter", node)
        elif node.name == "map":
            self._map(node, arguments)
        elif node.name in ("select", "reject", "selectattr", "rejectattr"):
            self._named(_at(node.args, 1 if node.name.endswith("attr") else 0), "tests", node)
        if node.name in _ATTRIBUTE_ARGUMENT or (node.name == "map" and "attribute" in arguments):
            position = _ATTRIBUTE_ARGUMENT.get(node.name, 99)
            attribute = arguments.get("attribute") or _at(node.args, position)
            if attribute is not None:
                self._key(attribute, "filter", node)
        self._width(node.name, node.args, arguments, node)
        if node.node is not None:
            self._visit(node.node, context)
        for child in (*node.args, *arguments.values(), node.dyn_args, node.dyn_kwargs):
            if child is not None:
                self._visit(child, context.within(quiet=True))
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            self._note("unknown", node.name, "arguments", node)

    def _map(self, node: Any, arguments: dict[str, Any]) -> None:
        """`map('upper')` applies a filter by name."""
        names = self._named(_at(node.args, 0), "filters", node)
        if "attr" in names:
            self._key(_at(node.args, 1) or node, "attr filter", node)

    def _named(self, argument: Any, kind: str, node: Any) -> list[str]:
        """A filter or test that is given by name."""
        if argument is None:
            return []
        values = self._fold.values(argument)
        if values is None:
            self._note("unknown", _summary(argument), kind, node)
        names = [value for value in values or () if isinstance(value, str)]
        for name in sorted(names):
            self._note(kind, name, "map" if kind == "filters" else "select", node)
        return names

    def _visit_test(self, node: Any, context: _Context) -> None:
        self._note("tests", node.name, "test", node)
        self._children(node, context.within(quiet=True))

    def _visit_compare(self, node: Any, context: _Context) -> None:
        self._children(node, context.within(quiet=True))

    def _visit_call(self, node: Any, context: _Context) -> None:
        callee = node.node
        match type(callee).__name__:
            case "Name":
                self._call_name(node, callee)
                quiet = context.quiet or callee.name in _QUIET_CALLS
            case "Getattr":
                self._note("calls", callee.attr, "method", node)
                self._format(callee, node)
                quiet = True
            case _:
                if not self._own_macros(callee):
                    self._note("calls", _summary(callee), "expression", node)
                quiet = True
        self._visit(callee, context)
        arguments = {keyword.key: keyword.value for keyword in node.kwargs}
        self._width(getattr(callee, "attr", ""), node.args, arguments, node)
        for child in (*node.args, *arguments.values(), node.dyn_args, node.dyn_kwargs):
            if child is not None:
                self._visit(child, context.within(quiet=quiet))

    def _call_name(self, node: Any, callee: Any) -> None:
        name = callee.name
        if name == "range":
            self._note("sizes", self._range(node), "loop", node)
        if name in self._set:
            if not all(self._own_macros(source) for source in self._sources.get(name, [None])):
                self._note("calls", name, "variable", node)
        elif name not in self._macros:
            self._note("calls", name, "name", node)

    def _own_macros(self, callee: Any) -> bool:
        """Whether an expression can only be one of the template's own macros."""
        match type(callee).__name__:
            case "Name":
                if callee.name in self._macros and callee.name not in self._set:
                    return True
                sources = self._sources.get(callee.name, [None])
                return all(type(s).__name__ in ("List", "Tuple") and self._own_macros(s) for s in sources)
            case "List" | "Tuple":
                return all(self._own_macros(item) for item in callee.items)
            case "Getitem":
                return self._own_macros(callee.node)
        return False

    def _format(self, callee: Any, node: Any) -> None:
        """`'{0.name}'.format(x)` reaches into x."""
        if callee.attr not in ("format", "format_map"):
            return
        values = self._fold.values(callee.node)
        if values is None:
            self._note("unknown", _summary(callee.node), "format", node)
        for value in values or ():
            for part in _format_parts(value):
                self._note("reaches", part, "format", node)

    # -- sizes

    def _number(self, node: Any) -> int:
        """The largest constant that an expression can be; 0 when it is not known."""
        values = self._fold.values(node) if node is not None else None
        return max(
            (int(v) for v in values or () if isinstance(v, (int, float)) and abs(v) < 2**63), default=0
        )

    def _range(self, node: Any) -> int:
        numbers = [self._number(argument) for argument in node.args]
        if len(numbers) == 1:
            return numbers[0]
        step = abs(numbers[2]) if len(numbers) > 2 else 1
        return max(0, (numbers[1] - numbers[0]) // (step or 1)) if len(numbers) > 1 else 0

    def _width(self, name: str, arguments: Sequence[Any], keywords: dict[str, Any], node: Any) -> None:
        """Filters and methods that pad or repeat."""
        if name in ("center", "indent", "ljust", "rjust", "zfill", "wordwrap", "batch", "slice", "round"):
            numbers = [self._number(argument) for argument in (*arguments, *keywords.values())]
            self._note("sizes", max(numbers, default=0), "string", node)
        if name in ("format", "format_map"):
            self._note("sizes", max(map(_widest, self._format_strings(node)), default=0), "string", node)

    def _format_strings(self, node: Any) -> list[str]:
        holder = node.node.node if type(node).__name__ == "Call" else node.node
        values = self._fold.values(holder) if holder is not None else None
        return [value for value in values or () if isinstance(value, str)]

    def _visit_mul(self, node: Any, context: _Context) -> None:
        if self._fold.values(node) is None:
            sides = [self._fold.values(side) for side in (node.left, node.right)]
            lengths = [len(v) for side in sides for v in side or () if isinstance(v, (str, tuple))]
            count = max(self._number(node.left), self._number(node.right))
            self._note("sizes", count * max(1, max(lengths, default=1)) * context.loops, "string", node)
        self._children(node, context)

    def _visit_pow(self, node: Any, context: _Context) -> None:
        base, exponent = self._number(node.left), self._number(node.right)
        self._note("sizes", abs(base).bit_length() * exponent, "number", node)
        self._children(node, context)

    def _visit_mod(self, node: Any, context: _Context) -> None:
        for value in self._fold.values(node.left) or ():
            if isinstance(value, str):
                self._note("sizes", _widest(value), "string", node)
        self._children(node, context)

    def _visit_for(self, node: Any, context: _Context) -> None:
        count = 1
        if type(node.iter).__name__ == "Call" and getattr(node.iter.node, "name", "") == "range":
            count = max(1, self._range(node.iter))
        loops = min(context.loops * count, 2**63)
        self._note("sizes", loops, "loop", node)
        self._visit(node.iter, context.within(quiet=True))
        inner = context.within(loops=loops, inside_loop=True)
        for child in (node.target, node.test, *node.body):
            if child is not None:
                self._visit(child, inner)
        for child in node.else_:
            self._visit(child, context)

    def _visit_assign(self, node: Any, context: _Context) -> None:
        target = _path(node.target)
        if target and type(node.node).__name__ in ("Add", "Concat", "Mul"):
            uses = [part for part in _all(node.node) if _path(part) == target]
            factor = type(node.node).__name__ == "Mul" and bool(uses)
            if len(uses) > 1 or factor:
                self._note("doublings", target, "loop" if context.inside_loop else "once", node)
        self._visit(node.target, context)
        self._visit(node.node, context)

    # -- other templates

    def _visit_include(self, node: Any, context: _Context) -> None:
        values = self._fold.values(node.template)
        names = sorted(map(str, values)) if values is not None else ["a computed name"]
        self._note("loads", ", ".join(names), type(node).__name__.lower(), node)
        self._children(node, context.within(quiet=True))

    _visit_import = _visit_include
    _visit_fromimport = _visit_include
    _visit_extends = _visit_include

    # -- text

    def _visit_if(self, node: Any, context: _Context) -> None:
        self._visit(node.test, context.within(quiet=True))
        inner = context.within(guard=self._trigger(node.test) or context.guard)
        for child in node.body:
            self._visit(child, inner)
        for child in (*node.elif_, *node.else_):
            self._visit(child, context)

    def _visit_condexpr(self, node: Any, context: _Context) -> None:
        self._visit(node.test, context.within(quiet=True))
        self._visit(node.expr1, context.within(guard=self._trigger(node.test) or context.guard))
        if node.expr2 is not None:
            self._visit(node.expr2, context)

    def _visit_output(self, node: Any, context: _Context) -> None:
        for child in node.nodes:
            for piece in _pieces(child):
                self._piece(piece, context)

    def _piece(self, piece: Any, context: _Context) -> None:
        """One thing that is written; a URL that runs into data makes both one address."""
        values = self._fold.values(piece)
        constant = type(piece).__name__ in ("TemplateData", "Const")
        if self._tail and not constant and values is None:
            line = piece.lineno
            self._texts.append(Text(self._tail, line, context.guard, True))
        if values is not None and len(values) == 1:
            (value,) = values
            found = _URL_END.search(self._tail + str(value))
            self._tail = found[0] if found else ""
        else:
            self._tail = ""
        if type(piece).__name__ == "TemplateData":
            if piece.data.strip() and not context.quiet:
                self._texts.append(Text(piece.data, piece.lineno, context.guard, False))
        else:
            self._visit(piece, context)

    def _trigger(self, test: Any) -> str:
        """What a condition waits for: plain words in a message, a date, or chance; "" for everything usual."""
        for part in _all(test):
            kind = type(part).__name__
            if kind == "Call" and getattr(part.node, "name", "") == "strftime_now":
                return "the date"
            if kind == "Filter" and part.name == "random":
                return "chance"
            if kind == "Compare" and part.ops[0].op in ("in", "eq"):
                words = self._awaited(part.expr, part.ops[0].expr, part.ops[0].op)
            elif kind == "Call" and getattr(part.node, "attr", "") in (
                "startswith",
                "endswith",
                "find",
                "count",
            ):
                words = self._awaited(_at(part.args, 0), part.node.node, "in")
            else:
                continue
            if words:
                return words
        return ""

    def _awaited(self, wanted: Any, holder: Any, op: str) -> str:
        if op == "eq" and self._content(wanted, set()):
            wanted, holder = holder, wanted
        if wanted is None or not self._content(holder, set()):
            return ""
        values = [value for value in self._fold.values(wanted) or () if isinstance(value, str)]
        plain = [value for value in values if _WORDS.fullmatch(value)]
        return f'"{visible(plain[0], 60)}" in a message' if plain else ""

    def _content(self, node: Any, seen: set[str]) -> bool:
        """Whether an expression is made from what somebody wrote in a message."""
        for part in _all(node):
            if getattr(part, "attr", "") in _CONTENT and type(part).__name__ == "Getattr":
                return True
            if type(part).__name__ == "Getitem" and getattr(part.arg, "value", "") in _CONTENT:
                return True
            if type(part).__name__ == "Name" and part.name not in seen:
                seen.add(part.name)
                sources = self._sources.get(part.name, ())
                if part.name in _CONTENT or any(s is not None and self._content(s, seen) for s in sources):
                    return True
        return False


def _all(tree: Any) -> Iterator[Any]:
    """Every node, in the order of the text, without recursion."""
    if tree is None:
        return
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(list(node.iter_child_nodes())))


def _pieces(node: Any) -> list[Any]:
    """The parts of a concatenation, left to right."""
    waiting, found = [node], []
    while waiting:
        part = waiting.pop()
        match type(part).__name__:
            case "Add":
                waiting += [part.right, part.left]
            case "Concat":
                waiting += reversed(part.nodes)
            case _:
                found.append(part)
    return found


def _path(node: Any) -> str:
    """`a` or `ns.a` of a name that is read or set."""
    match type(node).__name__:
        case "Name":
            return str(node.name)
        case "NSRef":
            return f"{node.name}.{node.attr}"
        case "Getattr" if type(node.node).__name__ == "Name":
            return f"{node.node.name}.{node.attr}"
    return ""


def _at(arguments: Sequence[Any], position: int) -> Any:
    return arguments[position] if position < len(arguments) else None


def _summary(node: Any) -> str:
    """A short name for an expression."""
    inner = next((part.name for part in _all(node) if type(part).__name__ == "Name"), "")
    return f"{type(node).__name__.lower()} of {inner}" if inner else type(node).__name__.lower()


def _format_parts(value: Any) -> list[str]:
    """Names behind the first in the fields of a format string: `{0.a[b]}` → a, b."""
    if not isinstance(value, str):
        return []
    try:
        names = [name for _, name, _, _ in _fields(value) if name]
    except ValueError:
        return []
    return [part for name in names for part in re.split(r"[.\[\]]+", name)[1:] if part]


def _widest(pattern: str) -> int:
    """The largest number in a format string."""
    return max((int(digits) for digits in re.findall(r"\d{1,18}", pattern)), default=0)
