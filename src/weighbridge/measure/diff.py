"""What changed between two measured models: files by path, tensors by folder and name. Pure."""

from weighbridge.core.difference import layer_summary, tensor_changes
from weighbridge.core.manifest import Difference, Entry, Manifest

__all__ = ["difference", "layer_summary"]


def difference(old: Manifest, new: Manifest) -> Difference:
    """What changed from `old` to `new`. A file that could not be hashed on one side counts as changed.

    The tensor fields stay empty where one side's tensors are unknown: look at `Manifest.tensors` to tell.
    """
    before = {entry.path: entry for entry in old.entries}
    after = {entry.path: entry for entry in new.entries}
    changed, added, removed = tensor_changes(old.tensors, new.tensors) or ((), (), ())
    return Difference(
        changed=tuple(
            sorted(p for p in before.keys() & after.keys() if not same_content(before[p], after[p]))
        ),
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        tensors_changed=changed,
        tensors_added=added,
        tensors_removed=removed,
    )


def same_content(one: Entry, other: Entry) -> bool:
    """Equal size, and equal in every digest that both have, of which there must be one."""
    pairs = [(one.sha256, other.sha256), (one.blake3, other.blake3)]
    known = [a == b for a, b in pairs if a is not None and b is not None]
    return one.size == other.size and bool(known) and all(known)
