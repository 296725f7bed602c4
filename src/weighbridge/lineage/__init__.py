"""Lineage: what descends from what, for sure or perhaps. Every statement feeds the graph; SQL is its truth."""
