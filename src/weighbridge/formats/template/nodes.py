"""What the walk over a Jinja syntax tree collects, and how it looks at single nodes.

Knows Jinja's nodes by their class names, so that nothing of Jinja is imported here.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from weighbridge.core.pattern import late
from weighbridge.core.value import dataclass
from weighbridge.formats.template.fold import format_fields


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


_URL_START = late(r"https?://", re.IGNORECASE)
_URL_BREAK = late(r"[\s<>\"']")
MAX_URL = 200
"""Characters of an open address that are kept."""
CONTENT = {"content", "text"}
"""Fields of a message that hold what somebody wrote."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where the walk stands."""

    loops: int = 1
    """Constant repetitions around this place, multiplied."""
    inside_loop: bool = False
    guard: str = ""
    quiet: bool = False
    """True where a string is compared or used as a key, and so not written."""


def reads_content(part: Any) -> bool:
    """Whether a node takes what somebody wrote in a message."""
    kind = type(part).__name__
    if kind == "Getattr":
        return part.attr in CONTENT
    return kind == "Getitem" and getattr(part.arg, "value", "") in CONTENT


def all_nodes(tree: Any) -> Iterator[Any]:
    """Every node, in the order of the text, without recursion."""
    if tree is None:
        return
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(list(node.iter_child_nodes())))


def open_url(text: str) -> str:
    """The address that `text` ends in the middle of; "" when there is none."""
    rest = _URL_BREAK.split(text)[-1]
    start = _URL_START.search(rest)
    return rest[start.start() :][:MAX_URL] if start else ""


def pieces(node: Any) -> list[Any]:
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


def path(node: Any) -> str:
    """`a` or `ns.a` of a name that is read or set."""
    match type(node).__name__:
        case "Name":
            return str(node.name)
        case "NSRef":
            return f"{node.name}.{node.attr}"
        case "Getattr" if type(node.node).__name__ == "Name":
            return f"{node.node.name}.{node.attr}"
    return ""


def at(arguments: Sequence[Any], position: int) -> Any:
    """An argument by its position; None where there are fewer."""
    return arguments[position] if position < len(arguments) else None


def summary(node: Any) -> str:
    """A short name for an expression."""
    inner = next((part.name for part in all_nodes(node) if type(part).__name__ == "Name"), "")
    return f"{type(node).__name__.lower()} of {inner}" if inner else type(node).__name__.lower()


def format_parts(value: Any) -> list[str]:
    """Names behind the first in the fields of a format string: `{0.a[b]}` → a, b."""
    names = format_fields(value) if isinstance(value, str) else []
    return [part for name in names for part in re.split(r"[.\[\]]+", name)[1:] if part]
