"""Known models, and the likely parents of another: by equal tensors, and by tensors that are alike.

`remember` keeps of a model what `measure` says of each tensor (name, type, items, BLAKE3) and a sketch. `infer` compares:
the share of the model's bytes whose tensors the other has too, exactly or nearly. Only tensors count that say something (see
`sketch`): two models that share nothing but masks, constants and position tables share nothing. What is measured is kinship
and not its direction, so an inferred edge is never "for sure".
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.manifest import TensorEntry
from weighbridge.core.value import dataclass
from weighbridge.lineage.ask import Direction
from weighbridge.lineage.edge import Edge, Grade, Link, Node
from weighbridge.lineage.graph import Lineage
from weighbridge.lineage.nodes import FEW, in_parts
from weighbridge.lineage.sketch import likeness, sketch
from weighbridge.measure.tensors import external_path, list_tensors, refused

if TYPE_CHECKING:
    from weighbridge.core.artifact import Artifact
    from weighbridge.core.database import Row, Transaction
    from weighbridge.core.source import Source
    from weighbridge.formats.reading import TensorRef

HERE = "measured here"
"""The issuer of what this machine found itself."""
ALIKE = 0.6
"""Likeness of two sketches from which on they are of one origin: by chance, 9 standard deviations from none."""
KIN = 0.2
"""Share of the model's bytes from which on another is told as likely kin."""
PROBES = 12
"""Tensors by which known models are chosen for the whole comparison, the biggest ones."""
MAX_COMPARED = 200
"""Known models that are compared whole."""


class Sketched(NamedTuple):
    """One tensor that counts."""

    name: str
    dtype: str
    items: int
    size: int
    digest: bytes
    sketch: bytes | None
    """None: it says nothing, or its type is not read; then it counts for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """One known model that the other has much in common with."""

    node: Node
    name: str
    """What it was remembered as."""
    equal: float
    """Share of the model's telling bytes in tensors that are equal, byte by byte."""
    alike: float
    """Share in tensors that are equal or nearly so."""
    likeness: float
    """How alike those are, by their bytes; 1 for equal ones."""
    tensors: tuple[int, int]
    """How many are equal, how many nearly so."""


def sketches(
    artifact: "Artifact", tensors: Sequence[TensorEntry], limits: Limits | None = None
) -> list[Sketched]:
    """The measured tensors with their sketches. Never raises for what the files hold: such tensors have none."""
    budget, found = Budget(limits), dict[tuple[str, str], tuple[int, int, bytes | None]]()
    members = {member.path: member for member in artifact.members}
    wanted = {one.path for one in tensors}
    for path in sorted(wanted & members.keys()):
        source = artifact.files.open(members[path])
        for ref in list_tensors(source, path, budget).tensors:
            found[path, ref.name] = (*_size(ref), _sketch(artifact, path, ref, source))
    return [
        Sketched(
            one.name, one.dtype, *found[one.path, one.name][:2], one.digest, found[one.path, one.name][2]
        )
        for one in tensors
        if (one.path, one.name) in found
    ]


def _size(ref: "TensorRef") -> tuple[int, int]:
    import math

    return math.prod(ref.shape), sum(length for _, length in ref.spans)


def _sketch(artifact: "Artifact", path: str, ref: "TensorRef", source: "Source") -> bytes | None:
    try:
        data = source
        if ref.external:
            other = external_path(path, ref)
            member = next((one for one in artifact.members if one.path == other), None)
            if member is None:
                return None
            data = artifact.files.open(member)
        return None if refused(ref, (ref.source or data).size) else sketch(ref, data)
    except (InputError, LimitError, ValueError, OverflowError):
        return None


