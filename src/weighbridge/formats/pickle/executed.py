"""A source together with its first pickle, executed once: who looked first need not be followed by a second look."""

from weighbridge.core.budget import Budget
from weighbridge.core.source import Source
from weighbridge.formats.pickle.opcodes import run
from weighbridge.formats.pickle.program import PickleProgram
from weighbridge.formats.pickle.values import Value


class Executed:
    """A Source whose first pickle is known, as a loader without hooks of its own runs it."""

    __slots__ = ("_inner", "program", "registry")

    def __init__(self, inner: Source, program: PickleProgram, registry: dict[int, Value]) -> None:
        self._inner, self.program = inner, program
        self.registry = registry
        """Extension codes that the first pickle leaves to the next ones."""

    @classmethod
    def of(cls, source: Source, budget: Budget) -> "Executed":
        """Execute the pickle at the start. Raises what the source raises."""
        registry: dict[int, Value] = {}
        return cls(source, run(source, budget, registry=registry), registry)

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._inner.size

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        return self._inner.read(offset, length)
