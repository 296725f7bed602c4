"""The rule `pt2-unsafe-program`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.pytorch.pt2 import Pt2Reading
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts.exported import troubles
from weighbridge.scan.rule import Rule


class Pt2UnsafeProgram(Rule):
    """
    ## What it does
    Reads the graphs of an exported program (`.pt2`) and holds every text that its loader interprets against a small grammar:
    names of operators, sizes with symbols, guards, and descriptions of arguments. A text that makes the loader evaluate or
    import something is an error; an operator that is not on the list of those that only compute leaves the file undecided.

    ## Why is this bad?
    The loader evaluates sizes with sympy, which evaluates Python; it imports modules that descriptions of arguments name; it
    looks operators up by their dotted names, whatever they are; and it makes a Python function of the guards.

    ## Example
    ```json
    {"as_expr": {"expr_str": "eval('print(1)')"}}
    ```

    ## Use instead
    A file written by `torch.export.save`, without operators of other libraries.

    ## Known problems
    Operators that are newer than the list are doubts.

    ## References
    CWE-95
    """

    name = "pt2-unsafe-program"
    summary = "An exported program makes its loader evaluate or import something"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("pt2",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        if not isinstance(reading, Pt2Reading):
            return
        for graph in reading.graphs:
            where = place.inside(graph.record)
            if type(graph.value) is not dict:
                yield self.finding(
                    where, "the graph is no JSON object", severity=Severity.WARNING, doubt=True
                )
                continue
            for trouble in troubles(graph.value):
                severity = None if trouble.harmful else Severity.WARNING
                there = where.inside(trouble.where) if trouble.where else where
                yield self.finding(
                    there, f"the program {trouble.what}", severity=severity, doubt=not trouble.harmful
                )
