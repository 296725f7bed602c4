"""Check: a gate weighed exactly these files by a policy, and this is its verdict; written by `check --attest`.

    {"verdict": "admitted|refused|undecided", "reasons": […], "admittedUnknowns": […], "policy": {"name", "digest"},
     "evidence": [{"question", "outcome", "why", "by", "code"}], "digests": {"files", "tensors", "card"},
     "counts": {…}, "tool": {"name", "version"}, "timeVerified": …}

Who lets a gate's verdict count as a signature reads it with `sign.gate`, from the subject alone; here it is read whole.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from weighbridge.attest import fields
from weighbridge.core.evidence import Outcome
from weighbridge.core.report import CHECK_PREDICATE
from weighbridge.core.value import dataclass
from weighbridge.core.verdict import Decision
from weighbridge.sign.gate import FIELDS

TYPE = CHECK_PREDICATE
_ROW = ("question", "outcome", "why", "by", "code")


class Row(NamedTuple):
    """One question that the policy asked, and its answer."""

    question: str
    outcome: Outcome
    why: str
    by: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One weighing."""

    verdict: Decision
    time: str
    files: str
    """The file-set digest of what was weighed."""
    tensors: str = ""
    card: str = ""
    policy: tuple[str, str] | None = None
    """Name and digest."""
    reasons: tuple[str, ...] = ()
    admitted_unknowns: tuple[str, ...] = ()
    """Questions without an answer that the policy let pass."""
    evidence: tuple[Row, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    """Files, bytes, findings, unread, suppressed."""
    tool: tuple[str, str] = ("", "")
    """Name and version."""


def read(predicate: Mapping[str, Any], what: str) -> Check:
    """Strict. Raises `InputError` (`bad-predicate`)."""
    fields.refuse_unknown(predicate, FIELDS, what)
    digests = fields.field(predicate, "digests", dict, what)
    fields.refuse_unknown(digests, ("files", "tensors", "card"), f'"digests" of {what}')
    counts, tool = fields.inner(predicate, "counts", what), fields.inner(predicate, "tool", what)
    decisions = [one.value for one in Decision]
    return Check(
        verdict=Decision(fields.word(predicate, "verdict", decisions, what)),
        time=fields.time(predicate, "timeVerified", what),
        files=fields.digest(digests, "files", what, required=True),
        tensors=fields.digest(digests, "tensors", what),
        card=fields.digest(digests, "card", what),
        policy=_policy(predicate, what),
        reasons=fields.texts(predicate, "reasons", what),
        admitted_unknowns=fields.texts(predicate, "admittedUnknowns", what),
        evidence=tuple(_row(row, what) for row in fields.rows(predicate, "evidence", what)),
        counts=tuple((key, fields.number(counts, key, what)) for key in counts),
        tool=(fields.optional(tool, "name", "", what), fields.optional(tool, "version", "", what)),
    )


def _policy(predicate: Mapping[str, Any], what: str) -> tuple[str, str] | None:
    if predicate.get("policy") is None:
        return None
    row = fields.field(predicate, "policy", dict, what)
    return fields.field(row, "name", str, what), fields.field(row, "digest", str, what)


def _row(row: Mapping[str, Any], what: str) -> Row:
    fields.refuse_unknown(row, _ROW, f"a row of {what}")
    outcomes = [one.value for one in Outcome]
    return Row(
        question=fields.field(row, "question", str, what),
        outcome=Outcome(fields.word(row, "outcome", outcomes, what)),
        why=fields.field(row, "why", str, what),
        by=fields.optional(row, "by", "", what),
        code=fields.optional(row, "code", "", what),
    )


def write(check: Check) -> dict[str, Any]:
    """`read(write(c)) == c`."""
    return {
        "verdict": check.verdict.value,
        "reasons": list(check.reasons),
        "admittedUnknowns": list(check.admitted_unknowns),
        "policy": {"name": check.policy[0], "digest": check.policy[1]} if check.policy else None,
        "evidence": [{**row._asdict(), "outcome": row.outcome.value} for row in check.evidence],
        "digests": {"files": check.files, "tensors": check.tensors or None, "card": check.card or None},
        "counts": dict(check.counts),
        "tool": {"name": check.tool[0], "version": check.tool[1]},
        "timeVerified": check.time,
    }


def say(check: Check) -> str:
    """In a few words."""
    policy = f" by the policy {check.policy[0]}" if check.policy else ""
    return f"{check.verdict}{policy}"
