"""From attestations to rows: each question that statements can answer, answered once, and the chain for `trace`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from weighbridge.attest.attestation import Attestation, judge_one
from weighbridge.attest.based import based
from weighbridge.attest.chain import build_chain, told_step
from weighbridge.attest.layout import approved, data_stated, traced
from weighbridge.attest.subject import Index, Subject, binds_files
from weighbridge.core.chain import Node, count
from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.evidence import WORST_FIRST, Evidence, Outcome
from weighbridge.core.manifest import Manifest
from weighbridge.core.report import SignatureResult
from weighbridge.core.text import counted
from weighbridge.core.value import replace
from weighbridge.evidence import Question, mark
from weighbridge.evidence.find import bundles_in, fetch, find_lines, open_lines, read_layout, read_named
from weighbridge.evidence.recalls import Ancestor, RecallList, current, fresh, newest, read_lists
from weighbridge.sign.people import People

if TYPE_CHECKING:
    from weighbridge.evidence.find import Line

MANY = 50
"""Lines from which on judging them in a batch is quicker than one by one, its import counted."""


def weigh(
    question: Question, subject: Subject, manifest: Manifest, signatures: Sequence[SignatureResult]
) -> tuple[tuple[Evidence, ...], Node | None]:
    """The rows, and the chain where `trace` asks. Raises `UsageError` for places that cannot be opened."""
    attestations = attestations_of(question, subject)
    chain = None
    if question.command == "trace":
        by = dict.fromkeys(one.by for one in signatures if one.outcome is Outcome.PASS)
        chain = build_chain(subject, attestations, tuple(by))
    rows = list(_rows(question, subject, attestations, signatures, chain))
    if question.policy.settings.evidence.layout:
        rows.append(_held(question, manifest))
    rows += _logged(question, attestations, subject)
    return tuple(_one_age(rows)), chain


def _held(question: Question, manifest: Manifest) -> Evidence:
    """`traced`, by a layout that somebody made with in-toto."""
    from weighbridge.attest.intoto import verify_layout
    from weighbridge.attest.intoto.metadata import key_of_pem

    layout, keys, links = read_layout(question.policy.settings.evidence)
    return verify_layout(layout, [key_of_pem(pem) for pem in keys], links, manifest, question.now)


def _logged(question: Question, attestations: Sequence[Attestation], subject: Subject) -> Iterator[Evidence]:
    """What a log says, where anybody asks it."""
    asked = "logged" in question.asked or question.policy.settings.evidence.log_policy
    if question.command == "verify" or not asked:
        return
    from weighbridge.evidence.records import log_rows

    yield from log_rows(question, question.statements or _signed_about(attestations, subject))


def _signed_about(attestations: Sequence[Attestation], subject: Subject) -> tuple[str, ...]:
    """For a model that has no signature of its own: what somebody trusted states about it."""
    about = Index(attestations, subject).about(subject.what)
    return tuple(dict.fromkeys(one.digest for one in about if one.is_signed and binds_files(one, subject)))


def _one_age(rows: Sequence[Evidence]) -> Iterator[Evidence]:
    """Every row, those about age as one that says them all: the log's head and the list of recalls are both as old as
    they are, whichever of them is too old."""
    ages = [row for row in rows if row.question == "fresh"]
    yield from (row for row in rows if row.question != "fresh")
    if ages:
        worst = min(ages, key=lambda row: WORST_FIRST.index(row.outcome))
        yield replace(worst, why="; ".join(row.why for row in ages))


# -- what is stated


def attestations_of(question: Question, subject: Subject) -> tuple[Attestation, ...]:
    """Everything stated about the model and, as far as stores know it, about what it comes from."""
    named, stores = open_lines((*question.named, *question.policy.settings.evidence.statements))
    waiting = [*(find_lines(question.path) if question.path else ()), *named]
    found: dict[tuple[str, bytes], Attestation] = {}
    seen: set[bytes] = set()
    wanted, asked = {*subject.what.digests, *subject.files}, set[str]()
    while waiting or wanted - asked:
        fresh, asked = wanted - asked, asked | wanted
        lines = (*waiting, *fetch(stores, sorted(fresh), seen))
        for one in _judged(lines, question):
            found.setdefault(_identity(one), one)
            wanted.update(_materials(one))
        waiting = []
    return tuple(found.values())


def _judged(lines: "Sequence[Line]", question: Question) -> Iterator[Attestation]:
    """Each line, judged: a few one by one, very many in a batch, with the same answers."""
    believed = question.anchors, question.authorities, question.now
    if len(lines) < MANY:
        return (judge_one(bundle, *believed) for bundle in bundles_in(lines))
    from weighbridge.attest.batch import judge_many

    return judge_many(lines, *believed)


def _identity(one: Attestation) -> tuple[str, bytes]:
    """One statement of one signer is one; a copy that does not count never takes the place of one that does."""
    envelope = one.bundle.envelope
    who = one.signer.key if one.is_signed else envelope.signature.hex() or one.source
    return who, envelope.payload or one.source.encode()


def _materials(one: Attestation) -> Iterator[str]:
    step = told_step(one)
    for material in step.materials if step else ():
        yield from material.what.digests


# -- the rows


def _rows(
    question: Question,
    subject: Subject,
    attestations: Sequence[Attestation],
    signatures: Sequence[SignatureResult],
    chain: Node | None,
) -> Iterator[Evidence]:
    yield from _recalls(question, subject, attestations, signatures)
    if question.command == "verify":
        return
    policy, asked, people = question.policy, question.asked, People(question.anchors)
    if policy.layout and "traced" in asked:
        yield traced(policy.layout, subject, attestations, people)
    elif chain is not None and not policy.settings.evidence.layout:
        yield _drawn(chain, attestations, subject)
    based_on = based(subject, question.base, attestations)
    if "based" in asked or question.base is not None or based_on.code == "base-not-given":
        yield based_on
    if "data" in asked:
        yield data_stated(subject, attestations)
    approval = approved(policy.approvals, subject, attestations, _makers(signatures), people)
    if "approved" in asked or approval.code == "rejected":
        yield approval


def _makers(signatures: Sequence[SignatureResult]) -> set[str]:
    """Names and keys of those who signed the model."""
    return {text for one in signatures if one.outcome is Outcome.PASS for text in (one.by, one.key)}


def _recalls(
    question: Question,
    subject: Subject,
    attestations: Sequence[Attestation],
    signatures: Sequence[SignatureResult],
) -> Iterator[Evidence]:
    """The rows `current` and `fresh`, and what this machine has seen is remembered."""
    known, problems = _lists(question)
    lists = newest(known)
    now, behind = mark.clock(question.now, mark.latest_time(question.state))
    if known:
        mark.keep_lists(question.state, sorted({one.line for one in lists}), [one.line for one in known])
        mark.keep_time(question.state, [one.issued for one in lists], question.now)
    max_age = question.policy.max_age
    if known or problems or "current" in question.asked:
        past, trouble = _past(question, subject)
        row = current(
            lists, problems, subject, attestations, signatures, now=now, max_age=max_age, ancestors=past
        )
        yield _doubted(row, trouble)
    if "fresh" in question.asked:
        yield fresh(lists, now=now, behind=behind, max_age=max_age)


def _lists(question: Question) -> tuple[tuple[RecallList, ...], tuple[str, ...]]:
    """The lists that were named and those that this machine has seen, as far as they count; and why others do not."""
    files = read_named(question.policy.settings.evidence.recalls)
    return read_lists(
        (*files, *mark.kept_lists(question.state)),
        (*question.recallers, *question.anchors),
        question.authorities,
        question.now,
    )


def _past(question: Question, subject: Subject) -> tuple[tuple[Ancestor, ...], WeighbridgeError | None]:
    """What the model is a part of and what a lineage knows that it comes from; and why the lineage cannot say."""
    whole = tuple(Ancestor(one, ("a part of what was signed",), sure=True) for one in question.signed_as)
    if question.policy.settings.evidence.lineage is None:
        return whole, None
    from weighbridge.evidence.records import ancestors

    try:
        return (*whole, *ancestors(question, subject)), None
    except WeighbridgeError as error:
        return whole, error


def _doubted(row: Evidence, trouble: WeighbridgeError | None) -> Evidence:
    if trouble is None or row.outcome is not Outcome.PASS:
        return row
    return replace(row, outcome=Outcome.UNKNOWN, why=trouble.message, code=trouble.code)


def _drawn(chain: Node, attestations: Sequence[Attestation], subject: Subject) -> Evidence:
    """`traced` where no layout is asked for: is anything known for sure of how this model came to be?"""
    about = Index(attestations, subject).about(subject.what)
    made = [
        one for one in about for step in (told_step(one),) if one.is_signed and step and not step.only_looks
    ]
    steps = _told_steps(chain)
    if made:
        by = ", ".join(dict.fromkeys(one.signer.by for one in made))
        return Evidence(question="traced", outcome=Outcome.PASS, why=steps, by=by)
    why = steps if about else "nothing states how it was made"
    code = "step-claimed" if chain.makings else "step-missing"
    return Evidence(question="traced", outcome=Outcome.UNKNOWN, why=why, code=code)


def _told_steps(chain: Node) -> str:
    numbers = count(chain)
    claimed = f", {numbers.claimed} only claimed" if numbers.claimed else ""
    unstated = f", {counted(numbers.unstated, 'end')} unknown" if numbers.unstated else ""
    return f"{counted(numbers.signed, 'step')} signed{claimed}{unstated}"
