"""Manifest: the measured contents of an artifact, and the three digests that name it.

The digests are specified, with golden vectors, in docs/formats/digests.md. All three are RFC 9162 Merkle trees (leaf
prefix 0x00, node prefix 0x01, ours on top 0x02) over length-prefixed records in byte order, so that one member can
be proved later:

files   binds every path, size and content
tensors binds (folder, name, dtype, shape, bytes) of every tensor, whatever container they came in
card    binds the documentation alone
"""

import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from typing import Any, NamedTuple

from weighbridge.core.errors import InputError
from weighbridge.core.pattern import late
from weighbridge.core.value import dataclass


class Digest(NamedTuple):
    """A named digest; `str()` gives `algorithm:hex` and `parse` takes it back."""

    algorithm: str
    value: bytes

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value.hex()}"

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """`parse(str(d)) == d`. Raises `InputError` (`bad-digest`)."""
        algorithm, colon, value = text.partition(":")
        try:
            raw = bytes.fromhex(value)
        except ValueError:
            raw = b""
        if not (colon and algorithm and raw) or value != raw.hex():
            raise InputError("bad-digest", f'"{text[:100]}" is not algorithm:hex')
        return cls(algorithm, raw)


class Entry(NamedTuple):
    """One file as measured. A named tuple for the reason given in `core.artifact`."""

    path: str
    size: int
    sha256: bytes | None = None
    blake3: bytes | None = None
    link: str | None = None


class TensorEntry(NamedTuple):
    """One tensor as measured, whatever file it came from."""

    name: str
    dtype: str
    """Canonical name: safetensors' spelling (`F32`, `BF16`, `I64`, …), or GGUF's type name (`Q4_K`)."""
    shape: tuple[int, ...]
    """Row-major, outermost first."""
    digest: bytes
    """BLAKE3 of the little-endian, row-major, gap-free bytes."""
    path: str
    """The file it was read from; only its folder is part of the tensor-set digest, unless two files of one folder
    hold different tensors of one name (then the weights set, see `weights_set`, is too)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `measure` found. Entries are sorted by path; sorting and uniqueness are checked here."""

    entries: tuple[Entry, ...]
    tensors: tuple[TensorEntry, ...] | None = None
    """None when the tensors were not asked for, or could not all be read; () when there are none."""
    shards: tuple[tuple[str, int, int, str, bytes], ...] = ()
    """OMS shards, when asked for: (path, start, end, algorithm, digest)."""
    _known: dict[str, Digest | None] = field(default_factory=dict, init=False, compare=False, repr=False)
    """File-set digests that were asked for before: a tree over 20,000 files takes a twentieth of a second."""

    def __post_init__(self) -> None:
        paths = [entry.path for entry in self.entries]
        if any(a >= b for a, b in itertools.pairwise(paths)):
            raise InputError(
                "bad-manifest", "manifest entries are not sorted by path, or a path stands twice"
            )
        try:
            _raw_path("".join(paths))
        except UnicodeEncodeError:
            raise InputError("bad-manifest", "a path in the manifest is no file name on any system") from None

    @property
    def size(self) -> int:
        """Bytes over all entries."""
        return sum(entry.size for entry in self.entries)

    def files_digest(self, algorithm: str = "sha256") -> Digest | None:
        """The file-set digest, or None where an entry was not hashed with `algorithm`."""
        if algorithm not in self._known:
            self._known[algorithm] = _file_tree(self.entries, algorithm, "weighbridge.files/v1")
        return self._known[algorithm]

    def tensors_digest(self) -> Digest | None:
        """The tensor-set digest; None when the tensors are unknown, ambiguous, or there are none."""
        placed = place_tensors(self.tensors or ())
        if not placed:
            return None
        leaves = [_record(*leaf) for leaf in sorted(_tensor_leaf(place, t) for place, t in placed.items())]
        return Digest("blake3", tree_digest(leaves, "weighbridge.tensors/v1", _blake3()))

    def card_digest(self) -> Digest | None:
        """The digest of the documentation alone (`is_card`); None when there is none or it was not hashed."""
        return _file_tree([e for e in self.entries if is_card(e.path)], "sha256", "weighbridge.card/v1")


