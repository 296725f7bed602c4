"""The chain of a model: for people as a tree, for machines as JSON, for graph tools as DOT, for pages as SVG. Pure.

Names come from statements that anybody may have written: each is made visible before it stands on a screen, and
escaped as its format asks. https://graphviz.org/doc/info/lang.html, https://www.w3.org/TR/SVG11/
"""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from weighbridge.core.chain import Fact, Making, Node, Standing
from weighbridge.core.text import some, visible
from weighbridge.report.summary import short_digest

_WIDEST = 72
"""Columns for what stands left of the marks."""
_MARKS = {Standing.SIGNED: "✓", Standing.CLAIMED: "?", Standing.UNSTATED: "?"}


def document(node: Node) -> dict[str, Any]:
    """The chain as plain values; names as they stand in the statements."""
    return {
        "name": node.name,
        "digests": list(node.digests),
        "standing": node.standing.value,
        "relation": node.relation,
        "by": list(node.by),
        "why": node.why,
        "facts": [
            {
                "word": f.word,
                "text": f.text,
                "standing": f.standing.value,
                "by": f.by,
                "statement": f.statement,
            }
            for f in node.facts
        ],
        "steps": [
            {
                "name": making.name,
                "standing": making.standing.value,
                "by": list(making.by),
                "finished": making.finished,
                "builder": making.builder,
                "plan": making.plan,
                "statements": list(making.statements),
                "materials": [document(material) for material in making.materials],
            }
            for making in node.makings
        ],
    }


# -- for people


def tree(root: Node) -> list[str]:
    """The lines of the drawing."""
    lines = [f"{_name(root)}  {_digest(root)}".rstrip()]
    rows = list(_below(root, ""))
    width = min(_WIDEST, max((len(title) for title, _ in rows), default=0))
    return lines + [f"{title:<{width}}  {who}".rstrip() for title, who in rows]


def _below(node: Node, indent: str) -> Iterator[tuple[str, str]]:
    """What stands left, and who says so: the latter in one column, whatever the depth."""
    children: list[Making | Fact | str] = [*node.facts, *node.makings]
    if node.why:
        children = [*node.facts, node.why]
    elif not node.makings:
        children.append("nothing stated further back")
    for place, child in enumerate(children):
        last = place == len(children) - 1
        branch, rest = ("└─", "   ") if last else ("├─", "│  ")
        if isinstance(child, str):
            yield f"{indent}{branch} {child}", "?" if child.startswith("nothing") else ""
        elif isinstance(child, Fact):
            title, who = _fact(child)
            yield f"{indent}{branch} {title}", who
        else:
            title, who = _making(child)
            yield f"{indent}{branch} {title}", who
            yield from _materials(child, indent + rest)


def _materials(making: Making, indent: str) -> Iterator[tuple[str, str]]:
    for place, node in enumerate(making.materials):
        last = place == len(making.materials) - 1
        branch, rest = ("└─", "   ") if last else ("├─", "│  ")
        title = f"{node.relation.replace('_', ' ')}  {_name(node)}  {_digest(node)}"
        yield f"{indent}{branch} {title}", _standing(node)
        if node.facts or node.makings or node.why:
            yield from _below(node, indent + rest)


def _making(making: Making) -> tuple[str, str]:
    when = f", {visible(making.finished, 40)[:10]}" if making.finished else ""
    builder = f"  {visible(making.builder, 60)}" if making.builder else ""
    title = f"{visible(making.name, 40)}{builder}{when}"
    who = (
        f"signed by {some([visible(by, 60) for by in making.by])}"
        if making.by
        else "claimed, signed by nobody known"
    )
    return title, f"{_MARKS[making.standing]} {who}"


def _fact(fact: Fact) -> tuple[str, str]:
    title = f"{visible(fact.word, 60)}  {visible(fact.text, 120)}".rstrip()
    who = (
        f"signed by {visible(fact.by, 60)}"
        if fact.standing is Standing.SIGNED
        else "claimed, signed by nobody known"
    )
    return title, f"{_MARKS[fact.standing]} {who}"


def _standing(node: Node) -> str:
    if node.standing is Standing.SIGNED:
        return f"✓ signed by {some([visible(by, 60) for by in node.by])}"
    return "? claimed" if node.standing is Standing.CLAIMED else "? nothing stated"


def _name(node: Node) -> str:
    return visible(node.name, 80) or "(no name)"


def _digest(node: Node) -> str:
    return short_digest(next(iter(node.digests), None))


# -- for graph tools


