"""THE WEIGHING. Read this file first: it is the whole product on one page.

    path → Artifact → Manifest + examinations → Evidence → Verdict → Report

`check`, `verify` and `scan` are the same weighing with other questions; every door calls `weigh`. Nothing here knows
a format, a curve or a screen, and nothing raises for what a model contains: a bad model is evidence.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weighbridge.core.artifact import MAX_BUNDLE, SIBLINGS_SUFFIX, SIGNATURE_NAME, Artifact, Obstacle
from weighbridge.core.budget import Limits
from weighbridge.core.errors import UsageError
from weighbridge.core.evidence import WORST_FIRST, Evidence, Outcome, worst
from weighbridge.core.finding import FileResult, Finding, Place, Unread
from weighbridge.core.manifest import Difference, Entry, Manifest
from weighbridge.core.report import Report, SignatureResult, Subject, Suppressed
from weighbridge.core.text import visible
from weighbridge.core.value import dataclass, field, replace
from weighbridge.core.version import __version__
from weighbridge.measure import Measurement, Plan, Progress, measure
from weighbridge.policy import Policy, answers, examined, judge, suppress
from weighbridge.policy.words import Need
from weighbridge.store import Links, open_artifacts, read_beside
from weighbridge.store.remote import is_remote, open_remote

if TYPE_CHECKING:
    from weighbridge.core.chain import Node
    from weighbridge.core.statement import Named
    from weighbridge.scan.engine import Scanner
    from weighbridge.sign.anchor import Anchor, TimestampAuthority
    from weighbridge.sign.bundle import Bundle
    from weighbridge.trust.keyring import Keyring


Measurer = Callable[..., Measurement]
"""Takes what `measure.measure` takes and answers as it does."""


class Ask(StrEnum):
    """What a weighing looks into."""

    SIGNATURES = "signatures"
    CONTENT = "content"
    STATEMENTS = "statements"
    """Where it came from, who approved it, whether it still stands."""


BELIEVES = frozenset({Ask.SIGNATURES, Ask.STATEMENTS})
"""What can only be answered by believing somebody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One weighing: what, against whom, by which policy."""

    paths: tuple[str, ...]
    """The model's folder or file; several only where no signature is asked for."""
    command: str
    """The word in the report: check, verify or scan."""
    ask: frozenset[Ask]
    policy: Policy
    keyring: "Keyring | None"
    """None where no signature is asked for."""
    now: datetime
    signatures: tuple[str, ...] = ()
    """Signature files that do not lie beside the model."""
    ignore_unsigned: bool = False
    """Let files pass that a signature does not name."""
    allow_ignored: tuple[str, ...] = ()
    """Paths that may be there although the signer left them out."""
    fail_fast: bool = False
    """Stop reading at the first file that differs from what a trusted signer signed; only where nothing is scanned."""
    links: Links = Links.INSIDE
    limits: Limits = field(default_factory=Limits)
    jobs: int | None = None
    others: tuple[str, ...] = ()
    """SARIF logs of other scanners."""
    statements: tuple[str, ...] = ()
    """Files and stores of statements that do not lie beside the model."""
    base: str | None = None
    """What the model, an adapter, shall be used with: a folder or file, which is measured too."""
    state: Path | None = None
    """Where this machine remembers what it has seen (recalls, times); None to remember nothing."""
    accept_links: bool = False
    """Count contents behind links as what was signed although plain files were: for bytes that are held, and never
    looked up again by their path."""
    only: tuple[str, ...] | None = None
    """Weigh these files of the model alone: nothing is said of the others, not even whether they are there."""


