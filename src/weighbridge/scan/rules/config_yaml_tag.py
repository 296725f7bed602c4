"""The rule `config-yaml-tag`: tags come from the parser, so that escapes and `%TAG` directives are followed."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from urllib.parse import unquote

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.reading import Reading
from weighbridge.formats.yaml import NAMESPACE, YamlReading, YamlTag
from weighbridge.scan.config_targets import UNKNOWN, judged
from weighbridge.scan.rule import Rule

_PYTHON = late(r"python/(object(?:/apply|/new)?|name|module)(?::(.*))?\Z", re.DOTALL)
_PLAIN = late(r"python/(tuple|list|dict|str|unicode|int|long|float|complex|bool|none|bytes)\Z")
_SPEECHBRAIN = late(r"!(new|name|apply|module):([\w.]+)\Z")
_SPEECHBRAIN_PLAIN = frozenset(("!ref", "!copy", "!tuple", "!list", "!PLACEHOLDER"))
_FOREIGN = late(
    r"(js/(function|regexp)|java[x]?\.|org\.|com\.|sun\.|jdk\.|ruby/|perl/|php/|System\.|net\.)",
    re.IGNORECASE,
)
_INCLUDE = late(r"!(?:include|inc|file|load|secret)(?::(.*))?\Z", re.DOTALL)
_OUTSIDE = late(r"\A\s*(/|~|[A-Za-z]:[\\/]|\\\\|\w+://)|(\A|/)\.\./\.\./|/etc/|/proc/")
_RAW = late(r"(!!python/|tag:yaml\.org,2002:python/)(object|name|module|apply|new)[\w/.:]*")
MAX_FINDINGS = 20


class ConfigYamlTag(Rule):
    """
    ## What it does
    Looks for YAML tags that make a loader build objects: `!!python/object`, `!!python/name`, `!!python/object/apply` and
    their long forms, those of other languages' loaders, and `!new:` and `!apply:` of HyperPyYAML. Tags that nobody knows
    are undecided.

    ## Why is this bad?
    `yaml.load` with `Loader`, `UnsafeLoader` or (before 5.4) `FullLoader` imports and calls what the tag names. Other tags
    do what the program that registered them wants.

    ## Example
    ```yaml
    value: !!python/object/apply:os.system ["echo weighbridge-sample"]
    ```

    ## Use instead
    Plain mappings and lists, read with `yaml.safe_load`.

    ## Known problems
    `!!python/tuple` and the like build no objects and are not reported.

    ## References
    - CVE-2020-14343, CVE-2020-1747, CVE-2022-1471
    """

    name = "config-yaml-tag"
    summary = "a YAML tag makes the loader build objects"
    severity = Severity.ERROR
    formats = ("yaml",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a tag, twenty at most."""
        if not isinstance(reading, YamlReading):
            return
        found = list(islice(self._tags(reading, place), MAX_FINDINGS * 10))
        yield from sorted(found, key=lambda one: one.doubt)[:MAX_FINDINGS]
        if not reading.whole:
            yield from self._unparsed(reading.text, place)

    def _tags(self, reading: YamlReading, place: Place) -> Iterator[Finding]:
        for tag in reading.tags:
            where = replace(place, line=tag.line)
            harm, doubt = _meaning(tag)
            if harm:
                yield self.finding(where, harm)
            elif doubt:
                yield self.finding(where, doubt, severity=Severity.WARNING, doubt=True)

    def _unparsed(self, text: str, place: Place) -> Iterator[Finding]:
        """Tags in plain sight, where the document could not be followed to its end."""
        for match in islice(_RAW.finditer(unquote(text)), 1):
            line = text.count("\n", 0, match.start()) + 1
            yield self.finding(replace(place, line=line), f"loading this YAML builds {match[0][:120]}")


def _meaning(tag: YamlTag) -> tuple[str, str]:
    """(harm, doubt) of one tag; both "" where it is harmless."""
    own = tag.name.removeprefix(NAMESPACE)
    if _PYTHON.match(own):
        return f"loading this YAML builds {own[:120]}", ""
    if _PLAIN.match(own) or own in _SPEECHBRAIN_PLAIN:
        return "", ""
    if _FOREIGN.match(own.lstrip("!")):
        return f"loading this YAML builds an object of another language: {own[:120]}", ""
    if match := _SPEECHBRAIN.match(own):
        verdict = judged(match[2])
        if verdict and verdict != UNKNOWN:
            return f"loading this YAML calls {match[2][:120]}, which {verdict}", ""
        return "", f"loading this YAML makes a {match[2][:120]}" if verdict else ""
    if match := _INCLUDE.match(own):
        path = match[1] or tag.value
        if _OUTSIDE.search(path):
            return f"loading this YAML reads {path[:120]}", ""
    return "", f"the tag {tag.name[:120]} means what the loading program wants"