def _flat(root: Node) -> tuple[list[tuple[str, Node]], list[tuple[str, str, Making, str]]]:
    """(key, artifact) each once, and (product, material, step, relation) for every edge."""
    nodes: dict[tuple[str, ...], tuple[str, Node]] = {}
    for node in root.walk():
        key = node.digests or (node.name,)
        known = nodes.get(key)
        if known is None or (known[1].why and not node.why):
            nodes[key] = (known[0] if known else f"n{len(nodes)}", node)
    edges = {
        (
            nodes[node.digests or (node.name,)][0],
            nodes[m.digests or (m.name,)][0],
            making.name,
            m.relation,
        ): making
        for node in root.walk()
        for making in node.makings
        for m in making.materials
    }
    return list(nodes.values()), [(p, m, making, relation) for (p, m, _, relation), making in edges.items()]


def dot(root: Node) -> str:
    """A digraph in the DOT language; arrows run from material to product."""
    nodes, edges = _flat(root)
    lines = ["digraph trace {", "  rankdir=LR;", '  node [shape=box, fontname="sans-serif"];']
    for key, node in nodes:
        style = "solid" if node.standing is Standing.SIGNED else "dashed"
        label = _quoted(f"{_name(node)}\n{_digest(node)}\n{_MARKS[node.standing]} {node.standing.value}")
        lines.append(f"  {key} [label={label}, style={style}];")
    for product, material, making, relation in edges:
        style = "solid" if making.standing is Standing.SIGNED else "dashed"
        label = _quoted(f"{visible(making.name, 40)}\n{relation.replace('_', ' ')}")
        lines.append(f"  {material} -> {product} [label={label}, style={style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_BOX, _GAP, _ROW = 260, 90, 74
_COLORS = {Standing.SIGNED: "#1a7f37", Standing.CLAIMED: "#9a6700", Standing.UNSTATED: "#6e7781"}


def svg(root: Node) -> str:
    """A drawing without scripts, styles from elsewhere or links: materials left, the model right."""
    nodes, edges = _flat(root)
    columns = _columns([key for key, _ in nodes], edges)
    deepest = max(columns.values(), default=0)
    rows: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for key, _ in nodes:
        column = columns[key]
        places[key] = (20 + (deepest - column) * (_BOX + _GAP), 20 + rows.get(column, 0) * _ROW)
        rows[column] = rows.get(column, 0) + 1
    width, height = 40 + (deepest + 1) * _BOX + deepest * _GAP, 40 + max(rows.values(), default=1) * _ROW
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
            ' role="img" font-family="sans-serif" font-size="12">'
        ),
        f"<title>{escape(f'How {_name(root)} was made')}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(
            _arrow(places[material], places[product], making, relation)
            for product, material, making, relation in edges
        ),
        *(_box(places[key], node) for key, node in nodes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _columns(keys: list[str], edges: list[tuple[str, str, Making, str]]) -> dict[str, int]:
    """How far each artifact stands from the model; a circle ends where it is closed."""
    columns = dict.fromkeys(keys, 0)
    for _ in range(min(len(keys), 100)):
        moved = False
        for product, material, _, _ in edges:
            if columns[material] <= columns[product] < len(keys) - 1:
                columns[material], moved = columns[product] + 1, True
        if not moved:
            break
    return columns


def _arrow(start: tuple[int, int], end: tuple[int, int], making: Making, relation: str) -> str:
    x1, y1, x2, y2 = start[0] + _BOX, start[1] + 26, end[0], end[1] + 26
    dash = "" if making.standing is Standing.SIGNED else ' stroke-dasharray="5 4"'
    text = escape(f"{visible(making.name, 16)}: {relation.replace('_', ' ')}")
    middle = (x1 + x2) // 2
    return (
        f'<path d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}" fill="none" '
        f'stroke="{_COLORS[making.standing]}" stroke-width="1.5"{dash}><title>{text}</title></path>'
    )


def _box(place: tuple[int, int], node: Node) -> str:
    x, y = place
    color = _COLORS[node.standing]
    return (
        f'<g><rect x="{x}" y="{y}" width="{_BOX}" height="52" rx="6" fill="#f6f8fa" stroke="{color}"/>'
        f'<text x="{x + 10}" y="{y + 21}" font-weight="bold">{escape(visible(node.name, 34) or "(no name)")}</text>'
        f'<text x="{x + 10}" y="{y + 40}" fill="{color}">'
        f"{escape(f'{_MARKS[node.standing]} {node.standing.value}  {_digest(node)}')}</text></g>"
    )
