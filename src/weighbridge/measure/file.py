"""One member on its way through the measuring: what feeds on its bytes, and what is known about its tensors."""

from typing import TYPE_CHECKING

from weighbridge.core.artifact import Member
from weighbridge.core.manifest import TensorEntry
from weighbridge.measure.hashes import Feed, Shards, Tensors, Whole

if TYPE_CHECKING:
    from weighbridge.formats.reading import TensorRef


class File:
    """Belongs to one thread at a time."""

    __slots__ = ("index", "member", "pending", "shards", "stream", "tensors", "wholes")

    def __init__(self, index: int, member: Member) -> None:
        self.index, self.member = index, member
        self.wholes: list[Whole] = []
        self.shards: list[Shards] = []
        self.pending: list[tuple[str, TensorRef]] = []
        """(file that owns it, tensor) for those that the hashing pass takes; `stream` hashes them."""
        self.stream: Tensors | None = None
        self.tensors: list[TensorEntry] = []

    @property
    def feeds(self) -> list[Feed]:
        """Everything that wants all bytes in order."""
        return [*self.wholes, *self.shards, *([self.stream] if self.stream is not None else [])]
