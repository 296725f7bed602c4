"""The rule `template-include`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.reading import Reading
from weighbridge.formats.template import TemplateReading
from weighbridge.scan.rule import Rule

_OUTSIDE = late(r"(^|[/\\])\.\.([/\\]|$)|^[/\\~]|^[A-Za-z]:[/\\]|^\w+://|a computed name")
"""Names that lead out of the folder of templates, or anywhere."""


class TemplateInclude(Rule):
    """A template loads another template.

    ## What it does
    Looks for `include`, `import`, `from … import` and `extends`.

    ## Why is this bad?
    The loaders of chat templates have no second template to offer, so there the model fails. A program that gave Jinja a
    folder to load from reads a file that the model names, and runs it as a template. A path that leads out of that folder, or
    a name that the template computes, is an error.

    ## Example
    ```jinja
    {% include 'secrets.txt' %}
    ```

    ## Use instead
    Macros in the same template.

    ## Known problems
    What the other template does is not known, so the file stays undecided.
    """

    name = "template-include"
    summary = "a template loads another file as a template"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("template",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for fact in reading.loads if isinstance(reading, TemplateReading) else ():
            message = f'{fact.how} of "{fact.name}": the program that renders this reads another file'
            outside = _OUTSIDE.search(fact.name) is not None
            severity = Severity.ERROR if outside else None
            yield self.finding(replace(place, line=fact.line), message, severity=severity, doubt=True)
