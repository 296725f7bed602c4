"""Jinja chat and prompt templates: what one would reach, call, load and write, from its syntax tree. Never rendered.

Jinja's own lexer and parser make the tree (with the tags that chat templates add: `break`, `continue`, `do`,
`generation`). Strings that are put together from constants are computed, so that `'__cla' ~ 'ss__'` reads as what it
is; all possible values of a name are followed, not only the last. What depends on data stays unknown and is reported
as such where it chooses an attribute. Judging is left to the rules.
"""

import warnings
from functools import cache
from typing import Any

from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.source import Source
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.formats.hiddentext import hidden_in
from weighbridge.formats.reading import Reading
from weighbridge.formats.template.nodes import Fact, Text
from weighbridge.formats.template.walk import Walk

MAX_TEMPLATE = 256 * 1024
"""Bytes; the largest chat templates in use have about 30,000."""


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
    swaps: tuple[Fact, ...] = ()
    """Constant words that are exchanged for others; `name` is `old → new`."""
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
    hidden = tuple(Fact(found.codes, found.kind, found.line) for found in hidden_in(text))
    try:
        walk = Walk(_parsed(text))
        walk.run()
    except RecursionError:
        return TemplateReading(format="template", problem="nested too deeply to follow", hidden=hidden)
    except (
        Exception
    ) as error:  # a foreign parser on hostile text: whatever it raises, the text is not understood
        problem = visible(str(getattr(error, "message", error)) or type(error).__name__, 200)
        return TemplateReading(
            format="template", problem=problem, line=getattr(error, "lineno", 0), hidden=hidden
        )
    facts: dict[str, Any] = walk.facts()
    hidden = tuple(dict.fromkeys((*hidden, *facts.pop("hidden", ()))))
    return TemplateReading(format="template", texts=walk.texts(), hidden=hidden, **facts)


def _parsed(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about escapes in the template's string literals
        return _environment().parse(text)


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
