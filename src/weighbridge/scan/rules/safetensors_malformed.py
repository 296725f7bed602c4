"""The rule `safetensors-malformed`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

BROKEN = frozenset(
    {
        "duplicate-key",
        "entry-malformed",
        "header-not-json",
        "header-out-of-file",
        "header-too-large",
        "hole",
        "name-escapes",
        "out-of-file",
        "overlap",
        "rank-absurd",
        "shape-overflow",
        "size-mismatch",
        "trailing-bytes",
    }
)
DOUBTFUL = frozenset(
    {
        "dtype-unknown",
        "empty-misplaced",
        "entry-extra-key",
        "header-start",
        "metadata-not-strings",
        "more",
        "name-not-text",
        "rank-large",
    }
)
HARMLESS = frozenset({"header-padding"})


class SafetensorsMalformed(Rule):
    """A safetensors file does not follow its format.

    ## What it does
    Checks the header against the format's text and against the file: unique names, known element types, shapes whose
    size equals the span, spans inside the file without overlap or hole, nothing behind the last tensor, no white space
    before the header.

    ## Why is this bad?
    The format is safe because there is exactly one way to read a file. Overlaps, wrong sizes and offsets behind the end
    are how a loader in a language without bounds checks is made to read foreign memory; a name that stands twice makes
    two loaders load different weights; bytes that belong to no tensor can hide an archive or a program.

    ## Example
    ```json
    {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
     "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}
    ```

    ## Use instead
    Load the file where that is safe and write it again with `safetensors.save_file`.

    ## Known problems
    A download that was cut off looks the same as offsets behind the end. Element types newer than safetensors 0.8 are
    reported as unknown.

    ## References
    - https://github.com/huggingface/safetensors#format
    """

    name = "safetensors-malformed"
    summary = "a safetensors header contradicts the format or the file"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("safetensors",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, BROKEN)
        yield from self.noted(reading, place, DOUBTFUL, severity=Severity.WARNING, doubt=True)
        yield from self.noted(reading, place, HARMLESS, severity=Severity.NOTE)
