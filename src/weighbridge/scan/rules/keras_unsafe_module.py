"""The rule `keras-unsafe-module`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.json import JsonReading
from weighbridge.formats.keras import KerasObject, objects_in, pairs_in, switches_in
from weighbridge.formats.membernames import escapes
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class KerasUnsafeModule(Rule):
    """
    ## What it does
    Finds classes and functions in a Keras configuration that reach outside of Keras: anything of Python's own modules,
    functions of Keras, TensorFlow and others that open files or addresses or turn safe mode off, layers that load another
    model (`TFSMLayer`, `TorchModuleWrapper`), vocabularies that are a path or an address, layers whose name is a path that
    leads out of the model, and a safe mode that is off.

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
    - CVE-2025-1550, CVE-2025-8747, CVE-2025-9906, CVE-2025-12058, CVE-2025-12060, CVE-2026-1462, CVE-2026-12479
    """

    name = "keras-unsafe-module"
    summary = "A Keras configuration names something that reaches outside of Keras"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("json", "yaml", "keras-object")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, JsonReading):
            return
        items = tuple(objects_in(reading))
        for item in items:
            if message := _harm(item):
                yield self.finding(replace(place, line=reading.line(item.path)), message)
        if not items:
            return
        from weighbridge.scan.contracts import keras

        for path, name in pairs_in(reading):
            if keras.names_harm(name):
                message = f'the configuration has "{visible(name)}" looked up and called'
                yield self.finding(replace(place, line=reading.line(path)), message)
        if keras.names_keras(items):
            for path in switches_in(reading):
                message = "the configuration turns off the safe mode, which refuses to run code"
                yield self.finding(replace(place, line=reading.line(path)), message)


def _harm(item: KerasObject) -> str:
    """What looking this object up does; "" where it stays inside of Keras."""
    from weighbridge.scan.contracts import keras  # few documents name objects of Keras; others need no lists

    if keras.is_harmful(item):
        full = f"{item.module}.{item.name}" if item.module else item.name
        return f'loading the model looks up "{visible(full)}" and calls it'
    if keras.is_foreign(item):
        return f'a "{item.class_name}" layer {keras.FOREIGN[item.class_name]}'
    if path := keras.reads_file(item):
        return f'a vocabulary is read from "{visible(path)}" when the model is loaded'
    if path := _leads_out(item):
        return f'the name "{visible(path)}" of a layer is a path out of the model, and its state lies there'
    return ""


def _leads_out(item: KerasObject) -> str:
    """A name that becomes a path outside. A slash in front is none of Keras 2's, which names layers after scopes."""
    name = item.config.get("name") if isinstance(item.config, dict) else None
    if not isinstance(name, str):
        return ""
    return name if escapes(name if item.module is not None else name.lstrip("/")) else ""
