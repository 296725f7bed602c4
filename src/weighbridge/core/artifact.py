"""Artifact: the files of a model or data set as they were found, read-only, nothing loaded.

`Member` and `Obstacle` are named tuples, not dataclasses: a repository of 20,000 files makes 20,000 of them, and a
frozen dataclass costs six times as much to make.
"""

from typing import NamedTuple, Protocol

from weighbridge.core.source import Source
from weighbridge.core.value import dataclass

SIGNATURE_NAME = "model.sig"
"""Where the signature of a folder lies inside it; a one-file model `x.gguf` has `x.gguf.sig` beside it."""

SIBLINGS_SUFFIX = ".jsonl"
"""`model.sig.jsonl`: all bundles of a model that several signers signed, the one of `model.sig` among them."""

MAX_BUNDLE = 64 * 1024**2
"""Bytes of a signature file."""


class Member(NamedTuple):
    """One regular file of an artifact."""

    path: str
    """POSIX path relative to the root. Bytes that are not UTF-8 are surrogate-escaped (PEP 383)."""
    size: int
    """Bytes, as found when the artifact was opened."""
    link: str | None = None
    """The target's text, when this path is (or lies behind) a symbolic link that was followed."""


class Obstacle(NamedTuple):
    """Something that stands in the artifact and cannot be weighed; it is never skipped silently."""

    path: str
    code: str
    """`not-a-file` (device, FIFO, socket), `unreadable`, `link-broken`, `link-cycle`, `link-outside`."""
    message: str


class Files(Protocol):
    """Where the bytes of members come from."""

    def open(self, member: Member) -> Source:
        """A source over the member's bytes. Raises `InputError` (`unreadable`, `file-changed`, `not-a-file`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """The files of one model: `members` sorted by path (code points), and what could not be listed."""

    name: str
    """What to call it on screens: the folder's or file's own name."""
    files: Files
    members: tuple[Member, ...]
    obstacles: tuple[Obstacle, ...] = ()
    single: bool = False
    """True when the model is one file; its only member's path is then the file's name."""
    remote: bool = False
    """True when the bytes lie elsewhere and are fetched by ranges."""
    location: str | None = None
    """The local path it was opened from, where there is one; signatures are looked for beside it."""
