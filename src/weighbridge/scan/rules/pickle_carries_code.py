"""pickle-carries-code: the file carries Python functions or classes and rebuilds them."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts import Judged
from weighbridge.scan.pickle_findings import FORMATS, groups, trail
from weighbridge.scan.rule import Rule


class PickleCarriesCode(Rule):
    """The file carries Python functions or classes and rebuilds them.

    ## What it does
    Finds the helpers of dill and cloudpickle that make functions, classes, cells and modules out of byte code and names in
    the stream, in any release and in the copies that other libraries carry. A rebuilt function that the stream itself calls
    is reported by `pickle-unsafe-call` as well.

    ## Why is this bad?
    The code runs as soon as the loaded object is used, and nobody has read it: byte code has no source. Class bodies and
    decorators may run while it is loaded.

    ## Example
    `cloudpickle.dumps(lambda x: x + 1)`

    ## Use instead
    Ship source code as a package, and weights as safetensors.

    ## Known problems
    The byte code itself is not analysed.

    ## References
    CWE-502; CVE-2025-23298
    """

    name = "pickle-carries-code"
    summary = "The file carries Python functions or classes and rebuilds them"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = FORMATS

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for group in groups(reading, _wanted):
            yield self.finding(group.place(place), group.message, trail=trail(group.first))


def _wanted(item: Judged) -> bool:
    return item.kind == "code"
