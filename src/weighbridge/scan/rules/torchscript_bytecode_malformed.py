"""The rule `torchscript-bytecode-malformed`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.pytorch import PytorchZip
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class TorchscriptBytecodeMalformed(Rule):
    """
    ## What it does
    Reads the bytecode of PyTorch's mobile interpreter (`bytecode.pkl`): registers, constants, types, operators and jumps that
    lead outside of their tables, and instructions that the interpreter does not have.

    ## Why is this bad?
    The interpreter takes the numbers as they are: a register or a jump outside of the function is memory outside of it.

    ## Example
    `("LOAD", 70000, 0)` in a function of three registers.

    ## Use instead
    A file written by PyTorch itself.

    ## Known problems
    The depth of the stack is not followed, so that such files stay undecided all the same.

    ## References
    CVE-2024-31583, CVE-2024-31584
    """

    name = "torchscript-bytecode-malformed"
    summary = "Bytecode of a mobile model leads its interpreter outside of its memory"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("torchscript",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, PytorchZip):
            return
        for record, code in reading.bytecode:
            for problem in code.problems:
                yield self.finding(place.inside(record), problem)
