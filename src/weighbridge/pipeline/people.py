"""Who agreed: different people (`sign.people`) in the roles that are asked for.

One person fills one place, whatever roles they hold, and nobody agrees to what is their own.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from weighbridge.attest import predicates
from weighbridge.attest.attestation import Attestation
from weighbridge.attest.predicates.review import TYPE as REVIEW
from weighbridge.attest.predicates.review import Decision, Review
from weighbridge.core.errors import InputError
from weighbridge.core.evidence import Outcome
from weighbridge.core.statement import Statement
from weighbridge.core.text import some, visible
from weighbridge.core.value import dataclass
from weighbridge.pipeline.reason import Reason
from weighbridge.sign.people import Marks, People, grouped

Wanted = tuple[tuple[str, int], ...]
"""(role, how many different people)."""


class Vote(NamedTuple):
    """One signed review by somebody of the keyring."""

    by: str
    marks: Marks
    """Everything that this person is known by."""
    roles: frozenset[str]
    """What the keyring gives them."""
    review: Review


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the reviews of one thing come to."""

    counted: tuple[Vote, ...] = ()
    """Approvals that fill a place, with the role in `review.role`."""
    left_out: tuple[tuple[str, str], ...] = ()
    """(who, why their review does not count)."""
    rejected: tuple[Vote, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    """(who or where, why): what nobody could read and may be a rejection, by somebody of the keyring or beyond a limit."""
    lacking: Wanted = ()
    """(role, how many people are missing)."""


def tally(
    attestations: Sequence[Attestation],
    is_about: Callable[[Statement], bool],
    wanted: Wanted,
    own: Marks,
    people: People,
) -> Tally:
    """Count the approvals of one thing. `own`: marks of those whose own it is, who never count."""
    votes, left_out, unread = _votes(attestations, is_about, people)
    rejected = tuple(vote for vote in votes if vote.review.decision is Decision.REJECT)
    candidates: list[Vote] = []
    for vote in votes:
        why = _why_not(vote, own, wanted) if vote.review.decision is Decision.APPROVE else None
        if why:
            left_out.append((vote.by, why))
        elif vote.review.decision is Decision.APPROVE:
            candidates.append(vote)
    counted, lacking = _fill(wanted, candidates)
    names = {id(vote) for vote in counted}
    left_out += [(vote.by, "counts once, in one role") for vote in candidates if id(vote) not in names]
    return Tally(
        counted=counted, left_out=tuple(left_out), rejected=rejected, unread=tuple(unread), lacking=lacking
    )


def _votes(
    attestations: Sequence[Attestation], is_about: Callable[[Statement], bool], people: People
) -> tuple[list[Vote], list[tuple[str, str]], list[tuple[str, str]]]:
    """The votes, what does not count, and what may be a rejection that nobody could read."""
    votes: list[Vote] = []
    left_out: list[tuple[str, str]] = []
    unread: list[tuple[str, str]] = []
    for one in attestations:
        if one.statement is None:
            official = one.signer.outcome is Outcome.PASS or one.code.startswith("limit-")
            (unread if official else left_out).append((one.source, one.why or "it cannot be read"))
            continue
        if one.statement.predicate_type != REVIEW:
            continue
        who = one.signer.by or "somebody"
        if not is_about(one.statement):
            left_out.append((who, "is about something else"))
        elif one.signer.outcome is not Outcome.PASS:
            left_out.append((who, one.signer.why))
        else:
            try:
                review = predicates.read(one.statement)
            except InputError as error:
                unread.append((who, error.message))
                continue
            marks = people.of(one.signer)
            votes.append(Vote(one.signer.by, marks, frozenset(one.signer.roles), review))
    return votes, left_out, unread


def _why_not(vote: Vote, own: Marks, wanted: Wanted) -> str:
    """Why an approval fills no place; "" where it may fill one."""
    if vote.marks & own:
        return "nobody approves what is their own"
    if not vote.review.role:
        return "says no role"
    if vote.review.role not in dict(wanted):
        return f"approves as {visible(vote.review.role, 40)}, which is not asked for"
    if vote.review.role not in vote.roles:
        return f"does not have the role {visible(vote.review.role, 40)} in the keyring"
    return ""


def _fill(wanted: Wanted, votes: Sequence[Vote]) -> tuple[tuple[Vote, ...], Wanted]:
    """As many places filled as can be, each by another person (a maximum matching); who fills one, and what is missing."""
    persons = _persons(votes)
    places = [role for role, count in wanted for _ in range(min(count, len(persons) + 1))]
    taken: dict[int, int] = {}
    """Person → place."""
    for place in range(len(places)):
        _seat(place, places, persons, taken)
    counted = tuple(persons[person][places[place]] for person, place in taken.items())
    have = [places[place] for place in taken.values()]
    missing = ((role, count - have.count(role)) for role, count in wanted)
    return counted, tuple((role, count) for role, count in missing if count > 0)


def _persons(votes: Sequence[Vote]) -> list[dict[str, Vote]]:
    """Each person's approvals by role."""
    found = grouped((vote, vote.marks) for vote in votes)
    return [{vote.review.role: vote for vote in reversed(group)} for group in found]


def _seat(
    place: int, places: Sequence[str], persons: Sequence[dict[str, Vote]], taken: dict[int, int]
) -> bool:
    """Find somebody for a place, moving others to other places where that helps; breadth first, so nothing recurs."""
    came: dict[int, int] = {}
    """Person → the place from which they were reached."""
    waiting = [place]
    for at in waiting:
        for person, roles in enumerate(persons):
            if places[at] not in roles or person in came:
                continue
            came[person] = at
            if person in taken:
                waiting.append(taken[person])
                continue
            while True:
                seat = came[person]
                holder = next((one for one, where in taken.items() if where == seat), None)
                taken[person] = seat
                if holder is None:
                    return True
                del taken[holder]
                person = holder
    return False


def unfit(one: Attestation, role: str) -> tuple[Reason, ...]:
    """Why a review that is about to be written would not count, whatever it is about: for who signs it, and as what."""
    if not one.is_signed:
        why = f"nobody of the keyring signs it: {visible(one.signer.why, 200)}"
        return (Reason(code="reviewer-unknown", why=why),)
    if role in one.signer.roles:
        return ()
    why = f'{visible(one.signer.by, 80)} does not have the role "{visible(role, 40)}" in the keyring'
    return (Reason(code="reviewer-role", why=why),)


def reasons(counted: Tally) -> tuple[Reason, ...]:
    """Why the approvals are not enough; () where they are."""
    found: list[Reason] = []
    if counted.rejected:
        who = some([vote.by for vote in counted.rejected])
        found.append(Reason(code="rejected", why=f"rejected by {who}"))
    for who, why in counted.unread:
        told = f"what {visible(who, 80)} says, which may be a rejection, cannot be read: {visible(why, 200)}"
        found.append(Reason(code="review-unread", why=told))
    for role, count in counted.lacking:
        by = [vote.by for vote in counted.counted if vote.review.role == role]
        given = f", given by {some(by)}" if by else ""
        why = f'{count} more approval{"s" * (count > 1)} of the role "{visible(role, 40)}" wanted{given}'
        found.append(Reason(code="approval-missing", why=why))
    if found:
        found += [
            Reason(
                code="approval-left-out",
                why=f"the review of {visible(who, 80)} does not count: {visible(why, 200)}",
            )
            for who, why in counted.left_out
        ]
    return tuple(found)
