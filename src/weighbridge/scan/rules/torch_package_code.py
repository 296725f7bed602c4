"""The rule `torch-package-code`."""

import sys
from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.pytorch.package import PackageReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts.book import ECOSYSTEMS
from weighbridge.scan.rule import Rule


class TorchPackageCode(Rule):
    """
    ## What it does
    Names the Python modules that a package of `torch.package` ships. Each is examined on its own as well. A module that takes
    the place of one of Python's own or of a well-known library is an error.

    ## Why is this bad?
    Loading an object from the package imports its modules, and importing runs them. A shipped `collections.py` decides what
    `collections.OrderedDict` is, so that no name in the package's pickles means what it says.

    ## Example
    `package/mymodel.py` beside `package/model/model.pkl`

    ## Use instead
    Weights alone, and code that is published and installed like any other.

    ## Known problems
    The code is judged file by file; what several files do together is not followed.

    ## References
    CWE-829
    """

    name = "torch-package-code"
    summary = "A PyTorch package ships Python code that loading from it runs"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("torch-package",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, PackageReading):
            return
        ours = [module for module in reading.modules if module.partition(".")[0] not in KNOWN]
        for module in reading.modules:
            if module.partition(".")[0] in KNOWN:
                message = f"the package takes the place of the module {visible(module, 80)}"
                yield self.finding(place, message, severity=Severity.ERROR)
        if ours:
            shown = ", ".join(visible(module, 60) for module in ours[:5]) + (", …" if len(ours) > 5 else "")
            yield self.finding(place, f"loading from the package runs its own modules: {shown}", doubt=True)
        if (
            reading.externs
            and not ours
            and any(name.partition(".")[0] not in KNOWN for name in reading.externs)
        ):
            yield self.finding(place, "the package needs modules that nobody here knows", doubt=True)


KNOWN = sys.stdlib_module_names | frozenset(ECOSYSTEMS)
"""Names whose contracts speak of the installed module."""
