"""What a template writes, on which conditions, and which other templates it takes in."""

from dataclasses import replace
from typing import Any

from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.template.collector import Collector
from weighbridge.formats.template.nodes import (
    Context,
    Text,
    all_nodes,
    at,
    open_url,
    path,
    pieces,
    reads_content,
)

_PLAIN = late(r"[\w\s'’.,!?$&@#%:;=+-]+")
"""Text without the brackets and bars of which markers are made."""
_LETTER = late(r"[^\W_]")


class Texts(Collector):
    """Notes `loads`, and collects texts with what they depend on."""

    _tail = ""
    """The address that what was written last ends in the middle of."""

    def _visit_include(self, node: Any, context: Context) -> None:
        values = self._fold.values(node.template)
        names = sorted(map(str, values)) if values is not None else ["a computed name"]
        self._note("loads", ", ".join(names), type(node).__name__.lower(), node)
        self._children(node, replace(context, quiet=True))

    _visit_import = _visit_include
    _visit_fromimport = _visit_include
    _visit_extends = _visit_include

    def _visit_if(self, node: Any, context: Context) -> None:
        self._visit(node.test, replace(context, quiet=True))
        inner = replace(context, guard=self._trigger(node.test) or context.guard)
        for child in node.body:
            self._visit(child, inner)
        for child in (*node.elif_, *node.else_):
            self._visit(child, context)

    def _visit_condexpr(self, node: Any, context: Context) -> None:
        self._visit(node.test, replace(context, quiet=True))
        self._visit(node.expr1, replace(context, guard=self._trigger(node.test) or context.guard))
        if node.expr2 is not None:
            self._visit(node.expr2, context)

    def _visit_output(self, node: Any, context: Context) -> None:
        for child in node.nodes:
            for piece in pieces(child):
                self._piece(piece, context)

    def _piece(self, piece: Any, context: Context) -> None:
        """One thing that is written; a URL that runs into data makes both one address."""
        values = self._fold.values(piece)
        constant = type(piece).__name__ in ("TemplateData", "Const")
        if self._tail and not constant and values is None:
            line = piece.lineno
            self._texts.append(Text(self._tail, line, context.guard, True))
        if values is not None and len(values) == 1:
            (value,) = values
            self._tail = open_url(self._tail + str(value))
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
            if kind == "Compare" and part.ops[0].op == "eq" and self._counts_messages(part):
                return "the number of messages"
            if kind == "Compare" and part.ops[0].op in ("in", "eq"):
                words = self._awaited(part.expr, part.ops[0].expr, part.ops[0].op)
            elif kind == "Call" and getattr(part.node, "attr", "") in (
                "startswith",
                "endswith",
                "find",
                "count",
            ):
                words = self._awaited(at(part.args, 0), part.node.node, "in")
            else:
                continue
            if words:
                return words
        return ""

    def _counts_messages(self, compare: Any) -> bool:
        """`messages|length == 7`: a turn that comes once; the first two are where templates begin."""
        sides = (compare.expr, compare.ops[0].expr)
        counts = any(
            getattr(side, "name", "") in ("length", "count")
            or getattr(getattr(side, "node", None), "name", "") == "len"
            for side in sides
        )
        numbers = [value for side in sides for value in self._fold.values(side) or ()]
        return counts and any(isinstance(number, int) and number > 2 for number in numbers)

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
        return any(reads_content(part) or path(part) in self._written for part in all_nodes(node))