def remember(lineage: Lineage, node: int, name: str, tensors: Sequence[Sketched]) -> int:
    """Keep a model's tensors under its node; how many of them say something. The same node again replaces them."""
    telling = [one for one in tensors if one.sketch]
    size = sum(one.size for one in telling)
    with lineage.writing() as transaction:
        old = transaction.rows("SELECT id FROM lineage_model WHERE node = ?", (node,))
        for (model,) in old:
            transaction.run("DELETE FROM lineage_tensor WHERE model = ?", [(model,)])
            transaction.run("DELETE FROM lineage_model WHERE id = ?", [(model,)])
        ((last,),) = transaction.rows("SELECT coalesce(max(id), 0) FROM lineage_model")
        put = "INSERT INTO lineage_model (id, node, name, bytes) VALUES (?, ?, ?, ?)"
        transaction.run(put, [(last + 1, node, name[:300], size)])
        put = (
            "INSERT INTO lineage_tensor (model, place, name, dtype, items, bytes, digest, sketch)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        )
        rows = [
            (last + 1, place, one.name.replace("\0", "")[:500], one.dtype, *one[2:])
            for place, one in enumerate(telling)
        ]
        transaction.run(put, rows)
    return len(telling)


def count_known(lineage: Lineage) -> int:
    """How many models are remembered."""
    with lineage.reading() as transaction:
        ((count,),) = transaction.rows("SELECT count(*) FROM lineage_model")
    return int(count)


def kin(
    lineage: Lineage,
    tensors: Sequence[Sketched],
    without: Iterable[int] = (),
    least: float = KIN,
    also: Iterable[int] = (),
) -> tuple[Kin, ...]:
    """The known models that share at least `least` of this one's telling bytes, nearest first.

    `without`: nodes that are left out; `also`: nodes that are compared however many others come before them.
    """
    telling = [one for one in tensors if one.sketch]
    size = sum(one.size for one in telling)
    if not size:
        return ()
    with lineage.reading() as transaction:
        models = {
            row[0]: row
            for row in transaction.rows("SELECT id, node, name FROM lineage_model")
            if row[1] not in set(without)
        }
        chosen = _candidates(transaction, telling, models.keys())[:MAX_COMPARED]
        named = set(also)
        chosen += [model for model, row in models.items() if row[1] in named and model not in chosen]
        compared = {model: _compare(transaction, telling, model) for model in chosen}
    nodes = lineage.nodes([models[model][1] for model in chosen])
    found = [
        Kin(
            node=nodes[models[model][1]], name=models[model][2], equal=equal / size, alike=alike / size,
            likeness=weight / alike if alike else 0.0, tensors=counts,
        )
        for model, (equal, alike, weight, counts) in compared.items()
        if alike >= least * size
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: (-one.alike * one.likeness, -one.equal, one.name)))


def inferred(child: str, found: Iterable[tuple[Kin, Direction]], time: int) -> list[Edge]:
    """What was measured, as edges that never make a way sure. Where nothing says which came first, both lead to the other:
    what is called back of either reaches the other as "may descend"."""
    from weighbridge.attest.step import Relation

    edges: list[Edge] = []
    for one, direction in found:
        other = one.node.keys[0]
        unknown = direction is Direction.UNKNOWN
        relation: Relation | Link = Link.KIN if unknown else Relation.DERIVED_FROM
        if unknown or direction is Direction.ANCESTOR:
            edges.append(Edge(child, other, relation, Grade.INFERRED, HERE, "", time))
        if unknown or direction is Direction.DESCENDANT:
            edges.append(Edge(other, child, relation, Grade.INFERRED, HERE, "", time))
    return edges


def _candidates(transaction: "Transaction", telling: Sequence[Sketched], known: Iterable[int]) -> list[int]:
    """The models that have any of the tensors, or one like the biggest: most in common first."""
    allowed = set(known)
    score: dict[int, int] = defaultdict(int)
    sizes = {one.digest: one.size for one in telling}
    sql = "SELECT DISTINCT model, digest FROM lineage_tensor WHERE digest IN ({})"
    for model, digest in in_parts(transaction, sql, list(sizes)):
        score[model] += sizes[bytes(digest)]
    for one in sorted(telling, key=lambda one: -one.size)[:PROBES]:
        sql = "SELECT model, sketch FROM lineage_tensor WHERE items = ?"
        for model, other in transaction.rows(sql, (one.items,)):
            if one.sketch and likeness(one.sketch, bytes(other)) >= ALIKE:
                score[model] += one.size
    return sorted(score.keys() & allowed, key=lambda model: (-score[model], model))


def _compare(
    transaction: "Transaction", telling: Sequence[Sketched], model: int
) -> tuple[int, int, float, tuple[int, int]]:
    """(bytes in equal tensors, bytes in alike ones with those, these by likeness, (equal, alike) tensors)."""
    rows = transaction.rows(
        "SELECT name, items, digest, sketch FROM lineage_tensor WHERE model = ?", (model,)
    )
    digests = {bytes(row[2]) for row in rows}
    by_items: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_items[row[1]].append(row)
    equal = alike = same = near = 0
    weight = 0.0
    for one in telling:
        if one.digest in digests:
            equal, alike, same, weight = equal + one.size, alike + one.size, same + 1, weight + one.size
            continue
        best = max(
            (likeness(one.sketch or b"", bytes(row[3])) for row in _of(by_items[one.items], one)), default=0.0
        )
        if best >= ALIKE:
            alike, near, weight = alike + one.size, near + 1, weight + best * one.size
    return equal, alike, weight, (same, near)


def _of(rows: list["Row"], one: Sketched) -> list["Row"]:
    """Those of its name, where there are some: names survive fine-tuning, though not every conversion."""
    named = [row for row in rows if row[0] == one.name]
    return named or rows[:FEW]
