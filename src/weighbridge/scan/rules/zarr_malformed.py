"""The rule `zarr-malformed`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class ZarrMalformed(Rule):
    """
    ## What it does
    Looks in the metadata of Zarr arrays (Orbax checkpoints are made of them) for the codec `pickle`, arrays of Python
    objects, shapes that no memory holds, and arrays outside of the store.

    ## Why is this bad?
    A chunk behind the codec `pickle` is unpickled when the array is read, which runs what the chunk says. A shape of a
    few digits makes a reader ask for all memory.

    ## Example
    ```json
    {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "filters": [{"id": "pickle", "protocol": 4}]}
    ```

    ## Use instead
    Arrays of numbers; `vlen-utf8` for texts.

    ## Known problems
    None known.

    ## References
    - https://zarr-specs.readthedocs.io/
    - CWE-502
    """

    name = "zarr-malformed"
    summary = "a Zarr array is unpickled when it is read, or is no possible array"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("zarr",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, {"zarr-pickle", "zarr-size", "zarr-path"})
