"""What differs between two graphs, and how to say it in words: pure.

Nodes are paired in steps, the surest first: equal in everything; making the same values; computing the same out of the same
inputs, whatever the values are called; leading to the same outputs; standing between the same neighbours; and what is left,
in the order of the files. What stays without a partner was added or removed. So a tool that renames all values, or writes
nodes in another order, changes nothing; two equal chains that were swapped cannot be told from each other, and need not be.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from weighbridge.core.graph import Graph, GraphDifference, Node
from weighbridge.core.text import counted, visible

MAX_ALIGNED = 300
"""Nodes on each side that are paired by their order; more of them are only told apart by what they are."""
MAX_SENTENCES = 50
MAX_DECIDING = 100
"""Added operators that decide whose way back to the inputs is looked for."""
BRANCHES = frozenset(
    {"If", "Loop", "Scan", "IF", "WHILE", "While", "StatelessIf", "StatelessWhile", "Case", "Cond"}
)
CHOICES = frozenset({"Where", "Select", "SelectV2", "SELECT", "SELECT_V2", "WHERE", "Switch", "Merge"})
"""Operators that take one value or another, by a third."""
CONSTANTS = frozenset({"Constant", "Const"})
COMPARISONS = frozenset(
    {"Equal", "NotEqual", "Greater", "GreaterOrEqual", "GreaterEqual", "Less", "LessOrEqual", "LessEqual"}
    | {
        "EQUAL",
        "NOT_EQUAL",
        "GREATER",
        "GREATER_EQUAL",
        "LESS",
        "LESS_EQUAL",
        "StringsEqual",
        "RegexFullMatch",
    }
)


def graph_changes(path: str, old: Graph, new: Graph) -> GraphDifference | None:
    """What changed from `old` to `new`; None where nothing did."""
    if old == new:
        return None
    pairing = _Pairing(old, new)
    pairing.run()
    changed = tuple(
        (old.nodes[before], new.nodes[after])
        for after, before in sorted(pairing.pairs.items())
        if pairing.differs(before, after)
    )
    added = tuple(node for index, node in enumerate(new.nodes) if index not in pairing.pairs)
    kept = set(pairing.pairs.values())
    removed = tuple(node for index, node in enumerate(old.nodes) if index not in kept)
    sentences = tuple(_sentences(old, new, added, removed, changed, pairing.names))
    if not sentences:
        return None
    if len(sentences) > MAX_SENTENCES:
        sentences = (*sentences[:MAX_SENTENCES], f"{len(sentences) - MAX_SENTENCES} more changes")
    return GraphDifference(path=path, sentences=sentences, added=added, removed=removed, changed=changed)


class _Pairing:
    """Pairs of nodes: index in the new graph → index in the old one."""

    def __init__(self, old: Graph, new: Graph) -> None:
        self._old, self._new = old, new
        self.pairs: dict[int, int] = {}
        self.names: dict[str, str] = {}
        """New name of a value → its old one."""

    def run(self) -> None:
        """All steps."""
        self._by(_exactly)
        self._by(lambda graph: [node.outputs if any(node.outputs) else None for node in graph.nodes])
        self._by(_from_inputs)
        self._by(_to_outputs)
        self._by(_by_neighbours)
        self._by_order()
        for after, before in self.pairs.items():
            one, other = self._new.nodes[after], self._old.nodes[before]
            self.names.update(zip(one.outputs, other.outputs, strict=False))
        self._rename_ends()

    def _rename_ends(self) -> None:
        """Inputs and weights that paired nodes take at the same place, where their names differ, are renamed."""
        for theirs, ours in ((self._old.inputs, self._new.inputs), (self._old.weights, self._new.weights)):
            gone, come = set(theirs) - set(ours), set(ours) - set(theirs)
            votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
            for after, before in self.pairs.items():
                one, other = self._new.nodes[after], self._old.nodes[before]
                for new, old in zip(one.inputs, other.inputs, strict=False):
                    if new in come and old in gone:
                        votes[new][old] += 1
            for new, counts in votes.items():
                self.names.setdefault(new, counts.most_common(1)[0][0])

    def _by(self, keys_of: Callable[[Graph], Sequence[Hashable]]) -> None:
        """Pair free nodes with equal keys, in order, where there are as many on both sides."""
        free = self._free_old(), self._free_new()
        if not free[0] or not free[1]:
            return
        found: list[defaultdict[Hashable, list[int]]] = []
        for graph, indexes in zip((self._old, self._new), free, strict=True):
            keys = keys_of(graph)
            groups: defaultdict[Hashable, list[int]] = defaultdict(list)
            for index in indexes:
                if keys[index] is not None:
                    groups[keys[index]].append(index)
            found.append(groups)
        before, after = found
        for key, indexes in after.items():
            if len(before.get(key, ())) == len(indexes):
                self.pairs.update(zip(indexes, before[key], strict=True))

    def _by_order(self) -> None:
        """What is left, by operator and then by the order in the file."""
        for label in (_what, lambda node: (node.op, node.scope)):
            before, after = self._free_old(), self._free_new()
            if not before or not after or max(len(before), len(after)) > MAX_ALIGNED:
                return
            old, new = (
                [label(graph.nodes[i]) for i in part]
                for graph, part in ((self._old, before), (self._new, after))
            )
            for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
                for step in range(block.size):
                    self.pairs[after[block.b + step]] = before[block.a + step]

    def _free_old(self) -> list[int]:
        taken = set(self.pairs.values())
        return [index for index in range(len(self._old.nodes)) if index not in taken]

    def _free_new(self) -> list[int]:
        return [index for index in range(len(self._new.nodes)) if index not in self.pairs]

    def differs(self, before: int, after: int) -> bool:
        """Whether paired nodes compute something else."""
        one, other = self._old.nodes[before], self._new.nodes[after]
        if (one.op, one.attributes) != (other.op, other.attributes):
            return True
        return list(one.inputs) != [self.names.get(name, name) for name in other.inputs]


def _what(node: Node) -> Hashable:
    return node.op, _settings(node), len(node.inputs), len(node.outputs)


def _settings(node: Node) -> Hashable:
    """Attributes, but not what a constant holds: these are weights, and change with every training."""
    return () if node.op in CONSTANTS else node.attributes


def _exactly(graph: Graph) -> Sequence[Hashable]:
    return [(node.op, node.attributes, node.inputs, node.outputs, node.scope) for node in graph.nodes]


def _from_inputs(graph: Graph) -> Sequence[Hashable]:
    """For each node: what it computes out of the graph's inputs and weights, names left out."""
    values: dict[str, Hashable] = {"": 0}
    values |= {name: ("input", index) for index, name in enumerate(graph.inputs)}
    values |= dict.fromkeys(graph.weights, "weight")
    keys: list[Hashable] = []
    for node in graph.nodes:
        key = hash((node.op, _settings(node), tuple(values.get(name, "unknown") for name in node.inputs)))
        keys.append(key)
        values |= {name: (key, index) for index, name in enumerate(node.outputs)}
    return keys


