"""The rule `torchscript-unproved`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.pytorch import PytorchZip
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts import torchscript
from weighbridge.scan.rule import Rule


class TorchscriptUnproved(Rule):
    """
    ## What it does
    Compares every operator and free function in TorchScript code with the list of those that only compute. Whatever is not
    on the list leaves the file undecided, and so does bytecode of the mobile interpreter, whose stack is not followed.

    ## Why is this bad?
    An operator of a library that the file names does whatever that library made it do.

    ## Example
    ```python
    _0 = ops.torchvision.decode_image(x)
    ```

    ## Use instead
    Operators of PyTorch itself.

    ## Known problems
    Code that never comes to an end while it is loaded is not noticed.
    """

    name = "torchscript-unproved"
    summary = "TorchScript code calls something that is not known to only compute"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("torchscript",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, PytorchZip):
            return
        for record, code in reading.code:
            names = [
                name
                for name in torchscript.unlisted(code)
                if name not in torchscript.HARMFUL and not torchscript.is_foreign(name)
            ]
            if names:
                shown = ", ".join(visible(name, 60) for name in names[:5]) + (", …" if len(names) > 5 else "")
                yield self.finding(place.inside(record), f"what {shown} does is not known", doubt=True)
        for entry in reading.entries:
            if entry.name.lower().endswith("/bytecode.pkl"):
                yield self.finding(
                    place.inside(entry.label), "bytecode of the mobile interpreter", doubt=True
                )
        for record, mobile in reading.bytecode:
            for operator in mobile.operators:
                namespace, _, name = operator.partition("::")
                known = operator in torchscript.HARMFUL or torchscript.is_foreign(operator)
                if not known and name not in torchscript.book().get(namespace, ()):
                    message = f"what {visible(operator, 60)} does is not known"
                    yield self.finding(place.inside(record), message, doubt=True)
