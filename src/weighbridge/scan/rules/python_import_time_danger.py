"""The rule `python-import-time-danger`."""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.python import PythonReading
from weighbridge.scan.python_effects import Setting, effects, is_error
from weighbridge.scan.python_rule import PythonRule

WHEN = {
    "import": "when it is imported",
    "construct": "when the model is loaded",
    "load": "in a class that a config tells the loader to use",
}


class PythonImportTimeDanger(PythonRule):
    """
    ## What it does
    Looks for Python code that runs programs, evaluates text, opens connections, loads native code, unpickles or deletes
    files as soon as the module is imported, or in a class that a config tells the loader to use. Aliases, `getattr` with
    constant names, `__import__` and names spelt in pieces are followed; functions called on the way are too.

    ## Why is this bad?
    `trust_remote_code=True`, `torch.hub.load` and every notebook that imports the file run this code with the rights of
    whoever loads the model. Model code has no reason to do any of it before it is asked.

    ## Example
    ```python
    import os
    os.system("echo weighbridge-sample")

    class Model: ...
    ```

    ## Use instead
    Keep definitions only at the top of a module, and work on tensors in `__init__` and `forward`. Put downloads and
    conversions into a script behind `if __name__ == "__main__":` that is not part of the model.

    ## Known problems
    A function that two classes have under one name counts for both. Setup scripts that call `git` when they are imported
    are reported: pip runs them too.

    ## References
    - https://huggingface.co/docs/transformers/custom_models
    - "Models Are Codes", arXiv 2409.09368
    """

    name = "python-import-time-danger"
    summary = "importing or loading this Python code runs programs, evaluates text or reaches out"
    severity = Severity.ERROR

    def found(self, reading: PythonReading, place: Place, setting: Setting) -> Iterator[Finding]:
        """See `PythonRule.found`."""
        for effect in effects(reading, setting):
            if is_error(effect, setting):
                line = effect.use.line
                message = f"{effect.what} {WHEN[effect.when]}: {effect.use.name}"
                yield self.finding(
                    replace(place, line=line), message, trail=(f"{line}  {reading.source_line(line)}",)
                )
