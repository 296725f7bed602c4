"""The rule `executorch-unproved`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.pytorch.executorch import Delegate, ExecutorchReading
from weighbridge.formats.reading import Reading
from weighbridge.scan.contracts import torchscript
from weighbridge.scan.rule import Rule

OWN = frozenset(
    {"executorch_prim", "dim_order_ops", "quantized_decomposed", "et_vk", "cortex_m", "cadence", "llama"}
)
"""Namespaces of ExecuTorch itself and of its own libraries."""
_LIBRARY = late(rb"[\w./-]*/?[\w-]+\.(?:so|dll|dylib)\b|\.\./|/(?:tmp|data|home|etc)/")


class ExecutorchUnproved(Rule):
    """
    ## What it does
    Names the operators of an ExecuTorch program that are not on the list of those that only compute, the parts that a
    backend compiled and runs itself, and bytes that nothing refers to. A backend's option that names a library or a path
    is an error, and so are an operator that writes or maps files and one of a library that nobody here knows.

    ## Why is this bad?
    A compiled part is a program that only its backend reads: nobody can say what it does. An operator of a library does
    whatever that library made it do.

    ## Example
    A delegate `XnnpackBackend` with a blob of two megabytes.

    ## Use instead
    A program that is not delegated, compiled for the device where it is used.

    ## Known problems
    Delegates are what the format is made for; a signature of whoever compiled them settles the doubt.

    ## References
    CWE-829
    """

    name = "executorch-unproved"
    summary = "An ExecuTorch program runs parts that nobody can read"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("executorch", "flat-tensor")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        yield from self.noted(reading, place, {"executorch-hidden-data"}, doubt=True)
        if not isinstance(reading, ExecutorchReading):
            return
        for operator in reading.operators:
            yield from self._operator(operator, place)
        for delegate in reading.delegates:
            yield from self._delegate(delegate, place)

    def _operator(self, operator: str, place: Place) -> Iterator[Finding]:
        namespace, _, name = operator.partition("::")
        name = name.partition(".")[0]
        if f"{namespace}::{name}" in torchscript.HARMFUL:
            yield self.finding(place, f"the program calls {namespace}::{name}", severity=Severity.ERROR)
        elif torchscript.is_foreign(operator):
            message = f"the program needs the native operator {visible(operator, 60)} of a library that nobody here knows"
            yield self.finding(place, message, severity=Severity.ERROR, confidence=Confidence.MEDIUM)
        elif namespace not in OWN and name not in torchscript.book().get(namespace, ()):
            yield self.finding(
                place, f"what the operator {visible(operator, 60)} does is not known", doubt=True
            )

    def _delegate(self, delegate: Delegate, place: Place) -> Iterator[Finding]:
        for key, value in delegate.options:
            if found := _LIBRARY.search(value):
                what = visible(found[0].decode("latin-1"), 60)
                message = (
                    f"the backend {delegate.name} is told to use {what} by its option {visible(key, 40)}"
                )
                yield self.finding(place, message, severity=Severity.ERROR)
        message = f"{delegate.plan} hands a compiled part to the backend {delegate.name}"
        yield self.finding(place, message, doubt=True)
