"""Recalls: what was called back, and whether this model, or anything that it comes from, is among it.

What is recalled in an old list stays recalled; that something is *not* recalled is only as good as the list is new. A list
can always refuse. That nothing is recalled is said only by one that was read whole, is not from the future, does not
contradict another of the same version, and was signed by somebody who was not recalled himself.

    lists.py    which lists count      hits.py    what of a model they name      here    the rows `current` and `fresh`
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from weighbridge.attest.attestation import Attestation
from weighbridge.attest.predicates.recall import RecallEntry, Severity
from weighbridge.attest.subject import Subject
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.moment import DAY, read_moment, seconds_since, told_age
from weighbridge.core.report import SignatureResult
from weighbridge.core.statement import Named
from weighbridge.core.text import counted, some, visible
from weighbridge.evidence.mark import SLACK
from weighbridge.evidence.recalls.hits import Ancestor, Hit, Place, hits_of, places_of
from weighbridge.evidence.recalls.lists import ROLE, RecallList, Unreadable, newest, read_lists, standing

__all__ = ["ROLE", "Ancestor", "RecallList", "Unreadable", "current", "fresh", "newest", "read_lists"]

QUESTION = "current"


class _Doubt(NamedTuple):
    """Why lists cannot say that something is *not* recalled."""

    code: str
    why: str


def current(
    lists: Sequence[RecallList],
    problems: Sequence[str],
    subject: Subject,
    attestations: Sequence[Attestation],
    signatures: Sequence[SignatureResult],
    *,
    now: datetime,
    max_age: int,
    ancestors: Iterable[Ancestor] = (),
) -> Evidence:
    """The row `current`. `lists`: the newest of each. `max_age`: days. `ancestors`: what a lineage knows besides."""
    entries = [entry for one in lists for entry in one.recall.entries]
    places = list(places_of(subject, attestations)) if entries else []
    by = ", ".join(sorted({visible(one.by, 60) for one in lists}))
    hits = list(hits_of(entries, subject, places, signatures, attestations, ancestors))
    if hits:
        return _recalled(hits, by)
    doubts = _doubts(lists, problems, _beyond(entries, subject, places), now, max_age)
    doubt = next(doubts, None)
    if doubt:
        return _unknown(QUESTION, doubt, by, problems)
    why = f"not among {_told(lists, now)}"
    return Evidence(question=QUESTION, outcome=Outcome.PASS, why=why, by=by, details=tuple(problems))


def fresh(lists: Sequence[RecallList], *, now: datetime, behind: bool, max_age: int) -> Evidence:
    """The row `fresh`: how old is what we know of recalls? `behind`: the clock is behind what was seen before."""
    doubt = next(_doubts_of_age(lists, now, behind, max_age), None)
    if doubt:
        return _unknown("fresh", doubt)
    return Evidence(question="fresh", outcome=Outcome.PASS, why=_told_age(lists, now))


def _unknown(question: str, doubt: _Doubt, by: str = "", details: Sequence[str] = ()) -> Evidence:
    return Evidence(
        question=question,
        outcome=Outcome.UNKNOWN,
        why=doubt.why,
        code=doubt.code,
        by=by,
        details=tuple(details),
    )


# -- what was called back


def _recalled(hits: Sequence[Hit], by: str) -> Evidence:
    """FAIL for what is recalled or surely descends from it; UNKNOWN for what only may, or where the list only warns."""
    certain = [hit for hit in hits if hit.sure and hit.entry.severity is Severity.REFUSE]
    first = (certain or hits)[0]
    path = " ← ".join(first.path)
    doubt = "" if first.sure else "may descend from what was "
    warning = "" if first.entry.severity is Severity.REFUSE else " (a warning)"
    why = f"{doubt}recalled: {path}: {visible(first.entry.reason, 160)}{warning}"
    details = tuple(
        f"{'descends' if hit.sure else 'may descend'}  {' ← '.join(hit.path)}: {visible(hit.entry.reason, 160)}"
        for hit in (hits[:20] if len(hits) > 1 else ())
    )
    outcome = Outcome.FAIL if certain else Outcome.UNKNOWN
    code = "recalled" if first.sure else "may-be-recalled"
    return Evidence(question=QUESTION, outcome=outcome, why=why, code=code, by=by, details=details)


# -- what lists cannot say: the first doubt is the answer


def _doubts(
    lists: Sequence[RecallList], problems: Sequence[str], beyond: Sequence[str], now: datetime, max_age: int
) -> Iterator[_Doubt]:
    """Why nobody can say that nothing is recalled, the plainest first."""
    if not lists and problems:
        yield _Doubt("recalls-untrusted", "no list of recalls that counts is at hand")
    if not lists:
        yield _NOTHING
    for problem in problems:
        if isinstance(problem, Unreadable):
            yield _Doubt("recalls-unread", f"a list of recalls cannot be read: {problem}")
    yield from _forks(lists)
    yield from _doubts_of_signing(lists, now)
    if beyond:
        what = f"{counted(len(beyond), 'recall')} cannot be compared with what was measured here"
        yield _Doubt("recalls-incomparable", f"{what}: {some(beyond)}")
    if _age(lists, now) // DAY > max_age:
        allowed = f"older than the {counted(max_age, 'day')} that are allowed"
        yield _Doubt("recalls-old", f"not among {_told(lists, now)}: {allowed}")


def _doubts_of_age(
    lists: Sequence[RecallList], now: datetime, behind: bool, max_age: int
) -> Iterator[_Doubt]:
    """Why the lists are not fresh, the plainest first."""
    if not lists:
        yield _NOTHING
    yield from _doubts_of_signing(lists, now)
    told = _told_age(lists, now)
    if behind:
        seen = f"the clock of this machine is behind {now:%Y-%m-%d}, which was seen signed"
        yield _Doubt("clock-behind", f"{seen}; by that, {told}")
    if any(one.recall.next and read_moment(one.recall.next) < now for one in standing(lists)):
        yield _Doubt("recalls-old", f"{told}, a newer one was promised")
    if _age(lists, now) // DAY > max_age:
        yield _Doubt("recalls-old", f"{told}, {counted(max_age, 'day')} are allowed")


_NOTHING = _Doubt("no-recalls", "no list of recalls is at hand")


def _forks(lists: Sequence[RecallList]) -> Iterator[_Doubt]:
    keys = [one.key for one in lists]
    for one in lists:
        if keys.count(one.key) > 1:
            why = f"{visible(one.by, 60)} signed two different lists as version {one.recall.version}"
            yield _Doubt("recalls-forked", why)


def _doubts_of_signing(lists: Sequence[RecallList], now: datetime) -> Iterator[_Doubt]:
    """By whom the lists were signed, and when."""
    times = [one.issued for one in standing(lists)]
    if not times:
        yield _Doubt("recalls-signer", "whoever signed the list of recalls was called back")
    elif max(times) > now + SLACK:
        why = f"a list of recalls is of {max(times):%Y-%m-%d}, and the clock says {now:%Y-%m-%d}"
        yield _Doubt("recalls-future", why)


def _age(lists: Sequence[RecallList], now: datetime) -> int:
    """Seconds since the oldest list whose signer still stands."""
    return max(seconds_since(one.issued, now) for one in standing(lists))


def _told(lists: Sequence[RecallList], now: datetime) -> str:
    entries = sum(len(one.recall.entries) for one in lists)
    return f"{counted(entries, 'recall')} in {counted(len(lists), 'list')}, {told_age(_age(lists, now))}"


def _told_age(lists: Sequence[RecallList], now: datetime) -> str:
    return f"the list of recalls is {told_age(_age(lists, now))}"


def _beyond(entries: Sequence[RecallEntry], subject: Subject, places: Sequence[Place]) -> list[str]:
    """What is recalled by no kind of digest that was measured here, or by which one of the ancestors is known: it may be
    the very same, and nobody can compare."""
    measured = _kinds((*subject.what.digests, *subject.files))
    ancestors = {_kinds(place.digests) for place in places if place.descent and len(place.path) > 1}
    return _incomparable(entries, [measured]) or _incomparable(entries, ancestors)


def _incomparable(entries: Iterable[RecallEntry], known: Collection[frozenset[str]]) -> list[str]:
    return [
        visible(entry.subject.name, 60) or entry.subject.digests[0][:40]
        for entry in entries
        if isinstance(entry.target, Named)
        and any(_kinds(entry.target.digests).isdisjoint(kinds) for kinds in known)
    ]


def _kinds(digests: Iterable[str]) -> frozenset[str]:
    return frozenset(digest.partition(":")[0] for digest in digests)
