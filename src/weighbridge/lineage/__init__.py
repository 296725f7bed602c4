"""Lineage: what descends from what, for sure or perhaps. Every statement feeds the graph; SQL is its truth.

    statements ─feed→ Lineage ─ask→ ancestors, descendants, a path: each with who says so
    model cards ─intake→   ↑  ↘ index: the same edges as arrays, for "what does this reach?" in milliseconds
    measured tensors ─known→ likely parents, where nobody says any

Read `edge` first: what an edge is and which grades there are. `graph` keeps it all; nothing in it is ever overwritten, and
two statements that contradict each other both stand. What follows from a recall is not decided here.
"""

from weighbridge.lineage.ask import Answer, Found, Way, ancestors, descendants, way
from weighbridge.lineage.edge import Edge, Grade, Link, Node
from weighbridge.lineage.feed import Fed, feed
from weighbridge.lineage.graph import Lineage

__all__ = [
    "Answer",
    "Edge",
    "Fed",
    "Found",
    "Grade",
    "Lineage",
    "Link",
    "Node",
    "Way",
    "ancestors",
    "descendants",
    "feed",
    "way",
]
