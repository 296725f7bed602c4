"""Plans: what may go into a step and who must agree, signed by its author and approved by others.

A plan's file holds bundles, one a line: first the plan, then the reviews of it. A review counts for the plan whose payload's
SHA-256 it names, so an approval of one plan is none of another that differs in a single byte. Who approved is counted
in `people`; whether a run is the one that was approved, in `permission`.
"""

import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

from weighbridge.attest import predicates
from weighbridge.attest.attestation import Attestation, judge_all
from weighbridge.attest.predicates.plan import MAX_PEOPLE, TYPE, Plan, plan_named
from weighbridge.attest.predicates.review import Decision, Review
from weighbridge.core.durable import write_file
from weighbridge.core.errors import InputError, UsageError
from weighbridge.core.manifest import Digest
from weighbridge.core.moment import read_moment, write_moment
from weighbridge.core.pattern import late
from weighbridge.core.statement import Named, Statement, read_digest
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.pipeline.access import Access, Resource, principal_of, refusal
from weighbridge.pipeline.material import measured
from weighbridge.pipeline.people import Tally, Wanted, reasons, tally, unfit
from weighbridge.pipeline.reason import Reason, refuse
from weighbridge.pipeline.statements import append, payload_of, signed_lines
from weighbridge.sign.bundle import MAX_STATEMENTS_FILE, read_lines
from weighbridge.sign.people import Marks, People
from weighbridge.sign.signer import AnySigner
from weighbridge.store import read_beside
from weighbridge.trust.keyring import Keyring

