"""Constants in Jinja templates: computes strings that are put together, for all values that a name can have.

`'__cla' ~ 'ss__'`, `['__cla', 'ss__'] | join` and `'__SSALC__' | lower | reverse` are what they are, wherever their
pieces were set. Nothing of Jinja is run: each filter and method that is followed is written here, with bounds.
"""

import itertools
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

MAX_VALUES = 64
"""Values that one expression may have before it counts as unknown."""
MAX_STRING = 4096
"""Characters of a computed string, items of a computed list."""
HUGE = 2**63
"""Stands for every number from here on."""

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


class Fold:
    """Computes constants. `sources` holds every expression that may become a name's value, None for unknown ones."""

    def __init__(self, sources: Mapping[str, Sequence[Any]]) -> None:
        self._sources = sources
        self._memo: dict[int | str, Values] = {}

    def values(self, node: Any) -> Values:
        """All values of an expression, or None."""
        return self._once(id(node), lambda: self._values(node))

    def _once(self, key: int | str, compute: Callable[[], Values]) -> Values:
        if key not in self._memo:
            self._memo[key] = None  # while it is being computed: what depends on itself is unknown
            self._memo[key] = compute()
        return self._memo[key]

    def _named(self, name: str) -> Values:
        return self._once(name, lambda: self._union(self._sources.get(name, ())))

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
        return self._named(node.name)

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
        return self._product((node.left, node.right), _power)

    def _dict(self, node: Any) -> Values:
        """A dictionary is followed as what iterating it gives: its keys."""
        return self._product([pair.key for pair in node.items], lambda *keys: tuple(dict.fromkeys(keys)))

    def _getattr(self, node: Any) -> Values:
        if type(node.node).__name__ == "Name":
            return self._named(f"{node.node.name}.{node.attr}")
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
        if getattr(node.node, "name", "") == "dict" and not node.args:
            return frozenset([tuple(keyword.key for keyword in node.kwargs)])
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
    if isinstance(left, str) and ("*" in left or percent_width(left) > MAX_STRING):
        return None
    return left % right


def _power(base: Any, exponent: Any) -> Any:
    """Exact while it is small; `HUGE` for what would take the interpreter long to compute."""
    if not isinstance(base, (int, float)) or not isinstance(exponent, (int, float)) or exponent < 0:
        return None
    return base**exponent if abs(base) <= 1024 and exponent <= 32 else HUGE


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
        return _joined(args[0], on)
    if isinstance(on, str) and name == "replace" and len(args) == 2 and args[0]:
        return on.replace(*args) if len(on) * len(args[1]) <= MAX_STRING else None
    if isinstance(on, str) and name == "split" and len(args) == 1:
        return tuple(on.split(args[0]))
    if isinstance(on, str) and name == "format":
        return _formatted(on, args)
    return None


def _filtered(name: str, on: Any, args: Sequence[Any]) -> Any:
    if name == "join":
        return _joined(on, str(args[0]) if args else "")
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


def _joined(items: Any, between: str) -> str | None:
    texts = [str(item) for item in items]
    return between.join(texts) if sum(map(len, texts)) + len(between) * len(texts) <= MAX_STRING else None


def _formatted(pattern: str, args: Sequence[Any]) -> Any:
    """`str.format` for plain `{}` and `{0}` alone."""
    plain = all(name == "" or name.isdigit() for name in format_fields(pattern))
    return pattern.format(*args) if plain and not braces_width(pattern) else None


def format_fields(pattern: str) -> list[str]:
    """What stands in the braces of a format string, before `!` and `:`."""
    try:
        return [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]
    except ValueError:
        return []


def braces_width(pattern: str) -> int:
    """The largest width in `{:…}` fields."""
    return max((int(digits) for digits in re.findall(r"\{[^{}:]*:[^{}\d]*0?(\d{1,18})", pattern)), default=0)


def percent_width(pattern: str) -> int:
    """The largest width in `%…` fields."""
    return max((int(digits) for digits in re.findall(r"%(?:\(\w*\))?[-+ #0]*(\d{1,18})", pattern)), default=0)
