"""Finding: what our own examination saw, with its exact place; Unread: what it could not judge."""

from enum import StrEnum

from weighbridge.core.evidence import Outcome
from weighbridge.core.value import dataclass


class Severity(StrEnum):
    """How bad it is, if it is so."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Confidence(StrEnum):
    """How sure we are that it is so."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in an artifact: a file, the parts inside it, and a byte or line."""

    path: str
    parts: tuple[str, ...] = ()
    """Members and structures inside the file, outermost first: `("archive/data.pkl", "opcode 11")`."""
    offset: int | None = None
    """Byte offset inside the innermost part."""
    line: int | None = None
    """Line, from 1, for text."""

    def inside(self, part: str) -> "Place":
        """The place of a part within this one."""
        return Place(path=self.path, parts=(*self.parts, part))

    @property
    def where(self) -> str:
        """What stands behind the path on screens: `archive/data.pkl › byte 42`."""
        byte = [f"byte {self.offset}"] if self.offset is not None else []
        line = [f"line {self.line}"] if self.line is not None else []
        return " › ".join([*self.parts, *line, *byte])


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a rule saw. An error makes its file FAIL; a doubt makes it UNKNOWN at best."""

    rule: str
    """The rule's kebab-case name; its page is `weighbridge rule NAME`."""
    severity: Severity
    confidence: Confidence
    place: Place
    message: str
    """One line: what happens to whoever loads this file."""
    doubt: bool = False
    """True when this says that the file cannot be judged (an unknown class, an unproved call)."""
    trail: tuple[str, ...] = ()
    """Lines of proof shown below the message: opcodes, source lines."""
    fix: str = ""
    """A command or config line that helps."""
    advisories: tuple[str, ...] = ()
    """Published weaknesses that this uses, with the versions: `CVE-2025-1550 (keras <3.9)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A part that was not read or not understood. It is shown and counted, and its file cannot pass."""

    place: Place
    code: str
    """`format-unknown`, `limit-bytes`, `truncated`, `unreadable`, `encrypted`, …"""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """What is said of one file of the artifact."""

    path: str
    size: int
    format: str
    """The format's name (`safetensors`, `pytorch-zip`, …), `a+b` for a polyglot, `unknown` for none."""
    outcome: Outcome
    sha256: str | None = None
    """Hex; filled in by the desk from the same read."""
