"""Recalls: what was called back, and whether this model, or anything that it comes from, is among it.

A list is one signed statement with a version that only grows. It counts when somebody with the role `recall` signed it; of
several versions the newest counts, also where only an older one is at hand: its entries are kept (`evidence/mark.py`). What is recalled
in an old list stays recalled; that something is *not* recalled is only as good as the list is new. A list can always
refuse. That nothing is recalled is said only by one that was read whole, is not from the future, does not contradict
another of the same version, and was signed by somebody who was not recalled himself.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from weighbridge.attest.attestation import Attestation, judge_one
from weighbridge.attest.chain import told_step
from weighbridge.attest.predicates import read
from weighbridge.attest.predicates.recall import TYPE, Recall, RecallEntry, RecallKind, Severity
from weighbridge.attest.step import DESCENT, Material, Relation, Step
from weighbridge.attest.subject import Index, Subject, is_same
from weighbridge.core.errors import InputError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.moment import DAY, read_moment, seconds_since, told_age
from weighbridge.core.report import SignatureResult
from weighbridge.core.statement import Named
from weighbridge.core.text import counted, some, visible
from weighbridge.core.value import dataclass
from weighbridge.evidence.mark import SLACK
from weighbridge.sign.anchor import Anchor, TimestampAuthority
from weighbridge.sign.bundle import Bundle, read_line, split_lines

QUESTION = "current"
ROLE = "recall"
"""Whoever has it in the keyring may call back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallList:
    """One list that counts."""

    recall: Recall
    by: str
    key: str
    source: str
    line: bytes
    """The bundle, to be kept."""

    @property
    def issued(self) -> datetime:
        """When, as its signer says."""
        return read_moment(self.recall.issued)


class Unreadable(str):
    """Why nobody knows what a list says that may count: by somebody who may call back, or beyond a limit."""

    __slots__ = ()


def read_lists(
    files: Iterable[tuple[str, bytes]],
    anchors: Sequence[Anchor],
    authorities: Sequence[TimestampAuthority],
    now: datetime,
) -> tuple[tuple[RecallList, ...], tuple[str, ...]]:
    """The lists that count, and why others do not. Never raises for what a file says."""
    lists, problems = [], []
    for name, data in files:
        for source, line in split_lines(data, name):
            bundle = line if isinstance(line, Bundle) else read_line(line, source)
            one = judge_one(bundle, anchors, authorities, now)
            found = _counted(one, b"" if isinstance(line, Bundle) else line.strip())
            if isinstance(found, str):
                problems.append(type(found)(f"{visible(one.source, 100)}: {found}"))
            else:
                lists.append(found)
    return tuple(lists), tuple(problems)


def _counted(one: Attestation, line: bytes) -> RecallList | str:
    if one.statement is None:
        why = visible(one.why, 200)
        official = one.signer.outcome is Outcome.PASS and ROLE in one.signer.roles
        return Unreadable(why) if official or one.code.startswith("limit-") else why
    if one.statement.predicate_type != TYPE:
        return "no list of recalls"
    if one.signer.outcome is not Outcome.PASS:
        return visible(one.signer.why, 200)
    if ROLE not in one.signer.roles:
        return f'{visible(one.signer.by, 60)} has not the role "{ROLE}"'
    try:
        recall = read(one.statement, "the list of recalls")
    except InputError as error:
        return Unreadable(error.message)
    return RecallList(recall=recall, by=one.signer.by, key=one.signer.key, source=one.source, line=line)


def newest(lists: Iterable[RecallList]) -> tuple[RecallList, ...]:
    """The newest version of each list; who signs with one key has one list. All that differ, where one version has two."""
    found: dict[str, list[RecallList]] = {}
    for one in lists:
        there = found.setdefault(one.key, [])
        if there and one.recall.version > there[0].recall.version:
            there.clear()
        if not there or (
            one.recall.version == there[0].recall.version
            and all(one.recall != other.recall for other in there)
        ):
            there.append(one)
    return tuple(one for group in found.values() for one in group)


