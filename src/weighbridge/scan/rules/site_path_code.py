"""The rule `site-path-code`."""

import re
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

_IMPORT = late(r"^import[ \t]", re.MULTILINE)


class SitePathCode(Rule):
    """
    ## What it does
    Looks in text files named `.pth` for lines that begin with `import`.

    ## Why is this bad?
    Python's `site` module runs such a line at every start, once the file lies in a folder of packages. Nobody names weights
    so and writes code into them by mistake.

    ## Example
    ```
    import os; os.system("echo weighbridge-sample")
    ```

    ## Use instead
    Weights in `.safetensors`; paths in an environment of one's own.

    ## Known problems
    Some packages of setuptools have such files; they belong into an installed environment, not into a model.

    ## References
    - https://docs.python.org/3/library/site.html
    """

    name = "site-path-code"
    summary = "a .pth file holds a line that Python runs at every start"
    severity = Severity.ERROR
    formats = ("text",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a file."""
        name = place.parts[-1] if place.parts else place.path
        if not isinstance(reading, TextReading) or not name.lower().endswith((".pth", ".start")):
            return
        if match := _IMPORT.search(reading.text):
            line = reading.text.count("\n", 0, match.start()) + 1
            yield self.finding(replace(place, line=line), "Python runs this line at every start")
