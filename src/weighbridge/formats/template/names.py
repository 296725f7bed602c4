"""The names of a template: what is assigned to each, which are macros, and what flows where."""

from collections.abc import Callable
from typing import Any

from weighbridge.formats.template.nodes import all_nodes, path


class Names:
    """Every name of one syntax tree."""

    def __init__(self, tree: Any) -> None:
        self.macros: set[str] = set()
        self.set: set[str] = set()
        self.sources: dict[str, list[Any]] = {}
        """Name → all nodes that are assigned to it; None for a value that is not in the template."""
        for node in all_nodes(tree):
            self._define(node)

    def _define(self, node: Any) -> None:
        match type(node).__name__:
            case "Macro":
                self.macros.add(node.name)
                self.set.update(arg.name for arg in node.args)
                self._arguments(node)
            case "CallBlock":
                self.set.update(arg.name for arg in node.args)
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
                self.set.add(node.target)
            case "FromImport":
                self.set.update(name if isinstance(name, str) else name[1] for name in node.names)

    def _arguments(self, macro: Any) -> None:
        """What a macro is called with is unknown, so its parameters are."""
        for argument in macro.args:
            self.sources.setdefault(argument.name, []).append(None)

    def _assign(self, target: Any, value: Any) -> None:
        match type(target).__name__:
            case "Name":
                self.set.add(target.name)
                self.sources.setdefault(target.name, []).append(value)
                self._namespace(target.name, value)
            case "NSRef":
                self.sources.setdefault(f"{target.name}.{target.attr}", []).append(value)
            case "Tuple":
                values = value.items if type(value).__name__ in ("Tuple", "List") else []
                exact = len(values) == len(target.items)
                for index, item in enumerate(target.items):
                    self._assign(item, values[index] if exact else None)

    def _namespace(self, name: str, value: Any) -> None:
        """`namespace(a=1)` sets `name.a`."""
        if type(value).__name__ == "Call" and getattr(value.node, "name", "") == "namespace":
            for keyword in value.kwargs:
                self.sources.setdefault(f"{name}.{keyword.key}", []).append(keyword.value)

    def _loop_target(self, node: Any) -> None:
        items = node.iter.items if type(node.iter).__name__ in ("List", "Tuple") else [None]
        for item in items:
            self._assign(node.target, item)

    def where(self, holds: Callable[[Any], bool]) -> set[str]:
        """Names into which, over any number of assignments, something flows of which `holds` is true."""
        users: dict[str, list[str]] = {}
        reached = []
        for name, sources in self.sources.items():
            for part in (part for source in sources for part in all_nodes(source)):
                if holds(part):
                    reached.append(name)
                elif path(part):
                    users.setdefault(path(part), []).append(name)
        found: set[str] = set()
        while reached:
            name = reached.pop()
            if name not in found:
                found.add(name)
                reached += users.get(name, [])
        return found

    def own_macros(self, callee: Any, seen: frozenset[str] = frozenset()) -> bool:
        """Whether an expression can only be one of the template's own macros, or a list of them."""
        match type(callee).__name__:
            case "Name" if callee.name not in self.set:
                return callee.name in self.macros
            case "Name":
                inner = seen | {callee.name}
                sources = self.sources.get(callee.name, [None])
                return callee.name in seen or all(self.own_macros(source, inner) for source in sources)
            case "List" | "Tuple":
                return all(self.own_macros(item, seen) for item in callee.items)
            case "Add":
                return self.own_macros(callee.left, seen) and self.own_macros(callee.right, seen)
            case "Getitem":
                return self.own_macros(callee.node, seen)
        return False
