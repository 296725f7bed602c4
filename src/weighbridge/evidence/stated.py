"""From attestations to rows: each question that statements can answer, answered once, and the chain for `trace`."""

from collections.abc import Iterator, Sequence

from weighbridge.attest.attestation import Attestation, judge_one
from weighbridge.attest.based import based
from weighbridge.attest.chain import build_chain, told_step
from weighbridge.attest.layout import approved, data_stated, traced
from weighbridge.attest.subject import Index, Subject, binds_files
from weighbridge.core.chain import Node, count
from weighbridge.core.errors import WeighbridgeError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.manifest import Manifest
from weighbridge.core.report import SignatureResult
from weighbridge.core.text import counted
from weighbridge.core.value import replace
from weighbridge.evidence import Question, mark
from weighbridge.evidence.find import fetch, find_statements, open_places, read_layout, read_named
from weighbridge.evidence.recalls import Ancestor, current, fresh, newest, read_lists


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
    if question.command != "verify" and (
        "logged" in question.asked or question.policy.settings.evidence.log_policy
    ):
        from weighbridge.evidence.records import log_rows

        rows += log_rows(question, question.statements or _signed_about(attestations, subject))
    return tuple(rows), chain


def _signed_about(attestations: Sequence[Attestation], subject: Subject) -> tuple[str, ...]:
    """For a model that has no signature of its own: what somebody trusted states about it."""
    about = Index(attestations, subject).about(subject.what)
    return tuple(dict.fromkeys(one.digest for one in about if one.is_signed and binds_files(one, subject)))


def _held(question: Question, manifest: Manifest) -> Evidence:
    """`traced`, by a layout that somebody made with in-toto."""
    from weighbridge.attest.intoto import verify_layout
    from weighbridge.attest.intoto.metadata import key_of_pem

    layout, keys, links = read_layout(question.policy.settings.evidence)
    return verify_layout(layout, [key_of_pem(pem) for pem in keys], links, manifest, question.now)


def attestations_of(question: Question, subject: Subject) -> tuple[Attestation, ...]:
    """Everything stated about the model and, as far as stores know it, about what it comes from."""
    named, stores = open_places((*question.named, *question.policy.settings.evidence.statements))
    waiting = [*(find_statements(question.path) if question.path else ()), *named]
    found: dict[tuple[str, bytes], Attestation] = {}
    seen: set[bytes] = set()
    wanted, asked = {*subject.what.digests, *subject.files}, set[str]()
    while waiting or wanted - asked:
        fresh, asked = wanted - asked, asked | wanted
        for bundle in (*waiting, *fetch(stores, sorted(fresh), seen)):
            one = judge_one(bundle, question.anchors, question.authorities, question.now)
            # One statement of one signer once; a copy that does not count never takes the place of one that does.
            key = one.signer.key if one.is_signed else bundle.envelope.signature.hex() or bundle.source
            found.setdefault((key, bundle.envelope.payload or bundle.source.encode()), one)
            wanted.update(_materials(one))
        waiting = []
    return tuple(found.values())


def _materials(one: Attestation) -> Iterator[str]:
    step = told_step(one)
    for material in step.materials if step else ():
        yield from material.what.digests


def _rows(
    question: Question,
    subject: Subject,
    attestations: Sequence[Attestation],
    signatures: Sequence[SignatureResult],
    chain: Node | None,
) -> Iterator[Evidence]:
    policy, asked = question.policy, question.asked
    yield from _current(question, subject, attestations, signatures)
    if question.command == "verify":
        return
    if policy.layout and "traced" in asked:
        yield traced(policy.layout, subject, attestations)
    elif chain is not None and not policy.settings.evidence.layout:
        yield _drawn(chain, attestations, subject)
    based_on = based(subject, question.base, attestations)
    if "based" in asked or question.base is not None or based_on.code == "base-not-given":
        yield based_on
    if "data" in asked:
        yield data_stated(subject, attestations)
    makers = {mark for one in signatures if one.outcome is Outcome.PASS for mark in (one.by, one.key)}
    approval = approved(policy.approvals, subject, attestations, makers)
    if "approved" in asked or approval.code == "rejected":
        yield approval


def _current(
    question: Question,
    subject: Subject,
    attestations: Sequence[Attestation],
    signatures: Sequence[SignatureResult],
) -> Iterator[Evidence]:
    """The rows `current` and `fresh`, and what this machine has seen is remembered."""
    policy = question.policy
    files = read_named(policy.settings.evidence.recalls)
    known, problems = read_lists(
        (*files, *mark.kept_lists(question.state)), question.anchors, question.authorities, question.now
    )
    lists = newest(known)
    now, behind = mark.clock(question.now, mark.latest_time(question.state))
    if known:
        mark.keep_lists(question.state, sorted({one.line for one in lists}), [one.line for one in known])
        mark.keep_time(question.state, [one.issued for one in lists], question.now)
    if known or problems or "current" in question.asked:
        known_past, trouble = _ancestors(question, subject)
        whole = (Ancestor(one, ("a part of what was signed",), sure=True) for one in question.signed_as)
        row = current(
            lists, problems, subject, attestations, signatures, now=now, max_age=policy.max_age,
            ancestors=(*whole, *known_past),
        )  # fmt: skip
        if trouble is not None and row.outcome is Outcome.PASS:
            row = replace(row, outcome=Outcome.UNKNOWN, why=trouble.message, code=trouble.code)
        yield row
    if "fresh" in question.asked:
        yield fresh(lists, now=now, behind=behind, max_age=policy.max_age)


def _ancestors(question: Question, subject: Subject) -> tuple[tuple[Ancestor, ...], WeighbridgeError | None]:
    if question.policy.settings.evidence.lineage is None:
        return (), None
    from weighbridge.evidence.records import ancestors

    try:
        return ancestors(question, subject), None
    except WeighbridgeError as error:
        return (), error


def _drawn(chain: Node, attestations: Sequence[Attestation], subject: Subject) -> Evidence:
    """`traced` where no layout is asked for: is anything known for sure of how this model came to be?"""
    numbers = count(chain)
    steps = f"{counted(numbers.signed, 'step')} signed"
    steps += f", {numbers.claimed} only claimed" if numbers.claimed else ""
    steps += f", {counted(numbers.unstated, 'end')} unknown" if numbers.unstated else ""
    about = Index(attestations, subject).about(subject.what)
    made = [
        one for one in about for step in (told_step(one),) if one.is_signed and step and not step.only_looks
    ]
    if made:
        by = ", ".join(dict.fromkeys(one.signer.by for one in made))
        return Evidence(question="traced", outcome=Outcome.PASS, why=steps, by=by)
    why = steps if about else "nothing states how it was made"
    code = "step-claimed" if chain.makings else "step-missing"
    return Evidence(question="traced", outcome=Outcome.UNKNOWN, why=why, code=code)
