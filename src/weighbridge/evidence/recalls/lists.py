"""Lists of recalls: which of them count, and which version of each.

A list is one signed statement with a version that only grows. It counts when somebody with the role `recall` signed it;
of several versions the newest counts, also where only an older one is at hand: it is kept (`evidence/mark.py`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from weighbridge.attest.attestation import Attestation, judge_one
from weighbridge.attest.predicates import read
from weighbridge.attest.predicates.recall import TYPE, Recall, RecallKind
from weighbridge.core.errors import InputError
from weighbridge.core.evidence import Outcome
from weighbridge.core.moment import read_moment
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass
from weighbridge.sign.anchor import Anchor, TimestampAuthority
from weighbridge.sign.bundle import Bundle, read_line, split_lines

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


def standing(lists: Sequence[RecallList]) -> tuple[RecallList, ...]:
    """Lists whose signer no list calls back."""
    gone = {entry.target for one in lists for entry in one.recall.entries if entry.kind is RecallKind.SIGNER}
    return tuple(one for one in lists if one.key not in gone)
