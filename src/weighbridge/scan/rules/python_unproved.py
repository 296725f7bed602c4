"""The rule `python-unproved`."""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.formats.python import PythonReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.python_effects import Setting, effects, inner_setting, python_files
from weighbridge.scan.rule import Folder, Rule


class PythonUnproved(Rule):
    """
    ## What it does
    Says what keeps a Python file from being proved harmless: imports of packages that are not on the reviewed list or of
    files that are not here, names computed at run time in modules that reach outside, such modules handed on as values,
    and characters that make the source read in another order than it runs.

    ## Why is this bad?
    It need not be. Without such a line, the statement is: importing this file runs only imports of known packages,
    definitions and constants, and nothing dangerous is named anywhere in it. With one, nobody can say so.

    ## Example
    ```python
    import some_private_helper
    getattr(os, name)()
    ```

    ## Use instead
    Import published packages, ship helper files beside the model, and call functions by their names.

    ## Known problems
    The list of known packages is short on purpose; an unknown one is a doubt, never an error.

    ## References
    - CVE-2021-42574 (Trojan Source)
    """

    name = "python-unproved"
    summary = "something in this Python code cannot be followed"
    severity = Severity.NOTE
    confidence = Confidence.LOW
    formats = ("python",)
    folder = True

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """Modules inside other files."""
        setting = inner_setting(place)
        if setting and isinstance(reading, PythonReading):
            yield from self._found(reading, place, setting)

    def look_folder(self, folder: Folder) -> Iterator[Finding]:
        """Modules of the artifact."""
        for path, reading, setting in python_files(folder):
            yield from self._found(reading, Place(path=path), setting)

    def _found(self, reading: PythonReading, place: Place, setting: Setting) -> Iterator[Finding]:
        for effect in effects(reading, setting):
            if not effect.proved:
                line = effect.use.line
                trail = (f"{line}  {reading.source_line(line)}",)
                yield self.finding(replace(place, line=line), effect.what, doubt=True, trail=trail)
        for anomaly in reading.anomalies:
            yield self.finding(place, anomaly.message, doubt=True)
