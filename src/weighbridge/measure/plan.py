"""What to measure, and what was measured: the two values around `engine.measure`."""

from typing import Any

from weighbridge.core.artifact import Artifact
from weighbridge.core.errors import LimitError, UsageError
from weighbridge.core.finding import Unread
from weighbridge.core.manifest import Manifest
from weighbridge.core.value import dataclass
from weighbridge.measure.hashes import new_function

HASHES = frozenset({"sha256", "blake3"})

MAX_SHARDS = 1_000_000
"""Over all files. A signature that names a shard size of one byte would else fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to compute."""

    hashes: frozenset[str] = frozenset({"sha256"})
    """Of `sha256` and `blake3`: the digests of `Manifest.entries`."""
    tensors: bool = False
    """Whether to fill `Manifest.tensors`."""
    shards: tuple[tuple[str, int], ...] = ()
    """(algorithm, shard size): the rows of `Manifest.shards`."""
    blake2b: bool = False
    """Also a row (path, 0, size, "blake2b", digest) for every file: old OMS bundles have these."""

    def __post_init__(self) -> None:
        if self.hashes - HASHES:
            unknown = ", ".join(sorted(self.hashes - HASHES))
            raise UsageError(
                "hash-unknown", f'files are not named by "{unknown[:40]}"', "sha256 and blake3 are known"
            )
        for algorithm, size in self.shards:
            new_function(algorithm)
            if size < 1:
                raise UsageError("bad-shard-size", f"a shard of {size} bytes is none")

    def refuse_too_many_shards(self, artifact: Artifact) -> None:
        """Raises `LimitError` (`limit-members`) where the rows would be more than anybody signs."""
        for _, size in self.shards:
            count = sum(-(-member.size // size) for member in artifact.members)
            if count > MAX_SHARDS:
                raise LimitError(
                    "limit-members", f"shards of {size} bytes would be {count}, limit {MAX_SHARDS}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What was measured. `unread` does not repeat the artifact's obstacles."""

    manifest: Manifest
    """Has an entry for every member; one without digests for what is in `unread`. Partial after an early stop."""
    unread: tuple[Unread, ...]
    """Files that could not be read whole, or changed meanwhile."""
    examined: tuple[Any, ...]
    """What `examine` answered, in member order. A file that cannot be opened is examined too: its source raises."""
    seconds: float
    stopped: str = ""
    """The file that differed from `expected` and ended the work; "" when everything was measured."""
    claimed: frozenset[str] = frozenset()
    """Files elsewhere whose digest in the manifest is only what their store states."""
    unlisted: tuple[tuple[str, str], ...] = ()
    """(path, why) of files whose tensors are unknown, when tensors were asked for."""