def is_card(path: str) -> bool:
    """Whether a path is documentation: a README, model card, licence or notice at the model's root."""
    stem = path.upper().partition(".")[0]
    documents = {"README", "MODEL_CARD", "MODELCARD", "LICENSE", "LICENCE", "NOTICE", "CITATION"}
    return "/" not in path and path.isascii() and stem in documents


Place = tuple[str, str, str]
"""Where a tensor belongs: (folder, weights set or "", name). What the tensor-set digest binds it to."""


def weights_set(path: str) -> str:
    """The file name without its shard number: `model-00001-of-00003.safetensors` is part of `model.safetensors`."""
    return _SHARD.sub("", path.rpartition("/")[2])


_SHARD = late(r"-[0-9]{1,9}-of-[0-9]{1,9}(?=\.|\Z)", re.ASCII)


def place_tensors(tensors: Iterable[TensorEntry]) -> dict[Place, TensorEntry] | None:
    """Every tensor under its place, equal copies once; None when one place would hold two different tensors.

    A folder that carries the same weights in two formats has each tensor once. Where two weights sets of one folder
    disagree about a name, each keeps its own: the place then says which set it is of.
    """
    named: dict[tuple[str, str], list[TensorEntry]] = {}
    for tensor in tensors:
        named.setdefault((tensor.path.rpartition("/")[0], tensor.name), []).append(tensor)
    placed: dict[Place, TensorEntry] = {}
    for (folder, name), found in named.items():
        agreed = all(_tensor_content(other) == _tensor_content(found[0]) for other in found[1:])
        for tensor in found[:1] if agreed else found:
            place = (folder, "" if agreed else weights_set(tensor.path), name)
            if _tensor_content(placed.setdefault(place, tensor)) != _tensor_content(tensor):
                return None
    return placed


def tensor_label(place: Place) -> str:
    """How a tensor is called on screens: its name, behind its folder and weights set where they are needed."""
    return " › ".join(part for part in place if part)


def _tensor_content(tensor: TensorEntry) -> tuple[bytes, bytes, bytes]:
    return tensor.dtype.encode(), ",".join(map(str, tensor.shape)).encode(), tensor.digest


def _tensor_leaf(place: Place, tensor: TensorEntry) -> tuple[bytes, ...]:
    folder, part, name = place
    return _raw_path(folder), _raw_path(part), name.encode("utf-8", "surrogatepass"), *_tensor_content(tensor)


def _raw_path(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def tree_digest(leaves: Sequence[bytes], domain: str, new: Callable[[bytes], Any] = hashlib.sha256) -> bytes:
    """Root over `leaves` (RFC 9162 section 2.1.1), then bound to `domain` and the number of leaves."""
    level = [new(b"\x00" + leaf).digest() for leaf in leaves]
    count = len(level)
    while len(level) > 1:
        pairs = [new(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return bytes(new(b"\x02" + _record(domain.encode(), count.to_bytes(8, "big"), *level)).digest())


def _file_tree(entries: Iterable[Entry], algorithm: str, domain: str) -> Digest | None:
    leaves = []
    for entry in entries:
        content = entry.sha256 if algorithm == "sha256" else entry.blake3 if algorithm == "blake3" else None
        if content is None:
            return None
        leaves.append((_raw_path(entry.path), entry.size.to_bytes(8, "big"), content))
    if not leaves:
        return None
    new = hashlib.sha256 if algorithm == "sha256" else _blake3()
    return Digest(algorithm, tree_digest([_record(*leaf) for leaf in sorted(leaves)], domain, new))


def _record(*fields: bytes) -> bytes:
    """Fields with their lengths in front, so that no two different records read the same."""
    return b"".join([len(field).to_bytes(8, "big") + field for field in fields])


def _blake3() -> Callable[[bytes], Any]:
    from blake3 import blake3

    return blake3


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What changed between two manifests; paths and tensor names, sorted."""

    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    tensors_changed: tuple[str, ...] = ()
    tensors_added: tuple[str, ...] = ()
    tensors_removed: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """True when nothing differs."""
        return not (
            self.changed
            or self.added
            or self.removed
            or self.tensors_changed
            or self.tensors_added
            or self.tensors_removed
        )
