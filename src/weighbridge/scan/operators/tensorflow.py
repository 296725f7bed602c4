"""What the operators of a TensorFlow program do: computing, harm that can be named, or nobody here knows.

Names are looked up in `contracts/tensorflow.toml`. Operators that are safe in one place only are judged by where their
file names come from (`tensorflow_paths`) or by an attribute: the saver's, tables filled from files, printing to a file,
caches, plug-ins of debuggers and compilers.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from weighbridge.core.pattern import late
from weighbridge.core.text import visible
from weighbridge.formats.tensorflow.graph import Graph, Node, Program, library
from weighbridge.scan.contracts.compiled import document
from weighbridge.scan.operators.tensorflow_paths import Leaf, Origin, Paths, leads_out


class Effect(StrEnum):
    """What is known of one node."""

    HARM = "harm"
    UNKNOWN = "unknown"


class Judgement(NamedTuple):
    """One node that does more than compute."""

    effect: Effect
    words: str
    """Behind the operator's name: `reads files whose paths the model chooses`."""
    node: Node
    graph: str
    times: int = 1


Verdict = tuple[Effect, str] | None

CALLS_CODE = late(
    r"(?i)py_?func|python|wasm|shell|subprocess|popen|spawn|exec(?:ve?|cmd|command|script|code|shell)?(?:op)?$|system(?:call|op|cmd)?$"
    r"|command|powershell|download|upload|http|socket|fetch_?url|load_?lib|dlopen|(?:write|read|delete|remove|copy)_?file|eval(?:code|op|script)$"
    r"|backdoor|exploit|payload|reverse_?(?:tcp|shell)"
)
"""Names of somebody's own operators that say what they do."""
SAVER_DEFAULT = frozenset({"model"})
"""The name that a saver of TensorFlow 1 has until it is told another."""
SAVER = {
    "SaveV2": ("writes", (0,)), "RestoreV2": ("reads", (0,)), "MergeV2Checkpoints": ("writes", (0, 1)), "Save": ("writes", (0,)), "SaveSlices": ("writes", (0,)),
    "Restore": ("reads", (0,)), "RestoreSlice": ("reads", (0,)), "DTensorRestoreV2": ("reads", (0,)),
}  # fmt: skip
"""(what it does, the inputs that are paths)."""
PRINTS = frozenset({"PrintV2"})
"""Operators that print, where the model cannot say into which file."""
CONSOLES = frozenset({"", "stderr", "stdout", "log(info)", "log(warning)", "log(error)"})
MAX_SHOWN = 80


@cache
def computes() -> frozenset[str]:
    """Operators that only compute."""
    return frozenset(name for table in document("tensorflow")["computes"] for name in table["names"])


@cache
def harmful() -> dict[str, str]:
    """Operator → what it does."""
    return {name: table["why"] for table in document("tensorflow")["harm"] for name in table["names"]}


def judged(program: Program) -> Iterator[Judgement]:
    """One judgement for each operator and reason, at the first node that it stands for, harm first."""
    judge = _Judge(program)
    found: dict[tuple[str, str], Judgement] = {}
    for graph in program.graphs:
        for node in graph.nodes:
            for name in (node.op, *node.calls):
                verdict = judge.verdict(graph, node, name)
                if verdict is None:
                    continue
                key = (name, verdict[1])
                known = found.get(key)
                made = Judgement(verdict[0], verdict[1], node._replace(op=name), graph.name)
                found[key] = made if known is None else known._replace(times=known.times + 1)
    yield from sorted(found.values(), key=lambda item: item.effect is not Effect.HARM)


