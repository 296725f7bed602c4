"""Answers of a lineage: for people as a tree, for machines as JSON. Pure.

Names and labels come from cards and statements that anybody may have written: each is made visible before it stands on a
screen. `✓` is known for sure, `?` perhaps.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from weighbridge.core.text import counted, some, visible
from weighbridge.lineage.ask import Answer, Found, Way, trusted
from weighbridge.lineage.edge import Edge, Grade, Link, Node, is_digest
from weighbridge.lineage.intake import Taken
from weighbridge.report.summary import short_digest

MOST_EDGES = 20
"""Statements of one row that are told one by one to machines."""
NEAR = 200
"""Rows that are drawn."""
WIDEST = 72
"""Columns for what stands left of the marks."""


def title(node: Node) -> str:
    """The best name, and the beginning of a digest."""
    digest = next((key for key in node.keys if is_digest(key)), "")
    name = visible(node.title if node.title != digest else node.label, 80)
    return "  ".join(part for part in (name, short_digest(digest)) if part)


def who(edges: Sequence[Edge]) -> str:
    """Who says so: `signed by ann and bob`, or how little is behind it."""
    if not edges:
        return "?"
    names = trusted(edges)
    if names:
        return f"✓ {'signed by ' if names != ('measured here',) else ''}{some(names)}"
    if all(edge.relation is Link.KIN for edge in edges):
        return "? alike by the weights, direction unknown"
    if any(edge.grade is Grade.INFERRED for edge in edges):
        return "? inferred from the weights"
    return f"? declared, signed by nobody known ({counted(len({edge.statement for edge in edges}), 'statement')})"


def tree(answer: Answer, verb: str) -> list[str]:
    """The lines of the drawing; `verb` is `ancestors` or `descendants`."""
    lines = [title(node) for node in answer.starts[:10]]
    below: dict[int, list[Found]] = defaultdict(list)
    drawn = answer.rows[:NEAR]
    for row in drawn:
        below[row.nearer].append(row)
    lines += _aligned([row for start in answer.starts for row in _below(start.id, below)])
    if answer.total > len(drawn):
        lines.append(f"… and {answer.total - len(drawn):,} more")
    if not answer.total:
        lines.append(f"└─ nothing stated {'further back' if verb == 'ancestors' else 'that came of it'}  ?")
    if answer.circular:
        around = " → ".join(title(node) for node in (*answer.circle[:6], *answer.circle[:1]))
        lines.append(f"! it is said to be its own ancestor{': ' if around else ''}{around}")
    if answer.selves:
        lines.append(f"! {counted(len(answer.selves), 'statement')} that it is its own parent")
    return lines


def _aligned(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Who says so in one column, whatever the depth."""
    width = min(WIDEST, max((len(left) for left, _ in rows), default=0))
    return [f"{left:<{width}}  {right}" for left, right in rows]


def _below(start: int, below: dict[int, list[Found]]) -> Iterator[tuple[str, str]]:
    """(what, who says so), depth first, without recursion: lineages are as deep as somebody likes."""
    waiting = [("", row, place == 0) for place, row in enumerate(reversed(below.get(start, [])))]
    while waiting:
        indent, row, last = waiting.pop()
        branch, rest = ("└─", "   ") if last else ("├─", "│  ")
        relation = row.edges[0].relation.value.replace("_", " ") if row.edges else "via"
        shown = indent if len(indent) < 60 else indent[:57] + "…  "
        yield f"{shown}{branch} {relation}  {title(row.node)}", who(row.edges)
        inner = list(reversed(below.get(row.node.id, [])))
        waiting += [(indent + rest, one, place == 0) for place, one in enumerate(inner)]


def way_lines(way: Way) -> list[str]:
    """From the descendant up to the ancestor."""
    rows = []
    for depth, (node, edges) in enumerate(zip(way.nodes[1:], way.hops, strict=True)):
        relation = edges[0].relation.value.replace("_", " ") if edges else "via"
        rows.append((f"{'   ' * min(depth, 20)}└─ {relation}  {title(node)}", who(edges)))
    return [title(way.nodes[0]), *_aligned(rows)]


