"""PMML (dmg.org, 1.1 to 4.4): which functions its expressions call, and what its extensions hold.

PMML computes with built-in functions and with those that the document defines. A consumer looks any other name up in
its own program: JPMML takes a dotted name for a Java class and makes one. Extensions are skipped by the standard's
text; consumers that understand one may run what stands in it, so programs in them are named.
"""

from collections.abc import Iterator, Mapping

from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.reading import TensorRef
from weighbridge.formats.xml.meaning import CODE, Fact

FUNCTIONS = frozenset(
    {
        "+", "-", "*", "/", "min", "max", "sum", "avg", "median", "product", "log10", "ln", "sqrt", "abs",
        "exp", "pow", "threshold", "floor", "ceil", "round", "rint", "modulo", "isMissing", "isNotMissing",
        "isValid", "isNotValid", "equal", "notEqual", "lessThan", "lessOrEqual", "greaterThan",
        "greaterOrEqual", "and", "or", "not", "isIn", "isNotIn", "if", "uppercase", "lowercase", "stringLength",
        "substring", "trimBlanks", "concat", "replace", "matches", "formatNumber", "formatDatetime",
        "dateDaysSinceYear", "dateSecondsSinceYear", "dateSecondsSinceMidnight", "normalCDF", "normalPDF",
        "stdNormalCDF", "stdNormalPDF", "stdNormalIDF", "normalIDF", "erf", "expm1", "hypot", "ln1p", "sin",
        "asin", "sinh", "cos", "acos", "cosh", "tan", "atan", "tanh",
    }
)  # fmt: skip
"""Built-in functions of PMML 4.4 and of the versions before it."""
_CLASS = late(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)+\Z")
_PROGRAM = late(
    r"(?i)(\b|[-_.:])(script|exec|eval|groovy|javascript|jython|python|code|command|shell|class)\b"
)
MAX_NAMES = 10_000


class Pmml:
    """Collects what one PMML document calls; see `formats.xml.Dialect`."""

    format = "pmml"
    tensors: tuple[TensorRef, ...] | None = None
    externals: tuple[str, ...] = ()
    reach = 0

    def __init__(self) -> None:
        self._defined: set[str] = set()
        self._called: dict[str, int] = {}
        self._inside: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str], line: int) -> Iterator[Fact]:
        """See `Dialect.start`."""
        if name == "Extension":
            self._inside.append(" ".join(attributes.get(key, "") for key in ("name", "extender")))
        if name == "DefineFunction":
            self._defined.add(attributes.get("name", ""))
        elif name in ("Apply", "Aggregate") and "function" in attributes and len(self._called) < MAX_NAMES:
            self._called.setdefault(attributes["function"] if name == "Apply" else "", line)
        elif name == "TableLocator":
            yield Fact("pmml-table", "takes its table from a place that the consumer knows", line)
        for value in attributes.values():
            yield from self._program(value, line)
        value = attributes.get("value", "")
        if name == "Extension" and value and _PROGRAM.search(self._inside[-1]):
            yield self._extension(line)

    def text(self, data: str, line: int) -> Iterator[Fact]:
        """See `Dialect.text`."""
        yield from self._program(data, line)
        if self._inside and data.strip() and _PROGRAM.search(self._inside[-1]):
            yield self._extension(line)

    def end(self, name: str) -> None:
        """See `Dialect.end`."""
        if name == "Extension" and self._inside:
            self._inside.pop()

    def close(self) -> Iterator[Fact]:
        """Functions that are neither built in nor defined in the document."""
        for name, line in self._called.items():
            if name in FUNCTIONS or name in self._defined or not name:
                continue
            shown = visible(name, 120)
            if _CLASS.match(name):
                yield Fact("pmml-class", f'calls "{shown}", which consumers load as a Java class', line)
            else:
                yield Fact("pmml-function", f'calls "{shown}", which no PMML consumer must know', line)

    def _program(self, text: str, line: int) -> Iterator[Fact]:
        if len(text) > 8 and CODE.search(text):
            yield Fact("pmml-program", "holds a program where PMML has none", line)

    def _extension(self, line: int) -> Fact:
        shown = visible(self._inside[-1].strip(), 120)
        return Fact("pmml-extension", f'the extension "{shown}" holds a program for its consumer', line)
