"""WeightsReading: what a look at the weights of one file found. Facts only; the rules `weights-…` judge them."""

from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One tensor, and how much of it was looked at."""

    name: str
    dtype: str
    read: int
    size: int
    """Bytes."""

    @property
    def share(self) -> str:
        """What every finding ends with."""
        return f"sampled {self.read} of {self.size} bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFinite:
    """Numbers in a tensor that are none, or without end."""

    tensor: Looked
    nans: int
    infinities: int
    usual: bool
    """True where it looks as masks and bounds do: infinities beside at most one other value, or in a few numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A tensor whose numbers are all the same."""

    tensor: Looked
    zero: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """Tensors that are stored separately and hold the same bytes."""

    names: tuple[str, ...]
    tensor: Looked
    """The first of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """Something that bits or bytes of a tensor spell."""

    tensor: Looked
    kind: str
    """`program`, `pickle`, `script`, `archive` or `text`."""
    what: str
    """In words: `an ELF program`."""
    how: str
    """Where it is taken from, in words: `bit 0 of every F32, first bit highest`; "" for the bytes as they stand."""
    at: int
    """Byte of the tensor near which it begins."""
    excerpt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A stretch of a tensor whose low bits are unlike those before and behind it."""

    tensor: Looked
    begin: int
    end: int
    """Bytes of the tensor."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A program in bytes of the file that belong to no tensor."""

    what: str
    at: int
    behind: bool
    """True behind the last tensor, False before or between tensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsReading(Reading):
    """The weights of one file."""

    names: tuple[str, ...] = ()
    """Of all its tensors; the whole artifact may hold an index that says which there should be."""
    not_finite: tuple[NotFinite, ...] = ()
    constant: tuple[Constant, ...] = ()
    twins: tuple[Twins, ...] = ()
    hidden: tuple[Hidden, ...] = ()
    regions: tuple[Region, ...] = ()
    outside: tuple[Outside, ...] = ()
    unused: tuple[str, ...] = ()
    """Initial values of a graph that no node takes and no output names."""
    unseen: tuple[tuple[str, str], ...] = ()
    """(tensor or "", why) of what could not be looked at."""
