"""The rule `python-payload`."""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.python import PythonReading, Use
from weighbridge.formats.reading import Reading
from weighbridge.scan import python_names as known
from weighbridge.scan.python_effects import canonical, danger
from weighbridge.scan.rule import Rule

_RUNNERS = ("builtins.exec", "builtins.eval")
_SHELL_OUT = ("os.dup2", "pty.spawn", "pty.fork")


class PythonPayload(Rule):
    """
    ## What it does
    Looks for the shapes that payloads have, wherever they stand in a Python file or notebook: text that is decoded,
    decompressed or downloaded and run at once; shell commands that fetch and run, wipe, or stay; a socket that is tied to
    a shell.

    ## Why is this bad?
    No model code does this. It is how droppers, miners and remote shells are written.

    ## Example
    ```python
    exec(base64.b64decode("ZWNobyB3ZWlnaGJyaWRnZS1zYW1wbGU="))
    ```

    ## Use instead
    Nothing: remove the code, and ask how it came there.

    ## Known problems
    A command that is put together at run time is not seen here; `python-import-time-danger` and `python-dangerous-call`
    still report what runs it.
    """

    name = "python-payload"
    summary = "this Python code has the shape of an attack"
    severity = Severity.ERROR
    formats = ("python",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One module, wherever it stands."""
        if not isinstance(reading, PythonReading):
            return
        seen: set[tuple[int, str]] = set()
        for use, message in self._shapes(reading):
            if (use.line, message) not in seen:
                seen.add((use.line, message))
                trail = (f"{use.line}  {reading.source_line(use.line)}",)
                yield self.finding(replace(place, line=use.line), message, trail=trail)

    def _shapes(self, reading: PythonReading) -> Iterator[tuple[Use, str]]:
        connects = any(canonical(use.name).startswith("socket.") for use in reading.uses)
        for use in reading.uses:
            name = canonical(use.name)
            if name in _RUNNERS and use.called and any(known.DECODERS.match(inner) for inner in use.inner):
                yield use, "runs code that is decoded or downloaded on the spot"
            if connects and name in _SHELL_OUT:
                yield use, "ties a socket to a shell"
            if use.called and danger(name, True) == known.RUNS:
                words = " ".join(argument for argument in use.arguments if isinstance(argument, str))
                if known.SHELLS.search(words):
                    yield use, "runs a shell command that fetches and runs, connects, wipes or stays"
