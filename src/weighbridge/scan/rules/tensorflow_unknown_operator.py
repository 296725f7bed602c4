"""The rule `tensorflow-unknown-operator`."""

from collections.abc import Iterator
from typing import ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading
from weighbridge.scan.operators.tensorflow_views import programs
from weighbridge.scan.rule import Rule
from weighbridge.scan.rules.tensorflow_unsafe_operator import node_place


class TensorflowUnknownOperator(Rule):
    """A TensorFlow graph holds an operator whose effect nobody here knows.

    ## What it does
    Compares the operators of all graphs and functions with the reviewed list of those that only compute. What is neither
    on it nor known to do harm is named here: operators of extension libraries, of TPUs and distributed training, compiled
    programs, paths that are known only when the model is called.

    ## Why is this bad?
    Somebody's own operator is native code, which has to be loaded before the model; the graph does not say what it does.

    ## Example
    ```text
    node { name: "s" op: "SampleOwnOperator" }
    ```

    ## Use instead
    Operators of TensorFlow itself.

    ## Known problems
    Operators newer than TensorFlow 2.21, and those of TensorFlow Text or Decision Forests, are named.
    """

    name = "tensorflow-unknown-operator"
    summary = "an operator in a TensorFlow graph is not known"
    severity = Severity.WARNING
    formats: ClassVar[tuple[str, ...]] = ("tf-savedmodel", "tf-metagraph", "tf-graph", "json")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for program in programs(reading):
            from weighbridge.scan.operators.tensorflow import Effect, judged  # few documents are graphs

            for found in judged(program):
                if found.effect is Effect.UNKNOWN:
                    where = node_place(place, program.name, found)
                    name = visible(found.node.op, 80) or "an operator without a name"
                    yield self.finding(where, f"{name} {found.words}", doubt=True)
