"""The rule `tensorflow-text-payload`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from weighbridge.core.finding import Confidence, Finding, Place, Severity
from weighbridge.core.text import visible
from weighbridge.formats.reading import Reading
from weighbridge.scan.operators.tensorflow_views import programs
from weighbridge.scan.rule import Rule
from weighbridge.scan.text_harm import harm

FEW = 4
"""Texts of a constant that is a setting; more of them are a vocabulary, in which any word may stand."""
PATHS = frozenset({"a path that leads out of the model's folder", "a native library", "an address of a file"})
"""What operators do with paths is judged where they use them."""


class TensorflowTextPayload(Rule):
    """A text in a TensorFlow graph is a command or a call.

    ## What it does
    Looks at the texts of a graph that are no vocabulary: constants of a few strings, and attributes. Whole commands and
    calls (shell, Python, Windows), scripts and files of the system's are reported; single words are not.

    ## Why is this bad?
    No model needs a command in a constant. It stands there for an operator that writes it to a file, or for a program that
    hands it on to a shell or an interpreter.

    ## Example
    ```text
    string_val: "import os; os.system('echo weighbridge-sample')"
    ```

    ## Use instead
    Plain names and numbers.

    ## Known problems
    A model about code may hold an example of code.
    """

    name = "tensorflow-text-payload"
    summary = "a text in a TensorFlow graph is a command or a call"
    severity = Severity.ERROR
    confidence = Confidence.MEDIUM
    formats: ClassVar[tuple[str, ...]] = ("tf-savedmodel", "tf-metagraph", "tf-graph", "json")

    def look(self, reading: Reading, place: Place) -> Iterator[Finding]:
        """See `Rule.look`."""
        told: set[str] = set()
        for program in programs(reading):
            for graph in program.graphs:
                for node in graph.nodes:
                    texts = [value for key, value in node.texts if key != "value"]
                    texts += node.constant if len(node.constant) <= FEW else ()
                    for text in texts:
                        found = harm(text)
                        if found is None or found in PATHS or text in told:
                            continue
                        told.add(text)
                        where = place.inside(program.name) if program.name else place
                        where = replace(where.inside(f"node {visible(node.name, 80)}"), offset=node.offset)
                        yield self.finding(where, f'"{visible(text.strip(), 80)}" is {found}')
