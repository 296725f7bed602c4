"""The rule `msgpack-malformed`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule

BROKEN = frozenset({"msgpack-size", "msgpack-deep", "msgpack-object", "msgpack-array", "msgpack-program"})


class MsgpackMalformed(Rule):
    """
    ## What it does
    Holds every length, count and shape in a MessagePack document (Flax parameters, spaCy's files) against the bytes that
    are there; finds nesting that no reader's stack holds, arrays of Python objects, texts that are programs, and keys that stand twice.

    ## Why is this bad?
    A count of four thousand million in five bytes fills the memory of a reader that believes it; a shape that its bytes
    contradict makes one read foreign memory; arrays of objects are unpickled by msgpack-numpy.

    ## Example
    ```text
    df ff ff ff ff        a map of 4,294,967,295 entries, and then the file ends
    ```

    ## Use instead
    Files as `flax.serialization.to_bytes` writes them, or safetensors.

    ## Known problems
    A download that was cut off looks the same as a length that lies.

    ## References
    - https://github.com/msgpack/msgpack/blob/master/spec.md
    - CWE-502, CWE-674, CWE-789
    """

    name = "msgpack-malformed"
    summary = "a MessagePack document lies about its sizes, or holds Python objects"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("msgpack", "flax-msgpack")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, BROKEN)
        yield from self.noted(reading, place, {"duplicate-key"}, severity=Severity.WARNING, doubt=True)
