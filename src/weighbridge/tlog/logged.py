"""Logged: does the statement stand in a log that witnesses watched, and how old is what we know of that log?

Both are answered offline, from the bytes of a proof file, the log policy, and what this machine remembers. A proof of ours
carries its entry, which nobody signed and which is believed only because the proof leads from it to a signed head. Age
is never the wall clock's word alone: the high-water mark keeps the latest moment and the largest log that were seen, so that
a clock which was set back, and a head which is behind, are noticed. The log is not asked for anything newer: `client`.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import combinations

from weighbridge.core.errors import InputError
from weighbridge.core.evidence import Evidence, Outcome
from weighbridge.core.moment import DAY, told_age
from weighbridge.core.text import counted, some, visible
from weighbridge.core.value import dataclass
from weighbridge.tlog.client import HighWater
from weighbridge.tlog.entry import LogEntry, read_entry
from weighbridge.tlog.policy import LogPolicy, Trusted
from weighbridge.tlog.proof import LogProof, read_proofs, verify_proof

QUESTION = "logged"
SLACK = 3600
"""Seconds by which a clock may be behind what was seen, and nobody set it back."""
_NOT_YET = frozenset({"log-quorum", "log-unsigned"})
"""Nothing is wrong with the proof: it is only not enough for this policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """A proof that holds, and the entry that it shows."""

    entry: LogEntry
    index: int
    trusted: Trusted

    @property
    def statement(self) -> str:
        """`sha256:…` of the statement."""
        return f"sha256:{self.entry.statement.hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """A proof that does not hold, or not for this policy."""

    statement: str
    """Of the entry that the proof carries, which it does not show; "" where it carries none."""
    code: str
    why: str


def examine(
    proofs: bytes, policy: LogPolicy, now: int | None = None, candidates: Iterable[bytes] = ()
) -> tuple[Proved | Doubtful, ...]:
    """Every proof of the file, in its order. `candidates`: entries to try where a proof carries none.

    Raises `InputError` (`bad-log-proof`, `bad-note`, `bad-checkpoint`) for a file that cannot be read.
    """
    candidates = tuple(candidates)
    return tuple(_examine(proof, policy, now, candidates) for proof in read_proofs(proofs))


def _examine(
    proof: LogProof, policy: LogPolicy, now: int | None, candidates: tuple[bytes, ...]
) -> Proved | Doubtful:
    problem: InputError | None = None
    statement = ""
    for text in candidates if proof.extra is None else (proof.extra,):
        try:
            entry = read_entry(text)
            statement = f"sha256:{entry.statement.hex()}"
            included = verify_proof(proof, text, policy, now)
        except InputError as error:
            problem = error
        else:
            return Proved(entry=entry, index=included.index, trusted=included.trusted)
    if problem is None:
        return Doubtful(statement="", code="bad-log-proof", why="the proof does not carry its entry")
    return Doubtful(
        statement=statement if proof.extra is not None else "", code=problem.code, why=problem.message
    )


def logged(
    statements: Collection[str],
    proofs: bytes | None,
    policy: LogPolicy | None,
    now: int,
    *,
    candidates: Iterable[bytes] = (),
    seen: Iterable[HighWater] = (),
) -> Evidence:
    """The row `logged`: does one of these statements (`sha256:…`) stand in a log of the policy?

    `proofs`: the proof file, None where there is none. `seen`: marks of this machine, for a log that shows another past.
    FAIL for a proof about one of the statements that does not hold, and for two heads that contradict each other; UNKNOWN
    without proof, policy, quorum or statement.
    """
    if not statements:
        return _unknown("log-no-proof", "there is no signed statement that could stand in a log")
    if proofs is None:
        return _unknown("log-no-proof", "no proof says that the signature stands in a log")
    if policy is None:
        return _unknown("log-no-policy", "no log policy says which logs and witnesses count")
    try:
        found = examine(proofs, policy, now, candidates)
    except InputError as error:
        return _unknown(error.code, error.message)
    good = [one for one in found if isinstance(one, Proved)]
    fork = next(_forks([one.trusted for one in good], seen), None)
    if fork is not None:
        return Evidence(question=QUESTION, outcome=Outcome.FAIL, why=fork, code="log-fork")
    bad = [one for one in found if isinstance(one, Doubtful) and one.statement in (*statements, "")]
    wrong = next((one for one in bad if one.statement and one.code not in _NOT_YET), None)
    if wrong is not None:
        return Evidence(question=QUESTION, outcome=Outcome.FAIL, why=wrong.why, code=wrong.code)
    mine = [one for one in good if one.statement in statements]
    if mine:
        return _passed(max(mine, key=lambda one: one.trusted.checkpoint.size))
    if bad:
        return _unknown(bad[0].code, bad[0].why)
    return _unknown("log-no-proof", "the proofs that are there are of other statements")


def _unknown(code: str, why: str) -> Evidence:
    return Evidence(question=QUESTION, outcome=Outcome.UNKNOWN, why=why, code=code)


def _passed(one: Proved) -> Evidence:
    head = one.trusted.checkpoint
    names = [name for name, _ in one.trusted.witnesses]
    watched = f", cosigned by {some(names)}" if names else ", which nobody cosigned"
    why = f"entry {one.index} of {head.size}{watched}"
    return Evidence(question=QUESTION, outcome=Outcome.PASS, why=why, by=visible(head.origin, 100))


def _forks(heads: list[Trusted], seen: Iterable[HighWater]) -> Iterator[str]:
    """Heads of one log and one size with two roots: two histories, whoever cosigned them."""
    known = [(one.checkpoint.origin, one.checkpoint.size, one.checkpoint.root) for one in heads]
    known += [(mark.origin, mark.size, mark.root) for mark in seen]
    for (origin, size, root), (other, same, root2) in combinations(known, 2):
        if (origin, size) == (other, same) and root != root2:
            yield f'the log "{visible(origin, 100)}" shows two histories of {size} entries'


# ---------------------------------------------------------------------------------------------------------------- age


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadAge:
    """How old a head is, as far as anybody can know."""

    seconds: int | None
    """Since enough witnesses vouched that it was the newest; None where none does."""
    behind: int
    """Entries that the log is known to have had beyond this head."""
    clock_behind: int
    """Seconds by which this machine's clock is behind a moment that it has seen; 0 where it is not."""

    @property
    def told(self) -> str:
        """`41 days old, 12 entries behind what was seen`."""
        parts = ["of unknown age" if self.seconds is None else told_age(self.seconds)]
        if self.behind:
            parts.append(f"{counted(self.behind, 'entry')} behind what was seen")
        if self.clock_behind:
            parts.append(
                f"the clock is {counted(max(1, self.clock_behind // DAY), 'day')} behind what was seen"
            )
        return ", ".join(parts)


def head_age(head: Trusted, mark: HighWater | None, now: int) -> HeadAge:
    """The age of a head by the later of the clock and the mark, and by how far the log is known to have come."""
    if mark is not None and mark.origin != head.checkpoint.origin:
        mark = None
    moment = max(now, mark.time if mark else 0, head.time or 0)
    late = moment - now
    return HeadAge(
        seconds=None if head.time is None else moment - head.time,
        behind=max(0, mark.size - head.checkpoint.size) if mark else 0,
        clock_behind=late if late > SLACK else 0,
    )


def fresh(age: HeadAge, max_age: int) -> Evidence:
    """The row `fresh`, for a log: PASS up to `max_age` seconds, said with the age; else UNKNOWN with the reason."""
    why = f"the log's head is {age.told}"
    if age.clock_behind:
        return Evidence(question="fresh", outcome=Outcome.UNKNOWN, why=why, code="clock-behind")
    if age.seconds is None or age.seconds > max_age:
        allowed = told_age(max_age).removesuffix(" old")
        return Evidence(
            question="fresh", outcome=Outcome.UNKNOWN, why=f"{why}; {allowed} are allowed", code="log-stale"
        )
    return Evidence(question="fresh", outcome=Outcome.PASS, why=why)
