"""The rule `template-include`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.template import TemplateReading
from weighbridge.scan.rule import Rule


class TemplateInclude(Rule):
    """A template loads another template.

    ## What it does
    Looks for `include`, `import`, `from … import` and `extends`.

    ## Why is this bad?
    The loaders of chat templates have no second template to offer, so there the model fails. A program that gave Jinja a
    folder to load from reads a file that the model names, and runs it as a template.

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
            yield self.finding(replace(place, line=fact.line), message, doubt=True)
