"""The rule `config-yaml-tag`: escapes (`%6F`) and `%TAG` directives are followed, anything else is text."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from urllib.parse import unquote

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

_TAG = re.compile(r"(!!python/|tag:yaml\.org,2002:python/)(object|name|module|apply|new)[\w/.:]*")
_OWN = re.compile(r"^%TAG\s+\S+\s+tag:yaml\.org,2002:python", re.MULTILINE)
_DIRECTIVE = re.compile(r"^%TAG[ \t]+(!\w*!?)[ \t]+(\S+)", re.MULTILINE)
MAX_DIRECTIVES = 16
"""Documents of people have none or one; each costs a look at the text."""
MAX_FINDINGS = 20


class ConfigYamlTag(Rule):
    """
    ## What it does
    Looks for YAML tags that make PyYAML build Python objects: `!!python/object`, `!!python/name`, `!!python/object/apply`
    and their long forms.

    ## Why is this bad?
    `yaml.load` with `Loader`, `UnsafeLoader` or (before 5.4) `FullLoader` imports and calls what the tag names.

    ## Example
    ```yaml
    value: !!python/object/apply:os.system ["echo weighbridge-sample"]
    ```

    ## Use instead
    Plain mappings and lists, read with `yaml.safe_load`.

    ## Known problems
    Tags in comments and quoted texts are reported too. `!!python/tuple` and the like build no objects and are not.

    ## References
    - CVE-2020-14343, CVE-2020-1747
    """

    name = "config-yaml-tag"
    summary = "a YAML tag makes the loader build Python objects"
    severity = Severity.ERROR
    formats = ("yaml",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a tag."""
        if isinstance(reading, TextReading):
            text = unquote(reading.text) if "%" in reading.text else reading.text
            for at, tag in islice(_tags(text), MAX_FINDINGS):
                line = text.count("\n", 0, at) + 1
                yield self.finding(replace(place, line=line), f"loading this YAML builds {tag[:120]}")


def _tags(text: str) -> Iterator[tuple[int, str]]:
    """Where each tag stands and what it is in full; `%TAG` lets a document spell the beginning elsewhere."""
    for match in (*_TAG.finditer(text), *_OWN.finditer(text)):
        yield match.start(), match[0]
    directives = {match.groups(): match.end() for match in _DIRECTIVE.finditer(text)}
    for (handle, prefix), after in list(directives.items())[:MAX_DIRECTIVES]:
        for match in re.finditer(re.escape(handle) + r"([^\s,\[\]{}]+)", text[after:]):
            tag = _TAG.match(prefix + match[1])
            if tag:
                yield after + match.start(), tag[0]
    if len(directives) > MAX_DIRECTIVES:
        yield 0, f"what {len(directives)} %TAG directives spell"
