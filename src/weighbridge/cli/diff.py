"""`weighbridge diff`: what changed between two models, file by file, tensor by tensor, and operator by operator."""

import argparse
from collections.abc import Mapping
from typing import Any

from weighbridge.cli import options as shared
from weighbridge.core.graph import GraphDifference, Node
from weighbridge.core.manifest import Difference

EXAMPLES = (
    "weighbridge diff ./minilm-old ./minilm-new",
    "weighbridge diff old.safetensors new.safetensors --format json",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Two models."""
    parser.add_argument("old", metavar="OLD", help="the model as it was")
    parser.add_argument("new", metavar="NEW", help="the model as it is")
    shared.output(parser, shared.BOTH)
    shared.limits(parser)


def run(options: argparse.Namespace) -> int:
    """Measure both and print; exit 0 whether or not they differ, 3 where something could not be read."""
    from weighbridge.cli.measuring import measured
    from weighbridge.cli.output import tell
    from weighbridge.core.errors import ExitCode
    from weighbridge.measure.diff import difference
    from weighbridge.measure.graphs import graph_differences

    old = measured(options.old, options, tensors=True, graphs=True)
    new = measured(options.new, options, tensors=True, graphs=True)
    found = difference(old.manifest, new.manifest)
    unread = [*old.unread, *new.unread]
    unlisted = tuple(dict.fromkeys(path for path, _ in (*old.unlisted, *new.unlisted)))
    graphs = graph_differences(old.graphs, new.graphs)
    blank = {**old.graphs_unread, **new.graphs_unread}
    document, lines = as_document(found, unlisted, graphs, blank), as_lines(found, unlisted, graphs, blank)
    code = int(ExitCode.UNDECIDED if unread else ExitCode.DONE)
    return tell(options, document, lines, code=code, verdict=-1)


def as_document(
    found: Difference,
    unlisted: tuple[str, ...],
    graphs: tuple[GraphDifference, ...] = (),
    blank: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The document of the machine contract."""
    return {
        "changed": list(found.changed),
        "added": list(found.added),
        "removed": list(found.removed),
        "tensors": {
            "changed": list(found.tensors_changed),
            "added": list(found.tensors_added),
            "removed": list(found.tensors_removed),
        },
        "unlisted": list(unlisted),
        "graphs": [_graph_json(graph) for graph in graphs],
        "graphs_unread": [{"path": path, "reason": why} for path, why in sorted((blank or {}).items())],
    }


MAX_NODES = 1000
"""Nodes of one kind of change that are listed; the sentences count all of them."""


def _graph_json(graph: GraphDifference) -> dict[str, Any]:
    return {
        "path": graph.path,
        "sentences": list(graph.sentences),
        "added": [_node_json(node) for node in graph.added[:MAX_NODES]],
        "removed": [_node_json(node) for node in graph.removed[:MAX_NODES]],
        "changed": [
            {"old": _node_json(old), "new": _node_json(new)} for old, new in graph.changed[:MAX_NODES]
        ],
    }


def _node_json(node: Node) -> dict[str, Any]:
    return {
        "op": node.op,
        "name": node.name,
        "scope": node.scope,
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
        "attributes": dict(node.attributes),
    }


def as_lines(
    found: Difference,
    unlisted: tuple[str, ...],
    graphs: tuple[GraphDifference, ...] = (),
    blank: Mapping[str, str] | None = None,
) -> list[str]:
    """A line for each file, the tensors summed up by layer, and how many of each."""
    from weighbridge.core.difference import layer_summary
    from weighbridge.core.text import visible

    unknown = [
        f"? {visible(path)}: its tensors are unknown, so only the file was compared" for path in unlisted
    ]
    unknown += [
        f"? {visible(path)}: its graph is unknown: {visible(why, 200)}"
        for path, why in sorted((blank or {}).items())
    ]
    if found.empty:
        return [*unknown, "no difference"]
    rows = [("changed", found.changed), ("added", found.added), ("removed", found.removed)]
    lines = [f"{word:<8} {visible(path)}" for word, paths in rows for path in paths]
    tensors = [
        ("differ", found.tensors_changed),
        ("were added", found.tensors_added),
        ("were removed", found.tensors_removed),
    ]
    for word, names in tensors:
        lines += [f"tensors  {line}" for line in layer_summary(names, word)]
    lines += [
        f"graph    {visible(graph.path)}: {sentence}" for graph in graphs for sentence in graph.sentences
    ]
    files = f"{len(found.changed)} changed, {len(found.added)} added, {len(found.removed)} removed"
    return [*lines, *unknown, f"DIFFERENT: {files}"]
