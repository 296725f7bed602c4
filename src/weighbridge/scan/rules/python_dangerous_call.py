"""The rule `python-dangerous-call`."""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.formats.python import PythonReading
from weighbridge.scan.python_effects import Setting, effects, is_error
from weighbridge.scan.python_rule import PythonRule


class PythonDangerousCall(PythonRule):
    """
    ## What it does
    Looks for the same names as `python-import-time-danger` where they run only if somebody calls the function, or runs
    the file as a script, and for milder ones anywhere: loading pickled files, fetching from the network, compiling
    extensions, changing interpreter hooks, `trust_remote_code=True`.

    ## Why is this bad?
    The file is harmless to import, but whoever uses that function gets more than arithmetic. Whether that is wanted, a
    scanner cannot know: the file is undecided.

    ## Example
    ```python
    def convert(path):
        return torch.load(path)
    ```

    ## Use instead
    `torch.load(path, weights_only=True)`, `safetensors.torch.load_file`, `yaml.safe_load`, `json.load`.

    ## Known problems
    Only names are judged: `open(path, "w")` and copying files inside functions are ordinary and not reported.
    """

    name = "python-dangerous-call"
    summary = "this Python code can run programs, unpickle or reach out if it is called"
    severity = Severity.WARNING
    confidence = Confidence.MEDIUM

    def found(self, reading: PythonReading, place: Place, setting: Setting) -> Iterator[Finding]:
        """See `PythonRule.found`."""
        for effect in effects(reading, setting):
            if effect.proved and not is_error(effect, setting):
                line = effect.use.line
                where = f" in {effect.use.scope}" if effect.use.scope else ""
                yield self.finding(
                    replace(place, line=line),
                    f"{effect.what}{where}: {effect.use.name}",
                    doubt=True,
                    trail=(f"{line}  {reading.source_line(line)}",),
                )
