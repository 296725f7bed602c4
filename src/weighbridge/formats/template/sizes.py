"""How much work a template makes: loops, paddings, repetitions, powers, values that double."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from weighbridge.formats.template.collector import Collector
from weighbridge.formats.template.fold import HUGE, braces_width, percent_width
from weighbridge.formats.template.nodes import Context, path, pieces


class Sizes(Collector):
    """Notes `sizes` and `doublings`."""

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

    def _visit_mul(self, node: Any, context: Context) -> None:
        if self._fold.values(node) is None:
            sides = [self._fold.values(side) for side in (node.left, node.right)]
            lengths = [len(v) for side in sides for v in side or () if isinstance(v, (str, tuple))]
            count = max(self._number(node.left), self._number(node.right))
            self._size(count * max(1, max(lengths, default=1)) * context.loops, "string", node)
        self._children(node, context)

    def _visit_pow(self, node: Any, context: Context) -> None:
        base, exponent = self._number(node.left), self._number(node.right)
        self._size(abs(base).bit_length() * exponent, "number", node)
        self._children(node, context)

    def _visit_mod(self, node: Any, context: Context) -> None:
        for value in self._fold.values(node.left) or ():
            if isinstance(value, str):
                self._size(percent_width(value), "string", node)
        self._children(node, context)

    def _visit_for(self, node: Any, context: Context) -> None:
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

    def _visit_assign(self, node: Any, context: Context) -> None:
        target = path(node.target)
        if target and type(node.node).__name__ in ("Add", "Concat", "Mul"):
            uses = [part for part in pieces(node.node) if path(part) == target]
            factor = type(node.node).__name__ == "Mul" and target in (
                path(node.node.left),
                path(node.node.right),
            )
            if len(uses) > 1 or factor:
                self._note("doublings", target, "loop" if context.inside_loop else "once", node)
        self._visit(node.target, context)
        self._visit(node.node, context)
