"""Quorum: do enough different people whom we trust vouch for this? k of n over distinct signers, with roles.

Distinct means distinct people (`sign.people`): results that share an identity or a key, by themselves or in the keyring,
belong to one signer, who counts once, however many bundles lie beside the model. (Counting signatures instead of signers is a known mistake of other tools.)
A signer who holds two roles counts in both; who wants two people for two roles says so with the threshold.

Pure: results in, evidence out. Whether a missing signature matters is the policy's to say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from weighbridge.core.errors import UsageError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.report import SignatureResult
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.sign.people import People, grouped, marks_of

QUESTION = "signed"
NOBODY = People()
"""Ties nobody to anybody, beyond what was signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Who has to have signed."""

    threshold: int = 1
    """How many distinct signers."""
    signers: tuple[str, ...] = ()
    """Identities that count; () lets everybody in the keyring count."""
    roles: Mapping[str, int] = field(default_factory=dict)
    """Role → how many distinct signers of it."""

    def __post_init__(self) -> None:
        if self.threshold < 1 or any(count < 1 for count in self.roles.values()):
            raise UsageError("bad-threshold", "a threshold below 1 would pass what nobody signed")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signer:
    """One person, by all signatures that pass."""

    names: tuple[str, ...]
    roles: frozenset[str]
    first: SignatureResult

    @property
    def name(self) -> str:
        return self.names[0]


def judge_signatures(
    results: Sequence[SignatureResult],
    requirement: Requirement,
    *,
    required: bool = True,
    people: People = NOBODY,
) -> Evidence:
    """The evidence `signed`. Without any signature: FAIL where one is required, else UNKNOWN (`no-signature`).

    `people`: the keyring, as it says who is who.
    """
    if not results:
        outcome = Outcome.FAIL if required else Outcome.UNKNOWN
        return Evidence(question=QUESTION, outcome=outcome, why="no signature found", code="no-signature")
    counting = [one for one in results if one.outcome == "pass" and _wanted(one, requirement)]
    signers = _signers(counting, people)
    details = tuple(_lines(results, signers, requirement))
    by = ", ".join(visible(signer.name, 100) for signer in signers)
    lacks = _lacks(signers, requirement)
    if not lacks:
        why = f"signed by {by}" if requirement.threshold == 1 else f"signed by {len(signers)} signers: {by}"
        return Evidence(question=QUESTION, outcome=Outcome.PASS, why=why, by=by, details=details)
    code, why = _cause(results, counting, lacks)
    open_ends = [
        one for one in results if one.outcome == "unknown" and (not one.by or _wanted(one, requirement))
    ]
    # Had the unknown ones passed, would it be enough? Then nobody can say yet that it is not.
    undecided = bool(open_ends) and _within_reach(signers, requirement, len(open_ends))
    outcome = Outcome.UNKNOWN if undecided else Outcome.FAIL
    return Evidence(question=QUESTION, outcome=outcome, why=why, by=by, code=code, details=details)


def _wanted(result: SignatureResult, requirement: Requirement) -> bool:
    """A result that passed names an identity of the keyring; nobody without a name can count."""
    return bool(result.by) and (not requirement.signers or result.by in requirement.signers)


def _signers(results: Sequence[SignatureResult], people: People) -> list[_Signer]:
    """The people who signed, in the order in which they were found. One who is alone needs no keyring."""
    if len(results) < 2:
        return [_signer(results)] if results else []
    return [_signer(group) for group in grouped((one, people.known_by(one.by, one.key)) for one in results)]


def _signer(group: Sequence[SignatureResult]) -> _Signer:
    return _Signer(
        names=tuple(dict.fromkeys(one.by for one in group)),
        roles=frozenset(role for one in group for role in one.roles),
        first=group[0],
    )


def _lacks(signers: Sequence[_Signer], requirement: Requirement) -> list[tuple[str, str]]:
    """(code, sentence) for everything that is missing."""
    lacks = []
    if len(signers) < requirement.threshold:
        wanted = f"{requirement.threshold} distinct signers are wanted"
        lacks.append(("threshold-not-met", f"{wanted}, {len(signers)} signed"))
    for role, count in sorted(requirement.roles.items()):
        have = sum(role in signer.roles for signer in signers)
        if have < count:
            lacks.append(
                (
                    "role-missing",
                    f'{count} signers with the role "{visible(role, 50)}" are wanted, {have} signed',
                )
            )
    return lacks


def _within_reach(signers: Sequence[_Signer], requirement: Requirement, more: int) -> bool:
    roles = {role: sum(role in signer.roles for signer in signers) for role in requirement.roles}
    enough = len(signers) + more >= requirement.threshold
    return enough and all(roles[role] + more >= count for role, count in requirement.roles.items())


def _cause(
    results: Sequence[SignatureResult], counting: Sequence[SignatureResult], lacks: Sequence[tuple[str, str]]
) -> tuple[str, str]:
    """The reason that helps most: what is wrong with the signatures, or else that good ones are too few."""
    if counting:
        return lacks[0][0], "; ".join(sentence for _, sentence in lacks)
    passed = [one for one in results if one.outcome == "pass"]
    if passed:
        names = ", ".join(dict.fromkeys(visible(one.by, 100) or "nobody known" for one in passed))
        return "signer-not-accepted", f"signed by {names}, who does not count here"
    # Who is known to us explains more than a stranger's bundle, and a refusal more than a doubt.
    worst = min(results, key=lambda one: (not one.by, one.outcome != "fail"))
    return worst.code, worst.why


def _lines(
    results: Sequence[SignatureResult], signers: Sequence[_Signer], requirement: Requirement
) -> Iterable[str]:
    """One line a signature: who counted, who did not, and why not."""
    firsts = {id(signer.first): signer for signer in signers}
    for result in results:
        who = visible(result.by, 100) or "nobody known"
        if result.outcome != "pass":
            yield f"does not count  {who}: {result.why} [{result.code}]"
        elif not _wanted(result, requirement):
            yield f"does not count  {who}: not among the signers that are wanted"
        elif id(result) in firsts:
            yield f"counts          {who}{_how(result)}"
        else:
            signer = next(one for one in signers if result.by in one.names)
            yield f"does not count  {who}: {_twice(result, signer)}"


def _how(result: SignatureResult) -> str:
    said = [text for text in (", ".join(result.roles), result.how, result.when) if text]
    return f" ({'; '.join(said)})" if said else ""


def _twice(result: SignatureResult, signer: _Signer) -> str:
    if result.by == signer.name:
        return "has signed already, and counts once"
    if marks_of(result.by) == marks_of(signer.name):
        return f"is another way to write {visible(signer.name, 100)}, and both count once"
    return f"shares a key with {visible(signer.name, 100)}, and both count once"
