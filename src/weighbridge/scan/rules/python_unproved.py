"""The rule `python-unproved`."""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.formats.python import PythonReading
from weighbridge.scan.python_effects import Setting, effects
from weighbridge.scan.python_rule import PythonRule


class PythonUnproved(PythonRule):
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

    def found(self, reading: PythonReading, place: Place, setting: Setting) -> Iterator[Finding]:
        """See `PythonRule.found`."""
        for effect in effects(reading, setting):
            if not effect.proved:
                line = effect.use.line
                trail = (f"{line}  {reading.source_line(line)}",)
                yield self.finding(replace(place, line=line), effect.what, doubt=True, trail=trail)
        for anomaly in reading.anomalies:
            if anomaly.code != "hiding-encoding":
                yield self.finding(place, anomaly.message, doubt=True)
