"""The walk over a Jinja syntax tree: collects what a template reaches, calls, loads, repeats and writes.

Knows Jinja's nodes by their class names, so that nothing of Jinja is imported here.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.hiddentext import hidden_in
from weighbridge.formats.template.fold import HUGE, Fold, braces_width, format_fields, percent_width


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


_ATTRIBUTE_ARGUMENT = {
    "groupby": 0, "selectattr": 0, "rejectattr": 0, "sum": 0, "join": 1, "min": 1, "max": 1, "unique": 1, "sort": 2,
}  # fmt: skip
"""Filters that take an attribute's name, and at which position (also as `attribute=`)."""
_FORMATS = frozenset({"format", "format_map"})
"""Methods of a text whose fields reach into their arguments."""
_BUILDERS = frozenset(
    {
        "attr",
        "batch",
        "capitalize",
        "center",
        "decode",
        "dictsort",
        "e",
        "encode",
        "escape",
        "first",
        "format",
    }
    | {
        "format_map",
        "int",
        "items",
        "join",
        "last",
        "list",
        "ljust",
        "lower",
        "lstrip",
        "map",
        "random",
        "replace",
    }
    | {
        "reverse",
        "rjust",
        "rstrip",
        "slice",
        "string",
        "strip",
        "title",
        "trim",
        "upper",
        "urlencode",
        "zfill",
    }
)
"""Filters and methods that can put a name together."""
_QUIET_CALLS = {"raise_exception"}
_URL_BREAK = re.compile(r"[\s<>\"']")
_URL_START = re.compile(r"https?://", re.IGNORECASE)
_PLAIN = re.compile(r"[\w\s'’.,!?$&@#%:;=+-]+")
"""Text without the brackets and bars of which markers are made."""
_LETTER = re.compile(r"[^\W_]")
MAX_URL = 200
"""Characters of an open address that are kept."""
_CONTENT = {"content", "text"}


@dataclass(frozen=True, slots=True)
class _Context:
    """Where the walk stands."""

    loops: int = 1
    """Constant repetitions around this place, multiplied."""
    inside_loop: bool = False
    guard: str = ""
    quiet: bool = False
    """True where a string is compared or used as a key, and so not written."""