LEAST = 2
"""People who must approve a plan, besides its author."""
_COMMIT = late(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_ROLE = late(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanState:
    """A plan as it stands: what it says, whose it is, and what the reviews come to."""

    path: Path
    plan: Plan
    digest: str
    """`sha256:…` of its statement's payload: the plan's name everywhere."""
    authors: tuple[str, ...]
    """Who of the keyring signed it; () where nobody did."""
    why_unsigned: str
    own: Marks
    """Everything that its signers are known by."""
    tally: Tally

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why it is not approved; () where it is."""
        if not self.authors:
            why = f"nobody of the keyring signed the plan: {visible(self.why_unsigned, 200)}"
            return (Reason(code="plan-unsigned", why=why),)
        if sum(count for _, count in self.plan.approvals) < LEAST:
            why = f"the plan asks for fewer than {LEAST} people, so one alone could let it run"
            return (Reason(code="plan-unguarded", why=why),)
        return reasons(self.tally)

    @property
    def resource(self) -> Resource:
        """The plan as a Cedar policy sees it."""
        return Resource(
            kind="Plan",
            id=self.digest,
            attributes={
                "name": self.plan.name,
                "step": self.plan.step,
                "authors": list(self.authors),
                "until": self.plan.valid_until,
                "data": [digest for one in self.plan.data for digest in one.digests],
                "bases": [digest for one in self.plan.bases for digest in one.digests],
                "approvers": sorted({vote.by for vote in self.tally.counted}),
            },
        )


# ------------------------------------------------------------------------------------------------------------- making


def named(text: str) -> Named:
    """What a plan allows: a folder or file that lies here is measured, anything else is a digest as `digest` prints it.

    Raises `UsageError` (`bad-target`) and what `measured` raises.
    """
    if os.path.lexists(text):
        return measured(Path(text)).what
    try:
        found = read_digest(text)
    except InputError:
        raise UsageError(
            "bad-target",
            f'"{visible(text, 80)}" is no digest, and nothing lies there',
            "weighbridge digest PATH",
        ) from None
    plain = {algorithm: Digest(algorithm, bytes.fromhex(value)) for algorithm, value in found.others}
    files, tensors = found.files or plain.get("sha256"), found.tensors or plain.get("blake3")
    if files is not None and files.algorithm == "sha256":
        return Named(files=files)
    if tensors is not None and tensors.algorithm == "blake3":
        return Named(tensors=tensors)
    raise UsageError(
        "bad-target", f'"{visible(text, 80)}" is no digest of files (sha256:) or of tensors (blake3:)'
    )


def code_named(text: str) -> Named:
    """The code that may run: a commit, or files. Raises `UsageError` (`bad-target`) and what `measured` raises."""
    if _COMMIT.match(text.lower()):
        return Named(name="code", others=(("gitCommit", text.lower()),))
    return named(text)


def approvals_of(text: str) -> Wanted:
    """`safety=1,lead=1`. Raises `UsageError` (`bad-approvals`)."""
    found: dict[str, int] = {}
    for part in text.split(","):
        role, mark, count = part.strip().partition("=")
        number = count.strip() if mark else "1"
        if not _ROLE.match(role) or not (number.isascii() and number.isdecimal()) or role in found:
            raise _bad_approvals(text)
        found[role] = int(number[:9])
    if any(not 0 < count <= MAX_PEOPLE for count in found.values()):
        raise _bad_approvals(text)
    return tuple(sorted(found.items()))


def _bad_approvals(text: str) -> UsageError:
    return UsageError(
        "bad-approvals",
        f'"{visible(text, 80)}" does not say how many of which roles',
        "--approvals safety=1,lead=1",
    )


def end_of(day: date) -> str:
    """The last second of a day, in UTC."""
    return write_moment(datetime.combine(day, time(23, 59, 59), UTC))


def make(plan: Plan, signers: Sequence[AnySigner], target: Path) -> str:
    """Sign a plan and leave it; its digest. Raises `UsageError` (`plan-unguarded`, `plan-empty`, `file-exists`, …)."""
    if sum(count for _, count in plan.approvals) < LEAST:
        raise UsageError(
            "plan-unguarded", f"a plan needs the approvals of {LEAST} people, neither of them its author",
            "--approvals safety=1,lead=1",
        )  # fmt: skip
    if not plan.inputs:
        raise UsageError(
            "plan-empty", "the plan names no data and no base, so nothing could go in", "--data PATH"
        )
    payload = payload_of("plan", plan, plan.inputs)
    read = predicates.read(_statement(payload))
    lines = signed_lines(payload, signers)
    if read != plan:
        raise AssertionError("a plan is read as it was written")
    write_file(target, b"".join(line + b"\n" for line in lines), overwrite=False)
    return _digest(payload)


def _statement(payload: bytes) -> Statement:
    from weighbridge.core.statement import read_statement

    return read_statement(payload, "the plan")


def _digest(payload: bytes) -> str:
    import hashlib

    return f"sha256:{hashlib.sha256(payload).hexdigest()}"


# ------------------------------------------------------------------------------------------------------------ reading


def load(path: Path, keyring: Keyring, now: datetime) -> PlanState:
    """The plan of a file and what its reviews come to. Raises `UsageError` (`no-such-path`), `InputError` (`bad-plan`)."""
    data = read_beside(path, MAX_STATEMENTS_FILE)
    if data is None:
        raise UsageError("no-such-path", f'there is no plan at "{visible(str(path))}"')
    attestations = judge_all(read_lines(data, path.name), keyring.anchors, keyring.authorities, now)
    plans = [one for one in attestations if one.statement and one.statement.predicate_type == TYPE]
    if len({one.digest for one in plans}) != 1:
        many = "more than one plan" if plans else "no plan"
        raise InputError("bad-plan", f'"{visible(str(path))}" holds {many}', "weighbridge plan make")
    return _standing(path, plans, attestations, keyring)


def _standing(
    path: Path, plans: Sequence[Attestation], attestations: Sequence[Attestation], keyring: Keyring
) -> PlanState:
    first, people = plans[0], People(keyring.anchors)
    if first.statement is None:
        raise AssertionError(first.source)
    plan: Plan = predicates.read(first.statement, "the plan")
    if plan.inputs != first.statement.subjects:
        raise InputError("bad-plan", f'the plan in "{visible(str(path))}" is not about what it allows')
    signed = [one for one in plans if one.is_signed]
    own = frozenset[str]().union(*(people.of(one.signer) for one in signed))
    subject = plan_named(first.digest)
    return PlanState(
        path=path,
        plan=plan,
        digest=first.digest,
        authors=tuple(dict.fromkeys(one.signer.by for one in signed)),
        why_unsigned="" if signed else first.signer.why,
        own=own,
        tally=tally(attestations, lambda said: _is_about(said, subject), plan.approvals, own, people),
    )


def _is_about(statement: Statement, subject: Named) -> bool:
    return len(statement.subjects) == 1 and statement.subjects[0].others == subject.others


# ---------------------------------------------------------------------------------------------------------- approving


def review(
    path: Path,
    decision: Decision,
    role: str,
    comment: str,
    signers: Sequence[AnySigner],
    keyring: Keyring,
    access: Access | None = None,
    *,
    now: datetime,
) -> PlanState:
    """Sign a review of a plan and add it to the plan's file; the plan as it stands then.

    Raises `StepRefused` where the review would not count: somebody unknown, the plan's author, without the role, or
    who has approved already. Nothing is then written.
    """
    before = load(path, keyring, now)
    said = Review(
        decision=decision,
        time=write_moment(now),
        role=role,
        comment=comment,
    )
    lines = signed_lines(payload_of("review", said, [plan_named(before.digest)]), signers)
    judged = judge_all(
        (bundle for line in lines for bundle in read_lines(line, "the review")),
        keyring.anchors, keyring.authorities, now,
    )  # fmt: skip
    refuse("this review would not count", _why_not(before, said, judged, access, People(keyring.anchors)))
    append(path, lines)
    return load(path, keyring, now)


def _why_not(
    plan: PlanState, said: Review, judged: Sequence[Attestation], access: Access | None, people: People
) -> tuple[Reason, ...]:
    found: list[Reason] = []
    if not plan.authors:
        found += plan.reasons
    for one in judged:
        found += _why_not_by(plan, said, one, people)
        if plan.plan.cedar and (access is None or access.digest != plan.plan.cedar):
            found.append(
                Reason(code="plan-other-cedar", why="the plan names another Cedar policy than the one given")
            )
        found += refusal(access, principal_of(one.signer), "approve", plan.resource)
    return tuple(found)


def _why_not_by(plan: PlanState, said: Review, one: Attestation, people: People) -> list[Reason]:
    found = [*unfit(one, said.role)]
    if not one.is_signed or said.decision is not Decision.APPROVE:
        return found
    who, marks = visible(one.signer.by, 80), people.of(one.signer)
    if said.role not in dict(plan.plan.approvals):
        asked = ", ".join(role for role, _ in plan.plan.approvals)
        found.append(
            Reason(
                code="reviewer-role",
                why=f'the plan asks for {visible(asked, 100)}, not for "{visible(said.role, 40)}"',
            )
        )
    if marks & plan.own:
        found.append(Reason(code="own-approval", why=f"{who} wrote the plan, by name or by key"))
    twice = [vote.by for vote in plan.tally.counted if vote.marks & marks]
    if twice:
        why = f"{who} has approved already as {visible(twice[0], 80)}: two people are wanted, not two names"
        found.append(Reason(code="approved-twice", why=why))
    return found


def is_over(plan: Plan, now: datetime) -> bool:
    """Whether a plan's end has come."""
    return bool(plan.valid_until) and now > read_moment(plan.valid_until)