def _standing(lists: Sequence[RecallList]) -> tuple[RecallList, ...]:
    """Lists whose signer no list calls back."""
    gone = {entry.target for one in lists for entry in one.recall.entries if entry.kind is RecallKind.SIGNER}
    return tuple(one for one in lists if one.key not in gone)


class _Doubt(NamedTuple):
    """Why lists cannot say that something is *not* recalled."""

    code: str
    why: str


def _doubt(lists: Sequence[RecallList], problems: Sequence[str], now: datetime) -> _Doubt | None:
    unread = [problem for problem in problems if isinstance(problem, Unreadable)]
    if unread:
        return _Doubt("recalls-unread", f"a list of recalls cannot be read: {unread[0]}")
    if len({one.key for one in lists}) < len(lists):
        twice = next(one for one in lists if sum(other.key == one.key for other in lists) > 1)
        why = f"{visible(twice.by, 60)} signed two different lists as version {twice.recall.version}"
        return _Doubt("recalls-forked", why)
    return _doubtful_age(_standing(lists), now)


def _doubtful_age(standing: Sequence[RecallList], now: datetime) -> _Doubt | None:
    if not standing:
        return _Doubt("recalls-signer", "whoever signed the list of recalls was called back")
    ahead = max(one.issued for one in standing)
    if ahead > now + SLACK:
        why = f"a list of recalls is of {ahead:%Y-%m-%d}, and the clock says {now:%Y-%m-%d}"
        return _Doubt("recalls-future", why)
    return None


class Ancestor(NamedTuple):
    """Something that the model comes from, as a lineage knows it."""

    what: Named
    path: tuple[str, ...]
    """From below the model to it, in words."""
    sure: bool


class _Hit(NamedTuple):
    entry: RecallEntry
    path: tuple[str, ...]
    """From the model to what was recalled, in words."""
    sure: bool
    """Every hop of the path is signed by somebody trusted."""


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
    places = list(_places(subject, attestations)) if entries else []
    hits = [*_of_signers(entries, signatures, attestations), *_of_things(entries, subject, places)]
    hits += [
        _Hit(entry, (visible(subject.what.name, 60), *ancestor.path), ancestor.sure)
        for ancestor in ancestors
        for entry in entries
        if _shares(entry, ancestor.what)
    ]
    by = ", ".join(sorted({visible(one.by, 60) for one in lists}))
    if hits:
        return _recalled(hits, by)
    if not lists:
        why = "no list of recalls that counts is at hand" if problems else "no list of recalls is at hand"
        code = "recalls-untrusted" if problems else "no-recalls"
        return Evidence(
            question=QUESTION, outcome=Outcome.UNKNOWN, why=why, code=code, details=tuple(problems)
        )
    doubt = _doubt(lists, problems, now)
    if doubt:
        return Evidence(
            question=QUESTION,
            outcome=Outcome.UNKNOWN,
            why=doubt.why,
            code=doubt.code,
            by=by,
            details=tuple(problems),
        )
    age = max(seconds_since(one.issued, now) for one in _standing(lists))
    told = f"{counted(len(entries), 'recall')} in {counted(len(lists), 'list')}, {told_age(age)}"
    beyond = _beyond(entries, subject) or _beyond_ancestors(entries, places)
    if beyond:
        why = (
            f"{counted(len(beyond), 'recall')} cannot be compared with what was measured here: {some(beyond)}"
        )
        return Evidence(
            question=QUESTION, outcome=Outcome.UNKNOWN, why=why, code="recalls-incomparable", by=by
        )
    if age // DAY > max_age:
        why = f"not among {told}: older than the {counted(max_age, 'day')} that are allowed"
        return Evidence(
            question=QUESTION,
            outcome=Outcome.UNKNOWN,
            why=why,
            code="recalls-old",
            by=by,
            details=tuple(problems),
        )
    return Evidence(
        question=QUESTION, outcome=Outcome.PASS, why=f"not among {told}", by=by, details=tuple(problems)
    )