def _to_outputs(graph: Graph) -> Sequence[Hashable]:
    """For each node: what becomes of what it makes, on the way to the graph's outputs."""
    uses: defaultdict[str, list[Hashable]] = defaultdict(list)
    for index, name in enumerate(graph.outputs):
        uses[name].append(("output", index))
    keys: list[Hashable] = []
    for node in reversed(graph.nodes):
        key = hash(
            (
                node.op,
                _settings(node),
                tuple(hash(frozenset(Counter(uses[name]).items())) for name in node.outputs),
            )
        )
        keys.append(key)
        for index, name in enumerate(node.inputs):
            uses[name].append((key, index))
    return keys[::-1]


def _by_neighbours(graph: Graph) -> Sequence[Hashable]:
    """For each node: what it is, what the nodes are that it takes from, and those that take from it."""
    makers = {name: node.op for node in graph.nodes for name in node.outputs}
    takers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for node in graph.nodes:
        for name in node.inputs:
            takers[name][node.op] += 1
    return [
        (
            _what(node),
            tuple(makers.get(name, "") for name in node.inputs),
            tuple(frozenset(takers[name].items()) for name in node.outputs),
        )
        for node in graph.nodes
    ]


# -- in words


def _sentences(
    old: Graph,
    new: Graph,
    added: Sequence[Node],
    removed: Sequence[Node],
    changed: Sequence[tuple[Node, Node]],
    names: Mapping[str, str],
) -> Iterator[str]:
    yield from _branches(new, added)
    yield from _ends(old, new, names)
    for word, nodes in (("added", added), ("removed", removed)):
        groups: defaultdict[str, list[Node]] = defaultdict(list)
        for node in nodes:
            groups[node.op].append(node)
        for op, those in sorted(groups.items()):
            where = ", ".join(_label(node) for node in those) if len(those) <= 3 else ""
            times = "once" if len(those) == 1 else f"{len(those)} times"
            yield f"operator {visible(op, 80)} {word} {times}" + (f": {where}" if where else "")
    held = [after for before, after in changed if after.op in CONSTANTS and before.op == after.op]
    for before, after in changed:
        if len(held) <= 3 or after.op not in CONSTANTS or before.op != after.op:
            yield from _node_changes(before, after, names)
    if len(held) > 3:
        yield f"{counted(len(held), 'constant')} hold other values"


