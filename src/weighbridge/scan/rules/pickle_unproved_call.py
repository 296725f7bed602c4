"""pickle-unproved-call: loading the file uses names that no contract proves harmless."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts import Judged, Level
from weighbridge.scan.pickle_findings import FORMATS, groups, trail
from weighbridge.scan.rule import Rule


class PickleUnprovedCall(Rule):
    """Loading the file uses names that no contract proves harmless.

    ## What it does
    Executes the pickle symbolically and holds every name that it imports, every call with its arguments and every state
    that it sets against the contracts shipped with weighbridge. Whatever is in none is reported here, and so are objects that
    only the loading program has: persistent ids, extension codes, out-of-band buffers.

    ## Why is this bad?
    It need not be: a class of the author's own looks like this. But importing a module runs it, and a class may do anything
    when it is filled. Nobody can say that loading is safe without knowing that code.

    ## Example
    ```
        14  GLOBAL     mymodel.net Net
        31  NEWOBJ     ()   calls mymodel.net.Net
    ```

    ## Use instead
    A state dict instead of the whole object; safetensors.

    ## Known problems
    Classes of well-known libraries that are newer than the contracts are reported too.

    ## References
    CWE-502
    """

    name = "pickle-unproved-call"
    summary = "Loading the file uses names that no contract proves harmless"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = FORMATS

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for group in groups(reading, _wanted):
            yield self.finding(group.place(place), group.message, doubt=True, trail=trail(group.first))


def _wanted(item: Judged) -> bool:
    return item.level is Level.UNPROVED and item.kind != "code"
