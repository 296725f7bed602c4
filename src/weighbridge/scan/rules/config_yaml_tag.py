"""The rule `config-yaml-tag`."""

import re
from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.formats.text import TextReading
from weighbridge.scan.rule import Rule

_TAG = re.compile(r"(!!python/|tag:yaml\.org,2002:python/)(object|name|module|apply|new)[\w/.:]*")
_OWN = re.compile(r"^%TAG\s+\S+\s+tag:yaml\.org,2002:python", re.MULTILINE)


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
            for match in (*_TAG.finditer(reading.text), *_OWN.finditer(reading.text)):
                line = reading.text.count("\n", 0, match.start()) + 1
                yield self.finding(replace(place, line=line), f"loading this YAML builds {match[0][:120]}")
