"""The rule `serialized-function`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class SerializedFunction(Rule):
    """A Torch7 or MATLAB file carries functions, or objects that their class's code restores.

    ## What it does
    Walks every object of the file. Lua functions in a Torch7 file are an error; function handles and objects of a class in
    a MATLAB file leave it undecided.

    ## Why is this bad?
    Torch7 hands the bytes of a function to Lua's own loader, which believes byte code whatever it does, and the program calls
    the function as if it had written it. MATLAB calls `loadobj` of the class, and a handle brings its source text.

    ## Example
    ```text
    torch.save("model.t7", { forward = function(x) return x end })
    ```

    ## Use instead
    Weights alone, in tables of tensors or in numeric arrays.

    ## Known problems
    Classes are looked up by name; what a class of that name does on this machine cannot be seen in the file.

    ## References
    - https://github.com/torch/torch7/blob/master/doc/serialization.md
    """

    name = "serialized-function"
    summary = "the file carries functions of Lua or MATLAB, or objects restored by code"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("torch7", "matlab")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        doubt = reading.format == "matlab"
        severity = Severity.WARNING if doubt else Severity.ERROR
        yield from self.noted(
            reading, place, frozenset({"function", "object"}), severity=severity, doubt=doubt
        )
