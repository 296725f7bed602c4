"""The rule `config-yaml-bomb`."""

from collections.abc import Iterator

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.formats.reading import Reading
from weighbridge.scan.rule import Rule


class ConfigYamlBomb(Rule):
    """
    ## What it does
    Counts what the aliases of a YAML file unfold to, without unfolding them, and looks for aliases inside what they stand for.

    ## Why is this bad?
    A few lines become thousands of millions of values in programs that copy, print or compare them (“billion laughs”). An
    alias inside itself lets a program that walks the document run without end.

    ## Example
    ```yaml
    a: &a [x, x, x, x, x, x, x, x, x, x]
    b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
    c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
    ```

    ## Use instead
    Values written out, or an alias or two.

    ## Known problems
    An alias inside itself is undecided, since YAML allows it.
    """

    name = "config-yaml-bomb"
    summary = "a few lines of YAML unfold to millions of values"
    severity = Severity.ERROR
    formats = ("yaml",)

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """One finding a file."""
        yield from self.noted(reading, place, ("yaml-bomb",))
        yield from self.noted(reading, place, ("yaml-cycle",), severity=Severity.WARNING, doubt=True)
