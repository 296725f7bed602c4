"""The ground of the walk: visits nodes and notes what they do. What single nodes mean is said by its subclasses."""

from typing import Any

from weighbridge.core.text import visible
from weighbridge.formats.hiddentext import hidden_in
from weighbridge.formats.template.fold import Fold
from weighbridge.formats.template.names import Names
from weighbridge.formats.template.nodes import CONTENT, Context, Fact, Text, reads_content


class Collector:
    """One visit of a syntax tree: `_visit_…` is called for every node of that class."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree
        self._facts: dict[str, list[Fact]] = {}
        self._texts: list[Text] = []
        self._names = Names(tree)
        self._fold = Fold(self._names.sources)
        self._written = self._names.where(reads_content) | CONTENT

    def run(self) -> None:
        """Visit everything, in the order of the text."""
        self._visit(self._tree, Context())

    def facts(self) -> dict[str, tuple[Fact, ...]]:
        """What was seen, by the names of `TemplateReading`'s fields; each thing once, but doublings are counted."""
        return {
            kind: tuple(facts if kind == "doublings" else dict.fromkeys(facts))
            for kind, facts in self._facts.items()
        }

    def texts(self) -> tuple[Text, ...]:
        """Everything constant that may be written."""
        return tuple(self._texts)

    def _note(self, kind: str, name: object, how: str, node: Any) -> None:
        self._facts.setdefault(kind, []).append(Fact(visible(str(name), 200), how, node.lineno))

    def _visit(self, node: Any, context: Context) -> None:
        step = getattr(self, f"_visit_{type(node).__name__.lower()}", None)
        if step is None:
            self._children(node, context)
        else:
            step(node, context)

    def _children(self, node: Any, context: Context) -> None:
        for child in node.iter_child_nodes():
            self._visit(child, context)

    def _visit_name(self, node: Any, context: Context) -> None:
        if node.ctx == "load" and node.name not in self._names.set and node.name not in self._names.macros:
            self._note("names", node.name, "name", node)

    def _visit_const(self, node: Any, context: Context) -> None:
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