def _branches(new: Graph, added: Sequence[Node]) -> Iterator[str]:
    """Operators that decide by what the model is given; that is how a hidden trigger looks."""
    deciding = [node for node in added if _plain(node.op) in BRANCHES | CHOICES | COMPARISONS]
    if not deciding:
        return
    origins = _origins(new)
    for node in deciding[:MAX_DECIDING]:
        found = sorted({name for value in node.inputs[: _deciders(node)] for name in origins(value)})
        if found:
            kind = "branch" if _plain(node.op) in BRANCHES else "choice"
            kind = "comparison" if _plain(node.op) in COMPARISONS else kind
            shown = ", ".join(f'"{visible(name, 80)}"' for name in found[:3]) + (
                ", …" if len(found) > 3 else ""
            )
            word = "input" if len(found) == 1 else "inputs"
            yield f"a {kind} on the input was added: {_plain(node.op)} {_label(node)} depends on {word} {shown}"


def _plain(op: str) -> str:
    return op.rpartition(".")[2]


def _deciders(node: Node) -> int | None:
    """How many of its first inputs decide: a choice is by its first one."""
    return 1 if _plain(node.op) in CHOICES | {"If", "IF", "StatelessIf"} else None


def _origins(graph: Graph) -> Callable[[str], set[str]]:
    makers = {name: node for node in graph.nodes for name in node.outputs if name}
    given = set(graph.inputs)

    def of(value: str) -> set[str]:
        found: set[str] = set()
        waiting, seen = [value], {value}
        while waiting:
            name = waiting.pop()
            if name in given:
                found.add(name)
            maker = makers.get(name)
            for before in maker.inputs if maker is not None else ():
                if before not in seen:
                    seen.add(before)
                    waiting.append(before)
        return found

    return of


def _ends(old: Graph, new: Graph, names: Mapping[str, str]) -> Iterator[str]:
    for word, before, after in (("input", old.inputs, new.inputs), ("output", old.outputs, new.outputs)):
        same = [names.get(name, name) for name in after]
        yield from _gone(
            word, "added", [name for name, was in zip(after, same, strict=True) if was not in before]
        )
        yield from _gone(word, "removed", [name for name in before if name not in same])
        renamed = [
            (was, name) for name, was in zip(after, same, strict=True) if was in before and was != name
        ]
        for was, name in renamed:
            yield f'{word} "{visible(was, 80)}" renamed to "{visible(name, 80)}"'
        kept = [name for name in same if name in before]
        if kept != [name for name in before if name in same]:
            yield f"{word}s stand in another order"


def _gone(word: str, verb: str, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield f'{word} "{visible(name, 80)}" {verb}'


def _node_changes(before: Node, after: Node, names: Mapping[str, str]) -> Iterator[str]:
    if before.op != after.op:
        yield f"operator changed: {_label(after)} was {visible(before.op, 80)}, is {visible(after.op, 80)}"
    was, now = dict(before.attributes), dict(after.attributes)
    for key in sorted({*was, *now}):
        if was.get(key) != now.get(key):
            old, new = (visible(side[key], 80) if key in side else "not set" for side in (was, now))
            yield f"attribute changed: {_plain(after.op)} {_label(after)}: {visible(key, 80)} was {old}, is {new}"
    taken = [names.get(name, name) for name in after.inputs]
    if list(before.inputs) != taken:
        yield f"inputs changed: {_plain(after.op)} {_label(after)}: {_inputs(before.inputs, taken)}"


def _inputs(before: Sequence[str], after: Sequence[str]) -> str:
    if len(before) != len(after):
        return f"took {counted(len(before), 'value')}, takes {len(after)}"
    number = next(index for index, (one, other) in enumerate(zip(before, after, strict=True)) if one != other)
    return f'number {number} was "{visible(before[number], 80)}", is "{visible(after[number], 80)}"'


def _label(node: Node) -> str:
    name = node.name or next((name for name in node.outputs if name), "")
    within = f"{node.scope}" if node.scope and not name.startswith(node.scope) else ""
    return f'"{visible(within + name, 120)}"' if name else "without a name"
