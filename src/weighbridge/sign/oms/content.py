"""What an OMS statement says: the names of its parts, and a statement once it was read."""

import hashlib
from collections.abc import Iterable
from dataclasses import field
from typing import NamedTuple

from weighbridge.core.value import dataclass

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"

DIGESTS = "dev.weighbridge.digests/v1"
TENSORS = "dev.weighbridge.tensors/v1"
EMPTY = "dev.weighbridge.empty/v1"
"""Our annotations; OMS leaves `annotations` of the subject and of resources open (section 5.2.1)."""

MIN_SHARD = 1024**2
"""Smaller shards cost more to list than to read; a statement must not choose how much memory its check takes."""


class Resource(NamedTuple):
    """A signed file, or the shard `[start, end)` of one."""

    path: str
    digest: bytes
    start: int = 0
    end: int | None = None
    """None for a whole file, whose size OMS does not record."""


class SignedTensor(NamedTuple):
    """A tensor of a signed file, when the signer was ours."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    digest: bytes
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OmsStatement:
    """What somebody signed about a model."""

    name: str
    """What the signer called it; says nothing about the contents."""
    predicate: str = PREDICATE_TYPE
    method: str = "files"
    """`files` or `shards`."""
    hash_type: str = "sha256"
    shard_size: int | None = None
    allow_symlinks: bool = False
    ignore_paths: tuple[str, ...] = ()
    """As recorded; the defaults are ignored besides."""
    resources: tuple[Resource, ...]
    digests: tuple[tuple[str, str], ...] = ()
    """Our annotation: (`files`, `tensors` or `card`; `algorithm:hex`)."""
    tensors: tuple[SignedTensor, ...] = ()
    tensor_paths: frozenset[str] = frozenset()
    """Files whose tensors are listed in `tensors`."""
    empty: tuple[str, ...] | None = None
    """Empty files of a sharded model, which OMS cannot list; None when the signer did not say."""
    paths: frozenset[str] = field(init=False, compare=False, repr=False)
    """Every path the statement vouches for."""

    def __post_init__(self) -> None:
        paths = {resource.path for resource in self.resources}
        object.__setattr__(self, "paths", frozenset(paths.union(self.empty or ())))

    @property
    def nameless(self) -> bool:
        """True for a one-file model whose name was not signed: model-signing writes "." for it."""
        return self.paths == {"."}

    @property
    def version(self) -> str:
        """The version of the OMS predicate: `1.0`."""
        return self.predicate.rpartition("/v")[2]


def root_digest(digests: Iterable[bytes]) -> str:
    """SHA-256 hex over the digests in listed order (OMS section 6.5.1). It binds neither names nor sizes."""
    return hashlib.sha256(b"".join(digests)).hexdigest()
