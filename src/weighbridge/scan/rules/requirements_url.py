"""The rule `requirements-url`."""

import re
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

_ELSEWHERE = re.compile(
    r"^\s*(-i|--index-url|--extra-index-url|-f|--find-links|--trusted-host|-e|--editable|-r|--requirement)(?=[\s=])"
    r"|(?<!\w)(git|hg|svn|bzr)\+\w+:|(?<!\w)(https?|ftp|file)://|(?<!\w)\\\\\w"
)
_USUAL = re.compile(
    r"^\s*(-i|--index-url|--extra-index-url|-f|--find-links)[\s=]+https://(pypi\.org/simple|download\.pytorch\.org/[\w./]*"
    r"|data\.pyg\.org/[\w./+-]*|storage\.googleapis\.com/jax-releases/[\w./]*)/?\s*$|^\s*-r\s+[\w.-]+\s*$"
)


class RequirementsUrl(Rule):
    """
    ## What it does
    Looks in requirements files for packages and indexes by address: `git+https://…`, archives by URL, local paths,
    `--index-url`, `--extra-index-url`, `--find-links`, `--trusted-host`.

    ## Why is this bad?
    Installing runs what stands at that address on that day. A second index lets a stranger's package take a private
    one's name. Hubs and MLflow install these files without asking.

    ## Example
    ```
    sample @ https://example.com/weighbridge-sample.tar.gz
    ```

    ## Use instead
    Names and versions from the ordinary index, with hashes (`--require-hashes`).

    ## Known problems
    The indexes of PyTorch, PyG and JAX are not reported. Other good addresses are.
    """

    name = "requirements-url"
    summary = "requirements are installed from an address instead of an index"
    severity = Severity.WARNING
    confidence = Confidence.MEDIUM
    formats = ("requirements",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a line."""
        if not isinstance(reading, TextReading):
            return
        for number, line in enumerate(reading.text.splitlines(), 1):
            stated = re.split(r"(?:^|\s)#", line, maxsplit=1)[0]
            if _ELSEWHERE.search(stated) and not _USUAL.match(stated):
                yield self.finding(
                    replace(place, line=number), f"installs from {stated.strip()[:160]}", doubt=True
                )
