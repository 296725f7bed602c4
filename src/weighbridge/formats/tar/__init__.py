"""Tar files, and those among them that are PyTorch's oldest layout, which goes to its own reader."""

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.formats.reading import Reading
from weighbridge.formats.tar.tree import TarMember, TarTree, read_tree

__all__ = ["TarMember", "TarTree", "read"]

PYTORCH = {"pickle", "storages", "tensors"}


def read(source: Source, budget: Budget, name: str) -> Reading:
    """Read all headers. Raises `InputError` (`not-this-format`) where the first block is no header."""
    tree = read_tree(source, budget)
    if {member.name.removeprefix("./") for member in tree.members} >= PYTORCH:
        from weighbridge.formats.pytorch import legacy

        return legacy.read_tar(tree, source, budget, name)
    return tree
