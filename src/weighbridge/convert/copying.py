"""One tensor from where it lies into an open file, piece by piece, hashed on the way."""

from typing import Any, NamedTuple, Protocol

from weighbridge.convert.gather import Found
from weighbridge.core.budget import Budget
from weighbridge.core.errors import InputError
from weighbridge.core.text import visible
from weighbridge.measure import Progress
from weighbridge.measure.hashes import hasher
from weighbridge.measure.tensors import content


class Taker(Protocol):
    """Where bytes go: an open file."""

    def write(self, data: bytes, /) -> int:
        """Take all of them."""


class Sink:
    """Takes bytes and keeps none: to hash without writing."""

    def write(self, data: bytes, /) -> int:
        """See `Taker.write`."""
        return len(data)


class Placed(NamedTuple):
    """A tensor under the name that it gets."""

    name: str
    found: Found


class Copier:
    """Copies tensors and remembers the BLAKE3 digest of each; belongs to one conversion."""

    def __init__(self, budget: Budget, progress: Progress | None) -> None:
        self._budget, self._progress = budget, progress
        self.digests: dict[tuple[str, str], bytes] = {}
        """(file of the source, name there) → BLAKE3 of the canonical content."""

    def copy(self, found: Found, file: Taker) -> None:
        """Append the canonical bytes of one tensor. Raises `InputError` (`file-changed`, …) and `LimitError`."""
        digest: Any = hasher("blake3")
        written = 0
        if (
            found.ref.source is not None
        ):  # unpacked from something smaller; the file's own bytes bound themselves
            self._budget.spend_bytes(found.size)
        for piece in content(found.ref, found.source):
            written += len(piece)
            if written > found.size:
                break
            digest.update(piece)
            file.write(piece)
            self._budget.tick()
            if self._progress is not None:
                self._progress.advance(len(piece), found.path)
        if written != found.size:
            raise InputError(
                "bad-tensor",
                f'tensor "{visible(found.name, 100)}" has not the {found.size} bytes that it should have',
            )
        self.digests[found.path, found.name] = bytes(digest.digest())
