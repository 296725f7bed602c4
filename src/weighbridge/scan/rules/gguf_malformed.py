"""The rule `gguf-malformed`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

BROKEN = frozenset(
    {
        "alignment-invalid",
        "block-misfit",
        "count-overflow",
        "duplicate-key",
        "duplicate-tensor",
        "key-empty",
        "length-overflow",
        "list-length",
        "name-escapes",
        "number-absurd",
        "split-number",
        "token-absurd",
    }
    | {
        "out-of-file",
        "overlap",
        "shape-empty",
        "shape-overflow",
        "too-many-dims",
        "type-invalid",
        "value-type",
    }
)
DOUBTFUL = frozenset(
    {
        "alignment-large",
        "array-nesting",
        "bool-invalid",
        "hole",
        "name-nul",
        "name-too-long",
        "offset-unaligned",
    }
    | {"padding-not-zero", "token-beyond", "trailing-bytes", "type-unknown"}
)


class GgufMalformed(Rule):
    """A GGUF file does not follow its format.

    ## What it does
    Checks every count, length, dimension, element type, offset and size of the header against the file: nothing may
    overflow, lie behind the end, overlap, stand twice, or be left out of the tensor table; the alignment must be a power
    of two, a shard one of its model's, a special token one of the vocabulary's.

    ## Why is this bad?
    llama.cpp, Ollama and others parse these numbers in C, C++ and Go. Sizes that overflow gave heap writes
    (CVE-2025-53630, CVE-2026-27940), a tensor larger than what stands in the file gave foreign memory to whoever asked
    for the model (CVE-2026-7482), a row that does not divide into blocks an allocation that is too small
    (CVE-2026-33298). A key or name that stands twice makes two loaders see two models.

    ## Example
    A tensor of type F32 with dimensions 4294967296 × 4294967296, whose size in bytes is 0 modulo 2⁶⁴.

    ## Use instead
    Convert the model again from its original weights with a current llama.cpp.

    ## Known problems
    Element types newer than the gguf package 0.19 are reported as unknown. A download that was cut off looks the same
    as tensors behind the end.

    ## References
    - https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    - CVE-2025-53630, CVE-2026-27940, CVE-2026-33298, CVE-2026-7482
    """

    name = "gguf-malformed"
    summary = "a GGUF header contradicts the format or the file"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("gguf",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, BROKEN)
        yield from self.noted(reading, place, DOUBTFUL, severity=Severity.WARNING, doubt=True)