class _Judge:
    """Looks at the nodes of one program."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._library = library(program)
        self._paths: Paths | None = None

    def verdict(self, graph: Graph, node: Node, name: str) -> Verdict:
        """What this node does as the operator or function `name`; None where it computes."""
        if name in computes():
            return None
        if name in harmful():
            return Effect.HARM, harmful()[name]
        special = _SPECIAL.get(name)
        if special is not None:
            return special(self, graph, node._replace(op=name))
        if name in self._library:
            return None
        if CALLS_CODE.search(name):
            return Effect.HARM, "is nobody's known operator, and its name says that it leaves the graph"
        if name == node.op:
            return Effect.UNKNOWN, "is none of TensorFlow's own, or one whose effect is not known"
        return Effect.UNKNOWN, "is called, and is no function of this model"

    def leaves(self, graph: Graph, node: Node, index: int) -> frozenset[Leaf]:
        """Where one input comes from."""
        if self._paths is None:
            self._paths = Paths(self._program)
        return self._paths.leaves(graph.name, node, index)

    # -- operators that are safe in one place only

    def saver(self, graph: Graph, node: Node) -> Verdict:
        """Checkpoints: safe where the path is the one that is given to save or restore."""
        doing, inputs = SAVER[node.op]
        leaves = frozenset[Leaf]().union(*(self.leaves(graph, node, index) for index in inputs))
        bad = _leading_out(leaves)
        if bad is not None:
            return (
                Effect.HARM,
                f'{doing} the checkpoint "{visible(bad.text, MAX_SHOWN)}", which {_words(bad)}',
            )
        origins = {leaf.origin for leaf in leaves}
        texts = {leaf.text for leaf in leaves if leaf.origin is Origin.TEXT} - {""}
        if (
            Origin.SAVER in origins
            and not origins & {Origin.INPUT, Origin.COMPUTED}
            and texts <= SAVER_DEFAULT
        ):
            return None
        if origins <= {Origin.TEXT, Origin.TAIL} and texts:
            # A graph that was written without its saver has the saver's own default.
            if texts <= SAVER_DEFAULT:
                return None
            path = visible(min(texts - SAVER_DEFAULT), MAX_SHOWN)
            # Graphs that were made for training name the checkpoint that they began with.
            effect = Effect.UNKNOWN if doing == "reads" else Effect.HARM
            return effect, f'{doing} the checkpoint "{path}", which the model chooses'
        return Effect.UNKNOWN, f"{doing} a checkpoint whose path is known only when the model is called"

    def table(self, graph: Graph, node: Node) -> Verdict:
        """A lookup table filled from a file: safe where that is an asset of the model."""
        leaves = self.leaves(graph, node, 1)
        bad = _leading_out(leaves)
        if bad is not None and _asset(self._program, node, graph):
            return (
                Effect.UNKNOWN,
                f'fills a table from "{visible(bad.text, MAX_SHOWN)}", an asset that {_words(bad)}',
            )
        if bad is not None:
            return Effect.HARM, f'fills a table from "{visible(bad.text, MAX_SHOWN)}", which {_words(bad)}'
        origins = {leaf.origin for leaf in leaves}
        if origins <= {Origin.ASSET} or (self._program.assets and origins <= {Origin.ASSET, Origin.INPUT}):
            return None
        return Effect.UNKNOWN, "fills a table from a file that is no asset of the model"

    def printing(self, graph: Graph, node: Node) -> Verdict:
        """Printing: safe on the console and in the log."""
        target = node.text("output_stream") or ""
        if target in CONSOLES:
            return None
        return Effect.HARM, f'writes to "{visible(target, MAX_SHOWN)}"'

    def caching(self, graph: Graph, node: Node) -> Verdict:
        """A cache in memory has an empty file name."""
        leaves = self.leaves(graph, node, 1)
        named = [leaf.text for leaf in leaves if leaf.origin in (Origin.TEXT, Origin.TAIL) and leaf.text]
        if named:
            return Effect.HARM, f'writes the file "{visible(min(named), MAX_SHOWN)}"'
        if all(leaf.origin is Origin.TEXT for leaf in leaves):
            return None
        return Effect.UNKNOWN, "writes a file whose name is known only when the model is called"

    def vocabulary(self, graph: Graph, node: Node) -> Verdict:
        """A sampler that reads its words from a file."""
        path = node.text("vocab_file")
        return (Effect.HARM, f'reads the file "{visible(path, MAX_SHOWN)}"') if path else None

    def descriptors(self, graph: Graph, node: Node) -> Verdict:
        """Protobuf operators read their schema from a file unless it stands in the attribute."""
        path = node.text("descriptor_source") or ""
        if path in ("", "local://") or path.startswith("bytes://"):
            return None
        return Effect.HARM, f'reads the file "{visible(path, MAX_SHOWN)}"'

    def watched(self, graph: Graph, node: Node) -> Verdict:
        """Copies that a debugger put in send tensors to where it says."""
        target = next((text for key, text in node.texts if key == "debug_ops_spec" and "://" in text), "")
        return (Effect.HARM, f'sends tensors to "{visible(target, MAX_SHOWN)}"') if target else None

    def module(self, graph: Graph, node: Node) -> Verdict:
        """A program of a compiler."""
        callback = node.text("python callback")
        if callback:
            return Effect.HARM, f'calls back into Python ("{visible(callback, MAX_SHOWN)}")'
        return Effect.UNKNOWN, "holds a compiled program that is not read"


def _asset(program: Program, node: Node, graph: Graph) -> bool:
    """Whether a graph that is no SavedModel calls this node's file an asset."""
    names = {tensor.partition(":")[0] for tensor in program.asset_tensors}
    return not graph.name and any(tensor.partition(":")[0] in names for tensor in node.inputs)


def _leading_out(leaves: frozenset[Leaf]) -> Leaf | None:
    return next((leaf for leaf in sorted(leaves) if _words(leaf)), None)


def _words(leaf: Leaf) -> str:
    if leaf.origin not in (Origin.TEXT, Origin.TAIL):
        return ""
    return leads_out(leaf.text, tail=leaf.origin is Origin.TAIL)


_SPECIAL: dict[str, Callable[[_Judge, Graph, Node], Verdict]] = {
    **dict.fromkeys(SAVER, _Judge.saver),
    "InitializeTableFromTextFile": _Judge.table,
    "InitializeTableFromTextFileV2": _Judge.table,
    "PrintV2": _Judge.printing,
    "CacheDataset": _Judge.caching,
    "CacheDatasetV2": _Judge.caching,
    "FixedUnigramCandidateSampler": _Judge.vocabulary,
    "DecodeProtoV2": _Judge.descriptors,
    "EncodeProto": _Judge.descriptors,
    "Copy": _Judge.watched,
    "CopyHost": _Judge.watched,
    "XlaCallModule": _Judge.module,
}
