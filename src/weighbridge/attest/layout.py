"""The answers to `traced`, `data` and `approved`: does what people state about a model hold what a policy asks?

Only statements that somebody of the keyring signed count, and only for whom the policy lets speak; distinct people
(`sign.people`) are counted, never documents. What could not be read leaves the answer UNKNOWN where it might have
been what is missing. The idea of a layout follows in-toto: steps, who may do them, and that the products of one are the
materials of the next (https://github.com/in-toto/specification, section 4.3).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from weighbridge.attest.attestation import Attestation
from weighbridge.attest.chain import told_step
from weighbridge.attest.predicates import kind_of, read
from weighbridge.attest.predicates.review import TYPE as REVIEW
from weighbridge.attest.predicates.review import Decision
from weighbridge.attest.step import DESCENT, Relation, Step
from weighbridge.attest.subject import Index, Subject, any_same, binds_files, names_files
from weighbridge.core.errors import InputError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.statement import Named
from weighbridge.core.text import counted, some, visible
from weighbridge.policy.words import StepRule
from weighbridge.sign.people import Marks, People

DATASET = "weighbridge.dataset/v1"


# -- traced


class _Problem(NamedTuple):
    """What is lacking."""

    code: str
    why: str


class _Told(NamedTuple):
    """One step, told alike by enough people."""

    step: Step
    products: tuple[Named, ...]
    by: tuple[str, ...]
    looks: bool
    """All of them say that it made nothing."""


NOBODY = People()
"""Ties nobody to anybody, beyond what was signed."""


def traced(
    rules: Sequence[StepRule],
    subject: Subject,
    attestations: Sequence[Attestation],
    people: People = NOBODY,
) -> Evidence:
    """Whether the required steps are there, signed by those who may, each one's products the next one's materials."""
    problem = _Layout(rules, subject, attestations, people).problem()
    if problem is None:
        names = " → ".join(visible(rule.name, 40) for rule in rules)
        return Evidence(
            question="traced", outcome=Outcome.PASS, why=f"{counted(len(rules), 'step')} signed: {names}",
            by=", ".join(_signers_of(rules, attestations)),
        )  # fmt: skip
    return _lacking("traced", problem.code, problem.why, attestations)


def _signers_of(rules: Sequence[StepRule], attestations: Sequence[Attestation]) -> list[str]:
    names = {rule.name for rule in rules}
    told = [(one, told_step(one)) for one in attestations if one.is_signed]
    return sorted({visible(one.signer.by, 100) for one, step in told if step and step.name in names})


def _lacking(question: str, code: str, why: str, attestations: Sequence[Attestation]) -> Evidence:
    """FAIL; UNKNOWN where a statement that nobody could read may be the one that is missing."""
    unread = [one for one in attestations if one.statement is None or one.signer.outcome is Outcome.UNKNOWN]
    details = tuple(
        f"{visible(one.source, 100)}: {visible(one.why or one.signer.why, 200)}" for one in unread[:20]
    )
    outcome = Outcome.UNKNOWN if unread else Outcome.FAIL
    return Evidence(question=question, outcome=outcome, why=why, code=code, details=details)


class _Layout:
    def __init__(
        self,
        rules: Sequence[StepRule],
        subject: Subject,
        attestations: Sequence[Attestation],
        people: People,
    ) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._order = [rule.name for rule in rules]
        self._subject = subject
        self._told = {rule.name: tuple(_told(rule, attestations, people)) for rule in rules}
        self._all = attestations
        about = Index(attestations, subject).about(subject.what)
        self._about = {id(one.statement) for one in about}
        self._good: dict[tuple[str, int], bool] = {}

    def problem(self) -> _Problem | None:
        """None where the chain holds."""
        for name in self._order:
            if not self._told[name]:
                return self._missing(self._rules[name])
        last = self._order[-1]
        final = [place for place, told in enumerate(self._told[last]) if self._is_final(told)]
        if not final:
            weights = any(any_same(told.products, [self._subject.what]) for told in self._told[last])
            other = (
                "these weights, and not for the files beside them"
                if weights
                else "another model than this one"
            )
            return _Problem("step-other-model", f'the step "{visible(last, 40)}" is signed for {other}')
        good = [place for place in final if self._holds(last, place, ())]
        return self._aside({last: set(good)}) if good else self._broken()

    def _is_final(self, told: _Told) -> bool:
        return any(names_files(product, self._subject.what) for product in told.products) or any(
            id(one.statement) in self._about and binds_files(one, self._subject)
            for one in self._all
            if one.is_signed and told_step(one) == told.step
        )

    def _after(self, name: str) -> tuple[str, ...]:
        rule = self._rules[name]
        if rule.after is not None:
            return rule.after
        place = self._order.index(name)
        return (self._order[place - 1],) if place else ()

    def _holds(self, name: str, place: int, above: tuple[tuple[str, int], ...]) -> bool:
        """Whether every step that this one must follow is connected to it, down to the first."""
        at = (name, place)
        if at in above:
            return False
        if at not in self._good:
            here = self._told[name][place]
            self._good[at] = all(
                any(
                    _follows(here, before) and self._holds(earlier, where, (*above, at))
                    for where, before in enumerate(self._told.get(earlier, ()))
                )
                for earlier in self._after(name)
            )
        return self._good[at]

    def _aside(self, reached: dict[str, set[int]]) -> _Problem | None:
        """Steps that no other follows, such as an evaluation that leaves scores: each must have taken something of the
        very chain that led to the model, or it would bind nothing."""
        waiting = [(name, place) for name, places in reached.items() for place in places]
        while waiting:
            name, place = waiting.pop()
            for earlier, where in self._before(name, place):
                if where not in reached.setdefault(earlier, set()):
                    reached[earlier].add(where)
                    waiting.append((earlier, where))
        for name in (name for name in self._order if name not in reached):
            if not self._after(name):
                why = f'no step of the policy follows "{visible(name, 40)}", so nothing binds it to the model'
                return _Problem("step-loose", why)
            bound = {place for place in range(len(self._told[name])) if self._is_bound(name, place, reached)}
            if not bound:
                why = f'what "{visible(name, 40)}" took is nothing of the chain that led to this model'
                return _Problem("step-disconnected", why)
            reached[name] = bound
        return None

    def _before(self, name: str, place: int) -> Iterator[tuple[str, int]]:
        """The steps before this one that it is connected to."""
        here = self._told[name][place]
        for earlier in self._after(name):
            for where, before in enumerate(self._told.get(earlier, ())):
                if _follows(here, before) and self._holds(earlier, where, ()):
                    yield earlier, where

    def _is_bound(self, name: str, place: int, reached: dict[str, set[int]]) -> bool:
        found = set(self._before(name, place))
        return all(
            any((earlier, where) in found for where in reached.get(earlier, ()))
            for earlier in self._after(name)
        )

    def _missing(self, rule: StepRule) -> _Problem:
        shown = f'the step "{visible(rule.name, 40)}"'
        stated = [one for one in self._all for step in (told_step(one),) if step and step.name == rule.name]
        signed = [one for one in stated if one.is_signed]
        if not stated:
            return _Problem("step-missing", f"nobody states {shown}")
        if not signed:
            return _Problem("step-claimed", f"{shown} is only claimed: {visible(stated[0].signer.why, 160)}")
        who = some(sorted({one.signer.by for one in signed}))
        return _Problem(
            "step-signer", f"{shown} is signed by {who}, which is not who or how many the policy asks for"
        )

    def _broken(self) -> _Problem:
        for name in reversed(self._order):
            for earlier in self._after(name):
                linked = any(
                    _follows(here, before)
                    for here in self._told[name]
                    for before in self._told.get(earlier, ())
                )
                if not linked:
                    pair = f'"{visible(earlier, 40)}" left is not what "{visible(name, 40)}" took'
                    return _Problem("step-disconnected", f"the chain is broken: what {pair}")
        return _Problem(
            "step-disconnected", "the chain is broken: the signed steps do not lead to this model"
        )


def _told(rule: StepRule, attestations: Sequence[Attestation], people: People) -> Iterable[_Told]:
    """The ways in which the step is told, each by as many different people as the rule asks for."""
    groups: dict[object, list[tuple[Attestation, Step]]] = defaultdict(list)
    for one in attestations:
        step = told_step(one) if one.is_signed and _may_tell(rule, one) else None
        if step is not None and step.name == rule.name and one.statement:
            products = (*step.products, *one.statement.subjects)
            materials = frozenset(material.what.digests for material in step.materials)
            groups[frozenset(product.digests for product in products), materials].append((one, step))
    for group in groups.values():
        if people.count(one.signer for one, _ in group) >= rule.threshold:
            products = tuple(
                dict.fromkeys(
                    p for one, s in group if one.statement for p in (*s.products, *one.statement.subjects)
                )
            )
            by = tuple(dict.fromkeys(one.signer.by for one, _ in group))
            yield _Told(group[0][1], products, by, all(step.only_looks for _, step in group))


def _may_tell(rule: StepRule, one: Attestation) -> bool:
    kind = kind_of(one.statement.predicate_type) if one.statement else None
    return (
        (not rule.signers or one.signer.by in rule.signers)
        and (not rule.role or rule.role in one.signer.roles)
        and (not rule.types or (kind is not None and kind.word in rule.types))
    )


def _follows(later: _Told, earlier: _Told) -> bool:
    """Whether the later step took what the earlier one left. A step that only looks (a test) leaves what it took."""
    materials = tuple(material.what for material in later.step.materials)
    return any_same((*materials, *(later.products if later.looks else ())), earlier.products)


# -- data


def data_stated(subject: Subject, attestations: Sequence[Attestation]) -> Evidence:
    """Whether every data set that signed steps name, down the whole chain, is described by somebody trusted."""
    index = Index(attestations, subject)
    named, steps, bases = _trained_on(index, subject.what)
    if named and bases:
        shown = some([visible(one.name, 60) or one.digests[0][:30] for one in bases])
        why = f"nobody trusted states what {shown} was made from"
        return Evidence(question="data", outcome=Outcome.UNKNOWN, why=why, code="data-unstated")
    if not named:
        why = "signed steps name no training data" if steps else "no signed step says what it was trained on"
        return Evidence(question="data", outcome=Outcome.UNKNOWN, why=why, code="data-unstated")
    bare = [one for one in named if not _described(index, one)]
    if bare:
        shown = some([visible(one.name, 60) or one.digests[0][:30] for one in bare])
        why = f"{len(bare)} of {counted(len(named), 'data set')} not described by anybody trusted: {shown}"
        return Evidence(question="data", outcome=Outcome.UNKNOWN, why=why, code="data-undescribed")
    shown = some([visible(one.name, 60) or one.digests[0][:30] for one in named])
    return Evidence(
        question="data", outcome=Outcome.PASS, why=f"{counted(len(named), 'data set')} described: {shown}"
    )


_MODELS = frozenset(
    {
        Relation.FINE_TUNED_FROM,
        Relation.QUANTIZED_FROM,
        Relation.MERGED_FROM,
        Relation.DISTILLED_FROM,
        Relation.CONVERTED_FROM,
    }
)
"""Relations to a model, which was itself trained on something."""


def _trained_on(index: Index, root: Named) -> tuple[list[Named], int, list[Named]]:
    """Every data set of the signed chain, how many signed steps were seen, and models that no signed step tells of."""
    found: dict[tuple[str, ...], Named] = {}
    models: dict[tuple[str, ...], Named] = {}
    made = set[tuple[str, ...]]()
    seen, waiting, steps = set[tuple[str, ...]](), [root], 0
    while waiting:
        what = waiting.pop()
        if what.digests in seen:
            continue
        seen.add(what.digests)
        for one in index.about(what):
            step = told_step(one) if one.is_signed else None
            steps += step is not None
            made |= {what.digests} if step and not step.only_looks else set()
            for material in step.materials if step else ():
                if material.relation in _MODELS:
                    models[material.what.digests] = material.what
                if material.relation is Relation.TRAINED_ON:
                    found[material.what.digests] = material.what
                elif material.relation in DESCENT:
                    waiting.append(material.what)
    return list(found.values()), steps, [model for digests, model in models.items() if digests not in made]


def _described(index: Index, what: Named) -> bool:
    return any(
        one.is_signed
        and one.statement is not None
        and one.statement.predicate_type == DATASET
        and told_step(one) is not None  # it can be read
        for one in index.about(what)
    )


# -- approved


def approved(
    wanted: Sequence[tuple[str, int]],
    subject: Subject,
    attestations: Sequence[Attestation],
    makers: Iterable[str] = (),
    people: People = NOBODY,
) -> Evidence:
    """Whether enough people of each role approved this very model; nobody approves what they made.

    `wanted`: (role, how many); () for one person of any role. `makers`: keys and names of those who signed the model.
    """
    index = Index(attestations, subject)
    about = index.about(subject.what)
    reviews = [(one, decision, role) for one in about for decision, role in _decision(one)]
    refusals = sorted({one.signer.by for one, decision, _ in reviews if decision is Decision.REJECT})
    if refusals:
        who = some(refusals)
        return _approved(Outcome.FAIL, f"rejected by {who}", by=who, code="rejected")
    unread = [one for one in about if _is_unread_review(one)]
    unread += [one for one in attestations if one.code.startswith("limit-")]
    if unread:
        what = visible(unread[0].why or _why_not(unread[0]), 200)
        why = f"a review, which may be a rejection, cannot be read: {what}"
        return _approved(Outcome.UNKNOWN, why, code="review-unread")
    own = _own(makers, _makers(index, subject.what), people)
    foreign = [row for row in reviews if binds_files(row[0], subject) and not people.of(row[0].signer) & own]
    approvals = [(one, role) for one, decision, role in foreign if decision is Decision.APPROVE]
    why = _too_few(wanted or (("", 1),), approvals, people)
    if why:
        left_out = "; nobody approves what they made, or weights without the files beside them"
        why += left_out if len(foreign) < len(reviews) else ""
        return _lacking("approved", "approval-missing", why, about)
    who = ", ".join(sorted({visible(one.signer.by, 100) for one, _ in approvals}))
    return _approved(Outcome.PASS, f"approved by {who}", by=who)


def _approved(outcome: Outcome, why: str, *, by: str = "", code: str = "") -> Evidence:
    return Evidence(question="approved", outcome=outcome, why=why, by=by, code=code)


def _too_few(
    wanted: Sequence[tuple[str, int]], approvals: Sequence[tuple[Attestation, str]], people: People
) -> str:
    """Of which role too few people have approved; "" where there are enough of each."""
    for role, count in wanted:
        have = people.count(
            one.signer
            for one, stated in approvals
            if not role or (stated in ("", role) and role in one.signer.roles)
        )
        if have < count:
            asked = f' of the role "{visible(role, 40)}"' if role else ""
            return f"{counted(count, 'approval')}{asked} wanted, {have} given"
    return ""


_OWN = DESCENT - {Relation.TRAINED_ON}
"""Whoever described the data may approve what others trained on it."""


def _makers(index: Index, root: Named) -> Iterator[Attestation]:
    """Signed steps that made the model, or what it was made from, and those that were taken over it."""
    seen, waiting = set[tuple[str, ...]](), [root]
    while waiting:
        what = waiting.pop()
        if what.digests in seen:
            continue
        seen.add(what.digests)
        for one in index.about(what):
            step = told_step(one) if one.is_signed else None
            if step is not None:
                if what is root or not step.only_looks:
                    yield one
                waiting += [material.what for material in step.materials if material.relation in _OWN]


def _is_unread_review(one: Attestation) -> bool:
    return bool(
        one.is_signed and one.statement and one.statement.predicate_type == REVIEW and not _decision(one)
    )


def _why_not(one: Attestation) -> str:
    """Why a statement's predicate cannot be read."""
    try:
        return str(read(one.statement)) if one.statement else ""
    except InputError as error:
        return error.message


def _own(makers: Iterable[str], made: Iterable[Attestation], people: People) -> Marks:
    """Everything that those who made the model are known by; each of `makers` is a name or a key."""
    named = (people.known_by(maker, maker) for maker in makers)
    return frozenset[str]().union(*named, *(people.of(one.signer) for one in made))


def _decision(one: Attestation) -> tuple[tuple[Decision, str], ...]:
    """What a signed review decides; nothing for every other statement."""
    if not one.is_signed or one.statement is None or one.statement.predicate_type != REVIEW:
        return ()
    try:
        review = read(one.statement)
    except InputError:
        return ()
    return ((review.decision, review.role),)