def _recalled(hits: Sequence[_Hit], by: str) -> Evidence:
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


def _of_signers(
    entries: Iterable[RecallEntry], signatures: Iterable[SignatureResult], attestations: Iterable[Attestation]
) -> Iterator[_Hit]:
    """Signatures of a recalled key, unless a trusted time proves that they were made before."""
    recalled = [entry for entry in entries if entry.kind is RecallKind.SIGNER]
    signed = [(one.key, one.by, one.when) for one in signatures if one.outcome is Outcome.PASS]
    signed += [
        (one.signer.key, one.signer.by, _time(one.signer.time)) for one in attestations if one.is_signed
    ]
    for key, by, when in dict.fromkeys(signed if recalled else ()):
        for entry in recalled:
            if entry.target == key and not (when and read_moment(when) < read_moment(entry.since)):
                yield _Hit(entry, (f"signed by {visible(by, 60)}",), sure=True)


def _time(time: datetime | None) -> str:
    return time.isoformat() if time else ""


class _Place(NamedTuple):
    """Something that the model is, comes from or was made with."""

    digests: frozenset[str]
    """By which it is known for sure."""
    claimed: frozenset[str]
    """By which only strangers say that it is known too."""
    path: tuple[str, ...]
    sure: bool
    steps: tuple[tuple[Step, bool], ...] = ()
    """How it was made, and whether that is sure."""
    descent: bool = True
    """False for what it was only made with."""


def _places(subject: Subject, attestations: Sequence[Attestation]) -> Iterator[_Place]:
    """The model, and everything that it comes from as far as statements tell."""
    index = Index(attestations, subject)
    seen: set[tuple[tuple[str, ...], bool]] = set()
    waiting: list[tuple[Named, tuple[str, ...], bool]] = [
        (subject.what, (visible(subject.what.name, 60),), True)
    ]
    while waiting:
        what, path, sure = waiting.pop()
        if (what.digests, sure) in seen or (what.digests, True) in seen:
            continue
        seen.add((what.digests, sure))
        about = index.about(what)
        told = [(one, step) for one in about for step in (told_step(one),) if step]
        yield _Place(
            digests=frozenset(what.digests).union(*(_names(one, what) for one in about if one.is_signed)),
            claimed=frozenset().union(*(_names(one, what) for one in about if not one.is_signed)),
            path=path,
            sure=sure,
            steps=tuple((step, sure and one.is_signed) for one, step in told),
        )
        for one, step in told:
            still = sure and one.is_signed
            for material in step.materials:
                if material.relation in DESCENT:
                    waiting.append((material.what, (*path, _hop(material)), still))
                elif material.relation is Relation.BUILT_WITH:
                    known = frozenset(material.what.digests)
                    yield _Place(known, frozenset(), (*path, _hop(material)), still, descent=False)


def _names(one: Attestation, what: Named) -> frozenset[str]:
    """Every digest by which a statement knows the thing: who names it by two says that they are one."""
    subjects = one.statement.subjects if one.statement else ()
    return frozenset(digest for named in subjects if is_same(named, what) for digest in named.digests)


def _of_things(entries: Sequence[RecallEntry], subject: Subject, places: Iterable[_Place]) -> Iterator[_Hit]:
    """The model, its files, and everything that it comes from or was made with."""
    things = [entry for entry in entries if entry.kind is not RecallKind.SIGNER]
    for entry in things:
        if subject.files & set(entry.subject.digests):
            yield _Hit(entry, (f"a file of {visible(subject.what.name, 60)}",), sure=True)
    for place in places if things else ():
        for entry in things:
            recalled = set(entry.subject.digests)
            if recalled & (place.digests | place.claimed):
                yield _Hit(entry, place.path, place.sure and bool(recalled & place.digests))
        for step, sure in place.steps:
            yield from _of_tools(things, step, place.path, sure)


