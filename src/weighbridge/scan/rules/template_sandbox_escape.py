"""The rule `template-sandbox-escape`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.template import TemplateReading
from weighbridge.formats.template.nodes import Fact
from weighbridge.scan.rule import Rule

INTERNALS = frozenset(
    {
        "ag_code",
        "ag_frame",
        "co_code",
        "cr_code",
        "cr_frame",
        "f_back",
        "f_builtins",
        "f_code",
        "f_globals",
        "f_locals",
    }
    | {
        "func_closure",
        "func_code",
        "func_defaults",
        "func_globals",
        "gi_code",
        "gi_frame",
        "im_class",
        "im_func",
    }
    | {"im_self", "mro", "tb_frame", "tb_next"}
)
"""Attributes of Python's own objects that lead to code, without underscores; jinja2.sandbox refuses the same."""
DUNDERS = frozenset(
    f"__{name}__"
    for name in [
        "base",
        "bases",
        "builtins",
        "call",
        "class",
        "closure",
        "code",
        "defaults",
        "delattr",
        "dict",
        "dir",
        "func",
        "get",
        "getattr",
        "getattribute",
        "getitem",
        "globals",
        "import",
        "init",
        "init_subclass",
        "kwdefaults",
        "loader",
        "module",
        "mro",
        "name",
        "new",
        "qualname",
        "reduce",
        "reduce_ex",
        "self",
        "setattr",
        "setstate",
        "slots",
        "spec",
        "subclasscheck",
        "subclasses",
        "subclasshook",
        "weakref",
        "wrapped",
    ]
)
"""Names that are no text when a template writes them as a whole string."""
RUNNERS = frozenset(
    {
        "Popen",
        "check_call",
        "check_output",
        "eval",
        "exec",
        "exec_module",
        "execfile",
        "getoutput",
        "import_module",
    }
    | {"load_module", "popen", "spawn", "system", "__import__", "open", "execute", "os", "subprocess"}
)
GADGETS = frozenset({"cycler", "get_flashed_messages", "joiner", "lipsum", "self", "url_for"})
"""Objects of Jinja and Flask that every template can reach, and through which escapes begin."""


class TemplateSandboxEscape(Rule):
    """A template reaches for Python's internals.

    ## What it does
    Follows every attribute, item, filter argument and format field of a Jinja template, also where the name is put
    together from pieces (`'__cla' ~ 'ss__'`, `['__class__'] | first`, `'\\x5f'` escapes), and reports names that lead
    from a value to its class, its module and so to code; calls that start programs; and the objects with which such
    chains begin (`cycler`, `lipsum`, `self`).

    ## Why is this bad?
    A chat template runs every time somebody talks to the model. Programs that render it with plain Jinja run whatever
    the chain ends in: llama-cpp-python (CVE-2024-34359), SGLang (CVE-2026-5760). The sandbox that others use has been
    left before (CVE-2024-56326, CVE-2025-27516).

    ## Example
    ```jinja
    {{ cycler.__init__.__globals__.os.popen('echo weighbridge-sample').read() }}
    ```

    ## Use instead
    Only the conversation's own fields: `message['content']`, `message.role`.

    ## Known problems
    A template that only writes `'__class__'` as a text for the model is reported too.

    ## References
    - https://jinja.palletsprojects.com/en/stable/sandbox/
    - CVE-2024-34359, CVE-2026-5760, CVE-2024-56326, CVE-2025-27516
    """

    name = "template-sandbox-escape"
    summary = "a template reaches Python's internals and can run code"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("template",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, TemplateReading):
            return
        found = list(dict.fromkeys(escapes(reading)))
        for line in sorted({fact.line for fact in found}):
            names = ", ".join(dict.fromkeys(fact.name for fact in found if fact.line == line))
            yield self.finding(replace(place, line=line), f"rendering this template reaches {names}")
        for fact in reading.unknown:
            if fact.how == "attr filter":
                message = f"rendering this template reaches an attribute that it computes ({fact.name})"
                yield self.finding(replace(place, line=fact.line), message, confidence=Confidence.MEDIUM)


def escapes(reading: TemplateReading) -> Iterator[Fact]:
    """What the template reaches that leads to code."""
    for fact in reading.reaches:
        if (
            fact.name in DUNDERS
            if fact.how == "string"
            else fact.name.startswith("__") or fact.name in INTERNALS
        ):
            yield fact
    yield from (fact for fact in reading.calls if fact.name in RUNNERS)
    yield from (fact for fact in reading.names if fact.name in GADGETS or fact.name in DUNDERS)
