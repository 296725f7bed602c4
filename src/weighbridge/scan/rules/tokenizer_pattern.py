"""The rule `tokenizer-pattern`."""

from collections.abc import Iterator
from dataclasses import replace

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.formats.json import JsonReading, Path
from weighbridge.formats.reading import Reading
from weighbridge.formats.tokenizer import MAX_PATTERN, explodes, patterns
from weighbridge.scan.rule import Rule

_ADAPTER = "adapter_config.json"
_TWICE = late(r"\((\?:)?(\\?.|\[[^\[\]]{1,80}\])[*+]\)[*+]")
"""One piece, repeated in itself: nobody needs it, and every engine that goes back and forth needs endless time."""


class TokenizerPattern(Rule):
    """
    ## What it does
    Looks at the regular expressions of a tokenizer for repetitions of repetitions that may overlap, such as `(\\w+)+`, and for
    patterns of a size that no tokenizer has.

    ## Why is this bad?
    The pattern splits every text that anybody sends. With such a pattern, a short text keeps a processor busy for years.

    ## Example
    ```json
    {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(\\\\w+)+!"}, "behavior": "Isolated"}}
    ```

    ## Use instead
    Patterns whose repetitions each begin with what the one before cannot end with; possessive ones (`++`).

    ## Known problems
    Engines that never go back are not troubled by it; which one reads the file is not known.

    ## References
    - CWE-1333
    """

    name = "tokenizer-pattern"
    summary = "a tokenizer's pattern may need endless time for a short text"
    severity = Severity.WARNING
    confidence = Confidence.MEDIUM
    formats = ("json",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a pattern."""
        name = (place.parts[-1] if place.parts else place.path).lower()
        if not isinstance(reading, JsonReading) or not ("tokenizer" in name or name.endswith(_ADAPTER)):
            return
        for path, pattern in _adapters(reading) if name.endswith(_ADAPTER) else patterns(reading):
            where = replace(place, line=reading.line(path))
            if len(pattern) > MAX_PATTERN:
                yield self.finding(where, f"a pattern of {len(pattern)} characters", doubt=True)
            elif part := explodes(pattern):
                severity = Severity.ERROR if _TWICE.fullmatch(part) else None
                message = f"the pattern repeats a repetition: {part[:80]}"
                yield self.finding(where, message, severity=severity, doubt=True)


def _adapters(reading: JsonReading) -> Iterator[tuple[Path, str]]:
    """Patterns with which PEFT picks layers by name; a list holds plain names."""
    for path, item in reading.objects:
        for key in ("target_modules", "exclude_modules", "layers_pattern", "target_parameters"):
            if isinstance(item.get(key), str):
                yield (*path, key), item[key]
