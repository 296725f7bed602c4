"""pickle-state-set: loading the file changes a function, a class or a module."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts import Judged, Level
from weighbridge.scan.pickle_findings import FORMATS, groups, trail
from weighbridge.scan.rule import Rule


class PickleStateSet(Rule):
    """Loading the file changes a function, a class or a module.

    ## What it does
    Reports BUILD, SETITEM, APPEND and their like on anything that is imported by name, and states that make a known class
    execute what they hold (`_parse_arg_template` of scipy's distributions).

    ## Why is this bad?
    BUILD on a class or function sets its attributes for the whole process: the next innocent call runs something else. No
    call stands in the file, so that lists of forbidden functions see nothing.

    ## Example
    ```
        14  GLOBAL     sklearn.base BaseEstimator
        60  BUILD      (None, {'predict': …})   sets state on sklearn.base.BaseEstimator
    ```

    ## Use instead
    Objects that carry their own state only.

    ## Known problems
    None.

    ## References
    CWE-915; GHSA-mhc9-48gj-9gp3
    """

    name = "pickle-state-set"
    summary = "Loading the file changes a function, a class or a module"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = FORMATS

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for group in groups(reading, _wanted):
            yield self.finding(group.place(place), group.message, trail=trail(group.first))


def _wanted(item: Judged) -> bool:
    return item.level is Level.HARMFUL and item.kind == "state"
