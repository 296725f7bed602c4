"""What is read of a GGUF file: its metadata and its layout."""

from typing import Any, NamedTuple

from weighbridge.core.value import dataclass
from weighbridge.formats.reading import Reading


class Pair(NamedTuple):
    """One metadata entry. `value` is None for arrays and for templates and long strings; `length` tells their size."""

    key: str
    kind: int
    value: Any
    length: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufReading(Reading):
    """Metadata and layout."""

    version: int
    big_endian: bool
    alignment: int
    metadata: tuple[Pair, ...] = ()
    data_offset: int = 0

    @property
    def shards(self) -> int:
        """How many files the model is split into, by what this one says; 0 for a whole model."""
        count = next((p.value for p in self.metadata if p.key == "split.count"), 0)
        return count if isinstance(count, int) and count > 1 else 0
