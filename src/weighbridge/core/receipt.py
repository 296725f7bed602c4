"""Receipt: what one conversion took, left out, renamed and wrote, and how the equality of both sides was shown.

The value is what `convert` returns, what the signed statement holds and what `convert --against` derives anew from both
sides. A rename or an omission is a rule over names wherever it can be one, so that a receipt of a checkpoint with
100,000 optimizer tensors has one line for them.
"""

from enum import StrEnum
from typing import NamedTuple

from weighbridge.core.value import dataclass

CONVERT_PREDICATE = "weighbridge.convert/v1"
"""The predicate type of a receipt as a statement (docs/formats/convert.md)."""


class Kind(StrEnum):
    """What was left out."""

    FILE = "file"
    """A whole file."""
    TENSOR = "tensor"
    """The tensor of exactly this name."""
    TENSORS = "tensors"
    """Every tensor whose name begins so."""
    VALUE = "value"
    """Something in a checkpoint that is no tensor: an object, a number beyond what metadata holds."""
    CODE = "code"
    """Program text of the source format (TorchScript)."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """One thing of the source that the output does not have."""

    kind: Kind
    path: str
    """The file it stood in, or was."""
    name: str
    """The tensor's or value's name, or how the names begin; "" for a file."""
    why: str
    count: int = 1


class Renamed(NamedTuple):
    """A rule that names follow: `old` becomes `new`, as the whole name or (`prefix`) as its beginning."""

    path: str
    old: str
    new: str
    prefix: bool = False


class Output(NamedTuple):
    """One file that was written."""

    path: str
    size: int
    sha256: str
    """Hex."""
    origin: str = ""
    """The source file that it copies byte by byte; "" for one that was written anew."""


class Seen(NamedTuple):
    """One finding about the source, shortened."""

    rule: str
    severity: str
    path: str
    where: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a conversion."""

    name: str
    files: int
    bytes: int
    files_digest: str
    tensors_digest: str | None = None
    """None where not every tensor of this side could be listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equality:
    """Source tensors against output tensors, by dtype, shape and BLAKE3 of the canonical bytes."""

    compared: int
    equal: int
    different: tuple[str, ...] = ()
    """Names of tensors that are on both sides and not equal."""
    missing: tuple[str, ...] = ()
    """Names that the output should have."""
    extra: tuple[str, ...] = ()
    """Names that only the output has."""

    @property
    def holds(self) -> bool:
        """Whether there is something to compare, and all of it is equal."""
        return self.compared == self.equal > 0 and not (self.different or self.missing or self.extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One conversion."""

    target: str
    """`safetensors`, `gguf`, `onnx`."""
    source: Side
    output: Side
    outputs: tuple[Output, ...]
    """Sorted by path."""
    equality: Equality
    converted: tuple[tuple[str, str], ...] = ()
    """(source file, weights set of the output that has its tensors: a file's name without its shard number)."""
    renamed: tuple[Renamed, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    tied: tuple[tuple[str, ...], ...] = ()
    """Groups of names that shared one storage, each of which was written."""
    findings: tuple[Seen, ...] = ()
    """What the scan of the source saw, errors first; capped, see `findings_more`."""
    findings_more: int = 0
    dangerous: bool = False
    """True where loading the source would have run something that can do harm."""
    version: str = ""
    """Of weighbridge."""
    time: str = ""
    """RFC 3339, UTC, by the clock of the machine that converted."""