def weigh(
    request: Request,
    progress: Progress | None = None,
    *,
    measurer: "Measurer" = measure,
    artifact: Artifact | None = None,
) -> Report:
    """Weigh one model. Raises `UsageError` when there is nothing to weigh or a signature file cannot be opened.

    `measurer` stands in the place of `measure.measure`: whoever wants to keep the bytes that were weighed brings one.
    `artifact` is what to weigh where it lies at no path; only its contents can be asked about.
    """
    clock = time.monotonic()

    # 1. What is there, and what does anybody claim about it? Claims only choose what to measure.
    #    A signature is no part of the model that it signs, whatever is asked.
    bundles, beside = find_bundles(request)
    artifact = artifact or _opened(request, beside)
    if artifact.remote and Ask.SIGNATURES in request.ask:
        artifact, bundles = _remote_bundles(artifact, bundles)

    # 2. One read of the bytes: every digest that anybody asks for, and what the examiners see on the way.
    scanner = _scanner(request)
    measurement, extra = _measured(request, artifact, bundles, scanner, progress, measurer)

    # 3. Who signed it, and is it what they signed?
    signatures = judge_bundles(request, bundles, artifact, measurement)
    evidence = signature_evidence(request, signatures) if Ask.SIGNATURES in request.ask else ()
    if measurement.claimed:
        evidence, measurement = _as_claimed(evidence, measurement, signatures)

    # 4. Where did it come from, who approved it, and does it still stand?
    stated, chain = _stated(request, artifact, measurement, bundles, signatures)
    evidence += stated

    # 5. Is it dangerous to load?
    files, findings, suppressed, unread, others = _examined(request, artifact, measurement, scanner)
    if scanner:
        evidence += (*examined(request.policy, findings, files, unread), *others)
    elif unread:
        evidence += (_not_measured(unread),)

    # 6. Rules that the policy's owner wrote, over everything above; then the verdict.
    subject = _subject(artifact, measurement.manifest)
    if request.command == "check" and request.policy.rules:
        from weighbridge.policy.cel import weigh_rules

        evidence += weigh_rules(
            request.policy, evidence, request.now, findings=findings, files=files, unread=unread,
            signatures=signatures, subject=subject,
        )  # fmt: skip
    asked = request.policy.questions_of(request.command)
    return Report(
        command=request.command,
        verdict=judge(request.policy, evidence, findings, request.now, asked=asked),
        subject=subject,
        evidence=answers(request.policy, evidence, findings, request.now, asked=asked),
        signatures=signatures,
        files=files,
        findings=findings,
        unread=unread,
        suppressed=suppressed,
        policy=(request.policy.name, request.policy.digest),
        started=request.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=round(time.monotonic() - clock, 3),
        tool_version=__version__,
        chain=chain,
        extra=extra,
    )


def _stated(
    request: Request,
    artifact: Artifact,
    measurement: Measurement,
    bundles: Sequence["Bundle"],
    signatures: Sequence[SignatureResult],
) -> tuple[tuple[Evidence, ...], "Node | None"]:
    """What others state about the model; nothing where nobody asks and nobody states anything."""
    if not request.ask & BELIEVES:
        return (), None
    from weighbridge import evidence

    anchors, authorities = _believed(request)
    rows, chain = evidence.weigh(
        evidence.Question(
            path=None if artifact.remote else Path(request.paths[0]),
            named=request.statements,
            policy=request.policy,
            command=request.command,
            anchors=anchors,
            authorities=authorities,
            now=request.now,
            state=request.state,
            base=_base(request),
            statements=_good_statements(bundles, signatures),
            signed_as=tuple(_signed_as(bundles, signatures)) if request.only is not None else (),
        ),
        artifact,
        measurement.manifest,
        signatures,
    )
    whole = not (artifact.obstacles or measurement.unread or measurement.claimed or request.only is not None)
    return (rows if whole else tuple(map(_in_part, rows))), chain


def _in_part(row: Evidence) -> Evidence:
    """Statements are about a whole model: they say nothing for sure of one that was not measured whole."""
    if row.outcome is not Outcome.PASS or row.question not in (
        "traced",
        "based",
        "data",
        "approved",
        "current",
    ):
        return row
    why = f"not everything in it was measured here; of what was: {row.why}"
    return replace(row, outcome=Outcome.UNKNOWN, why=why, code="not-measured")


def _base(request: Request) -> "Named | None":
    """The base as measured; without digests where a part of it cannot be. Raises `UsageError` (`no-such-path`)."""
    if request.base is None:
        return None
    from weighbridge.attest.subject import subject_of
    from weighbridge.core.statement import Named

    artifact = open_artifacts((request.base,), links=request.links, exclude=bundles_of(Path(request.base))[1])
    found = measure(artifact, Plan(tensors=True), jobs=request.jobs, seconds=request.limits.seconds)
    if artifact.obstacles or found.unread:
        return Named(name=artifact.name)
    return subject_of(artifact.name, found.manifest, single=artifact.single).what


def _good_statements(bundles: Sequence["Bundle"], signatures: Sequence[SignatureResult]) -> tuple[str, ...]:
    """`sha256:…` of what the signatures that hold are over: how a log names them."""
    pairs = zip(bundles, signatures, strict=True)
    good = [bundle.envelope.payload for bundle, result in pairs if result.outcome is Outcome.PASS]
    return tuple(dict.fromkeys(f"sha256:{hashlib.sha256(payload).hexdigest()}" for payload in good))


