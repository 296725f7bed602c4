"""Who signed it, and is it what they signed: every bundle judged, and the rows `signed` and `intact`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.check.request import Request
from weighbridge.core.artifact import Artifact, Obstacle
from weighbridge.core.evidence import WORST_FIRST, Evidence, Outcome
from weighbridge.core.manifest import Difference, Manifest
from weighbridge.core.report import SignatureResult
from weighbridge.core.text import visible
from weighbridge.core.value import replace
from weighbridge.evidence.signatures import usual_places
from weighbridge.measure import Measurement, Plan, measure
from weighbridge.policy.words import Need

if TYPE_CHECKING:
    from weighbridge.sign.bundle import Bundle


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

    check = check_signer(bundle, *request.believed, request.now)
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

    def judged(over: Manifest) -> SignatureResult:
        return verify(
            bundle,
            *request.believed,
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
    from weighbridge.sign.people import People
    from weighbridge.trust.quorum import Requirement, judge_signatures

    policy = request.policy
    requirement = Requirement(threshold=policy.threshold, signers=policy.signers, roles=dict(policy.roles))
    signed = judge_signatures(
        signatures,
        requirement,
        required=policy.signature is Need.REQUIRED,
        people=People(request.believed[0]),
    )
    if not signatures:
        places = dict.fromkeys(str(place) for place in usual_places(Path(request.paths[0])))
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


def _intact_why(result: SignatureResult) -> str:
    if result.outcome is Outcome.PASS:
        files, mark, rest = result.covers.partition(";")
        return f"{files} as signed{mark}{rest}"
    if result.difference is None:
        return result.why
    found = result.difference
    words = (("changed", found.changed), ("extra", found.added), ("missing", found.removed))
    return "not as signed: " + ", ".join(f"{len(paths)} {word}" for word, paths in words if paths)


def as_claimed(
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
