"""What was measured, as statements need it: digests of files and of shards, and the part of a manifest."""

from weighbridge.core.manifest import Entry, Manifest


def digest_of(entry: Entry, algorithm: str) -> bytes | None:
    """The digest of a whole file; None where it was not measured so."""
    return {"sha256": entry.sha256, "blake3": entry.blake3}.get(algorithm)


def shard_digests(manifest: Manifest, algorithm: str) -> dict[tuple[str, int, int], bytes]:
    """(path, start, end) → digest of every shard that was measured with this hash."""
    return {
        (path, start, end): digest for path, start, end, name, digest in manifest.shards if name == algorithm
    }


def part_of(manifest: Manifest, paths: set[str] | frozenset[str]) -> Manifest:
    """The manifest of these paths alone."""
    tensors = manifest.tensors
    return Manifest(
        entries=tuple(entry for entry in manifest.entries if entry.path in paths),
        tensors=None if tensors is None else tuple(tensor for tensor in tensors if tensor.path in paths),
        shards=manifest.shards,
    )