# -- for machines


def node_document(node: Node) -> dict[str, Any]:
    """A node as plain values."""
    return {"name": node.title, "label": node.label, "keys": list(node.keys)}


def edges_document(edges: Sequence[Edge]) -> dict[str, Any]:
    """What was stated about two things: the best statements, and how many there are."""
    return {
        "trusted": list(trusted(edges)),
        "statements": [edge_document(edge) for edge in edges[:MOST_EDGES]],
        "statements_total": len(edges),
    }


def edge_document(edge: Edge) -> dict[str, Any]:
    """One statement about two things."""
    return {
        "child": edge.child, "parent": edge.parent, "relation": edge.relation.value, "grade": edge.grade.value,
        "issuer": edge.issuer, "statement": edge.statement, "time": stamp(edge.time),
    }  # fmt: skip


def stamp(time: int) -> str | None:
    """RFC 3339; None where no time is known."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if 0 < time < 2**37 else None


def answer_document(answer: Answer) -> dict[str, Any]:
    """An answer as plain values."""
    places = {start.id: -1 - place for place, start in enumerate(answer.starts)}
    places |= {row.node.id: place for place, row in enumerate(answer.rows)}
    return {
        "known": bool(answer.starts),
        "subject": [node_document(node) for node in answer.starts],
        "total": answer.total,
        "sure": answer.sure,
        "perhaps": answer.total - answer.sure,
        "circular": answer.circular,
        "circle": [node_document(node) for node in answer.circle],
        "self_parents": [edge_document(edge) for edge in answer.selves[:MOST_EDGES]],
        "rows": [
            {
                **node_document(row.node), "sure": row.sure, "depth": row.depth,
                "nearer": places.get(row.nearer), **edges_document(row.edges),
            }
            for row in answer.rows
        ],
    }  # fmt: skip


def way_document(way: Way | None) -> dict[str, Any]:
    """A way as plain values."""
    if way is None:
        return {"found": False, "sure": False, "nodes": [], "hops": []}
    return {
        "found": True,
        "sure": way.sure,
        "nodes": [node_document(node) for node in way.nodes],
        "hops": [edges_document(edges) for edges in way.hops],
    }


def taken_document(taken: Taken) -> dict[str, Any]:
    """What an import took, as plain values."""
    return {
        "lines": taken.lines, "cards": taken.cards, "edges": taken.edges, "bundles": taken.bundles,
        "bare_cards": taken.bare, "lowered": taken.lowered, "stated": taken.added.given,
        "new": taken.added.new, "self_parents": taken.added.own, "problems": dict(taken.counts),
        "first_problems": [{"place": p, "code": c, "message": w} for p, c, w in taken.problems],
    }  # fmt: skip


def taken_lines(taken: Taken) -> list[str]:
    """The same for people."""
    bad = sum(count for _, count in taken.counts)
    what = f"{counted(taken.cards, 'card')} ({taken.bare} without a parent)"
    what += f", {counted(taken.edges, 'edge')}, {counted(taken.bundles, 'bundle')}"
    lines = [
        f"read   {counted(taken.lines, 'line')}: {what}",
        f"stated {counted(taken.added.given, 'edge')}, {taken.added.new} new",
    ]
    if taken.added.own:
        lines.append(f"!      {counted(taken.added.own, 'self-parent')}, kept apart")
    if taken.lowered:
        lines.append(f"!      {counted(taken.lowered, 'edge')} taken as declared: a file cannot attest")
    lines += [f"?      {count} × [{code}]" for code, count in taken.counts]
    lines += [f"       {place}: {why} [{code}]" for place, code, why in taken.problems]
    if bad > len(taken.problems):
        lines.append(f"       … and {bad - len(taken.problems)} more")
    return lines
