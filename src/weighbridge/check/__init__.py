"""THE WEIGHING. Read this file first: it is the whole product on one page.

    path → Artifact → Manifest + examinations → Evidence → Verdict → Report

`check`, `verify` and `scan` are the same weighing with other questions; every door calls `weigh`. Nothing here knows
a format, a curve or a screen, and nothing raises for what a model contains: a bad model is evidence. Each step below
has a file of its own beside this one.
"""

import time
from datetime import UTC

from weighbridge.check.content import examined, rows_of, scanner_of
from weighbridge.check.measuring import measured
from weighbridge.check.opening import find_bundles, opened
from weighbridge.check.request import BELIEVES, Ask, Measurer, Request
from weighbridge.check.signed import as_claimed, judge_bundles, signature_evidence
from weighbridge.check.stated import stated
from weighbridge.core.artifact import Artifact
from weighbridge.core.manifest import Manifest
from weighbridge.core.report import Report, Subject
from weighbridge.core.version import __version__
from weighbridge.evidence.signatures import bundles_of, remote_bundles, signature_path
from weighbridge.measure import Progress, measure
from weighbridge.policy import answers, judge

__all__ = [
    "BELIEVES",
    "Ask",
    "Measurer",
    "Request",
    "bundles_of",
    "find_bundles",
    "judge_bundles",
    "signature_evidence",
    "signature_path",
    "weigh",
]


def weigh(
    request: Request,
    progress: Progress | None = None,
    *,
    measurer: Measurer = measure,
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
    artifact = artifact or opened(request, beside)
    if artifact.remote and Ask.SIGNATURES in request.ask:
        artifact, bundles = remote_bundles(artifact, bundles)

    # 2. One read of the bytes: every digest that anybody asks for, and what the examiners see on the way.
    scanner = scanner_of(request)
    measurement, extra = measured(request, artifact, bundles, scanner, progress, measurer)

    # 3. Who signed it, and is it what they signed?
    signatures = judge_bundles(request, bundles, artifact, measurement)
    evidence = signature_evidence(request, signatures) if Ask.SIGNATURES in request.ask else ()
    if measurement.claimed:
        evidence, measurement = as_claimed(evidence, measurement, signatures)

    # 4. Where did it come from, who approved it, and does it still stand?
    rows, chain = stated(request, artifact, measurement, bundles, signatures)
    evidence += rows

    # 5. Is it dangerous to load?
    content = examined(request, artifact, measurement, scanner)
    evidence += rows_of(request, content)

    # 6. Rules that the policy's owner wrote, over everything above; then the verdict.
    subject = _subject(artifact, measurement.manifest)
    policy, findings, now = request.policy, content.findings, request.now
    if request.command == "check" and policy.rules:
        from weighbridge.policy.cel import weigh_rules

        evidence += weigh_rules(
            policy, evidence, now, findings=findings, files=content.files, unread=content.unread,
            signatures=signatures, subject=subject,
        )  # fmt: skip
    asked = policy.questions_of(request.command)
    return Report(
        command=request.command,
        verdict=judge(policy, evidence, findings, now, asked=asked),
        subject=subject,
        evidence=answers(policy, evidence, findings, now, asked=asked),
        signatures=signatures,
        files=content.files,
        findings=findings,
        unread=content.unread,
        suppressed=content.suppressed,
        policy=(policy.name, policy.digest),
        started=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=round(time.monotonic() - clock, 3),
        tool_version=__version__,
        chain=chain,
        extra=extra,
    )


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
