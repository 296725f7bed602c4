"""The graphs of a model's files, taken in the read that measures them, and what changed between two models.

A file whose graph cannot be read is compared by its bytes alone, and named. Only what states a graph outright is read: ONNX,
TensorFlow Lite, Keras configurations. Code that makes a graph (TorchScript, Python) is not.
"""

from collections.abc import Callable, Iterable, Mapping

from weighbridge.core.artifact import Member
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.graph import Graph, GraphDifference
from weighbridge.core.graphchanges import graph_changes
from weighbridge.core.source import Source
from weighbridge.core.value import dataclass
from weighbridge.core.wire import read_json

MAX_CONFIG = 64 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphAnswer:
    """What an examiner that only looks for graphs says of one file."""

    path: str
    graph: Graph | None = None
    why: str = ""
    """Why there is none although the file is of a kind that has one."""


def graph_examiner(limits: Limits | None = None) -> Callable[[Member, Source], GraphAnswer]:
    """An `Examiner` for `measure.measure`. It never raises for what a file holds."""
    budget = Budget(limits)

    def examine(member: Member, source: Source) -> GraphAnswer:
        read = _reader(member.path)
        if read is None:
            return GraphAnswer(path=member.path)
        try:
            return GraphAnswer(path=member.path, graph=read(source, budget))
        except (InputError, LimitError) as error:
            why = "" if error.code == "not-this-format" else error.message
            return GraphAnswer(path=member.path, why=why)
        except Exception as bug:
            return GraphAnswer(path=member.path, why=f"the reader broke on it: {type(bug).__name__}")

    return examine


def graphs_of(answers: Iterable[object]) -> tuple[Mapping[str, Graph], Mapping[str, str]]:
    """(path → graph, path → why there is none)."""
    found = [answer for answer in answers if isinstance(answer, GraphAnswer)]
    return (
        {answer.path: answer.graph for answer in found if answer.graph is not None},
        {answer.path: answer.why for answer in found if answer.why},
    )


def graph_differences(old: Mapping[str, Graph], new: Mapping[str, Graph]) -> tuple[GraphDifference, ...]:
    """What changed in the graphs that both models have, by path; a single graph on each side is compared in any case."""
    pairs = [(path, path) for path in sorted(old.keys() & new.keys())]
    if not pairs and len(old) == len(new) == 1:
        pairs = [(next(iter(old)), next(iter(new)))]
    found = (graph_changes(after, old[before], new[after]) for before, after in pairs)
    return tuple(difference for difference in found if difference is not None)


def _reader(path: str) -> Callable[[Source, Budget], Graph] | None:
    name = path.lower()
    if name.endswith(".onnx"):
        from weighbridge.formats.onnx import graph as onnxgraph

        return onnxgraph.read_graph
    if name.endswith((".tflite", ".lite")):
        from weighbridge.formats.tflite import graph as tflitegraph

        return tflitegraph.read_graph
    if name.endswith(".keras"):
        return _keras_archive
    return _keras_config if name.endswith(".json") else None


def _keras_archive(source: Source, budget: Budget) -> Graph:
    from weighbridge.formats import read

    reading = read("zip", source, budget, "model.keras")
    for part in reading.parts:
        if part.name == "config.json":
            return _keras_config(part.source, budget)
    raise InputError("not-this-format", "no config.json in the archive")


def _keras_config(source: Source, budget: Budget) -> Graph:
    from weighbridge.formats.keras import graph as kerasgraph

    if b'"class_name"' not in source.read(0, 64 * 1024):
        raise InputError("not-this-format", "no class of Keras at its beginning")
    budget.need_memory(min(source.size, MAX_CONFIG + 1), "the configuration")
    data = source.read(0, MAX_CONFIG + 1)
    if len(data) > MAX_CONFIG:
        raise LimitError("limit-memory", f"a configuration of more than {MAX_CONFIG} bytes")
    return kerasgraph.read_graph(read_json(data, "the configuration", limit=MAX_CONFIG), budget)
