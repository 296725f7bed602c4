"""The rule `keras-unsafe-module`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.json import JsonReading
from weighbridge.formats.keras import KerasObject, objects_in
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class KerasUnsafeModule(Rule):
    """
    ## What it does
    Finds classes and functions in a Keras configuration that reach outside of Keras: anything of Python's own modules,
    functions of Keras that open files or addresses or turn safe mode off, layers that load another model
    (`TFSMLayer`, `TorchModuleWrapper`), and vocabularies that are a path or an address.

    ## Why is this bad?
    Keras imports what the configuration names and calls it with the arguments that stand beside it, while the model is
    being loaded.

    ## Example
    ```json
    {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    ```

    ## Use instead
    Objects of Keras itself; vocabularies as lists in the archive.

    ## Known problems
    Which of these a certain version of Keras still follows is not looked at.

    ## References
    - CVE-2025-1550, CVE-2025-8747, CVE-2025-9906, CVE-2025-12058, CVE-2025-12060, CVE-2026-1462
    """

    name = "keras-unsafe-module"
    summary = "A Keras configuration names something that reaches outside of Keras"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("json",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, JsonReading):
            return
        for item in objects_in(reading):
            if message := _harm(item):
                yield self.finding(replace(place, line=reading.line(item.path)), message)


def _harm(item: KerasObject) -> str:
    """What looking this object up does; "" where it stays inside of Keras."""
    from weighbridge.scan.contracts import keras  # few documents name objects of Keras; others need no lists

    if keras.is_harmful(item):
        full = f"{item.module}.{item.name}" if item.module else item.name
        return f'loading the model looks up "{visible(full)}" and calls it'
    if item.class_name in keras.FOREIGN and keras.is_home(item.module):
        return f'a "{item.class_name}" layer loads another model from outside this file'
    path = keras.reads_file(item)
    return f'a vocabulary is read from "{visible(path)}" when the model is loaded' if path else ""