class Walk:
    """One walk over a syntax tree."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree
        self._facts: dict[str, list[Fact]] = {}
        self._texts: list[Text] = []
        self._tail = ""
        self._macros: set[str] = set()
        self._set: set[str] = set()
        self._sources: dict[str, list[Any]] = {}
        for node in all_nodes(tree):
            self._define(node)
        self._fold = Fold(self._sources)
        self._building = self._names_where(self._puts_together)
        self._written = self._names_where(_reads_content) | _CONTENT

    def run(self) -> None:
        """Visit everything, in the order of the text."""
        self._visit(self._tree, _Context())

    def facts(self) -> dict[str, tuple[Fact, ...]]:
        """What was seen, by the names of `TemplateReading`'s fields; each thing once, but doublings are counted."""
        return {
            kind: tuple(facts if kind == "doublings" else dict.fromkeys(facts))
            for kind, facts in self._facts.items()
        }

    def texts(self) -> tuple[Text, ...]:
        """Everything constant that may be written."""
        return tuple(self._texts)

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
        for found in hidden_in(value):
            self._note("hidden", found.codes, found.kind, node)

    # -- reaching

    def _visit_getattr(self, node: Any, context: _Context) -> None:
        self._note("reaches", node.attr, "attribute", node)
        if node.attr in _FORMATS:
            self._fields(node.node, node)
        self._visit(node.node, context)

    def _visit_getitem(self, node: Any, context: _Context) -> None:
        if type(node.arg).__name__ != "Slice":
            self._key(node.arg, "item", node)
        self._visit(node.node, context)
        self._visit(node.arg, replace(context, quiet=True))

    def _key(self, key: Any, how: str, node: Any) -> None:
        """What a computed name reaches."""
        values = self._fold.values(key)
        if values is None and (how != "item" or self._builds(key)):
            self._note("unknown", _summary(key), how, node)
        for value in sorted(values or (), key=str):
            if isinstance(value, str):
                for part in value.split(".") if how == "filter" else (value,):
                    self._note("reaches", part, how, node)

    def _builds(self, node: Any) -> bool:
        """Whether an unknown key is put together in the template and not simply taken from data."""
        return any(self._puts_together(part) or _path(part) in self._building for part in all_nodes(node))

    def _puts_together(self, part: Any) -> bool:
        match type(part).__name__:
            case "Concat" | "Mod":
                return True
            case "Add":
                return not self._counts(part)
            case "Filter":
                return part.name in _BUILDERS
            case "Call":
                return getattr(part.node, "attr", "") in _BUILDERS
        return False

    def _names_where(self, holds: Callable[[Any], bool]) -> set[str]:
        """Names into which, over any number of assignments, something flows of which `holds` is true."""
        users: dict[str, list[str]] = {}
        reached = []
        for name, sources in self._sources.items():
            for part in (part for source in sources for part in all_nodes(source)):
                if holds(part):
                    reached.append(name)
                elif _path(part):
                    users.setdefault(_path(part), []).append(name)
        found: set[str] = set()
        while reached:
            name = reached.pop()
            if name not in found:
                found.add(name)
                reached += users.get(name, [])
        return found

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
            key = _at(node.args, 0) or arguments.get("name") or node
            self._key(key, "attr filter", node)
            if node.node is not None and not _FORMATS.isdisjoint(self._fold.values(key) or ()):
                self._fields(node.node, node)
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
                self._visit(child, replace(context, quiet=True))
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
        self._children(node, replace(context, quiet=True))

    def _visit_compare(self, node: Any, context: _Context) -> None:
        self._children(node, replace(context, quiet=True))

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
        if type(callee).__name__ != "Name":
            self._visit(callee, context)
        arguments = {keyword.key: keyword.value for keyword in node.kwargs}
        for key in arguments:
            self._constant(key, node)
        self._width(getattr(callee, "attr", ""), node.args, arguments, node)
        for child in (*node.args, *arguments.values(), node.dyn_args, node.dyn_kwargs):
            if child is not None:
                self._visit(child, replace(context, quiet=quiet))

    def _call_name(self, node: Any, callee: Any) -> None:
        name = callee.name
        if name == "range":
            self._size(self._range(node), "loop", node)
        if name in self._set:
            if not self._own_macros(callee):
                self._note("calls", name, "variable", node)
        elif name not in self._macros:
            self._note("calls", name, "name", node)

    def _own_macros(self, callee: Any, seen: frozenset[str] = frozenset()) -> bool:
        """Whether an expression can only be one of the template's own macros, or a list of them."""
        match type(callee).__name__:
            case "Name" if callee.name not in self._set:
                return callee.name in self._macros
            case "Name":
                inner = seen | {callee.name}
                sources = self._sources.get(callee.name, [None])
                return callee.name in seen or all(self._own_macros(source, inner) for source in sources)
            case "List" | "Tuple":
                return all(self._own_macros(item, seen) for item in callee.items)
            case "Add":
                return self._own_macros(callee.left, seen) and self._own_macros(callee.right, seen)
            case "Getitem":
                return self._own_macros(callee.node, seen)
        return False

    def _format(self, callee: Any, node: Any) -> None:
        """`'{0.name}'.format(x)` reaches into x; what the text says is noted where the attribute is visited."""
        if callee.attr in _FORMATS and self._fold.values(callee.node) is None:
            self._note("unknown", _summary(callee.node), "format", node)

    def _fields(self, text: Any, node: Any) -> None:
        """What the fields of a text reach where its method `format` is taken, called here or elsewhere."""
        for value in self._fold.values(text) or ():
            for part in _format_parts(value):
                self._note("reaches", part, "format", node)

    # -- sizes

    def _size(self, amount: int, how: str, node: Any) -> None:
        if amount > 1:
            self._note("sizes", amount, how, node)

    def _number(self, node: Any) -> int:
        """The largest constant that an expression can be, cut at `HUGE`; 0 when it is not known."""
        values = self._fold.values(node) if node is not None else None
        numbers = [v for v in values or () if isinstance(v, (int, float)) and v >= 0]
        return int(min(HUGE, max(numbers, default=0)))

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
            self._size(max(numbers, default=0), "string", node)
        if name in ("format", "format_map"):
            width = percent_width if type(node).__name__ == "Filter" else braces_width
            self._size(max(map(width, self._format_strings(node)), default=0), "string", node)

    def _format_strings(self, node: Any) -> list[str]:
        holder = node.node.node if type(node).__name__ == "Call" else node.node
        values = self._fold.values(holder) if holder is not None else None
        return [value for value in values or () if isinstance(value, str)]

    def _visit_mul(self, node: Any, context: _Context) -> None:
        if self._fold.values(node) is None:
            sides = [self._fold.values(side) for side in (node.left, node.right)]
            lengths = [len(v) for side in sides for v in side or () if isinstance(v, (str, tuple))]
            count = max(self._number(node.left), self._number(node.right))
            self._size(count * max(1, max(lengths, default=1)) * context.loops, "string", node)
        self._children(node, context)

    def _visit_pow(self, node: Any, context: _Context) -> None:
        base, exponent = self._number(node.left), self._number(node.right)
        self._size(abs(base).bit_length() * exponent, "number", node)
        self._children(node, context)

    def _visit_mod(self, node: Any, context: _Context) -> None:
        for value in self._fold.values(node.left) or ():
            if isinstance(value, str):
                self._size(percent_width(value), "string", node)
        self._children(node, context)

    def _visit_for(self, node: Any, context: _Context) -> None:
        count = 1
        if type(node.iter).__name__ == "Call" and getattr(node.iter.node, "name", "") == "range":
            count = max(1, self._range(node.iter))
        loops = min(context.loops * count, HUGE)
        self._size(loops, "loop", node)
        self._visit(node.iter, replace(context, quiet=True))
        inner = replace(context, loops=loops, inside_loop=True)
        for child in (node.target, node.test, *node.body):
            if child is not None:
                self._visit(child, inner)
        for child in node.else_:
            self._visit(child, context)

    def _visit_assign(self, node: Any, context: _Context) -> None:
        target = _path(node.target)
        if target and type(node.node).__name__ in ("Add", "Concat", "Mul"):
            uses = [part for part in _pieces(node.node) if _path(part) == target]
            factor = type(node.node).__name__ == "Mul" and target in (
                _path(node.node.left),
                _path(node.node.right),
            )
            if len(uses) > 1 or factor:
                self._note("doublings", target, "loop" if context.inside_loop else "once", node)
        self._visit(node.target, context)
        self._visit(node.node, context)

    # -- other templates

    def _visit_include(self, node: Any, context: _Context) -> None:
        values = self._fold.values(node.template)
        names = sorted(map(str, values)) if values is not None else ["a computed name"]
        self._note("loads", ", ".join(names), type(node).__name__.lower(), node)
        self._children(node, replace(context, quiet=True))

    _visit_import = _visit_include
    _visit_fromimport = _visit_include
    _visit_extends = _visit_include

    # -- text

    def _visit_if(self, node: Any, context: _Context) -> None:
        self._visit(node.test, replace(context, quiet=True))
        inner = replace(context, guard=self._trigger(node.test) or context.guard)
        for child in node.body:
            self._visit(child, inner)
        for child in (*node.elif_, *node.else_):
            self._visit(child, context)

    def _visit_condexpr(self, node: Any, context: _Context) -> None:
        self._visit(node.test, replace(context, quiet=True))
        self._visit(node.expr1, replace(context, guard=self._trigger(node.test) or context.guard))
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
            self._tail = _open_url(self._tail + str(value))
        else:
            self._tail = ""
        if type(piece).__name__ == "TemplateData":
            if piece.data.strip() and not context.quiet:
                self._texts.append(Text(piece.data, piece.lineno, context.guard, False))
        else:
            self._visit(piece, context)

    def _trigger(self, test: Any) -> str:
        """What a condition waits for: plain words in a message, a date, or chance; "" for everything usual."""
        for part in all_nodes(test):
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
        if op == "eq" and self._content(wanted):
            wanted, holder = holder, wanted
        if wanted is None or not self._content(holder):
            return ""
        values = [value for value in self._fold.values(wanted) or () if isinstance(value, str)]
        plain = [value for value in values if _LETTER.search(value) and _PLAIN.fullmatch(value)]
        return f'"{visible(plain[0], 60)}" in a message' if plain else ""

    def _content(self, node: Any) -> bool:
        """Whether an expression is made from what somebody wrote in a message."""
        return any(_reads_content(part) or _path(part) in self._written for part in all_nodes(node))


def _reads_content(part: Any) -> bool:
    kind = type(part).__name__
    if kind == "Getattr":
        return part.attr in _CONTENT
    return kind == "Getitem" and getattr(part.arg, "value", "") in _CONTENT


def all_nodes(tree: Any) -> Iterator[Any]:
    """Every node, in the order of the text, without recursion."""
    if tree is None:
        return
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(list(node.iter_child_nodes())))


def _open_url(text: str) -> str:
    """The address that `text` ends in the middle of; "" when there is none."""
    rest = _URL_BREAK.split(text)[-1]
    start = _URL_START.search(rest)
    return rest[start.start() :][:MAX_URL] if start else ""


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
    inner = next((part.name for part in all_nodes(node) if type(part).__name__ == "Name"), "")
    return f"{type(node).__name__.lower()} of {inner}" if inner else type(node).__name__.lower()


def _format_parts(value: Any) -> list[str]:
    """Names behind the first in the fields of a format string: `{0.a[b]}` → a, b."""
    names = format_fields(value) if isinstance(value, str) else []
    return [part for name in names for part in re.split(r"[.\[\]]+", name)[1:] if part]
