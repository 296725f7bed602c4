"""Letting a contribution out of quarantine: who must have agreed, what blocks it, and the files measured once more.

Nobody approves what is their own: not under the contributor's name, nor with a key of theirs, nor as somebody who
signed the contribution. A finding of severity error blocks the release unless a role that the policy names for it waives
these very findings with a reason. What is let out is what was measured while it was copied.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from weighbridge.attest import predicates
from weighbridge.attest.attestation import Attestation, judge_all
from weighbridge.attest.predicates.review import TYPE as REVIEW
from weighbridge.attest.predicates.review import Decision, Review
from weighbridge.core.durable import make_folder, one_writer, put_in_place, write_file
from weighbridge.core.errors import InputError, LimitError, UsageError
from weighbridge.core.finding import Severity
from weighbridge.core.moment import write_moment
from weighbridge.core.statement import Named
from weighbridge.core.text import counted, some, visible
from weighbridge.core.value import dataclass
from weighbridge.core.wire import write_json
from weighbridge.evidence import statements_path
from weighbridge.pipeline.access import Access, Resource, principal_of, refusal
from weighbridge.pipeline.copying import copy_again, copy_beside, sync_tree
from weighbridge.pipeline.people import Tally, Wanted, reasons, tally, unfit
from weighbridge.pipeline.permission import principal_holding
from weighbridge.pipeline.quarantine import (
    RELEASED,
    Contribution,
    Quarantine,
    blocking,
    findings_digest,
    same,
    scan,
)
from weighbridge.pipeline.reason import Reason, refuse
from weighbridge.pipeline.statements import append, payload_of, signed_lines
from weighbridge.sign.bundle import MAX_STATEMENTS_FILE, read_lines
from weighbridge.sign.people import Marks, People
from weighbridge.sign.signer import AnySigner
from weighbridge.store import read_beside
from weighbridge.trust.keyring import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a policy asks before something is let out."""

    approvals: Wanted
    waivers: tuple[str, ...] = ()
    """Roles that may waive findings of severity error."""
    access: Access | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A contribution as it stands."""

    record: Contribution
    tally: Tally
    waived: tuple[tuple[str, str, str], ...]
    """(digest of the findings, who waived them, why)."""
    released: bool
    guarded: bool
    """Whether anybody says who must approve; where nobody does, nothing is approved."""
    own: Marks

    @property
    def word(self) -> str:
        """`released`, `rejected`, `approved` or `quarantined`."""
        if self.released:
            return "released"
        if self.tally.rejected:
            return "rejected"
        is_enough = self.guarded and not (self.tally.lacking or self.tally.unread)
        return "approved" if is_enough else "quarantined"


def subjects_of(record: Contribution) -> tuple[Named, ...]:
    """What a review is about: the content, and what was written down when it came."""
    return record.what, Named(name="record", others=(("sha256", record.digest.removeprefix("sha256:")),))


def state_of(
    quarantine: Quarantine, record: Contribution, rules: Rules, keyring: Keyring, now: datetime
) -> State:
    """Who has agreed so far."""
    people = People(keyring.anchors)
    own = own_marks(record, people)
    attestations = _reviews(quarantine.reviews(record), keyring, now)
    wanted = subjects_of(record)
    votes = tally(attestations, lambda said: said.subjects == wanted, rules.approvals, own, people)
    return State(
        record=record,
        tally=votes,
        waived=tuple(_waivers(attestations, record, rules, own, people)),
        released=quarantine.released(record) is not None,
        guarded=bool(rules.approvals),
        own=own,
    )


def own_marks(record: Contribution, people: People) -> Marks:
    """Everything that whoever made a contribution is known by."""
    said = [
        people.known_by(record.contributor),
        *(people.known_by("", key) for key in record.contributor_keys),
    ]
    return frozenset().union(*said, *(people.known_by(one.by, one.key) for one in record.signatures))


def _reviews(path: Path, keyring: Keyring, now: datetime) -> tuple[Attestation, ...]:
    data = read_beside(path, MAX_STATEMENTS_FILE) or b""
    if len(data) > MAX_STATEMENTS_FILE:
        raise LimitError("limit-json", f'"{path.name}" has more than {MAX_STATEMENTS_FILE} bytes')
    return judge_all(read_lines(data, path.name), keyring.anchors, keyring.authorities, now)


def _waiver_subjects(record: Contribution, findings: str) -> tuple[Named, ...]:
    return (
        *subjects_of(record),
        Named(name="findings", others=(("sha256", findings.removeprefix("sha256:")),)),
    )


def _waivers(
    attestations: Sequence[Attestation], record: Contribution, rules: Rules, own: Marks, people: People
) -> "list[tuple[str, str, str]]":
    found = []
    for one in attestations:
        said = one.statement
        if said is None or not one.is_signed or said.predicate_type != REVIEW or len(said.subjects) != 3:
            continue
        if said.subjects[:2] != subjects_of(record) or people.of(one.signer) & own:
            continue
        try:
            review: Review = predicates.read(said)
        except InputError:
            continue
        may = review.role in rules.waivers and review.role in one.signer.roles
        if review.decision is Decision.APPROVE and may and review.comment.strip():
            found.append(
                (f"sha256:{dict(said.subjects[2].others).get('sha256', '')}", one.signer.by, review.comment)
            )
    return found


def resource_of(state: State) -> Resource:
    """A contribution as a Cedar policy sees it."""
    record = state.record
    return Resource(
        kind="Contribution",
        id=record.id,
        attributes={
            "name": record.name,
            "kind": record.sort.value,
            "contributor": record.contributor,
            "errors": len(record.errors),
            "warnings": sum(one.get("severity") == Severity.WARNING.value for one in record.findings),
            "verdict": record.verdict,
            "signers": sorted({one.by for one in record.signatures}),
            "approvers": sorted({vote.by for vote in state.tally.counted}),
        },
    )


# ---------------------------------------------------------------------------------------------------------- reviewing


def review(
    quarantine: Quarantine,
    record: Contribution,
    decision: Decision,
    role: str,
    comment: str,
    signers: Sequence[AnySigner],
    keyring: Keyring,
    rules: Rules,
    *,
    now: datetime,
    waive: bool = False,
) -> State:
    """Sign a review of a contribution; with `waive` also that its findings of severity error are accepted for `comment`.

    Raises `StepRefused` where it would not count, `InputError` (`quarantine-changed`) where the files have changed.
    """
    quarantine.measure(record)
    before = state_of(quarantine, record, rules, keyring, now)
    time = write_moment(now)
    said = Review(decision=decision, time=time, role=role, comment=comment)
    payloads = [payload_of("review", said, subjects_of(record))]
    if waive:
        rows = blocking(record, scan(quarantine.content(record), keyring, now))
        payloads.append(payload_of("review", said, _waiver_subjects(record, findings_digest(rows))))
    lines = [line for payload in payloads for line in signed_lines(payload, signers)]
    judged = judge_all(
        (bundle for line in lines for bundle in read_lines(line, "the review")),
        keyring.anchors, keyring.authorities, now,
    )  # fmt: skip
    refuse(
        "this review would not count", _why_not(before, said, judged, rules, People(keyring.anchors), waive)
    )
    append(quarantine.reviews(record), lines)
    return state_of(quarantine, record, rules, keyring, now)


def _why_not(
    before: State, said: Review, judged: Sequence[Attestation], rules: Rules, people: People, waive: bool
) -> tuple[Reason, ...]:
    found: dict[tuple[str, str], Reason] = {}
    for one in judged:
        for reason in _why_not_by(before, said, one, rules, people, waive):
            found[reason.code, reason.why] = reason
    return tuple(found.values())


def _why_not_by(
    before: State, said: Review, one: Attestation, rules: Rules, people: People, waive: bool
) -> list[Reason]:
    found = [*unfit(one, said.role)]
    if not one.is_signed or said.decision is not Decision.APPROVE:
        return found
    who, marks = visible(one.signer.by, 80), people.of(one.signer)
    if marks & before.own:
        found.append(
            Reason(code="own-approval", why=f"{who} contributed it, by name, by key or by signature")
        )
    if waive and said.role not in rules.waivers:
        found.append(
            Reason(code="waiver-role", why=f'the role "{visible(said.role, 40)}" may not waive findings')
        )
    if rules.access is not None:
        found += refusal(rules.access, principal_of(one.signer), "approve", resource_of(before))
    return found


# ---------------------------------------------------------------------------------------------------------- releasing


def release(
    quarantine: Quarantine,
    record: Contribution,
    folder: Path,
    keyring: Keyring,
    rules: Rules,
    signers: Sequence[AnySigner] = (),
    *,
    now: datetime,
) -> State:
    """Copy a contribution into `folder`, when everything that is asked for holds; its reviews lie beside it then.

    Raises `StepRefused` with every reason, `InputError` (`quarantine-changed`), `UsageError` (`approvals-needed`,
    `file-exists`, `cannot-write`).
    """
    if not rules.approvals:
        raise UsageError(
            "approvals-needed", "nobody says who must approve a contribution",
            "[intake] approvals = {safety = 1} in weighbridge.toml", "--approvals safety=1",
        )  # fmt: skip
    state = state_of(quarantine, record, rules, keyring, now)
    found = [*reasons(state.tally)]
    if rules.access is not None:
        found += refusal(rules.access, principal_holding(signers, keyring, now), "admit", resource_of(state))
    refuse(f'"{visible(record.name)}" stays in quarantine', found)
    make_folder(folder)
    target, content = folder / record.name, quarantine.content(record)
    with put_in_place(target, overwrite=False) as made:
        copy_again(content, made)
        same(record, made)
        refuse(f'"{visible(record.name)}" stays in quarantine', _findings(made, state, keyring, now))
        if quarantine.record(record.id) != record:
            raise InputError("quarantine-changed", "its record was changed meanwhile")
        sync_tree(made.parent)
        copy_beside(content, target)
        lines = (read_beside(quarantine.reviews(record), MAX_STATEMENTS_FILE) or b"").split(b"\n")
        append(statements_path(target), [line for line in lines if line.strip()])
    _remember(quarantine, record, target, now)
    return state_of(quarantine, record, rules, keyring, now)


def _findings(path: Path, state: State, keyring: Keyring, now: datetime) -> list[Reason]:
    """Findings that block it: those of now, and those of when it came; a waiver is about exactly these."""
    rows = blocking(state.record, scan(path, keyring, now))
    if not rows or findings_digest(rows) in {digest for digest, _, _ in state.waived}:
        return []
    shown = some([f"{row['rule']} in {row['path']}" for row in rows])
    return [
        Reason(
            code="finding-blocks",
            why=f"{counted(len(rows), 'finding')} of severity error not waived: {shown}",
        )
    ]


def _remember(quarantine: Quarantine, record: Contribution, target: Path, now: datetime) -> None:
    folder = quarantine.folder / record.id
    row: dict[str, Any] = {
        "schema": "weighbridge.intake-release/v1",
        "id": record.id,
        "to": visible(str(target), 1000),
        "time": write_moment(now),
    }
    with one_writer(folder):
        write_file(folder / RELEASED, write_json(row, indent=1) + b"\n")
