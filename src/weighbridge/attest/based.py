"""Is an adapter used with the base that it was signed for: the row `based`.

A base is named by a signed statement that tells of a step in which the model is an adapter of it (`adapter_of`: a
transform of the kind `adapter`, a recorded training run). Only digests count, and only what somebody of the keyring signed:
an adapter on another base than its own is another model, and nobody has looked at that one.
"""

from collections.abc import Iterator, Sequence

from weighbridge.attest.attestation import Attestation
from weighbridge.attest.chain import told_step
from weighbridge.attest.step import Relation
from weighbridge.attest.subject import Index, Subject, is_same
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.statement import Named
from weighbridge.core.text import some, visible

QUESTION = "based"


def based(subject: Subject, base: Named | None, attestations: Sequence[Attestation]) -> Evidence:
    """The row `based`. `base`: what was measured of the base that is to be used; None where none was given. Never raises."""
    stated = list(_stated(subject, attestations))
    signed = [(one, named) for one, named in stated if one.is_signed]
    if not stated:
        return _unknown("base-unstated", "nothing states which base it is for")
    if not signed:
        who = visible(stated[0][0].signer.why, 160)
        return _unknown("base-claimed", f"its base is only claimed: {who}")
    by = some(sorted({one.signer.by for one, _ in signed}))
    known = _called([named for _, named in signed])
    if base is None:
        return _unknown("base-not-given", f"it was signed for {known}, and no base was given", by)
    fits = [one for one, named in signed if is_same(named, base)]
    called = visible(base.name, 80) or "the base that was given"
    if fits:
        by = some(sorted({one.signer.by for one in fits}))
        return Evidence(question=QUESTION, outcome=Outcome.PASS, why=f"signed for {called}", by=by)
    open_ = [named for _, named in signed if not _comparable(named, base)]
    if open_:
        return _unknown(
            "base-incomparable", f"it was signed for {_called(open_)}, by digests that {called} has none of", by
        )  # fmt: skip
    return Evidence(
        question=QUESTION,
        outcome=Outcome.FAIL,
        why=f"it was signed for {known}, and {called} is another model",
        code="base-other",
        by=by,
        details=tuple(f"signed for  {digest}" for _, named in signed for digest in named.digests)[:20],
    )


def _stated(subject: Subject, attestations: Sequence[Attestation]) -> Iterator[tuple[Attestation, Named]]:
    """Every base that a statement about the model names."""
    for one in Index(attestations, subject).about(subject.what):
        step = told_step(one)
        for material in step.materials if step else ():
            if material.relation is Relation.ADAPTER_OF:
                yield one, material.what


def _comparable(one: Named, other: Named) -> bool:
    """Whether they are named by a digest of one kind."""
    kinds = [{digest.partition(":")[0] for digest in named.digests} for named in (one, other)]
    return bool(kinds[0] & kinds[1])


def _called(named: Sequence[Named]) -> str:
    return some(sorted({visible(one.name, 60) or one.digests[0][:40] for one in named}))


def _unknown(code: str, why: str, by: str = "") -> Evidence:
    return Evidence(question=QUESTION, outcome=Outcome.UNKNOWN, why=why, code=code, by=by)
