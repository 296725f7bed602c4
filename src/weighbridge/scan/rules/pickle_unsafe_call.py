"""pickle-unsafe-call: loading the file calls something that does harm."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts import Judged, Level
from weighbridge.scan.pickle_findings import FORMATS, groups, trail
from weighbridge.scan.rule import Rule


class PickleUnsafeCall(Rule):
    """Loading the file calls something that does harm.

    ## What it does
    Executes the pickle symbolically and reports every call of a function that is known to run commands or code, to start
    processes, to read or write files, to open connections, to import by name or to load further pickles; handing such a
    function on as an argument; and calling any function of Python's own that builds no data. Nothing is ever called here.

    ## Why is this bad?
    A pickle is a program: whoever loads the file runs it, with their own rights, before they see any data.

    ## Example
    ```
        30  GLOBAL     posix system
        42  REDUCE     ('curl …',)   calls posix.system
    ```

    ## Use instead
    safetensors or another format without code; ask the author for one.

    ## Known problems
    That a harmful function is not named here proves nothing: what is in no contract is reported by `pickle-unproved-call`.

    ## References
    CWE-502; CVE-2025-1716; GHSA-vvpj-8cmc-gx39; GHSA-mhc9-48gj-9gp3; arXiv 2508.19774
    """

    name = "pickle-unsafe-call"
    summary = "Loading the file calls something that does harm"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = FORMATS

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for group in groups(reading, _wanted):
            confidence = Confidence.HIGH if group.first.certain else Confidence.MEDIUM
            yield self.finding(
                group.place(place), group.message, confidence=confidence, trail=trail(group.first)
            )


def _wanted(item: Judged) -> bool:
    return item.level is Level.HARMFUL and item.kind not in ("state", "code")
