"""What a transparency log and a lineage know of a model: the row `logged`, the log's part of `fresh`, ancestors.

Both are read offline: the log from the proof beside the model (`MODEL.tlog-proof`) and from the heads that this machine has seen,
the lineage from its database. What was seen of a log is kept (`STATE/logs/`), so that a past that is shown differently
later is noticed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.attest.subject import Subject
from weighbridge.core.errors import UsageError, WeighbridgeError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.text import visible
from weighbridge.evidence import Question
from weighbridge.evidence.find import PROOF_NAME, beside, read_named
from weighbridge.evidence.recalls import Ancestor
from weighbridge.store import read_beside
from weighbridge.tlog.client import HighWater, keep_high_water, mark_path, read_high_water
from weighbridge.tlog.logged import Proved, examine, head_age, logged
from weighbridge.tlog.logged import fresh as fresh_log
from weighbridge.tlog.policy import LogPolicy, Trusted, read_policy

if TYPE_CHECKING:
    from weighbridge.lineage.ask import Answer, Found

LOGS = "logs"
"""The folder of the state that remembers heads of logs; `log` keeps them there too."""
MAX_PROOF = 16 * 1024**2
MOST_ANCESTORS = 100_000
LONGEST_PATH = 100
"""Steps of a path that are told."""


# -- the log


def log_rows(question: Question, statements: Sequence[str]) -> Iterator[Evidence]:
    """`logged` where it is asked or a proof lies there, and the log's part of `fresh` where that is asked.

    `statements`: `sha256:…` of what the model's signers signed. Raises `UsageError` and `TrustError` for a log policy that
    was named and cannot be used.
    """
    proofs = read_beside(beside(question.path, PROOF_NAME), MAX_PROOF) if question.path else None
    place = question.policy.settings.evidence.log_policy
    if "logged" not in question.asked and (proofs is None or place is None):
        return
    policy = read_policy(read_named([place])[0][1], f'"{visible(place)}"') if place else None
    now = int(question.now.timestamp())
    marks = list(_marks(question.state, policy))
    yield logged(statements, proofs, policy, now, seen=marks)
    heads = _heads(proofs, policy, now)
    _remember(question.state, heads, now)
    if "fresh" in question.asked and policy is not None:
        yield _fresh(question, heads, marks, now)


def _fresh(question: Question, heads: Sequence[Trusted], marks: Sequence[HighWater], now: int) -> Evidence:
    if not heads:
        why = "no head of a log is at hand"
        return Evidence(question="fresh", outcome=Outcome.UNKNOWN, why=why, code="log-no-proof")
    newest = max(heads, key=lambda head: head.checkpoint.size)
    mark = next((one for one in marks if one.origin == newest.checkpoint.origin), None)
    return fresh_log(head_age(newest, mark, now), question.policy.max_age * 24 * 3600)


def _heads(proofs: bytes | None, policy: LogPolicy | None, now: int) -> tuple[Trusted, ...]:
    if proofs is None or policy is None:
        return ()
    try:
        return tuple(one.trusted for one in examine(proofs, policy, now) if isinstance(one, Proved))
    except WeighbridgeError:
        return ()  # `logged` has said why


def _marks(state: Path | None, policy: LogPolicy | None) -> Iterator[HighWater]:
    if state is None or policy is None:
        return
    for log in policy.logs:
        mark = read_high_water(mark_path(state / LOGS, log.key.name))
        if mark is not None:
            yield mark


def _remember(state: Path | None, heads: Sequence[Trusted], now: int) -> None:
    """Keep the largest head of each log; what cannot be written is not remembered, and nothing fails for it."""
    if state is None:
        return
    for origin in {head.checkpoint.origin for head in heads}:
        mine = [head for head in heads if head.checkpoint.origin == origin]
        try:
            keep_high_water(mark_path(state / LOGS, origin), mine, now)
        except (OSError, WeighbridgeError):
            continue


# -- the lineage


def ancestors(question: Question, subject: Subject) -> tuple[Ancestor, ...]:
    """What the lineage of the policy knows the model to come from; () where the policy names none.

    Raises `UsageError` (`no-such-path`, `lineage-database`, `lineage-cut`), `BrokenError`, `UnavailableError`: a lineage
    that cannot be asked leaves open whether something in it was recalled.
    """
    place = question.policy.settings.evidence.lineage
    if place is None:
        return ()
    if "://" not in place and not Path(place).is_file():
        raise UsageError("no-such-path", f'there is no lineage at "{visible(place)}"')
    from weighbridge.lineage import ask
    from weighbridge.lineage.graph import Lineage

    with Lineage(place) as lineage:
        answer = ask.ancestors(lineage, sorted({*subject.what.digests, *subject.files}), MOST_ANCESTORS)
    if answer.total > len(answer.rows):
        raise UsageError(
            "lineage-cut", f"the lineage knows {answer.total} ancestors, more than are looked at"
        )
    return tuple(_ancestors(answer))


def _ancestors(answer: "Answer") -> Iterator[Ancestor]:
    nearer = {row.node.id: row for row in answer.rows}
    for row in answer.rows:
        path, at = [row], row
        while at.nearer in nearer and len(path) < LONGEST_PATH:
            at = nearer[at.nearer]
            path.append(at)
        words = tuple(map(_hop, reversed(path)))
        for thing in row.node.things:
            yield Ancestor(thing, words, row.sure)


def _hop(step: "Found") -> str:
    relation = step.edges[0].relation.value.replace("_", " ") if step.edges else "from"
    return f"{relation} {visible(step.node.title, 60)}"
