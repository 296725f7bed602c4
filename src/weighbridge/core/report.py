"""Report: everything one weighing has to say; the same value feeds every renderer, door and statement."""

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.finding import FileResult, Finding, Unread
from weighbridge.core.manifest import Difference
from weighbridge.core.value import dataclass
from weighbridge.core.verdict import Verdict

if TYPE_CHECKING:
    from weighbridge.core.chain import Node

CHECK_PREDICATE = "weighbridge.check/v1"
"""The predicate type of a verdict as a signed statement (docs/formats/report.md)."""

FILES_ALGORITHM = "weighbridge-files-v1-"
"""In-toto takes `sha256` for the hash of the bytes of one file; the file-set digest is a tree, and says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was weighed."""

    name: str
    files: int
    bytes: int
    files_digest: str | None = None
    tensors_digest: str | None = None
    card_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """A finding that the policy's owner accepted: shown, counted, dated."""

    finding: Finding
    reason: str
    until: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureResult:
    """One signature of one bundle, judged: by whom, how, when, over what, or why not."""

    outcome: Outcome
    why: str
    code: str = ""
    by: str = ""
    """The trusted identity's name; empty when it is nobody we know."""
    roles: tuple[str, ...] = ()
    how: str = ""
    """`OpenSSF model signing 1.0, key ECDSA P-256`, …"""
    when: str = ""
    """Trusted time (RFC 3161, log), RFC 3339 UTC; empty when nobody vouches for one."""
    covers: str = ""
    """`12 of 12 files`."""
    key: str = ""
    """Fingerprint of the key that signed: distinct signers are counted by identity and by key."""
    bundle: str = ""
    """The file it came from."""
    difference: Difference | None = None
    """What differs from the signed manifest, when something does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One weighing. `policy` is (name, digest)."""

    command: str
    verdict: Verdict
    subject: Subject
    evidence: tuple[Evidence, ...] = ()
    signatures: tuple[SignatureResult, ...] = ()
    files: tuple[FileResult, ...] = ()
    findings: tuple[Finding, ...] = ()
    unread: tuple[Unread, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    policy: tuple[str, str] | None = None
    started: str = ""
    """RFC 3339 UTC."""
    seconds: float = 0.0
    tool_version: str = ""
    chain: "Node | None" = None
    """Where the model came from, where that was looked into."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Additive members of the JSON document that only some commands have."""
