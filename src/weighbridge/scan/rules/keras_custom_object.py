"""The rule `keras-custom-object`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.json import JsonReading
from weighbridge.formats.keras import objects_in
from weighbridge.formats.reading import Reading
from weighbridge.scan import config_targets
from weighbridge.scan.rule import Rule


class KerasCustomObject(Rule):
    """
    ## What it does
    Finds classes and functions in a Keras configuration that are not on the list of Keras' own harmless ones.

    ## Why is this bad?
    Keras looks such a name up in the loading program, or imports its module in versions before 3.9. What it does cannot be
    judged from the file.

    ## Example
    ```json
    {"module": "my_package.layers", "class_name": "Attention2", "config": {}, "registered_name": "my_package>Attention2"}
    ```

    ## Use instead
    Nothing, where you know the class: the policy may accept it by name.

    ## Known problems
    A layer that Keras added after this list was made is named here too.

    ## References
    - CVE-2025-1550
    """

    name = "keras-custom-object"
    summary = "A Keras configuration names a class or function that is not Keras' own"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("json", "yaml", "keras-object")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, JsonReading):
            return
        items = tuple(objects_in(reading))
        if not items:
            return
        from weighbridge.scan.contracts import (
            keras,  # few documents name objects of Keras; the others need no lists
        )

        if not keras.names_keras(items):
            return
        for item in items:
            told = item.class_name in keras.CARRIERS or keras.is_foreign(item)
            if told or keras.is_safe(item) or keras.is_harmful(item):
                continue
            if reading.format == "keras-object" and keras.is_home(item.module):
                continue  # Keras takes the functions of the graph where it knows no such class
            full = f"{item.module}.{item.name}" if item.module else item.registered_name or item.name
            where = replace(place, line=reading.line(item.path))
            harm = config_targets.harm(full.replace(">", ".")) if ">" in full else ""
            message = f'"{visible(full)}" {harm}' if harm else f'what "{visible(full)}" does is not known'
            yield self.finding(where, message, severity=Severity.ERROR if harm else None, doubt=True)
