"""Comparing an OMS statement with a measured manifest: what differs, what was not measured, what was left out."""

from collections.abc import Collection
from dataclasses import replace

from weighbridge.core.manifest import Difference, Entry, Manifest
from weighbridge.sign.oms.content import OmsStatement
from weighbridge.sign.oms.measured import digest_of, part_of, shard_digests
from weighbridge.sign.oms.paths import ignorer


def resolve(statement: OmsStatement, manifest: Manifest) -> OmsStatement:
    """The statement about these files: gives a nameless one-file model the name of the one file there is."""
    if not statement.nameless or len(manifest.entries) != 1 or "/" in manifest.entries[0].path:
        return statement
    path = manifest.entries[0].path
    return replace(statement, resources=tuple(item._replace(path=path) for item in statement.resources))


def part(statement: OmsStatement, paths: Collection[str]) -> OmsStatement:
    """What the statement says of these files alone; nothing of the set, so that no digest over all of it is left."""
    return replace(
        statement,
        resources=tuple(item for item in statement.resources if item.path in paths),
        digests=(),
        tensors=tuple(item for item in statement.tensors if item.path in paths),
        tensor_paths=statement.tensor_paths & frozenset(paths),
        empty=None if statement.empty is None else tuple(path for path in statement.empty if path in paths),
    )


def compare(statement: OmsStatement, manifest: Manifest, *, tensors: bool = True) -> Difference:
    """What differs between what was signed and what was measured; a file not measured as needed counts as changed.

    `tensors` also names tensors that differ in files that differ, where the signer recorded them and they were measured.
    """
    statement = resolve(statement, manifest)
    skip = ignorer(statement)
    found = {entry.path: entry for entry in manifest.entries}
    changed = _changed(statement, manifest, found)
    added = [
        path
        for path in found
        if path not in statement.paths and not skip(path) and not _unlistable(statement, found[path])
    ]
    removed = statement.paths - found.keys()
    names = _tensor_difference(statement, manifest, {*changed, *added, *removed}) if tensors else {}
    return Difference(
        changed=tuple(sorted(changed)), added=tuple(sorted(added)), removed=tuple(sorted(removed)), **names
    )


def _changed(statement: OmsStatement, manifest: Manifest, found: dict[str, Entry]) -> set[str]:
    changed = {path for path in statement.empty or () if path in found and found[path].size}
    digests = shard_digests(manifest, statement.hash_type)
    for path, digest, start, end in statement.resources:
        entry = found.get(path)
        if entry is None:
            continue
        whole = end is None or (start == 0 and end == entry.size)
        actual = digest_of(entry, statement.hash_type) if whole else None
        if actual is None:
            actual = digests.get((path, start, entry.size if end is None else end))
        if actual != digest:
            changed.add(path)
    if statement.method == "shards":
        changed |= _resized(statement, found)
    return changed


def _resized(statement: OmsStatement, found: dict[str, Entry]) -> set[str]:
    sizes: dict[str, int] = {}
    for path, _, _, end in statement.resources:
        sizes[path] = max(sizes.get(path, 0), end or 0)
    return {path for path, size in sizes.items() if path in found and found[path].size != size}


def unmeasured(statement: OmsStatement, manifest: Manifest) -> tuple[str, ...]:
    """Signed files that are there but were not measured with the hash, or the shards, that the statement needs."""
    statement = resolve(statement, manifest)
    found = {entry.path: entry for entry in manifest.entries}
    shards = shard_digests(manifest, statement.hash_type)
    lacking = set()
    for path, _, start, end in statement.resources:
        entry = found.get(path)
        if entry is None or (end is not None and end > entry.size):
            continue
        whole = end is None or (start == 0 and end == entry.size)
        if whole and digest_of(entry, statement.hash_type) is not None:
            continue
        if (path, start, entry.size if end is None else end) not in shards:
            lacking.add(path)
    return tuple(sorted(lacking))


def _unlistable(statement: OmsStatement, entry: Entry) -> bool:
    """An empty file of a sharded model: OMS leaves it out, so nobody signed whether it is there."""
    return statement.method == "shards" and statement.empty is None and entry.size == 0


def uncovered(statement: OmsStatement, manifest: Manifest) -> tuple[str, ...]:
    """Files that are there and that the statement leaves out on purpose, harmless ones included."""
    statement = resolve(statement, manifest)
    skip = ignorer(statement)
    return tuple(
        entry.path
        for entry in manifest.entries
        if entry.path not in statement.paths and (skip(entry.path) or _unlistable(statement, entry))
    )


def covered(statement: OmsStatement, manifest: Manifest) -> Manifest:
    """The part of the manifest that the statement vouches for: what its `digests` are of."""
    return part_of(manifest, resolve(statement, manifest).paths)


def expected(statement: OmsStatement) -> dict[str, bytes]:
    """path → SHA-256 where the statement says it, so that measuring can stop at the first file that differs."""
    if statement.hash_type != "sha256" or statement.method != "files" or statement.nameless:
        return {}
    return {resource.path: resource.digest for resource in statement.resources}


def _tensor_difference(
    statement: OmsStatement, manifest: Manifest, touched: set[str]
) -> dict[str, tuple[str, ...]]:
    """Names of tensors that differ, over all files that differ together: a tensor may move from shard to shard."""
    if manifest.tensors is None or not touched & statement.tensor_paths:
        return {}
    # A signed file without a record of its tensors says nothing about them; a file that was added does.
    paths = {path for path in touched if path in statement.tensor_paths or path not in statement.paths}
    signed = {t.name: (t.dtype, t.shape, t.digest) for t in statement.tensors if t.path in paths}
    now = {t.name: (t.dtype, tuple(t.shape), t.digest) for t in manifest.tensors if t.path in paths}
    return {
        "tensors_changed": tuple(
            sorted(name for name in signed.keys() & now.keys() if signed[name] != now[name])
        ),
        "tensors_added": tuple(sorted(now.keys() - signed.keys())),
        "tensors_removed": tuple(sorted(signed.keys() - now.keys())),
    }
