"""npy-object-array: a NumPy file holds Python objects, that is, a pickle."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.numpy.npy import NpyReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class NpyObjectArray(Rule):
    """A NumPy file holds Python objects, that is, a pickle.

    ## What it does
    Reports `.npy` arrays whose dtype holds objects. The pickle inside is examined like any other; this rule only says that
    there is one.

    ## Why is this bad?
    `numpy.load` refuses such a file unless it is called with `allow_pickle=True`, and then it runs what the pickle says.

    ## Example
    `np.save("labels.npy", np.array(["a", None], dtype=object))`

    ## Use instead
    Arrays of text (`dtype="U"`) or numbers, or JSON.

    ## Known problems
    None.

    ## References
    CVE-2019-6446
    """

    name = "npy-object-array"
    summary = "A NumPy file holds Python objects, that is, a pickle"
    severity = Severity.NOTE
    formats: ClassVar[tuple[str, ...]] = ("npy",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if isinstance(reading, NpyReading) and reading.objects:
            yield self.finding(
                place, "this array holds Python objects: numpy.load would unpickle it with allow_pickle=True"
            )
