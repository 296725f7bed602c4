"""What of a model was called back: it, one of its files, what it comes from, what it was made with, who signed it."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from weighbridge.attest.attestation import Attestation
from weighbridge.attest.chain import told_step
from weighbridge.attest.predicates.recall import RecallEntry, RecallKind
from weighbridge.attest.step import DESCENT, Material, Relation, Step
from weighbridge.attest.subject import Index, Subject, is_same
from weighbridge.core.evidence import Outcome
from weighbridge.core.moment import read_moment
from weighbridge.core.report import SignatureResult
from weighbridge.core.statement import Named
from weighbridge.core.text import visible


class Ancestor(NamedTuple):
    """Something that the model comes from, as a lineage knows it."""

    what: Named
    path: tuple[str, ...]
    """From below the model to it, in words."""
    sure: bool


class Hit(NamedTuple):
    """Something that was called back, found in the model or on the way to it."""

    entry: RecallEntry
    path: tuple[str, ...]
    """From the model to what was recalled, in words."""
    sure: bool
    """Every hop of the path is signed by somebody trusted."""


class Place(NamedTuple):
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


def hits_of(
    entries: Sequence[RecallEntry],
    subject: Subject,
    places: Sequence[Place],
    signatures: Iterable[SignatureResult],
    attestations: Iterable[Attestation],
    ancestors: Iterable[Ancestor],
) -> Iterator[Hit]:
    """Everything of the model that an entry calls back. `places`: where statements lead; `ancestors`: where a lineage does."""
    yield from _of_signers(entries, signatures, attestations)
    yield from _of_things(entries, subject, places)
    for ancestor in ancestors:
        for entry in entries:
            if _shares(entry, ancestor.what):
                yield Hit(entry, (visible(subject.what.name, 60), *ancestor.path), ancestor.sure)


def _of_signers(
    entries: Iterable[RecallEntry], signatures: Iterable[SignatureResult], attestations: Iterable[Attestation]
) -> Iterator[Hit]:
    """Signatures of a recalled key, unless a trusted time proves that they were made before."""
    recalled = [entry for entry in entries if entry.kind is RecallKind.SIGNER]
    signed = [(one.key, one.by, one.when) for one in signatures if one.outcome is Outcome.PASS]
    signed += [
        (one.signer.key, one.signer.by, _time(one.signer.time)) for one in attestations if one.is_signed
    ]
    for key, by, when in dict.fromkeys(signed if recalled else ()):
        for entry in recalled:
            if entry.target == key and not (when and read_moment(when) < read_moment(entry.since)):
                yield Hit(entry, (f"signed by {visible(by, 60)}",), sure=True)


def _time(time: datetime | None) -> str:
    return time.isoformat() if time else ""


class _Way(NamedTuple):
    """Something that is still to be looked at, and how it was reached."""

    what: Named
    path: tuple[str, ...]
    sure: bool


def places_of(subject: Subject, attestations: Sequence[Attestation]) -> Iterator[Place]:
    """The model, and everything that it comes from as far as statements tell."""
    index = Index(attestations, subject)
    seen: set[tuple[tuple[str, ...], bool]] = set()
    waiting = [_Way(subject.what, (visible(subject.what.name, 60),), sure=True)]
    while waiting:
        way = waiting.pop()
        digests = way.what.digests
        if (digests, way.sure) in seen or (digests, True) in seen:
            continue
        seen.add((digests, way.sure))
        place = _place(way, index.about(way.what))
        yield place
        for step, sure in place.steps:
            waiting += _materials(step, way.path, sure, DESCENT)
            tools = _materials(step, way.path, sure, (Relation.BUILT_WITH,))
            yield from (
                Place(frozenset(tool.what.digests), frozenset(), tool.path, tool.sure, descent=False)
                for tool in tools
            )


def _place(way: _Way, about: Sequence[Attestation]) -> Place:
    names = [(one.is_signed, _names(one, way.what)) for one in about]
    told = [(one, told_step(one)) for one in about]
    return Place(
        digests=frozenset(way.what.digests).union(*(said for signed, said in names if signed)),
        claimed=frozenset[str]().union(*(said for signed, said in names if not signed)),
        path=way.path,
        sure=way.sure,
        steps=tuple((step, way.sure and one.is_signed) for one, step in told if step),
    )


def _materials(
    step: Step, path: tuple[str, ...], sure: bool, relations: Collection[Relation]
) -> Iterator[_Way]:
    for material in step.materials:
        if material.relation in relations:
            yield _Way(material.what, (*path, _hop(material)), sure)


def _names(one: Attestation, what: Named) -> frozenset[str]:
    """Every digest by which a statement knows the thing: who names it by two says that they are one."""
    subjects = one.statement.subjects if one.statement else ()
    return frozenset(digest for named in subjects if is_same(named, what) for digest in named.digests)


def _of_things(entries: Sequence[RecallEntry], subject: Subject, places: Iterable[Place]) -> Iterator[Hit]:
    """The model, its files, and everything that it comes from or was made with."""
    things = [entry for entry in entries if entry.kind is not RecallKind.SIGNER]
    for entry in things:
        if subject.files & set(entry.subject.digests):
            yield Hit(entry, (f"a file of {visible(subject.what.name, 60)}",), sure=True)
    for place in places if things else ():
        for entry in things:
            recalled = set(entry.subject.digests)
            if recalled & (place.digests | place.claimed):
                yield Hit(entry, place.path, place.sure and bool(recalled & place.digests))
        for step, sure in place.steps:
            yield from _of_tools(things, step, place.path, sure)


def _shares(entry: RecallEntry, what: Named) -> bool:
    """Any digest in common: weights that were called back are called back in every repackaging."""
    return bool(set(entry.subject.digests) & set(what.digests))


def _hop(material: Material) -> str:
    name = visible(material.what.name, 60) or material.what.digests[0][:30]
    return f"{material.relation.value.replace('_', ' ')} {name}"


def _of_tools(things: Iterable[RecallEntry], step: Step, path: tuple[str, ...], sure: bool) -> Iterator[Hit]:
    """A tool is known by its name and version, `name@1.2`, as the step names it."""
    names = {m.what.name for m in step.materials if m.relation is Relation.BUILT_WITH}
    used = {_tool(name) for name in {step.builder, *step.tools, *names}}
    for entry in things:
        if entry.kind is RecallKind.TOOL and _tool(str(entry.target)) in used:
            yield Hit(entry, (*path, f"made with {visible(str(entry.target), 60)}"), sure)


def _tool(text: str) -> tuple[str, str]:
    """(name, version) of `name@1.2`, `name 1.2` or `pkg:pypi/name@1.2`; names as packages compare them (PEP 503)."""
    name, _, version = (
        text.strip().removeprefix("pkg:pypi/").replace("==", "@").replace(" ", "@").rpartition("@")
    )
    return re.sub(r"[-_.]+", "-", name).lower(), version.lower()
