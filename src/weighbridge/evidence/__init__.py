"""What others leave about a model, and what it answers: statements, approvals, proofs of the log, recalls.

    places ─find→ bundles ─attest→ attestations ─weigh→ the rows traced, data, approved, logged, current, fresh

A statement that lies beside a model is read whoever left it there, and counts only for whom the keyring knows. A row
stands in the report where the policy asks, or where there is something to say: a rejection, a recall and a wrong proof
refuse a model also where nobody asked.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.core.artifact import Artifact
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.manifest import Manifest
from weighbridge.core.report import SignatureResult
from weighbridge.core.value import dataclass, replace
from weighbridge.evidence.find import is_silent, knows_recalls, statement_file_inside, statements_path
from weighbridge.policy import Policy

if TYPE_CHECKING:
    from weighbridge.core.chain import Node
    from weighbridge.core.statement import Named
    from weighbridge.sign.anchor import Anchor, TimestampAuthority

__all__ = ["Question", "asks_recalls", "statement_file_inside", "statements_path", "weigh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to look into, and whom to believe."""

    path: Path | None
    """The model; None for one that is not here, which has nothing beside it."""
    named: Sequence[str]
    """Files and stores of statements from the command line."""
    policy: Policy
    command: str
    """`trace` draws the chain, whatever the policy asks."""
    anchors: "Sequence[Anchor]"
    authorities: "Sequence[TimestampAuthority]"
    now: datetime
    statements: tuple[str, ...] = ()
    """`sha256:…` of what the signatures of the model that hold are over."""
    state: Path | None = None
    """Where this machine keeps what it has seen; None to remember nothing."""
    signed_as: "tuple[Named, ...]" = ()
    """The whole model as its good signatures name it, where only a part of it is weighed."""
    base: "Named | None" = None
    """What an adapter shall be used with, as measured; None where no base was given."""
    whole: bool = True
    """Whether all of the model was measured."""
    recallers: "tuple[Anchor, ...]" = ()
    """Who may call back besides those with the role; believed for nothing else."""

    @property
    def asked(self) -> frozenset[str]:
        """The questions of the policy that statements may answer."""
        answered = {"traced", "based", "data", "approved", "logged", "current", "fresh"}
        return frozenset(self.policy.questions_of(self.command)) & answered


def asks_recalls(policy: Policy, state: Path | None) -> bool:
    """Whether there is a list of recalls to hold a model against; then every digest that it may name is measured."""
    return bool(policy.settings.evidence.recalls) or knows_recalls(state)


def weigh(
    question: Question, artifact: Artifact, manifest: Manifest, signatures: Sequence[SignatureResult]
) -> "tuple[tuple[Evidence, ...], Node | None]":
    """The rows, and the chain where `trace` asks. Raises `UsageError` for places that were named and are not there."""
    if question.command != "trace" and not question.asked and is_silent(question):
        return (), None  # most weighings: nothing is asked, and nothing lies there
    from weighbridge.attest.subject import subject_of
    from weighbridge.evidence import stated

    subject = subject_of(artifact.name, manifest, single=artifact.single)
    rows, chain = stated.weigh(question, subject, manifest, signatures)
    return (rows if question.whole else tuple(map(_in_part, rows))), chain


_OF_THE_WHOLE = frozenset({"traced", "based", "data", "approved", "current"})


def _in_part(row: Evidence) -> Evidence:
    """Statements are about a whole model: they say nothing for sure of one that was not measured whole."""
    if row.outcome is not Outcome.PASS or row.question not in _OF_THE_WHOLE:
        return row
    why = f"not everything in it was measured here; of what was: {row.why}"
    return replace(row, outcome=Outcome.UNKNOWN, why=why, code="not-measured")
