"""The scan engine: every reader that could accept the bytes reads them, every rule that asked looks at the readings.

A file passes only where all its bytes were read, by every loader that could accept them, and no rule has an error
or a doubt. Whatever a reader cannot follow becomes `Unread` and the file UNKNOWN; one file's failure never ends a
folder's scan, and a crash of ours is UNKNOWN too, never a gap.
"""

import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import field, replace
from functools import cache
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING

from weighbridge.core.artifact import Artifact, Member
from weighbridge.core.budget import Budget, Limits
from weighbridge.core.errors import InputError, LimitError
from weighbridge.core.evidence import Outcome
from weighbridge.core.finding import FileResult, Finding, Place, Severity, Unread
from weighbridge.core.source import Slice, Source
from weighbridge.core.value import dataclass
from weighbridge.formats import candidates, read
from weighbridge.formats.reading import Anomaly, Reading, TensorRef
from weighbridge.scan.rule import Folder, Rule
from weighbridge.scan.rules import INERT, RULES

if TYPE_CHECKING:
    from weighbridge.scan.plugins import PluginRule

NOT_THIS = "not-this-format"
"""The code with which a reader says that its loader would refuse these bytes before doing anything."""
BEHIND = "trailing-bytes"
"""The code with which a reader says that its format ends before the bytes do."""
MAX_FINDINGS = 200
"""Findings of one rule in one reading. What a rule would have said after them is unknown, and so is the file."""
NESTED = Limits().depth
"""Contents inside contents: nobody nests them deeper by accident. Below it a limit is the person's own."""
NUMBERS = "weights"
"""The reading of a look at tensors' numbers, which is no format: only rules that name it want it."""
ELSEWHERE = "the model is not here, and numbers are not fetched for it"
LAST_RESORT = frozenset({"text"})
"""Candidates that are read only where no other candidate accepted the bytes: any document is text too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was seen in one file."""

    result: FileResult
    findings: tuple[Finding, ...] = ()
    unread: tuple[Unread, ...] = ()
    kept: tuple[Reading, ...] = ()
    tensors: tuple[TensorRef, ...] = ()
    tensors_unlisted: str = ""
    externals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was seen in the whole artifact; one `FileResult` for every member, no file can vanish."""

    files: tuple[FileResult, ...]
    findings: tuple[Finding, ...]
    unread: tuple[Unread, ...]


class Scanner:
    """Examines members one by one with one shared budget, then the folder as a whole."""

    def __init__(
        self,
        limits: Limits | None = None,
        plugins: "Sequence[PluginRule]" = (),
        loaders: Mapping[str, str] | None = None,
        *,
        weights: bool = False,
        here: bool = True,
    ) -> None:
        """`weights` asks for a look at the numbers of tensors, which is taken only of models that are `here`."""
        self._budget = Budget(limits)
        self._plugins = tuple(plugins)
        self._loaders = loaders or {}
        self._weights, self._here = weights, here

    @property
    def budget(self) -> Budget:
        """What all examinations spend from."""
        return self._budget

    def examine(self, member: Member, source: Source) -> Examination:
        """Read one file and judge it. Never raises for anything the bytes do."""
        look = _Look(self._budget, self._plugins)
        look.walk(member.path, source, Place(path=member.path), kind="", top=True)
        if self._weights:
            look.weights(source, Place(path=member.path), here=self._here)
        return look.examination(member)

    def finish(self, artifact: Artifact, examinations: Iterable[Examination | None]) -> Scan:
        """Explain files by their siblings, run the folder rules, and settle every file's outcome.

        A member without an examination (it could not be read, the work stopped early) is UNKNOWN, never missing.
        """
        known = {e.result.path: e for e in examinations if e is not None}
        seen = [known.get(member.path) or _unexamined(member) for member in artifact.members]
        externals = _externals(seen)
        seen = [_explained(e, externals) for e in seen]
        findings = [finding for e in seen for finding in e.findings]
        unread = [item for e in seen for item in e.unread]
        folder = Folder(artifact=artifact, readings={e.result.path: e.kept for e in seen if e.kept})
        formats = {name for e in seen for name in e.result.format.split("+")}
        findings += _folder_findings(folder, formats, unread)
        for plugin in self._plugins:
            findings += _plugin_folder_findings(plugin, folder, unread)
        unread += [
            Unread(place=Place(path=o.path), code=o.code, message=o.message) for o in artifact.obstacles
        ]
        if findings:
            from weighbridge.scan.advisories import informed

            findings = list(informed(findings, self._loaders))
        return Scan(
            files=_all_settled(seen, findings, unread), findings=tuple(findings), unread=tuple(unread)
        )


@dataclass(slots=True)
class _Look:
    """The walk through one file and everything nested in it."""

    budget: Budget
    plugins: "tuple[PluginRule, ...]" = ()
    formats: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Candidates that the file claims to be and breaks; its format where nothing else was read."""
    findings: list[Finding] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    kept: list[Reading] = field(default_factory=list)
    tensors: list[TensorRef] = field(default_factory=list)
    tensors_found: list[TensorRef] = field(default_factory=list)
    """Those of readings that could not list all."""
    tensors_unlisted: str = ""
    externals: list[str] = field(default_factory=list)

    def walk(self, name: str, source: Source, place: Place, *, kind: str, top: bool) -> None:
        for reading in self._readings(name, source, place, kind, top):
            if top:
                self.formats.append(reading.format)
                self._note_tensors(reading)
                self.externals += reading.externals
                # Without its parts, whose sources would hold the file's bytes and cannot go to another process.
                kept = replace(reading, parts=()) if reading.parts else reading
                self.kept += [kept] if reading.keep else []
            self._judge(reading, place)
            for gap in reading.gaps:
                where = place.inside(gap.part) if gap.part else place
                self.unread.append(
                    Unread(place=replace(where, offset=gap.offset), code=gap.code, message=gap.message)
                )
                if gap.code == BEHIND and not gap.part and 0 < (gap.offset or 0) < source.size:
                    self._behind(source, place, gap.offset or 0)
            for part in reading.parts:
                self._descend(part.name, part.source, place.inside(part.name), part.kind)

    def _behind(self, source: Source, place: Place, offset: int) -> None:
        """What stands behind a format's end: the gap says that nobody reads it, this says what it would do if read."""
        tail = Slice(source, offset, source.size - offset)
        where = place.inside("bytes behind the end")
        if not LAST_RESORT.issuperset(self._candidates("", tail, where, "")):
            self._descend("", tail, where, "")

    def _descend(self, name: str, source: Source, place: Place, kind: str) -> None:
        try:
            with self.budget.deeper():
                self.budget.spend_members()
                self.walk(name, source, place, kind=kind, top=False)
        except (InputError, LimitError) as error:
            self.unread.append(Unread(place=place, code=error.code, message=error.message))
            if error.code == "limit-depth" and self.budget.limits.depth >= NESTED:
                message = f"contents inside contents, more than {NESTED} deep"
                odd = Anomaly(code="nested-too-deep", message=message)
                self._judge(Reading(format="nested-too-deep", anomalies=(odd,)), place)

    def _readings(self, name: str, source: Source, place: Place, kind: str, top: bool) -> list[Reading]:
        readings: list[Reading] = []
        tried: list[str] = []
        before = len(self.unread)
        for candidate in self._candidates(name, source, place, kind):
            if candidate in LAST_RESORT and (readings or len(self.unread) > before):
                continue
            try:
                readings.append(read(candidate, source, self.budget, name))
            except (InputError, LimitError) as error:
                if error.code == NOT_THIS:
                    tried.append(candidate)
                    continue
                self.unread.append(
                    Unread(place=place, code=error.code, message=f"{candidate}: {error.message}")
                )
                self.broken += [candidate] if top else []
            except Exception as bug:
                self.unread.append(_crash(place, f"{candidate} reader", bug))
        if not readings and len(self.unread) == before:
            but = f" (not {', '.join(tried)})" if tried else ""
            self.unread.append(
                Unread(place=place, code="format-unknown", message=f"format not understood{but}")
            )
            readings += self._searched(source, place)
        elif not readings:
            readings += self._searched(source, place)
        return readings

    def _searched(self, source: Source, place: Place) -> list[Reading]:
        """Programs and pickles in bytes that nobody understood: the file stays unread, but the harm has a name."""
        from weighbridge.formats.opaque import searched  # only for such files

        try:
            found = searched(source, self.budget)
        except (InputError, LimitError) as error:
            if not any((item.place, item.code) == (place, error.code) for item in self.unread):
                self.unread.append(Unread(place=place, code=error.code, message=error.message))
            return []
        return [found] if found is not None else []

    def _candidates(self, name: str, source: Source, place: Place, kind: str) -> tuple[str, ...]:
        if kind:
            return (kind,)
        try:
            return candidates(source, name)
        except (InputError, LimitError) as error:
            self.unread.append(Unread(place=place, code=error.code, message=error.message))
        except Exception as bug:
            self.unread.append(_crash(place, "sniffing", bug))
        return ()

    def _judge(self, reading: Reading, place: Place) -> None:
        if not is_judged(reading.format):
            message = f"no rule judges the format {reading.format}"
            self.unread.append(Unread(place=place, code="format-unjudged", message=message))
        for name in names_for(reading.format):
            try:
                found = load_rule(name).look(reading, place)
                self.findings.extend(islice(found, MAX_FINDINGS))
                if next(found, None) is not None:
                    self.unread.append(_too_many(place, name))
            except (InputError, LimitError) as error:
                self.unread.append(Unread(place=place, code=error.code, message=f"{name}: {error.message}"))
            except Exception as bug:
                self.unread.append(_crash(place, f"rule {name}", bug))
        for plugin in self.plugins:
            everything = "*" in plugin.rule.formats and reading.format != NUMBERS
            if reading.format in plugin.rule.formats or everything:
                self._ask(plugin, reading, place)

    def _ask(self, plugin: "PluginRule", reading: Reading, place: Place) -> None:
        """Somebody else's rule: it adds findings under its own name, and what goes wrong in it is unknown."""
        try:
            found = [
                _signed_by(plugin, one) for one in islice(plugin.rule.look(reading, place), MAX_FINDINGS + 1)
            ]
            self.findings.extend(found[:MAX_FINDINGS])
            if len(found) > MAX_FINDINGS:
                self.unread.append(_too_many(place, plugin.name))
        except Exception as bug:
            self.unread.append(_crash(place, f"rule {plugin.name}", bug))

    def weights(self, source: Source, place: Place, *, here: bool) -> None:
        """Look at the numbers of the tensors too; what a look at them cannot do is unread, and never a pass."""
        if not self.tensors and not self.tensors_unlisted:
            return
        from weighbridge.scan.weights import look_at_weights

        try:
            tensors = (*self.tensors, *self.tensors_found) if here else ()
            why = self.tensors_unlisted if here else ELSEWHERE
            formats = self.formats if here else ()
            reading = look_at_weights(source, tensors, self.budget, unlisted=why, formats=formats)
        except (InputError, LimitError) as error:
            self.unread.append(Unread(place=place, code=error.code, message=f"weights: {error.message}"))
            return
        except Exception as bug:
            self.unread.append(_crash(place, "the look at weights", bug))
            return
        self.kept.append(reading)
        self._judge(reading, place)

    def _note_tensors(self, reading: Reading) -> None:
        if reading.tensors:
            self.tensors += reading.tensors
        self.tensors_found += reading.tensors_found if not reading.tensors else ()
        self.tensors_unlisted = self.tensors_unlisted or reading.tensors_unlisted

    def examination(self, member: Member) -> Examination:
        format_name = "+".join(dict.fromkeys(self.formats or self.broken)) or "unknown"
        result = FileResult(path=member.path, size=member.size, format=format_name, outcome=Outcome.UNKNOWN)
        return Examination(
            result=_settled(result, self.findings, self.unread),
            findings=tuple(self.findings),
            unread=tuple(self.unread),
            kept=tuple(self.kept),
            tensors=tuple(self.tensors),
            tensors_unlisted=self.tensors_unlisted,
            externals=tuple(self.externals),
        )