def _shares(entry: RecallEntry, what: Named) -> bool:
    """Any digest in common: weights that were called back are called back in every repackaging."""
    return bool(set(entry.subject.digests) & set(what.digests))


def _beyond(entries: Iterable[RecallEntry], subject: Subject) -> list[str]:
    """What is recalled by a kind of digest that was not measured here, so that nobody can compare."""
    measured = {digest.partition(":")[0] for digest in (*subject.what.digests, *subject.files)}
    return [
        visible(entry.subject.name, 60) or entry.subject.digests[0][:40]
        for entry in entries
        if isinstance(entry.target, Named)
        and not {digest.partition(":")[0] for digest in entry.target.digests} & measured
    ]


def _beyond_ancestors(entries: Iterable[RecallEntry], places: Iterable[_Place]) -> list[str]:
    """What is recalled by no kind of digest by which one of the ancestors is known, which may be the very same."""
    kinds = {frozenset(_kinds(place.digests)) for place in places if place.descent and len(place.path) > 1}
    return [
        visible(entry.subject.name, 60) or entry.subject.digests[0][:40]
        for entry in entries
        if isinstance(entry.target, Named)
        and any(not _kinds(entry.target.digests) & known for known in kinds)
    ]


def _kinds(digests: Iterable[str]) -> set[str]:
    return {digest.partition(":")[0] for digest in digests}


def _hop(material: Material) -> str:
    name = visible(material.what.name, 60) or material.what.digests[0][:30]
    return f"{material.relation.value.replace('_', ' ')} {name}"


def _of_tools(things: Iterable[RecallEntry], step: Step, path: tuple[str, ...], sure: bool) -> Iterator[_Hit]:
    """A tool is known by its name and version, `name@1.2`, as the step names it."""
    names = {m.what.name for m in step.materials if m.relation is Relation.BUILT_WITH}
    used = {_tool(name) for name in {step.builder, *step.tools, *names}}
    for entry in things:
        if entry.kind is RecallKind.TOOL and _tool(str(entry.target)) in used:
            yield _Hit(entry, (*path, f"made with {visible(str(entry.target), 60)}"), sure)


def _tool(text: str) -> tuple[str, str]:
    """(name, version) of `name@1.2`, `name 1.2` or `pkg:pypi/name@1.2`; names as packages compare them (PEP 503)."""
    name, _, version = (
        text.strip().removeprefix("pkg:pypi/").replace("==", "@").replace(" ", "@").rpartition("@")
    )
    return re.sub(r"[-_.]+", "-", name).lower(), version.lower()


def fresh(lists: Sequence[RecallList], *, now: datetime, behind: bool, max_age: int) -> Evidence:
    """The row `fresh`: how old is what we know of recalls? `behind`: the clock is behind what was seen before."""
    if not lists:
        return Evidence(
            question="fresh", outcome=Outcome.UNKNOWN, why="no list of recalls is at hand", code="no-recalls"
        )
    standing = _standing(lists)
    doubt = _doubtful_age(standing, now)
    if doubt:
        return Evidence(question="fresh", outcome=Outcome.UNKNOWN, why=doubt.why, code=doubt.code)
    age = max(seconds_since(one.issued, now) for one in standing)
    told = f"the list of recalls is {told_age(age)}"
    if behind:
        why = f"the clock of this machine is behind {now:%Y-%m-%d}, which was seen signed; by that, {told}"
        return Evidence(question="fresh", outcome=Outcome.UNKNOWN, why=why, code="clock-behind")
    late = [one for one in standing if one.recall.next and read_moment(one.recall.next) < now]
    if age // DAY > max_age or late:
        more = "a newer one was promised" if late else f"{counted(max_age, 'day')} are allowed"
        return Evidence(question="fresh", outcome=Outcome.UNKNOWN, why=f"{told}, {more}", code="recalls-old")
    return Evidence(question="fresh", outcome=Outcome.PASS, why=told)