def _signed_as(bundles: Sequence["Bundle"], signatures: Sequence[SignatureResult]) -> Iterator["Named"]:
    """The whole model by the digests that its good signatures recorded: a part of what was recalled is recalled too."""
    from weighbridge.core.errors import InputError, LimitError
    from weighbridge.core.manifest import Digest
    from weighbridge.core.statement import Named
    from weighbridge.sign import oms

    for bundle, result in zip(bundles, signatures, strict=True):
        try:
            said = (
                dict(oms.parse_statement(bundle.envelope.payload).digests)
                if result.outcome is Outcome.PASS
                else {}
            )
            files, tensors = (
                Digest.parse(said[key]) if key in said else None for key in ("files", "tensors")
            )
        except (InputError, LimitError):
            continue  # a gate's verdict, which is never over a part
        if files or tensors:
            yield Named(files=files, tensors=tensors)


def _opened(request: Request, beside: frozenset[str]) -> Artifact:
    """The files here, or the list of files elsewhere; of those, only the contents can be asked about."""
    if not any(is_remote(path) for path in request.paths):
        return _part(open_artifacts(request.paths, links=request.links, exclude=beside), request.only)
    if len(request.paths) > 1 or Ask.CONTENT not in request.ask:
        raise UsageError(
            "remote-alone", "models that are not here are scanned, inspected and checked, one at a time",
            "download it, then verify it here",
        )  # fmt: skip
    return open_remote(request.paths[0])


def _part(artifact: Artifact, only: Sequence[str] | None) -> Artifact:
    """The artifact, or the files of it that were asked for. Raises `UsageError` (`no-such-path`)."""
    if only is None:
        return artifact
    members = tuple(member for member in artifact.members if member.path in only)
    obstacles = tuple(obstacle for obstacle in artifact.obstacles if obstacle.path in only)
    missing = set(only).difference(m.path for m in members).difference(o.path for o in obstacles)
    if missing:
        name = visible(min(missing))
        raise UsageError("no-such-path", f'there is no file "{name}" in {visible(artifact.name)}')
    return replace(artifact, members=members, obstacles=obstacles)


def _remote_bundles(artifact: Artifact, named: Sequence["Bundle"]) -> tuple[Artifact, tuple["Bundle", ...]]:
    """The artifact without its signatures, and these with those that were named."""
    from weighbridge.sign.bundle import distinct, read_bundles

    found = [*named]
    names = {f"{SIGNATURE_NAME}{suffix}" for suffix in ("", SIBLINGS_SUFFIX)}
    for member in artifact.members:
        if member.path in names and member.size <= MAX_BUNDLE:
            found += read_bundles(artifact.files.open(member).read(0, member.size), member.path)
    held = {bundle.source for bundle in found if not bundle.code} & names
    return replace(artifact, members=tuple(m for m in artifact.members if m.path not in held)), distinct(
        found
    )


def _measured(
    request: Request,
    artifact: Artifact,
    bundles: Sequence["Bundle"],
    scanner: "Scanner | None",
    progress: Progress | None,
    measurer: "Measurer",
) -> tuple[Measurement, dict[str, Any]]:
    """The measurement, and what the report says beyond it: how much of a model elsewhere was fetched."""
    if scanner and artifact.remote:
        from weighbridge.measure.survey import survey

        seen = survey(artifact, scanner.examine, seconds=request.limits.seconds)
        return seen.measurement, {"fetched": {"bytes": seen.fetched, "requests": seen.requests}}
    measurement = measurer(
        artifact,
        _plan(request, bundles),
        examine=scanner.examine if scanner else None,
        expected=_expected(request, bundles) or None,
        progress=progress,
        jobs=request.jobs,
        seconds=request.limits.seconds,
        meter=scanner.budget if scanner else None,
    )
    return measurement, {}


def find_bundles(request: Request) -> tuple[tuple["Bundle", ...], frozenset[str]]:
    """The bundles beside a model or named in the request, and which files inside the model hold them."""
    if len(request.paths) > 1 or is_remote(request.paths[0]):
        return (), frozenset()
    found, inside = bundles_of(Path(request.paths[0]), request.signatures)
    return (found if request.ask & BELIEVES else ()), inside


