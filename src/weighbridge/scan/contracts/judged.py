"""What a judgement says: the things outside of the contracts, each with how far it is from proved."""

from enum import StrEnum
from typing import NamedTuple

from weighbridge.core.value import dataclass
from weighbridge.formats.pickle import Buffer, Call, Change, Extension, Global, Persistent


class Level(StrEnum):
    """How far from proved."""

    UNPROVED = "unproved"
    HARMFUL = "harmful"


class Judged(NamedTuple):
    """One thing that a program does and that is not inside a contract."""

    level: Level
    what: Call | Change | Global | Persistent | Extension | Buffer
    name: str
    """The callable's or class's name as far as it is known."""
    does: str
    """The end of "loading this file …"."""
    certain: bool = True
    """False where only the look of the name or of the arguments says so."""
    kind: str = "call"
    """`call`, `lookup`, `state`, `persistent`, `extension`, `buffer`, `code`."""
    times: int = 1
    """How often the program does it; this is the first time."""

    @property
    def offset(self) -> int:
        """Where it stands in the stream."""
        return self.what.offset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """Everything outside the contracts, in stream order."""

    items: tuple[Judged, ...]
    ends_at: int | None = None
    """The number of an opcode at which every loader breaks although the machine went on."""

    @property
    def proved(self) -> bool:
        """Whether nothing is outside the contracts."""
        return not self.items and self.ends_at is None

    def at(self, level: Level) -> tuple[Judged, ...]:
        """The items of one level."""
        return tuple(item for item in self.items if item.level is level)
