"""The walk over a Jinja syntax tree: collects what a template reaches, calls, loads, repeats and writes."""

from dataclasses import replace
from typing import Any

from weighbridge.formats.template.fold import HUGE as ENDLESS
from weighbridge.formats.template.nodes import Context, all_nodes, at, format_parts, path, summary
from weighbridge.formats.template.sizes import Sizes
from weighbridge.formats.template.texts import Texts

_ATTRIBUTE_ARGUMENT = {
    "groupby": 0, "selectattr": 0, "rejectattr": 0, "sum": 0, "join": 1, "min": 1, "max": 1, "unique": 1, "sort": 2,
}  # fmt: skip
"""Filters that take an attribute's name, and at which position (also as `attribute=`)."""
FORMATS = frozenset({"format", "format_map"})
"""Methods of a text whose fields reach into their arguments."""
BUILDERS = frozenset(
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


class Walk(Sizes, Texts):
    """One walk over a syntax tree."""

    def __init__(self, tree: Any) -> None:
        super().__init__(tree)
        self._building = self._names.where(self._puts_together)

    def _visit_getattr(self, node: Any, context: Context) -> None:
        self._note("reaches", node.attr, "attribute", node)
        if node.attr in FORMATS:
            self._fields(node.node, node)
        self._visit(node.node, context)

    def _visit_getitem(self, node: Any, context: Context) -> None:
        if type(node.arg).__name__ != "Slice":
            self._key(node.arg, "item", node)
        self._visit(node.node, context)
        self._visit(node.arg, replace(context, quiet=True))

    def _key(self, key: Any, how: str, node: Any) -> None:
        """What a computed name reaches."""
        values = self._fold.values(key)
        if values is None and (how != "item" or self._builds(key)):
            self._note("unknown", summary(key), how, node)
        for value in sorted(values or (), key=str):
            if isinstance(value, str):
                for part in value.split(".") if how == "filter" else (value,):
                    self._note("reaches", part, how, node)

    def _builds(self, node: Any) -> bool:
        """Whether an unknown key is put together in the template and not simply taken from data."""
        return any(self._puts_together(part) or path(part) in self._building for part in all_nodes(node))

    def _puts_together(self, part: Any) -> bool:
        match type(part).__name__:
            case "Concat" | "Mod":
                return True
            case "Add":
                return not self._counts(part)
            case "Filter":
                return part.name in BUILDERS
            case "Call":
                return getattr(part.node, "attr", "") in BUILDERS
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

    def _visit_filter(self, node: Any, context: Context) -> None:
        self._note("filters", node.name, "filter", node)
        if node.name == "replace":
            self._replaces(node.args, node)
        arguments = {keyword.key: keyword.value for keyword in node.kwargs}
        if node.name == "attr":
            key = at(node.args, 0) or arguments.get("name") or node
            self._key(key, "attr filter", node)
            if node.node is not None and not FORMATS.isdisjoint(self._fold.values(key) or ()):
                self._fields(node.node, node)
        elif node.name == "map":
            self._map(node, arguments)
        elif node.name in ("select", "reject", "selectattr", "rejectattr"):
            self._named(at(node.args, 1 if node.name.endswith("attr") else 0), "tests", node)
        if node.name in _ATTRIBUTE_ARGUMENT or (node.name == "map" and "attribute" in arguments):
            position = _ATTRIBUTE_ARGUMENT.get(node.name, 99)
            attribute = arguments.get("attribute") or at(node.args, position)
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

    def _replaces(self, arguments: Any, node: Any) -> None:
        """Words that are exchanged for other words."""
        old, new = (
            self._fold.values(at(arguments, i)) if at(arguments, i) is not None else None for i in (0, 1)
        )
        for before in sorted(map(str, old or ())):
            for after in sorted(map(str, new or ())):
                self._note("swaps", f"{before} → {after}", "replace", node)

    def _map(self, node: Any, arguments: dict[str, Any]) -> None:
        """`map('upper')` applies a filter by name."""
        names = self._named(at(node.args, 0), "filters", node)
        if "attr" in names:
            self._key(at(node.args, 1) or node, "attr filter", node)

    def _named(self, argument: Any, kind: str, node: Any) -> list[str]:
        """A filter or test that is given by name."""
        if argument is None:
            return []
        values = self._fold.values(argument)
        if values is None:
            self._note("unknown", summary(argument), kind, node)
        names = [value for value in values or () if isinstance(value, str)]
        for name in sorted(names):
            self._note(kind, name, "map" if kind == "filters" else "select", node)
        return names

    def _visit_test(self, node: Any, context: Context) -> None:
        self._note("tests", node.name, "test", node)
        self._children(node, replace(context, quiet=True))

    def _visit_compare(self, node: Any, context: Context) -> None:
        self._children(node, replace(context, quiet=True))

    def _visit_macro(self, node: Any, context: Context) -> None:
        """A macro that calls itself more than once, or on no condition, has no end."""
        calls = [
            part
            for part in all_nodes(node)
            if type(part).__name__ == "Call" and getattr(part.node, "name", "") == node.name
        ]
        guarded = {
            id(part)
            for branch in all_nodes(node)
            if type(branch).__name__ in ("If", "CondExpr", "For")
            for part in all_nodes(branch)
        }
        if any(id(part) not in guarded for part in calls):
            self._note("sizes", ENDLESS, "loop", node)
        self._children(node, context)

    def _visit_call(self, node: Any, context: Context) -> None:
        callee = node.node
        match type(callee).__name__:
            case "Name":
                self._call_name(node, callee)
                quiet = context.quiet or callee.name in _QUIET_CALLS
            case "Getattr":
                self._note("calls", callee.attr, "method", node)
                self._format(callee, node)
                if callee.attr == "replace":
                    self._replaces(node.args, node)
                quiet = True
            case _:
                if not self._names.own_macros(callee):
                    self._note("calls", summary(callee), "expression", node)
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
        if name in self._names.set:
            if not self._names.own_macros(callee):
                self._note("calls", name, "variable", node)
        elif name not in self._names.macros:
            self._note("calls", name, "name", node)

    def _format(self, callee: Any, node: Any) -> None:
        """`'{0.name}'.format(x)` reaches into x; what the text says is noted where the attribute is visited."""
        if callee.attr in FORMATS and self._fold.values(callee.node) is None:
            self._note("unknown", summary(callee.node), "format", node)

    def _fields(self, text: Any, node: Any) -> None:
        """What the fields of a text reach where its method `format` is taken, called here or elsewhere."""
        for value in self._fold.values(text) or ():
            for part in format_parts(value):
                self._note("reaches", part, "format", node)
