"""What must be measured before bundles can be verified: hashes, shards, tensors, links. Nobody is trusted for it."""

from collections.abc import Iterable

from weighbridge.core.value import dataclass
from weighbridge.sign import gate, oms
from weighbridge.sign.bundle import Bundle
from weighbridge.sign.verify.statement import readable

MAX_SHARD_SIZES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What must be measured so that a set of bundles can be verified. From unverified bundles, hence bounded."""

    hashes: frozenset[str] = frozenset()
    """`sha256`, `blake3`."""
    blake2b: bool = False
    shards: tuple[tuple[str, int], ...] = ()
    """(algorithm, shard size)."""
    tensors: bool = False
    """Whether tensors were recorded, so that a difference can be told by tensor."""
    allow_symlinks: bool = False
    """Whether some statement was made over the contents behind links."""
    ignore_paths: tuple[str, ...] = ()
    """What some signer left out; it is measured all the same, since it is shown."""


def wanted_plan(bundles: Iterable[Bundle]) -> Wanted:
    """What measuring needs to know of these bundles. Bundles that cannot be read ask for nothing."""
    bundles = tuple(bundles)
    statements = [statement for bundle in bundles for statement in readable(bundle)]
    sharded = {(s.hash_type, s.shard_size) for s in statements if s.shard_size}
    return Wanted(
        hashes=frozenset(s.hash_type for s in statements if s.hash_type != "blake2b")
        | _verdict_hashes(bundles),
        blake2b=any(s.hash_type == "blake2b" and not s.shard_size for s in statements),
        shards=tuple(sorted(sharded))[:MAX_SHARD_SIZES],
        tensors=any(s.tensor_paths for s in statements),
        allow_symlinks=any(s.allow_symlinks for s in statements),
        ignore_paths=tuple(sorted({path for s in statements for path in s.ignore_paths})),
    )


def expected_files(bundle: Bundle) -> dict[str, bytes]:
    """path → SHA-256 as the bundle has it, for an early stop; {} where it says so in another way."""
    return next((oms.expected(statement) for statement in readable(bundle)), {})


def _verdict_hashes(bundles: Iterable[Bundle]) -> frozenset[str]:
    """Gates speak of the file-set digest; ours writes it with SHA-256."""
    verdicts = any(gate.is_verdict(bundle.envelope.payload) for bundle in bundles if not bundle.code)
    return frozenset({"sha256"} if verdicts else ())