def bundles_of(root: Path, named: Sequence[str] = ()) -> tuple[tuple["Bundle", ...], frozenset[str]]:
    """Bundles in the usual places and in the `named` files; and the files among them that lie inside the model.

    A file that does not hold a bundle is weighed like any other file: a signature's name is no place to hide.
    """
    places = [
        *(path for path in _usual_places(root) if os.path.lexists(path)),
        *(Path(name) for name in named),
    ]
    from weighbridge.evidence import statement_file_inside

    inside = set(statement_file_inside(root))
    if not places:
        return (), frozenset(inside)
    from weighbridge.sign.bundle import distinct, read_bundles

    bundles: list[Bundle] = []
    for path in places:
        data = read_beside(path, MAX_BUNDLE)
        if data is None and str(path) in named:
            raise UsageError("no-such-path", f'there is no signature at "{path}"')
        found = read_bundles(data, path.name) if data is not None else ()
        bundles += found
        relative = _inside(path, root)
        if relative and any(not bundle.code for bundle in found):
            inside.add(relative)
    return distinct(bundles), frozenset(inside)


def signature_path(model: Path) -> Path:
    """Where `sign` leaves a signature and `verify` looks first: `MODEL/model.sig`, or `FILE.sig` for one file."""
    return model / SIGNATURE_NAME if model.is_dir() else model.with_name(model.name + ".sig")


def _usual_places(root: Path) -> list[Path]:
    first = signature_path(root)
    beside = root.with_name(root.name + ".sig") if root.name else first
    places = dict.fromkeys([first, beside])
    return [place for path in places for place in (path, path.with_name(path.name + SIBLINGS_SUFFIX))]


def _inside(path: Path, root: Path) -> str | None:
    """The path relative to the model, by where it really lies; None outside of it."""
    if not root.is_dir():
        return None
    try:
        return (path.parent.resolve() / path.name).relative_to(root.resolve()).as_posix()
    except (OSError, ValueError):
        return None


def _plan(request: Request, bundles: Sequence["Bundle"]) -> Plan:
    """What to compute: what the bundles speak about, SHA-256 for the names that reports use, tensors for `check`.

    A `verify` computes only what was signed: one large file signed with BLAKE3 is then hashed on every core.
    """
    from weighbridge.evidence import asks_recalls

    recalls = bool(request.ask & BELIEVES) and asks_recalls(request.policy, request.state)
    tensors = Ask.STATEMENTS in request.ask or recalls
    if not bundles:
        return Plan(tensors=tensors)
    from weighbridge.sign.verify import wanted_plan

    wanted = wanted_plan(bundles)
    alone = bool(wanted.hashes) and not recalls and Ask.CONTENT not in request.ask
    return Plan(
        hashes=wanted.hashes if alone else wanted.hashes | {"sha256"},
        tensors=tensors,
        shards=wanted.shards,
        blake2b=wanted.blake2b,
    )


def _expected(request: Request, bundles: Sequence["Bundle"]) -> dict[str, bytes]:
    """path → SHA-256 by the first bundle that somebody trusted signed; nothing unless an early stop was asked for."""
    if not request.fail_fast or Ask.CONTENT in request.ask:
        return {}
    from weighbridge.sign.verify import check_signer, expected_files

    anchors, authorities = _believed(request)
    for bundle in bundles:
        check = check_signer(bundle, anchors, authorities, request.now)
        if check.outcome is Outcome.PASS:
            return expected_files(bundle)
    return {}


def _believed(request: Request) -> "tuple[tuple[Anchor, ...], tuple[TimestampAuthority, ...]]":
    """Whom to believe about signatures, and about the time."""
    return (request.keyring.anchors, request.keyring.authorities) if request.keyring else ((), ())


def _scanner(request: Request) -> "Scanner | None":
    if Ask.CONTENT not in request.ask:
        return None
    from weighbridge.scan.engine import Scanner  # `verify` needs no scanner and starts sooner without

    plugins, loaders = request.policy.plugins, request.policy.loaders
    weights, here = request.policy.weights, not any(is_remote(path) for path in request.paths)
    if not plugins and not loaders:
        return Scanner(request.limits, weights=weights, here=here)
    from weighbridge.scan.advisories import parse_loaders
    from weighbridge.scan.plugins import load_plugins

    rules, versions = load_plugins(plugins), parse_loaders(loaders)
    return Scanner(request.limits, rules, versions, weights=weights, here=here)