def is_judged(format_name: str) -> bool:
    """Whether somebody decided what this format may do: a format without a rule of its own never passes."""
    return format_name in INERT or format_name in _judged_formats(RULES)


@cache
def _judged_formats(rules: tuple[tuple[str, tuple[str, ...]], ...]) -> frozenset[str]:
    return frozenset(name for _, formats in rules for name in formats)


@cache
def names_for(format_name: str) -> tuple[str, ...]:
    """The rules that look at readings of this format, in the order of the list."""
    everything = {"*"} if format_name != NUMBERS else set()
    return tuple(name for name, formats in RULES if format_name in formats or everything & set(formats))


@cache
def load_rule(name: str) -> Rule:
    """The rule of this name, from `scan/rules/NAME.py`: the one subclass of `Rule` that the module defines."""
    module = import_module(f"weighbridge.scan.rules.{name.replace('-', '_')}")
    (rule,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module.__name__
    )
    return rule()


def _settled(result: FileResult, findings: Sequence[Finding], unread: Sequence[Unread]) -> FileResult:
    """FAIL with an error, UNKNOWN with a doubt or anything unread, else PASS; all of them are this file's own."""
    if any(finding.severity is Severity.ERROR for finding in findings):
        return replace(result, outcome=Outcome.FAIL)
    if unread or any(finding.doubt for finding in findings):
        return replace(result, outcome=Outcome.UNKNOWN)
    return replace(result, outcome=Outcome.PASS)


