"""The rule `tensorflow-unsafe-operator`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from weighbridge.core.finding import Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading
from weighbridge.scan.operators.tensorflow_views import programs
from weighbridge.scan.rule import Rule

if TYPE_CHECKING:
    from weighbridge.scan.operators.tensorflow import Judgement


def node_place(place: Place, program: str, found: "Judgement") -> Place:
    """Where one node stands: its meta graph, its function and its name."""
    where = place.inside(program) if program else place
    where = where.inside(f"function {visible(found.graph, 80)}") if found.graph else where
    return replace(where.inside(f"node {visible(found.node.name, 80)}"), offset=found.node.offset)


class TensorflowUnsafeOperator(Rule):
    """A TensorFlow graph holds an operator that leaves the graph.

    ## What it does
    Looks at every operator of every graph and function of a SavedModel, MetaGraphDef, GraphDef or TensorFlow.js graph for
    those that call Python, read or write files, send data away or map memory. Operators of savers are judged by where the
    checkpoint's path comes from, tables that are filled from files by whether the file is an asset, printing by its target,
    caches by their file name.

    ## Why is this bad?
    A graph is a program. These operators run with the rights of whoever loads or calls the model, some of them while it is
    loaded, and the graph itself says which file, address or function.

    ## Example
    ```text
    node { name: "w" op: "WriteFile" input: "path" input: "content" }
    ```

    ## Use instead
    Export the model for inference only; hand over files as assets of the SavedModel.

    ## Known problems
    Graphs that were written for training hold readers of their data sets, and are reported.

    ## References
    - https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md
    """

    name = "tensorflow-unsafe-operator"
    summary = "an operator in a TensorFlow graph runs code, opens files or sends data"
    severity = Severity.ERROR
    formats: ClassVar[tuple[str, ...]] = ("tf-savedmodel", "tf-metagraph", "tf-graph", "json")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        for program in programs(reading):
            from weighbridge.scan.operators.tensorflow import Effect, judged  # few documents are graphs

            for found in judged(program):
                if found.effect is Effect.HARM:
                    where = node_place(place, program.name, found)
                    yield self.finding(where, f"{visible(found.node.op, 80)} {found.words}")
