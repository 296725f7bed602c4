"""The rule `template-unproved`."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.template import TemplateReading
from weighbridge.formats.template.nodes import Fact
from weighbridge.scan.rule import Rule
from weighbridge.scan.rules.template_sandbox_escape import DUNDERS, GADGETS, INTERNALS, RUNNERS

FUNCTIONS = frozenset(
    {"caller", "dict", "loop", "namespace", "raise_exception", "range", "strftime_now", "super", "varargs"}
)
METHODS = frozenset(
    [
        "append",
        "capitalize",
        "casefold",
        "center",
        "clear",
        "copy",
        "count",
        "cycle",
        "endswith",
        "expandtabs",
        "extend",
        "find",
        "format",
        "get",
        "index",
        "insert",
        "isalnum",
        "isalpha",
        "isascii",
        "isdecimal",
        "isdigit",
        "isidentifier",
        "islower",
        "isnumeric",
        "isspace",
        "istitle",
        "isupper",
        "items",
        "join",
        "keys",
        "ljust",
        "lower",
        "lstrip",
        "partition",
        "pop",
        "remove",
        "removeprefix",
        "removesuffix",
        "replace",
        "reverse",
        "rfind",
        "rindex",
        "rjust",
        "rpartition",
        "rsplit",
        "rstrip",
        "setdefault",
        "sort",
        "split",
        "splitlines",
        "startswith",
        "strftime",
        "strip",
        "swapcase",
        "title",
        "update",
        "upper",
        "values",
        "zfill",
        "isoformat",
        "changed",
    ]
)
"""Of strings, lists, dictionaries, dates and loops: they compute, and reach nothing."""
FILTERS = frozenset(
    [
        "abs",
        "batch",
        "capitalize",
        "center",
        "count",
        "d",
        "default",
        "dictsort",
        "e",
        "escape",
        "filesizeformat",
        "first",
        "float",
        "forceescape",
        "format",
        "groupby",
        "indent",
        "int",
        "items",
        "join",
        "last",
        "length",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "pprint",
        "random",
        "reject",
        "rejectattr",
        "replace",
        "reverse",
        "round",
        "safe",
        "select",
        "selectattr",
        "slice",
        "sort",
        "string",
        "striptags",
        "sum",
        "title",
        "tojson",
        "trim",
        "truncate",
        "unique",
        "upper",
        "urlencode",
        "urlize",
        "wordcount",
        "wordwrap",
        "xmlattr",
    ]
)
TESTS = frozenset(
    [
        "boolean",
        "callable",
        "defined",
        "divisibleby",
        "eq",
        "equalto",
        "escaped",
        "even",
        "false",
        "filter",
        "float",
        "ge",
        "greaterthan",
        "gt",
        "in",
        "integer",
        "iterable",
        "le",
        "lessthan",
        "lower",
        "lt",
        "mapping",
        "ne",
        "none",
        "number",
        "odd",
        "sameas",
        "sequence",
        "string",
        "test",
        "true",
        "undefined",
        "upper",
        "!=",
        "<",
        "<=",
        "==",
        ">",
        ">=",
    ]
)
APPLICATION = frozenset(
    {"app", "application", "config", "current_app", "environ", "g", "os", "request", "session"}
)
"""Names under which programs put their own objects within a template's reach."""


class TemplateUnproved(Rule):
    """A template does something that cannot be proved harmless.

    ## What it does
    Compares what a template calls, and which filters and tests it uses, with those of chat templates; everything else
    is named here: functions of the program that renders it, methods beyond those of text, lists and dictionaries,
    attributes whose names are made from data, and templates that cannot be parsed.

    ## Why is this bad?
    What such a call does is up to the program that renders the template, and it may do more than format text.

    ## Example
    ```jinja
    {{ load_tool(message.content) }}
    ```

    ## Use instead
    The functions that transformers gives to chat templates: `raise_exception`, `strftime_now`, `range`, `namespace`,
    `dict`, and Jinja's own filters.

    ## Known problems
    Templates written for one program may use functions that only it has. They stay undecided.

    ## References
    - https://huggingface.co/docs/transformers/chat_templating_writing
    """

    name = "template-unproved"
    summary = "a template uses functions or names that cannot be judged"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("template",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, TemplateReading):
            return
        if reading.problem:
            where = replace(place, line=reading.line or None)
            yield self.finding(where, f"the template cannot be parsed: {reading.problem}", doubt=True)
        for what, facts in _unproved(reading):
            for line, names in _by_line(facts):
                yield self.finding(replace(place, line=line), f"{what} {', '.join(names)}", doubt=True)


def _unproved(reading: TemplateReading) -> Iterator[tuple[str, list[Fact]]]:
    allowed = {"name": FUNCTIONS, "method": METHODS}
    calls = [f for f in reading.calls if f.name not in allowed.get(f.how, ()) and f.name not in RUNNERS]
    yield "calls", calls
    yield "uses the unknown filter", [fact for fact in reading.filters if fact.name not in FILTERS | {"attr"}]
    yield (
        "reaches with the attr filter",
        [f for f in reading.reaches if f.how == "attr filter" and _plain(f.name)],
    )
    yield "reaches the private name", [f for f in reading.reaches if f.how != "string" and _private(f.name)]
    yield "uses the unknown test", [fact for fact in reading.tests if fact.name not in TESTS]
    yield "reads the program's own", [fact for fact in reading.names if fact.name in APPLICATION]
    yield "computes a name from data:", [fact for fact in reading.unknown if fact.how != "attr filter"]


def _plain(name: str) -> bool:
    return not name.startswith("__") and name not in INTERNALS


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in DUNDERS | GADGETS


def _by_line(facts: Iterable[Fact]) -> Iterator[tuple[int, list[str]]]:
    lines: dict[int, dict[str, None]] = {}
    for fact in facts:
        lines.setdefault(fact.line, {})[fact.name] = None
    for line, names in sorted(lines.items()):
        yield line, list(names)
