"""The rule `notebook-magic`."""

import re
from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.notebook import Magic, NotebookReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

_HARMLESS = re.compile(
    r"%{1,2}(matplotlib|autoreload|time|timeit|capture|prun|config|precision|pylab|who|whos|who_ls|pwd|latex|markdown"
    r"|load_ext\s+(autoreload|tensorboard|google\.colab\.data_table|memory_profiler|line_profiler"
    r"|dotenv|nb_black|lab_black|jupyter_black|watermark)|reload_ext\s+(autoreload|tensorboard)|watermark|memit|lprun)\b"
)


class NotebookMagic(Rule):
    """
    ## What it does
    Looks for notebook lines that leave Python: `!command`, `%%bash` and other foreign cells, `%run`, `%pip`, `%system`,
    `%load_ext` of unknown extensions, `%%writefile`.

    ## Why is this bad?
    Whoever runs all cells runs these too, in a shell, with their own rights.

    ## Example
    ```
    !echo weighbridge-sample
    ```

    ## Use instead
    List what is needed in `requirements.txt`, and keep notebooks to Python.

    ## Known problems
    `!pip install` is common in tutorials and is reported all the same: it runs what it installs.
    """

    name = "notebook-magic"
    summary = "a notebook cell runs commands outside Python"
    severity = Severity.WARNING
    formats = ("notebook",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a line."""
        if isinstance(reading, NotebookReading):
            for magic in reading.magics:
                if not _HARMLESS.match(magic.text) and not magic.text.startswith("?"):
                    yield self.finding(
                        _place(place, magic), f"running this cell runs: {magic.text[:120]}", doubt=True
                    )


def _place(place: Place, magic: Magic) -> Place:
    return Place(path=place.path, parts=(*place.parts, f"cell {magic.cell}"), line=magic.line)