def judge_bundles(
    request: Request, bundles: Sequence["Bundle"], artifact: Artifact, measurement: Measurement
) -> tuple[SignatureResult, ...]:
    """Every bundle judged against the keyring and the measured files; what differs is told by tensor where it can be."""

    if measurement.stopped:
        return tuple(_stopped(request, bundle, measurement.stopped) for bundle in bundles)

    def judged(manifest: Manifest) -> tuple[SignatureResult, ...]:
        return tuple(_judge_bundle(request, bundle, manifest, artifact.obstacles) for bundle in bundles)

    results = judged(measurement.manifest)
    changed = {path for result in results if result.difference for path in result.difference.changed}
    if not changed or measurement.manifest.tensors is not None:
        return results
    # `verify` measures no tensors; a second look at the files that differ can still name them.
    again = replace(artifact, members=tuple(m for m in artifact.members if m.path in changed), obstacles=())
    tensors = measure(again, Plan(tensors=True), jobs=request.jobs).manifest.tensors
    return judged(replace(measurement.manifest, tensors=tensors)) if tensors else results


def _stopped(request: Request, bundle: "Bundle", path: str) -> SignatureResult:
    """Reading ended at the first difference: no signature passes, and the rest of the files is unknown."""
    from weighbridge.sign.verify import check_signer

    check = check_signer(bundle, *_believed(request), request.now)
    known = check.outcome is Outcome.PASS
    return SignatureResult(
        outcome=Outcome.FAIL if known else check.outcome,
        why=f"stopped at the first file that differs: {visible(path)}" if known else check.why,
        code="contents-differ" if known else check.code,
        by=check.by,
        roles=check.roles,
        how=check.how,
        key=check.key,
        bundle=bundle.source,
        difference=Difference(changed=(path,)) if known else None,
    )


def _judge_bundle(
    request: Request, bundle: "Bundle", manifest: Manifest, obstacles: Sequence[Obstacle]
) -> SignatureResult:
    from weighbridge.sign.verify import verify

    anchors, authorities = _believed(request)

    def judged(over: Manifest) -> SignatureResult:
        return verify(
            bundle,
            anchors,
            authorities,
            request.now,
            over,
            allow_ignored=request.allow_ignored,
            obstacles=obstacles,
            accept_links=request.accept_links,
            only=request.only,
        )

    result = judged(manifest)
    extra = result.difference.added if result.difference and request.ignore_unsigned else ()
    if not extra:
        return result
    # The person asked to let unsigned files pass: judge what remains, and say what was left out.
    rest = judged(replace(manifest, entries=tuple(e for e in manifest.entries if e.path not in extra)))
    note = f"{rest.covers}; {len(extra)} unsigned ignored as asked"
    return replace(rest, why=f"{rest.why}; {len(extra)} unsigned ignored as asked", covers=note)


def signature_evidence(request: Request, signatures: Sequence[SignatureResult]) -> tuple[Evidence, ...]:
    """The rows `signed` and `intact`."""
    from weighbridge.trust.quorum import Requirement, judge_signatures

    policy = request.policy
    requirement = Requirement(threshold=policy.threshold, signers=policy.signers, roles=dict(policy.roles))
    signed = judge_signatures(signatures, requirement, required=policy.signature is Need.REQUIRED)
    if not signatures:
        places = dict.fromkeys(str(place) for place in _usual_places(Path(request.paths[0])))
        signed = replace(signed, details=(f"looked in {', '.join(places)}",))
    elif len(signatures) == 1:
        signed = replace(signed, details=())  # the one signature's line would say the reason twice
    return signed, _intact(signatures)


def _intact(signatures: Sequence[SignatureResult]) -> Evidence:
    """Whether the contents are what was signed, by every signature of somebody whom we know."""
    known = [result for result in signatures if result.by]
    if not known:
        code = "not-signed-by-known" if signatures else "no-signature"
        why = "nobody trusted has signed it, so there is nothing to compare with"
        return Evidence(question="intact", outcome=Outcome.UNKNOWN, why=why, code=code)
    worst_result = min(known, key=lambda result: WORST_FIRST.index(result.outcome))
    return Evidence(
        question="intact",
        outcome=worst_result.outcome,
        why=_intact_why(worst_result),
        by=worst_result.by,
        code=worst_result.code,
    )


