"""The shapes of `weighbridge.report/v1` for the strict reader in `json`: types and closed words, checked by msgspec.

What the first version of the contract did not have is optional here, so that a report of any version can be read.
"""

import msgspec

from weighbridge.core.chain import Fact, Making, Node, Standing
from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import Confidence, FileResult, Finding, Place, Severity, Unread
from weighbridge.core.manifest import Difference
from weighbridge.core.report import SignatureResult
from weighbridge.core.verdict import Decision

Texts = tuple[str, ...]


class Digests(msgspec.Struct, frozen=True):
    """`subject.digests`."""

    files: str | None = None
    tensors: str | None = None
    card: str | None = None


class SubjectShape(msgspec.Struct, frozen=True):
    """`subject`."""

    name: str
    digests: Digests
    files: int
    bytes: int


class EvidenceShape(msgspec.Struct, frozen=True):
    """One of `evidence`."""

    question: str
    outcome: Outcome
    why: str
    by: str = ""
    code: str = ""
    details: Texts = ()


class Changes(msgspec.Struct, frozen=True):
    """`difference.tensors`."""

    changed: Texts = ()
    added: Texts = ()
    removed: Texts = ()


class DifferenceShape(Changes, frozen=True):
    """`difference` of a signature."""

    tensors: Changes = Changes()

    def value(self) -> Difference:
        """As the value of the ground floor."""
        return Difference(
            changed=self.changed,
            added=self.added,
            removed=self.removed,
            tensors_changed=self.tensors.changed,
            tensors_added=self.tensors.added,
            tensors_removed=self.tensors.removed,
        )


class SignatureShape(msgspec.Struct, frozen=True):
    """One of `signatures`."""

    outcome: Outcome
    why: str
    code: str = ""
    by: str = ""
    roles: Texts = ()
    how: str = ""
    when: str = ""
    covers: str = ""
    key: str = ""
    bundle: str = ""
    difference: DifferenceShape | None = None

    def value(self) -> SignatureResult:
        """As the value of the ground floor."""
        return SignatureResult(
            outcome=self.outcome,
            why=self.why,
            code=self.code,
            by=self.by,
            roles=self.roles,
            how=self.how,
            when=self.when,
            covers=self.covers,
            key=self.key,
            bundle=self.bundle,
            difference=self.difference.value() if self.difference else None,
        )


class FileShape(msgspec.Struct, frozen=True):
    """One of `files`."""

    path: str
    format: str
    size: int
    outcome: Outcome
    sha256: str | None = None

    def value(self) -> FileResult:
        """As the value of the ground floor."""
        return FileResult(
            path=self.path, size=self.size, format=self.format, outcome=self.outcome, sha256=self.sha256
        )


class PlaceShape(msgspec.Struct, frozen=True, kw_only=True):
    """What findings and unread parts have in common; `where` is made of the rest."""

    path: str
    where: str = ""
    parts: Texts = ()
    offset: int | None = None
    line: int | None = None

    @property
    def place(self) -> Place:
        """The place; a document that tells no parts keeps its `where` as the only one."""
        told = self.parts or self.offset is not None or self.line is not None
        parts = self.parts if told or not self.where else (self.where,)
        return Place(path=self.path, parts=parts, offset=self.offset, line=self.line)


class FindingShape(PlaceShape, frozen=True, kw_only=True):
    """One of `findings`."""

    rule: str
    severity: Severity
    confidence: Confidence
    message: str
    doubt: bool = False
    trail: Texts = ()
    fix: str = ""
    advisories: Texts = ()

    def value(self) -> Finding:
        """As the value of the ground floor."""
        return Finding(
            rule=self.rule,
            severity=self.severity,
            confidence=self.confidence,
            place=self.place,
            message=self.message,
            doubt=self.doubt,
            trail=self.trail,
            fix=self.fix,
            advisories=self.advisories,
        )


class SuppressedShape(FindingShape, frozen=True, kw_only=True):
    """One of `suppressed`."""

    reason: str
    until: str


class UnreadShape(PlaceShape, frozen=True, kw_only=True):
    """One of `unread`."""

    reason: str
    code: str = "unread"

    def value(self) -> Unread:
        """As the value of the ground floor."""
        return Unread(place=self.place, code=self.code, message=self.reason)


class PolicyShape(msgspec.Struct, frozen=True):
    """`policy`."""

    name: str
    digest: str


class ToolShape(msgspec.Struct, frozen=True):
    """`tool`."""

    name: str
    version: str


class FactShape(msgspec.Struct, frozen=True):
    """One of `facts` of an artifact of the chain."""

    word: str
    text: str
    standing: Standing
    by: str = ""
    statement: str = ""


class MakingShape(msgspec.Struct, frozen=True):
    """One of `steps` of an artifact of the chain."""

    name: str
    standing: Standing
    by: Texts = ()
    finished: str = ""
    builder: str = ""
    plan: str = ""
    statements: Texts = ()
    materials: tuple["NodeShape", ...] = ()

    def value(self) -> Making:
        """As the value of the ground floor."""
        return Making(
            name=self.name, standing=self.standing, by=self.by, finished=self.finished, builder=self.builder,
            plan=self.plan, statements=self.statements, materials=tuple(node.value() for node in self.materials),
        )  # fmt: skip


class NodeShape(msgspec.Struct, frozen=True):
    """`trace`, and every artifact below it."""

    name: str
    digests: Texts
    standing: Standing
    relation: str = ""
    by: Texts = ()
    why: str = ""
    facts: tuple[FactShape, ...] = ()
    steps: tuple[MakingShape, ...] = ()

    def value(self) -> Node:
        """As the value of the ground floor."""
        facts = (
            Fact(word=f.word, text=f.text, standing=f.standing, by=f.by, statement=f.statement)
            for f in self.facts
        )
        return Node(
            name=self.name, digests=self.digests, standing=self.standing, relation=self.relation, by=self.by,
            why=self.why, facts=tuple(facts), makings=tuple(step.value() for step in self.steps),
        )  # fmt: skip


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document."""

    schema: str
    command: str
    verdict: Decision
    subject: SubjectShape
    evidence: tuple[EvidenceShape, ...]
    findings: tuple[FindingShape, ...]
    unread: tuple[UnreadShape, ...]
    tool: ToolShape
    reasons: Texts = ()
    admitted_unknowns: Texts = ()
    signatures: tuple[SignatureShape, ...] = ()
    files: tuple[FileShape, ...] = ()
    suppressed: tuple[SuppressedShape, ...] = ()
    policy: PolicyShape | None = None
    started: str = ""
    seconds: float = 0.0
    trace: NodeShape | None = None