def _all_settled(
    seen: Iterable[Examination], findings: Iterable[Finding], unread: Iterable[Unread]
) -> tuple[FileResult, ...]:
    """Settle all files at once, each with what stands in it: linear in files and findings."""
    found: defaultdict[str, list[Finding]] = defaultdict(list)
    left: defaultdict[str, list[Unread]] = defaultdict(list)
    for finding in findings:
        found[finding.place.path].append(finding)
    for item in unread:
        left[item.place.path].append(item)
    return tuple(_settled(e.result, found[e.result.path], left[e.result.path]) for e in seen)


def _unexamined(member: Member) -> Examination:
    """What is said of a file that nobody examined."""
    item = Unread(place=Place(path=member.path), code="not-examined", message="the file was not examined")
    result = FileResult(path=member.path, size=member.size, format="unknown", outcome=Outcome.UNKNOWN)
    return Examination(result=result, unread=(item,))


def _externals(seen: Iterable[Examination]) -> set[str]:
    """Paths of raw data files that some model file in the artifact refers to; a folder of them ends with a slash."""
    return {
        posixpath.normpath(posixpath.join(posixpath.dirname(e.result.path), external))
        + ("/" if external.endswith("/") else "")
        for e in seen
        for external in e.externals
    }


def _explained(examination: Examination, externals: set[str]) -> Examination:
    """A file of no known format passes when a sibling names it as its raw data."""
    codes = {item.code for item in examination.unread}
    path = examination.result.path
    named = path in externals or posixpath.dirname(path) + "/" in externals
    # Shards begin with one packed chunk, and more stand behind it.
    if not named or codes not in ({"format-unknown"}, {"format-unknown", BEHIND}) or examination.findings:
        return examination
    result = replace(examination.result, format="external-data", outcome=Outcome.PASS)
    return replace(examination, result=result, unread=())