def _as_claimed(
    evidence: tuple[Evidence, ...], measurement: Measurement, signatures: Sequence[SignatureResult]
) -> tuple[tuple[Evidence, ...], Measurement]:
    """Digests that a store states were not measured: `intact` has no answer yet. Where somebody trusted signed the
    very same, the bytes that were not fetched are bound by them, and need not be read to be known."""
    why = "the store states the digests that were signed; they are measured when it is downloaded"
    rows = tuple(
        replace(row, outcome=Outcome.UNKNOWN, why=why, code="not-measured")
        if row.question == "intact" and row.outcome is Outcome.PASS
        else row
        for row in evidence
    )
    if not any(result.by and result.outcome is Outcome.PASS for result in signatures):
        return rows, measurement
    from weighbridge.measure.survey import NOT_FETCHED

    left = tuple(
        u for u in measurement.unread if u.place.path not in measurement.claimed or u.code != NOT_FETCHED
    )
    return rows, replace(measurement, unread=left)


def _intact_why(result: SignatureResult) -> str:
    if result.outcome is Outcome.PASS:
        files, mark, rest = result.covers.partition(";")
        return f"{files} as signed{mark}{rest}"
    if result.difference is None:
        return result.why
    found = result.difference
    words = (("changed", found.changed), ("extra", found.added), ("missing", found.removed))
    return "not as signed: " + ", ".join(f"{len(paths)} {word}" for word, paths in words if paths)


def _examined(
    request: Request, artifact: Artifact, measurement: Measurement, scanner: "Scanner | None"
) -> tuple[
    tuple[FileResult, ...],
    tuple[Finding, ...],
    tuple[Suppressed, ...],
    tuple[Unread, ...],
    tuple[Evidence, ...],
]:
    """Files, findings that count, findings that somebody accepted, what was not read, what other scanners say."""
    hashed = {entry.path: entry.sha256 for entry in measurement.manifest.entries}
    if scanner is None:
        files = tuple(_measured_file(entry) for entry in measurement.manifest.entries)
        obstacles = tuple(
            Unread(place=Place(path=o.path), code=o.code, message=o.message) for o in artifact.obstacles
        )
        return files, (), (), (*measurement.unread, *obstacles), ()
    scan = scanner.finish(artifact, measurement.examined)
    unread = tuple(dict.fromkeys((*scan.unread, *measurement.unread)))
    broken = {item.place.path for item in measurement.unread}
    files = tuple(
        replace(
            file,
            sha256=_hex(hashed.get(file.path)),
            outcome=worst([file.outcome, Outcome.UNKNOWN]) if file.path in broken else file.outcome,
        )
        for file in scan.files
    )
    hashes = {file.path: file.sha256 for file in files}
    theirs, others = _others(request, hashes)
    found = (*scan.findings, *theirs)
    kept, suppressed, notes = suppress(found, request.policy, request.now, hashes)
    return files, (*kept, *notes), suppressed, unread, others


def _others(
    request: Request, hashes: Mapping[str, str | None]
) -> tuple[tuple[Finding, ...], tuple[Evidence, ...]]:
    """Findings of other scanners, and a row for each log and for each scanner that the policy misses."""
    if not request.others and not request.policy.others:
        return (), ()
    from weighbridge.scan.sarif import MAX_LOG, missing, read_sarif

    logs = []
    for name in request.others:
        data = read_beside(Path(name), MAX_LOG)
        if data is None:
            raise UsageError("no-such-path", f'there is no SARIF log at "{visible(name)}"')
        logs.append(read_sarif(data, name, hashes))
    absent = missing(request.policy.others, logs)
    return tuple(finding for log in logs for finding in log.findings), (
        *(log.evidence for log in logs),
        *absent,
    )


def _measured_file(entry: Entry) -> FileResult:
    """A file that nobody examined: its contents are known, what they do is not."""
    return FileResult(
        path=entry.path, size=entry.size, format="", outcome=Outcome.UNKNOWN, sha256=_hex(entry.sha256)
    )


def _not_measured(unread: Sequence[Unread]) -> Evidence:
    codes = ", ".join(sorted({item.code for item in unread}))
    why = f"{len({item.place.path for item in unread})} files could not be measured: {codes}"
    return Evidence(question="intact", outcome=Outcome.UNKNOWN, why=why, code="not-measured")


def _hex(digest: bytes | None) -> str | None:
    return digest.hex() if digest is not None else None


def _subject(artifact: Artifact, manifest: Manifest) -> Subject:
    digests = (
        manifest.files_digest() or manifest.files_digest("blake3"),
        manifest.tensors_digest(),
        manifest.card_digest(),
    )
    files, tensors, card = (str(digest) if digest else None for digest in digests)
    return Subject(
        name=artifact.name,
        files=len(manifest.entries),
        bytes=manifest.size,
        files_digest=files,
        tensors_digest=tensors,
        card_digest=card,
    )