def _folder_findings(folder: Folder, formats: Set[str], unread: list[Unread]) -> list[Finding]:
    """Rules over the whole artifact; one that also names formats is asked only where one of them was seen."""
    findings: list[Finding] = []
    wanted = dict(RULES)
    for name in names_for("folder"):
        if wanted[name] != ("folder",) and not {"*", *formats} & set(wanted[name]):
            continue
        try:
            findings += _capped(name, load_rule(name).look_folder(folder), unread)
        except Exception as bug:
            # Nobody knows which files the rule would have named, so that none of them can pass.
            unread.extend(_crash(Place(path=m.path), f"rule {name}", bug) for m in folder.artifact.members)
    return findings


def _plugin_folder_findings(plugin: "PluginRule", folder: Folder, unread: list[Unread]) -> list[Finding]:
    if not plugin.rule.folder:
        return []
    try:
        found = (_signed_by(plugin, one) for one in plugin.rule.look_folder(folder))
        return list(_capped(plugin.name, found, unread))
    except Exception as bug:
        unread.extend(_crash(Place(path=m.path), f"rule {plugin.name}", bug) for m in folder.artifact.members)
        return []


def _signed_by(plugin: "PluginRule", finding: Finding) -> Finding:
    """The finding under the plugin's name, with the origin in its trail."""
    return replace(finding, rule=plugin.name, trail=(*finding.trail, f"rule of {plugin.version}"))


def _capped(name: str, found: Iterable[Finding], unread: list[Unread]) -> Iterator[Finding]:
    """The first of one rule's findings in each file; a file with more is UNKNOWN at least."""
    count: Counter[str] = Counter()
    for finding in found:
        path = finding.place.path
        count[path] += 1
        if count[path] <= MAX_FINDINGS:
            yield finding
        elif count[path] == MAX_FINDINGS + 1:
            unread.append(_too_many(Place(path=path), name))


def _too_many(place: Place, name: str) -> Unread:
    message = f"{name}: more than {MAX_FINDINGS} findings, the rest was not looked at"
    return Unread(place=place, code="limit-findings", message=message)


def _crash(place: Place, who: str, bug: Exception) -> Unread:
    return Unread(
        place=place, code="internal-error", message=f"{who} broke on this: {type(bug).__name__}: {bug}"[:300]
    )
